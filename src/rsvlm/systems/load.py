"""Any model behind one door: `load(name)` gives something that answers, whatever it is and wherever it runs."""

from importlib.util import find_spec
from pathlib import Path

from rsvlm.errors import BadInput, MissingPart, missing_extra
from rsvlm.systems.abilities import FORMS, Answers


def load(name: str) -> Answers:
    """The model called `name`, in one of the forms that `rsvlm.systems.abilities.FORMS` lists.

    "mini" (the package rsvlm-mini), the folder of a finished run, "hf:<folder or id>" or the folder of a Hugging Face
    model, "openai:<URL>#<model>". Raises MissingPart where a package or a model is not on this machine, BadInput for an
    unknown name, a folder that holds no model, a damaged checkpoint and a server that cannot be reached.
    """
    if name.startswith("openai:"):  # needs no PyTorch here
        from rsvlm.systems.providers.openai import Endpoint

        return Endpoint(name)
    try:
        if name.startswith("hf:"):
            return _hub(name, name.removeprefix("hf:"))
        folder = model_folder(name)
        if (folder / "config.json").is_file() and not (folder / "recipe.yaml").is_file():
            return _hub(name, name)
        from rsvlm.systems.runtime.detecting import open_chat

        return open_chat(folder, name)
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "torch", "model") from error


def model_folder(name: str) -> Path:
    """The folder of a model of ours: "mini", or a folder. Raises like `load`."""
    if name != "mini" and not Path(name).is_dir():
        raise BadInput(f"No model is named {name!r}, and there is no such folder; give one of: {', '.join(FORMS)}.")
    return _mini() if name == "mini" else Path(name)


def _mini() -> Path:
    found = find_spec("rsvlm_mini")
    if found is None or not found.submodule_search_locations:
        raise MissingPart(
            "The embedded model is not installed; run: pip install ./packages/rsvlm-mini (from the repository)"
        )
    return Path(found.submodule_search_locations[0])


def _hub(name: str, where: str) -> Answers:
    from rsvlm.systems.providers.hf import HubModel

    return HubModel(name, where)
