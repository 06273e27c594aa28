"""RSICCformer's released modules (github.com/Chen-Yang-Liu/RSICC, models_RSICCformerDfusion.py) as a model folder."""

from pathlib import Path

from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.recipe import Recipe
from rsvlm.systems.convert import change_captioning as released
from rsvlm.systems.convert.identified import Has, Identified

LAYOUT = released.LAYOUT
_LAYER = {name: name for name in ("attention", "norm1", "norm2", "linear1", "linear2")}
CAPTION_LAYER = {
    "self_attn": "self_attention", "multihead_attn2": "cross_attention",
    **{name: name for name in ("linear1", "linear2", "norm1", "norm2", "norm3")},
}  # fmt: skip
DEAD = ("self_attn2", "multihead_attn", "multihead_attn3", r"fc_alpha\d")
ENCODER = released.encoder(_LAYER, {"projection": "projection"})
DECODER = released.decoder(CAPTION_LAYER, DEAD)


def identify(has: Has) -> Identified | None:
    """What a checkpoint with RSICCformer's names is; None for any other."""
    if not has(r"^encoder_feat\.transformer\.0\.attention\.") or has(r"^encoder_feat\.transformer\.0\.attention2\."):
        return None
    return Identified("RSICCformer, its state dicts saved once from the released modules", stage="captions")


def published_table() -> WeightTable:
    """Names of all state dicts -> names of `RSICCformer`."""
    others = WeightTable({}, {r"encoder_feat\.projection[234]\..+": "for towers of other widths"})
    table = released.tower("encoder_image.", "vision.") | ENCODER.under("encoder_feat.", "bridge.")
    return others | table | DECODER.under("decoder.", "language.")


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
    lora: bool = True,
) -> Account:  # fmt: skip
    """As `rsvlm.systems.convert.change_captioning.convert_captioner`; its pictures were normalised by ImageNet's
    statistics."""
    return released.convert_captioner(
        path, out, published_table(), recipe=recipe, normalise="imagenet", language_model=language_model, vision=vision
    )
