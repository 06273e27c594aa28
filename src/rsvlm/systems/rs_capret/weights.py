"""Checkpoints in FROMAGe's layout, the one that bridge weights of this method have, as a model folder of ours.

Layout: github.com/kohjingyu/fromage, fromage/models.py and prune_model_ckpt.py: pretrained_ckpt.pth.tar holds the maps,
the temperature and the row of [RET], model_args.json lies beside it; the tower and the language model come from their
own files. RS-CapRet's own bridge is not published. Its encoder is (joaodaniel/rs-clip-cap4, transformers' CLIPModel).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsvlm.errors import BadInput, MissingPart
from rsvlm.files import is_folder
from rsvlm.json_text import read_json_object
from rsvlm.parts.checkpoints import clip as clip_weights
from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.shards import read_config
from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.parts.vision.clip import CLIPLevels
from rsvlm.recipe import Recipe
from rsvlm.systems.build import GATED, build
from rsvlm.systems.convert.identified import Has, Identified, Layout
from rsvlm.systems.convert.provenance import write_model_dir

_PARTS = ("visual_embeddings", "visual_fc", "text_hidden_fcs")
LAYOUT = Layout(fronts=tuple(f"{part}." for part in _PARTS))

SETTINGS = "model_args.json"
TABLE = WeightTable({
    r"visual_embeddings\.(weight|bias)": r"bridge.visual.\1",
    r"visual_fc\.(weight|bias)": r"bridge.image.\1",
    r"text_hidden_fcs\.0\.0\.(weight|bias)": r"bridge.text.\1",
    r"ret_input_embeddings\.weight": "language.ret_in",
    r"ret_output_embeddings\.weight": "language.ret_out",
    r"logit_scale": "logit_scale",
})  # fmt: skip
_UNPRUNED = WeightTable({}, {
    r"lm\..+": "the language model, which is frozen and published apart",
    r"visual_model\..+": "the vision tower, which is frozen and published apart",
    r"input_embeddings\.weight": "the language model's embedding, of which only the row of [RET] is learned",
})  # fmt: skip
_MATRIX, _ROW, _OUT = "input_embeddings.weight", "ret_input_embeddings.weight", "ret_output_embeddings.weight"
_FRONT = r"^(module\.)?(model\.)?"  # prune_model_ckpt.py leaves both, but for the row that it adds
_TOWER = "the CLIP, which is published apart (openai/clip-vit-large-patch14, or joaodaniel/rs-clip-cap4)"


def identify(has: Has) -> Identified | None:
    """What a checkpoint in FROMAGe's layout is; None for any other, GILL's among them."""
    if not all(has(rf"{_FRONT}{part}\.") for part in _PARTS) or has(r"(gen|ret)_text_hidden_fcs\."):
        return None
    spoken = "with the frozen models in it" if has(rf"{_FRONT}lm\.") else "pruned to what is trained"
    return Identified("FROMAGe, or RS-CapRet in its layout", variant=spoken, stage="unknown")


def size_of(path: Path) -> str:
    """The recipe of a checkpoint: FROMAGe's, unless model_args.json beside it names a language model that is no OPT."""
    settings = _settings(checkpoint.located(path))
    return "fromage_default" if "opt" in str(settings.get("opt_version", "opt")).lower() else "paper"


def wanted_base(recipe: Recipe) -> str:
    """The Hugging Face id of the language model that a recipe is over."""
    return GATED[_base(recipe)]


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
    lora: bool = True,
) -> Account:  # fmt: skip
    """Turn a checkpoint in FROMAGe's layout into the model folder `out`: weights, recipe.yaml, provenance.json.

    `recipe` gives the sizes (rs_capret/fromage_default for FROMAGe's own), but for the number of visual tokens, which
    is the file's, and the prefix of captions, which is that of model_args.json. `vision` is the folder or file of the
    CLIP that it was trained with, always needed; `language_model` the folder of the language model, without which the
    folder says so when asked. Files with the whole embedding instead of the row of [RET], or with the frozen models in
    them, are read, too; over an untied head they have to have `ret_output_embeddings.weight` (ours: nobody published
    such a file). `lora` does nothing, there are no adapters.
    Nothing is left at `out` on failure. Raises MissingPart without a tower, BadInput for a file that is damaged, holds
    code or is of another system, for other settings than the recipe's, and for any tensor without a counterpart.
    """
    path = checkpoint.located(path)
    published, files = _read(path), checkpoint.files(path)
    settings = _settings(path)
    files |= {SETTINGS: path.parent / SETTINGS} if settings else {}
    _check_settings(settings, recipe, path.parent / SETTINGS)
    with weights.new_folder(out) as aside:
        numbers = {**recipe.model, "bridge": _bridge(published, recipe)}
        numbers |= {"prefix": str(settings["input_prompt"])} if settings.get("input_prompt") else {}
        with torch.device("meta"):
            model = build(recipe.model_copy(update={"model": numbers}), for_training=False)
        own, tower = model.state_dict(), model.vision
        assert isinstance(tower, CLIPLevels)
        if "language.ret_out" in own and _OUT not in published:
            raise BadInput(
                f"{path} has no row of [RET] for the head of the language model, which is not its embedding here: "
                "[RET] would never be said; give the language model that it was trained over, FROMAGe's is an OPT."
            )
        apart = {r"language\.model\..+": f"the language model, which is published apart ({wanted_base(recipe)})",
                 r"vision\..+": _TOWER}  # fmt: skip
        state, account = weights.adopt(published, own, _UNPRUNED | TABLE, source=str(path), elsewhere=apart)
        seen, more = _tower(vision, tower, recipe, path)
        base = str(language_model.resolve()) if language_model else _base(recipe)
        final = recipe.model_copy(update={"model": {**numbers, "language": {"base": base}}, "stages": ()})
        write_model_dir(aside, state | seen, final, {**files, **more}, account)
    return account


def _base(recipe: Recipe) -> str:
    return "opt-6.7b" if recipe.model["language"]["base"] == "opt" else "llama-2-7b"


def _settings(path: Path) -> Mapping[str, Any]:
    """model_args.json beside a checkpoint; empty without one."""
    beside = path.parent / SETTINGS
    return read_json_object(beside, "FROMAGe's settings as published") if beside.is_file() else {}


def _check_settings(settings: Mapping[str, Any], recipe: Recipe, path: Path) -> None:
    """Raises BadInput where the file was trained in a form that no tensor's shape tells."""
    wanted = {"shared_emb_dim": recipe.model["bridge"].get("dim", 256), "text_emb_layers": [-1]}
    if odd := [name for name, value in wanted.items() if settings.get(name, value) != value]:
        raise BadInput(
            f"{path}: {odd[0]} is {str(settings[odd[0]])[:40]}, expected {wanted[odd[0]]}; give the recipe of its "
            "sizes (--recipe), or a checkpoint that reads the last layer alone."
        )


def _read(path: Path) -> dict[str, Tensor]:
    tree = checkpoint.read_tree(path)
    names = [str(name) for name in tree] if isinstance(tree, Mapping) else [type(tree).__name__]
    published = {re.sub(_FRONT, "", name): tree[name] for name in names} if isinstance(tree, Mapping) else {}
    found = sorted({name.split(".")[0] for name in published or names})
    if not {*_PARTS} <= {*found}:
        raise BadInput(
            f"{path} is no checkpoint in FROMAGe's layout: expected {', '.join(_PARTS)}, found "
            f"{', '.join(found[:4])}{', ...' if len(found) > 4 else ''}."
        )
    published = weights.flatten(published, source=str(path))
    if _MATRIX in published and _ROW not in published:  # [RET] is the last row: its table was cut behind it
        published[_ROW] = published.pop(_MATRIX)[-1]
    for name in {_ROW, _OUT} & published.keys():
        published[name] = published[name].reshape(1, -1)
    return published


def _bridge(published: Mapping[str, Tensor], recipe: Recipe) -> dict[str, Any]:
    """The numbers of the maps, with as many visual tokens as the file has."""
    width = recipe.model["language"]["hidden_size"]
    rows = published.get("visual_embeddings.weight", torch.empty(0)).shape[0]
    tokens = {"tokens": rows // width} if rows and rows % width == 0 else {}
    return {**recipe.model["bridge"], **tokens}


def _tower(
    vision: Path | None, tower: CLIPLevels, recipe: Recipe, path: Path
) -> tuple[dict[str, Tensor], dict[str, Path]]:
    """The tower's weights under our names, and the files that they are from."""
    if vision is None:
        raise MissingPart(
            f"{path} does not hold the vision tower, which is published apart; fetch the CLIP that it was trained "
            "with, for FROMAGe openai/clip-vit-large-patch14, and give its folder as `vision` (--vision)."
        )
    said = read_config(vision if is_folder(vision) else vision.parent).get("vision_config", {})
    found, expected = said.get("hidden_act", "quick_gelu"), recipe.model["vision"].get("activation", "quick_gelu")
    if isinstance(said, Mapping) and found != expected:
        raise BadInput(
            f"The config.json of {vision} says that its MLPs have {found!r:.40}, and model.vision.activation of the "
            f"recipe {recipe.size!r} {expected}; give a recipe with the right one (--recipe)."
        )
    seen, _, files = clip_weights.read_published(vision, tower)
    return {f"vision.{name}": tensor for name, tensor in seen.items()}, {file.name: file for file in files}
