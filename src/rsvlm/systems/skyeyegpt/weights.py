"""The published weights of SkyEyeGPT, in the layout of MiniGPT-v2's checkpoints, as a model folder of ours.

Layout: github.com/Vision-CAIR/MiniGPT-4, runners/runner_base.py (`_save_checkpoint`) and models/minigpt_v2.py: under
"model" only what was trained, so the tower and the language model come from their own files.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsvlm.errors import BadInput, MissingPart
from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.parts.vision import eva
from rsvlm.parts.vision.eva import EVACLIP
from rsvlm.recipe import Recipe
from rsvlm.systems.build import build
from rsvlm.systems.convert.identified import Has, Identified, Layout
from rsvlm.systems.convert.provenance import write_model_dir

LAYOUT = Layout(fronts=("llama_proj.",))

# peft before 0.3 wrote no name of the adapter, later ones write "default".
_LORA = WeightTable(
    {r"base_model\.model\.(model\..+\.lora_[AB])(?:\.default)?\.weight": r"\1.default.weight"},
    {r".*rotary_emb\.inv_freq": "a constant that transformers before 4.32 saved"},
)
_BASE = "the language model, which is published apart (meta-llama/Llama-2-7b-chat-hf)"
_TOWER = "EVA-CLIP, which is published apart (LAVIS' eva_vit_g.pth)"
_NORM = "ones and zeros: the norm behind the tower is frozen as it starts, and saved by nobody"


def identify(has: Has) -> Identified | None:
    """What a checkpoint of MiniGPT-v2's layout is; None for any other, those with a Q-Former (MiniGPT-4) among them."""
    if not has(r"^llama_proj\.") or has(r"query_tokens|Qformer"):
        return None
    bridge = "adapters on the alignment layer" if has(r"^llama_proj\.lora_") else "a plain alignment layer"
    tower = "the vision tower in it" if has(r"^visual_encoder\.") else "the vision tower apart"
    what = "SkyEyeGPT (or MiniGPT-v2, which has the same names)"
    return Identified(what, variant=f"{bridge}, {tower}", stage="unknown")


def published_table(own: Iterable[str], depth: int) -> WeightTable:
    """Names under "model" of a MiniGPT-v2 checkpoint -> names of `SkyEyeGPT`, which are `own`, `depth` EVA blocks.

    The tower and its norm are there only where somebody saved the model whole.
    """
    base = "base_layer." if "bridge.proj.base_layer.weight" in own else ""
    bridge = {
        r"llama_proj\.(?:base_layer\.)?(weight|bias)": rf"bridge.proj.{base}\1",
        r"llama_proj\.(lora_[AB])(?:\.default)?\.weight": r"bridge.proj.\1.default.weight",
        r"ln_vision\.(weight|bias)": r"vision.norm.\1",
    }
    tower = eva.published_table(depth).under("visual_encoder.", "vision.")
    return WeightTable(bridge) | _LORA.under("llama_model.", "language.model.") | tower


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
    lora: bool = True,
) -> Account:  # fmt: skip
    """Turn a MiniGPT-v2-shaped checkpoint into the model folder `out`: model.safetensors, recipe.yaml, provenance.json.

    `recipe` gives the sizes (skyeyegpt/paper). `vision` is LAVIS' eva_vit_g.pth, needed unless the
    checkpoint holds the tower; `language_model` the folder of Llama-2-7b-chat-hf, without which the folder says so
    when asked. Adapters of the alignment layer are read where the recipe has their numbers (model.bridge.lora); a
    checkpoint without them makes the recipe one without them; `lora` says whether LLaMA has adapters. Nothing is
    left at `out` on failure. Raises MissingPart without a tower, BadInput for a file that is damaged, holds code or
    is of another system, and for any tensor, theirs or ours, without a counterpart.
    """
    path = checkpoint.located(path)
    published, files = _read(path), checkpoint.files(path)
    adapter = recipe.model["language"].get("lora") if lora else None
    with weights.new_folder(out) as aside:
        numbers = {**recipe.model, "bridge": _bridge(published, recipe.model["bridge"], path)}
        numbers["language"] = {**recipe.model["language"], "lora": adapter}
        with torch.device("meta"):
            model = build(recipe.model_copy(update={"model": numbers}), for_training=False)
        own, tower = model.state_dict(), model.vision
        assert isinstance(tower, EVACLIP)
        apart = {r"language\.model\.(?!.*\.lora_[AB]\.).+": _BASE, r"vision\.norm\..+": _NORM}
        if not any(name.startswith("visual_encoder.") for name in published):
            apart[r"vision\..+"] = _TOWER
        table = published_table(own, len(tower.blocks))
        known = eva.resize_positions(published, "visual_encoder.pos_embed", tower)
        state, account = weights.adopt(known, own, table, source=str(path), elsewhere=apart)
        if any(reason == _TOWER for reason in account.elsewhere.values()):
            state |= _tower(vision, tower, path)
            files |= {vision.name: vision} if vision else {}
        for name in account.elsewhere:
            if name.startswith("vision.norm."):
                state[name] = torch.full(own[name].shape, float(name.endswith("weight")))
        base = str(language_model.resolve()) if language_model else "llama-2-7b-chat"
        numbers |= {"language": {"base": base, "lora": adapter}}
        final = recipe.model_copy(update={"model": numbers, "stages": ()})
        write_model_dir(aside, state, final, files, account)
    return account


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors under "model", or at the top of a bare state dict; the runner's own state beside it is not read."""
    tree = checkpoint.inner(checkpoint.read_tree(path), LAYOUT.fronts)
    names = [str(name) for name in tree] if isinstance(tree, Mapping) else [type(tree).__name__]
    if not any(name.startswith("llama_proj.") for name in names) or any("query_tokens" in name for name in names):
        found = sorted({name.split(".")[0] for name in names})
        like = next((f" It looks like {what}." for sign, what in _OTHERS.items() if sign in found), "")
        raise BadInput(
            f"{path} is no SkyEyeGPT checkpoint in MiniGPT-v2's layout: expected llama_proj and llama_model, found "
            f"{', '.join(found[:4])}{', ...' if len(found) > 4 else ''}.{like}"
        )
    return weights.flatten(tree, source=str(path))


_OTHERS = {
    "query_tokens": "a BLIP-2 child with a Q-Former (MiniGPT-4, DeltaVLM)",
    "rgb_ckpt": "LHRS-Bot or LHRS-Bot-Nova",
    "cls_token": "the EVA-CLIP tower alone, which belongs beside it",
}


def _bridge(published: Mapping[str, Tensor], numbers: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The alignment layer's numbers, with adapters exactly where the file has them."""
    adapted = any(name.startswith("llama_proj.lora_") for name in published)
    if adapted and not numbers.get("lora"):
        raise BadInput(
            f"{path} has adapters on its alignment layer, whose lora_alpha no file tells; give model.bridge.lora "
            "(r and lora_alpha) in the recipe."
        )
    return {name: value for name, value in numbers.items() if name != "lora" or adapted}


def _tower(vision: Path | None, tower: EVACLIP, path: Path) -> dict[str, Tensor]:
    if vision is None:
        raise MissingPart(
            f"{path} does not hold the vision tower, which is published apart; fetch eva_vit_g.pth, the EVA-CLIP of "
            "LAVIS' BLIP-2, and give its path as `vision` (--vision)."
        )
    return {f"vision.{name}": tensor for name, tensor in eva.read_published(vision, tower)[0].items()}
