"""RSICCformer: the state dicts of its three modules, saved once, and its WORDMAP."""

from functools import partial

from fake import captioner_release as release
from fake.published import Release

RECIPE = release.recipe("rsiccformer")
LAYER = {name: name for name in ("attention", "norm1", "norm2", "linear1", "linear2")}
CAPTION_LAYER = {
    "self_attention": "self_attn", "cross_attention": "multihead_attn2",
    **{name: name for name in ("linear1", "linear2", "norm1", "norm2", "norm3")},
}  # fmt: skip
DEAD = {
    "encoder_feat.embedding_1D.weight": (9, 8), "decoder.position_encoding.embedding_1D.weight": (52, 16),
    "decoder.position_encoding.pe": (20, 1, 16), "encoder_feat.projection2.weight": (8, 768, 1, 1),
    "encoder_feat.projection4.bias": (8,), "decoder.transformer.layers.0.fc_alpha1.bias": (16,),
    "decoder.transformer.layers.0.self_attn2.in_proj_bias": (48,),
    "decoder.transformer.layers.0.multihead_attn.in_proj_bias": (48,),
    "decoder.transformer.layers.0.multihead_attn3.out_proj.bias": (16,),
}  # fmt: skip


def write(folder, around=None):
    state = release.tensors(RECIPE, {"vision": "encoder_image"}, LAYER, CAPTION_LAYER, DEAD)
    return release.write(folder, state, around)


RELEASE = Release(
    recipe=RECIPE, variants={"plain": write, "with its epoch": partial(write, around={"epoch": 12})},
    checkpoint=release.FILE, given=release.FILE, sources=frozenset({release.FILE, release.WORD_FILE}),
    missing=(
        (release.FILE, "encoder_image", "net.6.0.bn2.bias"), (release.FILE, "encoder_feat", "projection.weight"),
        (release.FILE, "decoder", "transformer.layers.0.multihead_attn2.in_proj_bias"),
    ),
    strange={(release.FILE, "encoder_feat", "projection5.weight"): "which this system does not have",
             (release.FILE, "decoder", "transformer.layers.0.gate.0.bias"): "which this system does not have"},
    reshaped={(release.FILE, "encoder_feat", "LN.0.weight"): r"LN.0.weight has shape \(7,\), expected \(16,\)"},
    other_sizes=(({"width": 12}, r"has shape .* expected"),),
    ignored=r"embedding_1D|\.pe$|projection[24]|fc_alpha|self_attn2|multihead_attn3|multihead_attn\.",
    box_dialect="",
)  # fmt: skip
