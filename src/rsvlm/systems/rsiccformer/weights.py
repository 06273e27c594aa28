"""Names of RSICCformer's released modules (github.com/Chen-Yang-Liu/RSICC, models_RSICCformerDfusion.py)."""

from rsvlm.systems.convert.change_captioning import decoder, encoder

_LAYER = {name: name for name in ("attention", "norm1", "norm2", "linear1", "linear2")}
CAPTION_LAYER = {
    "self_attn": "self_attention", "multihead_attn2": "cross_attention",
    **{name: name for name in ("linear1", "linear2", "norm1", "norm2", "norm3")},
}  # fmt: skip
DEAD = ("self_attn2", "multihead_attn", "multihead_attn3", r"fc_alpha\d")
ENCODER = encoder(_LAYER, {"projection": "projection"})
DECODER = decoder(CAPTION_LAYER, DEAD)
