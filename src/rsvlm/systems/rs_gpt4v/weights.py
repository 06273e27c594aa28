"""LLaVA-1.5-shaped weights, GeoChat's among them, into a model folder of ours.

Layouts: github.com/haotian-liu/LLaVA and github.com/mbzuai-oryx/GeoChat (model/builder.py): the folder of a whole
model, an adapter's folder (adapter_model, non_lora_trainables.bin), or mm_projector.bin alone. RS-GPT4V itself has
published no weights.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from rsvlm.errors import MissingPart
from rsvlm.parts.checkpoints import clip as clip_weights
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.parts.vision.clip import CLIPLevels
from rsvlm.recipe import Recipe
from rsvlm.systems.build import build
from rsvlm.systems.convert.identified import Has, Identified
from rsvlm.systems.convert.language_folder import write_language
from rsvlm.systems.convert.provenance import write_model_dir
from rsvlm.systems.rs_gpt4v.files import base_of, check, language_config, read

_TRAINED = r"(?:modules_to_save\.default\.)?"  # where PEFT keeps a module that is trained beside the adapters
_TABLE = WeightTable(
    {
        rf"(?:base_model\.model\.)?(?:model\.)*mm_projector\.{_TRAINED}(\d+\.(?:weight|bias))": r"bridge.mlp.\1",
        r"base_model\.model\.(model\..+\.lora_[AB])(?:\.default)?\.weight": r"language.model.\1.default.weight",
        r"(model\.(?:layers|embed_tokens|norm)\..+|lm_head\.weight)": r"language.model.\1",
    },
    {
        r".*rotary_emb\.inv_freq": "a constant that transformers before 4.32 saved",
        r".*mm_projector\.original_module\..+": "the projector as it was before it was trained (PEFT keeps both)",
    },
)
_LANGUAGE = r"language\.model\.(?!.*\.lora_[AB]\.).+"
_TOWER = "CLIP, which is published apart (openai/clip-vit-large-patch14-336)"


def identify(has: Has) -> Identified | None:
    """What a checkpoint of LLaVA-1.5's layout is; None for any other."""
    if not has(r"mm_projector|multi_modal_projector") or has(r"query_tokens|Qformer|^llama_proj\."):
        return None
    variant = "adapters" if has(r"\.lora_[AB]\.") else "whole" if has(r"embed_tokens") else "the projector alone"
    what = "LLaVA-1.5 (RS-GPT4V's form; GeoChat has the same names)"
    return Identified(what, variant=variant, stage="unknown")


def published_table(own: Iterable[str]) -> WeightTable:
    """Names of LLaVA-1.5 and GeoChat, whole or in part -> names of `RSGPT4V`, which are `own`."""
    tower = [name.removeprefix("vision.") for name in own if name.startswith("vision.")]
    return _TABLE | clip_weights.published_table(tower).under("model.vision_tower.vision_tower.", "vision.")


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
    lora: bool = True,
) -> Account:  # fmt: skip
    """Turn LLaVA-1.5-shaped weights into the model folder `out`: model.safetensors, recipe.yaml, provenance.json.

    `path` is a model's folder, an adapter's folder or an mm_projector.bin; `recipe` gives the sizes
    (rs_gpt4v/paper, or geochat.yaml). `vision` is the folder or file of CLIP-L/14-336, needed where the
    file does not hold the tower; its positions go to the recipe's grid. A whole model's language model and tokenizer go
    to `out`/language, to which the recipe then points, so the folder stays where it was made; else `language_model` is
    that of Vicuna-7B-v1.5, without which the folder says so when asked. An adapter brings its own rank and scale;
    without `lora` it is left out. Nothing is left at `out` on failure. Raises MissingPart for a tower or base that is
    needed, BadInput for a file that is damaged, holds code or is of another system or base, and for any tensor, theirs
    or ours, without a counterpart.
    """
    found = read(path, lora=lora)
    check(found.config, recipe, path)
    with weights.new_folder(out) as aside:
        language = {name: value for name, value in recipe.model["language"].items() if name != "lora"}
        adapted = {"lora": dict(found.adapter)} if found.adapter else {}
        numbers = {**recipe.model, "language": language | adapted}
        with torch.device("meta"):
            model = build(recipe.model_copy(update={"model": numbers}), for_training=False)
        own, tower = model.state_dict(), model.vision
        assert isinstance(tower, CLIPLevels)
        whole = any(name.startswith("model.layers.") for name in found.tensors)
        seeing = any(name.startswith("model.vision_tower.") for name in found.tensors)
        apart = {} if whole else {_LANGUAGE: f"the language model, which is published apart ({found.base})"}
        apart |= {} if seeing else {r"vision\..+": _TOWER}
        known = clip_weights.regridded(found.tensors, tower)
        state, account = weights.adopt(known, own, published_table(own), source=str(path), elsewhere=apart)
        files = list(found.files)
        if not seeing:
            state, files = _with_tower(state, files, vision, tower, path)
        if whole:
            state = write_language(aside / "language", state, language_config(language, found.config), path)
            base = str((out / "language").absolute())
        else:
            base = base_of(found, language_model, language, path)
        final = {**numbers, "language": {"base": base, **adapted}}
        sources = {str(file.relative_to(path) if path in file.parents else file.name): file for file in files}
        write_model_dir(aside, state, recipe.model_copy(update={"model": final, "stages": ()}), sources, account)
    return account


def _with_tower(
    state: dict[str, Tensor], files: list[Path], vision: Path | None, tower: CLIPLevels, path: Path
) -> tuple[dict[str, Tensor], list[Path]]:
    if vision is None:
        raise MissingPart(
            f"{path} does not hold the vision tower, which is published apart; fetch "
            "openai/clip-vit-large-patch14-336 and give its folder as `vision` (--vision)."
        )
    seen, _, more = clip_weights.read_published(vision, tower)
    return state | {f"vision.{name}": tensor for name, tensor in seen.items()}, [*files, *more]
