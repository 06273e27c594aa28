"""Names of MModalCC's released modules (github.com/ChangeCapsInRS/SecondCC, models_Decoder.py)."""

from rsvlm.systems.convert.change_captioning import decoder, encoder

_LAYER = {"attention2": "attention", "norm3": "norm1", "norm4": "norm2", "linear3": "linear1", "linear4": "linear2"}
CAPTION_LAYER = {
    "self_attn": "self_attention", "multihead_attn": "cross_attention", "gate.0": "image_gate",
    "gate2.0": "semantic_gate", "gate3.0": "word_gate", "linear1": "linear1", "linear2": "linear2",
    "norm1": "norm1", "norm3": "norm2", "norm4": "norm3",
}  # fmt: skip
DEAD = ("multihead_attn2", "norm2")
ENCODER = encoder(
    _LAYER, {"projection": "projection", "projection2": "semantic_projection"},
    ("attention", "norm1", "norm2", "linear1", "linear2"),
)  # fmt: skip
DECODER = decoder(CAPTION_LAYER, DEAD)
