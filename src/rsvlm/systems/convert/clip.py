"""Published CLIPs, in open_clip's layout or transformers', as a model folder of a system that is a CLIP."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from rsvlm.errors import BadInput, MissingPart
from rsvlm.parts.checkpoints import open_clip, weights
from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints.shards import read_config
from rsvlm.parts.checkpoints.weights import Account
from rsvlm.parts.text.clip_tokenizer import FILE, clip_tokenizer, write_tokenizer
from rsvlm.parts.vision_text import ACTIVATIONS
from rsvlm.recipe import Recipe
from rsvlm.systems.build import build
from rsvlm.systems.convert.provenance import write_model_dir
from rsvlm.systems.convert.published_files import published_files, row_of


def recipe_size(path: Path, system: str) -> str:
    """The name of the recipe (`<system>/<size>`) of a published file that keeps its name.

    Raises BadInput for any other: nothing in it tells which activation its MLPs have.
    """
    path = checkpoint.located(path)
    found = row_of(path)
    if found is None or found[0] != system:
        rows = ", ".join(row.name for row in published_files().get(system, ()))
        raise BadInput(
            f"Nothing in {path} tells whether its MLPs have QuickGELU or GELU, and its name is none of those published "
            f"({rows}); give a recipe with its `activation` (--recipe {system}/paper, or your own)."
        )
    return found[1].recipe


def convert_clip(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
) -> Account:  # fmt: skip
    """Turn a published CLIP into the model folder `out`: weights, recipe.yaml, provenance.json and the tokenizer.

    The activation is the recipe's. Where the file's published name or a config.json beside it says another one, or its
    sizes are others, it is refused. The tokenizer is left out where CLIP's vocabulary is not in the cache, and then
    looked for there again when the model is opened. Nothing is left at `out` on failure. Raises BadInput for a file
    that is damaged, holds code or is no CLIP of this recipe, and for any tensor, theirs or ours, without a counterpart.
    """
    path = checkpoint.located(path)
    if vision or language_model:
        option, part = ("--vision", "the vision tower") if vision else ("--language-model", "all of the model")
        raise BadInput(f"{path} holds {part}; leave out {option}.")
    published, files = _read(path), checkpoint.files(path)
    _check_row(path, recipe)
    if open_clip.layout_of(published) == open_clip.TRANSFORMERS:
        _check_config(path, recipe)
    with weights.new_folder(out) as aside:
        with torch.device("meta"):
            own = build(recipe, for_training=False).state_dict()
        wanted = f"give the recipe of its sizes (--recipe), or the checkpoint of {recipe.system}/{recipe.size}"
        open_clip.check_sizes(published, own, source=str(path), wanted=wanted)
        pieces = open_clip.split_attention(published)
        state, account = weights.adopt(pieces, own, open_clip.published_table(own), source=str(path))
        notes = [f"{(len(pieces) - len(published)) // 2} in_proj are three tensors each here, and counted so"]
        final = recipe.model_copy(update={"stages": ()})
        write_model_dir(aside, state, final, files, account)
        try:
            write_tokenizer(clip_tokenizer(recipe.model["text"]["vocabulary"]), aside / FILE)
        except MissingPart as missing:
            notes.append(f"the tokenizer is not beside it: {missing}")
    return replace(account, notes=tuple(notes if len(pieces) > len(published) else notes[1:]))


def _read(path: Path) -> dict[str, Tensor]:
    tree = checkpoint.read_tree(path)
    names = [str(name) for name in tree] if isinstance(tree, Mapping) else [type(tree).__name__]
    if not open_clip.layout_of(names):
        found = sorted({name.split(".")[0] for name in names})
        like = " It looks like a CLIP with a ResNet." if any(".layer1." in name for name in names) else ""
        raise BadInput(
            f"{path} is no checkpoint of a CLIP with two transformers: expected visual.conv1 (open_clip) or "
            f"vision_model (transformers) and logit_scale, found {', '.join(found[:4])}"
            f"{', ...' if len(found) > 4 else ''}.{like}"
        )
    return weights.flatten(tree, source=str(path))


def _check_row(path: Path, recipe: Recipe) -> None:
    found = row_of(path)
    if found is None:
        return
    system, row = found
    if system != recipe.system:
        raise BadInput(f"{path} is by its name a checkpoint of {system}, not of {recipe.system}; convert it as that.")
    _check_activation(row.activation, recipe, f"{row.name} is published")


def _check_config(path: Path, recipe: Recipe) -> None:
    """By the config.json beside a file in transformers' layout; what it leaves out is that library's default."""
    config = read_config(path.parent)
    for given in (config.get("vision_config"), config.get("text_config")):
        said = given.get("hidden_act", "quick_gelu") if isinstance(given, Mapping) else None
        if said in ACTIVATIONS:
            _check_activation(said, recipe, f"{path.parent / 'config.json'} describes it")


def _check_activation(found: str, recipe: Recipe, source: str) -> None:
    expected = recipe.model["activation"]
    if found != expected:
        raise BadInput(
            f"{source} with the activation {found} ({ACTIVATIONS[found]}), and the recipe {recipe.system}/"
            f"{recipe.size} says {expected}: the tensors fit both, and answers would be worse without a word; give a "
            f"recipe with activation: {found} (--recipe)."
        )
