"""MModalCC: the state dicts of its four modules, saved once, and its WORDMAP."""

from functools import partial

from fake import captioner_release as release
from fake.published import Release

RECIPE = release.recipe("mmodal_cc", semantic_maps={"width": 4})
PLAIN = release.recipe("mmodal_cc")
LAYER = {"attention": "attention2", "norm1": "norm3", "norm2": "norm4", "linear1": "linear3", "linear2": "linear4"}
CAPTION_LAYER = {
    "self_attention": "self_attn", "cross_attention": "multihead_attn", "image_gate": "gate.0",
    "semantic_gate": "gate2.0", "word_gate": "gate3.0", "linear1": "linear1", "linear2": "linear2", "norm1": "norm1",
    "norm2": "norm3", "norm3": "norm4",
}  # fmt: skip
DEAD = {
    "encoder_feat.embedding_1D.weight": (9, 8), "decoder.position_encoding.embedding_1D.weight": (52, 16),
    "decoder.position_encoding.pe": (20, 1, 16), "decoder.transformer.layers.0.norm2.bias": (16,),
    "decoder.transformer.layers.0.multihead_attn2.in_proj_bias": (48,),
    **{f"encoder_feat.transformer.{at}.{name}": (8,) for at in (0, 1) for name in (
        "attention.out_proj.bias", "norm1.weight", "norm2.weight", "linear1.bias", "linear2.bias")},
}  # fmt: skip


def write(folder, around=None):
    towers = {"vision": "encoder_image", "semantic_vision": "encoder_image2"}
    return release.write(folder, release.tensors(PLAIN, towers, LAYER, CAPTION_LAYER, DEAD), around)


RELEASE = Release(
    recipe=RECIPE,
    variants={"plain": write, "with its epoch": partial(write, around={"epoch": 12, "bleu-4": {"Bleu_4": 0.4}})},
    checkpoint=release.FILE, given=release.FILE, sources=frozenset({release.FILE, release.WORD_FILE}),
    missing=(
        (release.FILE, "encoder_image2", "net.6.0.bn2.bias"), (release.FILE, "encoder_feat", "projection2.weight"),
        (release.FILE, "decoder", "transformer.layers.0.gate2.0.bias"),
    ),
    strange={(release.FILE, "encoder_feat", "projection3.weight"): "which this system does not have",
             (release.FILE, "decoder", "transformer.layers.0.gate4.0.bias"): "which this system does not have"},
    reshaped={(release.FILE, "encoder_feat", "LN.0.weight"): r"LN.0.weight has shape \(7,\), expected \(16,\)"},
    other_sizes=(({"width": 12}, r"has shape .* expected"),),
    ignored=r"embedding_1D|\.pe$|attn2|decoder\..*norm2|encoder_feat\..*\.(attention|norm[12]|linear[12])\.",
    box_dialect="",
)  # fmt: skip
