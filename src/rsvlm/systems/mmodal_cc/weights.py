"""MModalCC's released modules (github.com/ChangeCapsInRS/SecondCC, models_Decoder.py) as a model folder."""

from pathlib import Path

from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.recipe import Recipe
from rsvlm.systems.convert import change_captioning as released
from rsvlm.systems.convert.identified import Has, Identified

LAYOUT = released.LAYOUT
_LAYER = {"attention2": "attention", "norm3": "norm1", "norm4": "norm2", "linear3": "linear1", "linear4": "linear2"}
CAPTION_LAYER = {
    "self_attn": "self_attention", "multihead_attn": "cross_attention", "gate.0": "image_gate",
    "gate2.0": "semantic_gate", "gate3.0": "word_gate", "linear1": "linear1", "linear2": "linear2",
    "norm1": "norm1", "norm3": "norm2", "norm4": "norm3",
}  # fmt: skip
DEAD = ("multihead_attn2", "norm2")
ENCODER = released.encoder(
    _LAYER, {"projection": "projection", "projection2": "semantic_projection"},
    ("attention", "norm1", "norm2", "linear1", "linear2"),
)  # fmt: skip
DECODER = released.decoder(CAPTION_LAYER, DEAD)


def identify(has: Has) -> Identified | None:
    """What a checkpoint with MModalCC's names is; None for any other."""
    if not has(r"^encoder_feat\.transformer\.0\.attention2\."):
        return None
    return Identified("MModalCC, its state dicts saved once from the released modules", stage="captions")


def published_table() -> WeightTable:
    """Names of all state dicts -> names of `MModalCC`."""
    towers = released.tower("encoder_image.", "vision.") | released.tower("encoder_image2.", "semantic_vision.")
    return towers | ENCODER.under("encoder_feat.", "bridge.") | DECODER.under("decoder.", "language.")


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
    lora: bool = True,
) -> Account:  # fmt: skip
    """As `rsvlm.systems.convert.change_captioning.convert_captioner`; its pixels were not normalised at all."""
    return released.convert_captioner(
        path, out, published_table(), recipe=recipe, normalise="none", language_model=language_model, vision=vision
    )
