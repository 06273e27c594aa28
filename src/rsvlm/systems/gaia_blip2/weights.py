"""BLIP-2 in the layout of transformers' Blip2ForConditionalGeneration, as a model folder of ours.

GAIA's own weights are not published. What its fine-tuning starts from is: Salesforce/blip2-opt-2.7b, which is LAVIS'
checkpoint under these names. Whole, or what somebody saved beside the language model.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.shards import read_config
from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.parts.vision import eva
from rsvlm.parts.vision.eva import EVACLIP
from rsvlm.recipe import Recipe
from rsvlm.systems.build import build
from rsvlm.systems.convert.identified import Has, Identified, Layout
from rsvlm.systems.convert.language_folder import write_language
from rsvlm.systems.convert.provenance import write_model_dir

LAYOUT = Layout(fronts=("vision_model.", "query_tokens", "qformer.", "language_projection.", "language_model."))

_TABLE = eva.TRANSFORMERS.under("vision_model.", "vision.") | WeightTable(
    {
        r"query_tokens": "bridge.query",
        r"qformer\.(.+)": r"bridge.qformer.\1",
        r"language_projection\.(.+)": r"bridge.proj.\1",
        r"language_model\.(.+)": r"language.model.\1",
    }
)
_POSITIONS = "vision_model.embeddings.position_embedding"
_BASE = "the language model, which is published apart (facebook/opt-2.7b)"
_TIED = "the embedding, to which it is tied"
# Where a config.json tells the heads of a part, and how many it means by leaving them out.
_HEADS = {"vision": ("vision_config", 16), "bridge": ("qformer_config", 12), "language": ("text_config", 12)}


def identify(has: Has) -> Identified | None:
    """What a checkpoint of BLIP-2 in transformers' layout is; None for any other, InstructBLIP's among them."""
    if not has(r"^(model\.)?language_projection\.") or not has(r"query_tokens$") or has(r"qformer\.embeddings\."):
        return None
    spoken = "the language model in it" if has(r"^language_model\.") else "the language model apart"
    return Identified("BLIP-2 in transformers' layout", variant=spoken, stage="unknown")


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
    lora: bool = True,
) -> Account:  # fmt: skip
    """Turn a BLIP-2 of transformers into the model folder `out`: model.safetensors, recipe.yaml, provenance.json.

    `recipe` gives the sizes (gaia_blip2/paper). A language model that is in it goes to `out`/language with its
    tokenizer, and the recipe then points there, so the folder stays where it was made; else `language_model` is the
    folder of OPT-2.7B, without which the folder says so when asked. `lora` does nothing, there are no adapters. Nothing
    is left at `out` on failure. Raises BadInput for a file that is damaged, holds code, or is of another system, size
    or language model, and for any tensor, theirs or ours, without a counterpart.
    """
    path = checkpoint.located(path)
    if vision:
        raise BadInput(f"{path} holds the vision tower; leave out --vision.")
    published, files, config = _read(path), checkpoint.files(path), read_config(path.parent)
    whole = any(name.startswith("language_model.") for name in published)
    if whole and language_model:
        raise BadInput(f"{path} holds the language model; leave out --language-model.")
    _check_config(config, recipe, path.parent / "config.json")
    with weights.new_folder(out) as aside:
        numbers = {**recipe.model, "language": {k: v for k, v in recipe.model["language"].items() if k != "lora"}}
        if whole:
            numbers["language"] |= _rows(published)
        with torch.device("meta"):
            model = build(recipe.model_copy(update={"model": numbers}), for_training=False)
        assert isinstance(model.vision, EVACLIP)
        pieces = eva.split_biases(eva.resize_positions(published, _POSITIONS, model.vision))
        apart = {r"language\.model\.lm_head\.weight": _TIED} if whole else {r"language\.model\..+": _BASE}
        state, account = weights.adopt(pieces, model.state_dict(), _TABLE, source=str(path), elsewhere=apart)
        base = str(language_model.resolve()) if language_model else "opt-2.7b"
        if whole:
            spoken = _language_config(numbers["language"], config.get("text_config"))
            state = write_language(aside / "language", state, spoken, path.parent)
            base = str((out / "language").absolute())
        final = recipe.model_copy(update={"model": {**numbers, "language": {"base": base}}, "stages": ()})
        write_model_dir(aside, state, final, files, account)
    return replace(account, notes=("a bias of queries, keys and values is three tensors here, and counted so",))


def _read(path: Path) -> dict[str, Tensor]:
    tree = checkpoint.inner(checkpoint.read_tree(path), LAYOUT.fronts)
    names = [str(name) for name in tree] if isinstance(tree, Mapping) else [type(tree).__name__]
    found = sorted({name.split(".")[0] for name in names})
    if not {"query_tokens", "language_projection"} <= set(found) or any("qformer.embeddings." in n for n in names):
        like = next((f" It looks like {what}." for sign, what in _OTHERS.items() if sign in found), "")
        raise BadInput(
            f"{path} is no checkpoint of BLIP-2 in transformers' layout: expected query_tokens, language_projection "
            f"and a qformer without words, found {', '.join(found[:5])}{', ...' if len(found) > 5 else ''}.{like}"
        )
    if any(name.startswith(("language_model.encoder.", "language_model.decoder.")) for name in names):
        raise BadInput(f"The language model of {path} has an encoder, like a T5; expected one of OPT, as opt-2.7b.")
    return weights.flatten(tree, source=str(path))


_OTHERS = {
    "Qformer": "LAVIS' own layout; give transformers' port of it (Salesforce/blip2-opt-2.7b)",
    "language_projection": "InstructBLIP, whose Q-Former reads words",
    "llama_proj": "SkyEyeGPT, in MiniGPT-v2's layout",
    "rgb_ckpt": "LHRS-Bot or LHRS-Bot-Nova",
}


def _check_config(config: Mapping[str, Any], recipe: Recipe, path: Path) -> None:
    """Raises BadInput where config.json tells of other heads than the recipe: they are in no tensor's shape."""
    for part, (section, default) in _HEADS.items() if config else ():
        said, own = config.get(section), recipe.model[part]
        found = said.get("num_attention_heads", default) if isinstance(said, Mapping) else default
        wanted = own.get("num_attention_heads", own.get("heads"))
        if found != wanted:
            raise BadInput(
                f"{path}: {section} has {found!r:.40} heads, and model.{part} of the recipe {recipe.size!r} {wanted}; "
                "give a recipe with the numbers of this model (--recipe)."
            )


def _rows(published: Mapping[str, Tensor]) -> dict[str, int]:
    """The vocabulary that a whole model has: transformers' files have rows more than OPT, for image tokens."""
    rows = published.get("language_model.model.decoder.embed_tokens.weight")
    return {} if rows is None else {"vocab_size": len(rows)}


def _language_config(numbers: Mapping[str, Any], said: Any) -> Any:
    """The configuration of the OPT in a whole model: a recipe's sizes, and what only its config.json tells."""
    from transformers import OPTConfig

    kept = ("activation_function", "dropout", "bos_token_id", "pad_token_id", "eos_token_id")
    values = {name: value for name, value in numbers.items() if name != "base"}
    values |= {name: said[name] for name in kept if isinstance(said, Mapping) and said.get(name) is not None}
    return OPTConfig(**values, architectures=["OPTForCausalLM"])
