"""What the LHRS-Bot family publishes: FINAL.pt and TextLoRA/, read as they are and written as a model folder of ours.

Layout: github.com/NJU-LHRS/LHRS-Bot, branches main and nova, lhrs/models/UniBind.py (custom_load_state_dict).
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.recipe import Recipe
from rsvlm.systems.build import GATED, build
from rsvlm.systems.convert.identified import Has, Layout
from rsvlm.systems.convert.provenance import write_model_dir

FINAL = Layout(fronts=("rgb_ckpt.", "other_ckpt."), nested=("other_ckpt.",), adapter_folder="TextLoRA")

# PEFT's names, whatever modules stand around LLaMA's layers.
LORA = WeightTable(
    {
        r"(?:(?:base_model|model|text|text_encoder)\.)+(layers\.\d+\..+\.lora_[AB])(?:\.default)?\.weight": (
            r"model.\1.default.weight"
        )
    }
)
UNREAD = WeightTable(
    {},
    {
        r"other_ckpt\.embed_tokens\..+": "never trained (no token is added), and the released loader never reads it",
        r"other_ckpt\.(lm_head|text_proj)\..+": "never trained; the released loader never reads it",
    },
)


def final_file(path: Path, vision: Path | None) -> Path:
    """FINAL.pt, given itself or its folder. Raises BadInput where a vision tower is given, which it holds."""
    if vision is not None:
        raise BadInput(f"{path} holds the vision tower; leave out {vision} (--vision).")
    return checkpoint.located(path)


def is_final(has: Has) -> bool:
    """Whether these names are those of a FINAL.pt."""
    return has(r"^rgb_ckpt\.|^other_ckpt\.")


def is_nova(has: Has) -> bool:
    """Whether a FINAL.pt is of branch nova: its perceiver has a norm before its layers, and experts after stage 1."""
    return has(r"\.layernorm_kv\.|\.mlp\.gate\.")


def read_final(path: Path) -> dict[str, Tensor]:
    """The tensors of a FINAL.pt by flattened name. Raises BadInput for a file that is not one."""
    tree = checkpoint.inner(checkpoint.read_tree(path), FINAL.fronts)
    found = sorted({str(name).split(".")[0] for name in tree}) if isinstance(tree, Mapping) else [type(tree).__name__]
    if found != ["other_ckpt", "rgb_ckpt"]:
        raise BadInput(
            f"{path} is no LHRS-Bot checkpoint: expected rgb_ckpt and other_ckpt at the top, "
            f"found {', '.join(found[:4])}{', ...' if len(found) > 4 else ''}."
        )
    return weights.flatten(tree, source=str(path))


def write_model(
    aside: Path, path: Path, published: Mapping[str, Tensor], *, recipe: Recipe,
    table: Callable[[Iterable[str]], WeightTable], base: str, language_model: Path | None, lora: bool,
) -> Account:  # fmt: skip
    """Write the tensors of the FINAL.pt at `path`, and of TextLoRA/ beside it where `lora`, as a model of ours.

    `table` maps their names to ours, given ours. `base` is the language model by our name, `language_model` its folder
    where it is on this machine.
    """
    language = dict(recipe.model["language"])
    adapter = language.pop("lora", None) if lora else None
    files = checkpoint.files(path)
    if adapter is not None:
        tensors, more = _read_adapter(path, adapter)
        published, files = {**published, **tensors}, files | more
    numbers = {**recipe.model, "language": {**language, "lora": adapter}}
    with torch.device("meta"):
        own = build(recipe.model_copy(update={"model": numbers}), for_training=False).state_dict()
    apart = {
        r"language\.model\.(?!.*\.lora_[AB]\.).+": f"the language model, which is published apart ({GATED[base]})",
        r"tags\..+": "ours; the release has no tags",
    }
    state, account = weights.adopt(published, own, table(own), source=str(path), elsewhere=apart)
    folder = str(language_model.resolve()) if language_model else base
    final = {**numbers, "language": {"base": folder, "lora": adapter}}
    write_model_dir(aside, state, recipe.model_copy(update={"model": final, "stages": ()}), files, account)
    return account


def _read_adapter(path: Path, adapter: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Path]]:
    folder = path.parent / "TextLoRA"
    if not folder.is_dir():
        raise BadInput(
            f"There is no TextLoRA folder beside {path}; put it there, or say that this is a stage-1 checkpoint, "
            "which has none (--no-lora)."
        )
    tensors = weights.read_adapter(folder, r=adapter["r"], lora_alpha=adapter["lora_alpha"])
    files = [file for file in sorted(folder.iterdir()) if file.name.startswith("adapter_")]
    return {f"TextLoRA.{name}": t for name, t in tensors.items()}, {f"TextLoRA/{f.name}": f for f in files}
