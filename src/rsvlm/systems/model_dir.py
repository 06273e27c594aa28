"""The folder of a model of ours: model.safetensors and recipe.yaml, "mini" or wherever the user keeps one."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rsvlm.errors import BadInput, MissingPart
from rsvlm.files import is_folder
from rsvlm.systems.abilities import MODEL_NAMES

OTHER_KIND = "hold numbers of another kind"


def model_folder(name: str) -> Path:
    """The folder of a model: that of the package rsvlm-mini for "mini", else `name`.

    Raises MissingPart where rsvlm-mini is not installed, BadInput where there is no such folder.
    """
    if name != "mini" and not is_folder(Path(name)):
        raise BadInput(
            f"No model is named {name!r}, and there is no such folder; give one of: {', '.join(MODEL_NAMES)}."
        )
    return _mini() if name == "mini" else Path(name)


def _mini() -> Path:
    found = find_spec("rsvlm_mini")
    if found is None or not found.submodule_search_locations:
        raise MissingPart(
            "The embedded model is not installed; run: pip install ./packages/rsvlm-mini (from the repository)"
        )
    return Path(found.submodule_search_locations[0])


def unfinished(source: object, names: Sequence[str], what: str) -> BadInput:
    """What is said of weights that are not those of their recipe: which, and what is wrong with them."""
    return BadInput(
        f"{source} is no finished model of its recipe: {len(names)} tensors {what}, the first is {names[0]}; "
        "run rsvlm train to its end, or fetch or convert it again."
    )
