"""CLIP's published state dicts under the names of `VisionTextDualEncoder`, and which CLIP their shapes are of.

Two layouts: open_clip's (github.com/mlfoundations/open_clip, model.py; OpenAI's own names), and transformers'.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.weights import WeightTable

OPEN_CLIP, TRANSFORMERS = "open_clip", "transformers"
_SIGNS = {OPEN_CLIP: "visual.conv1.weight", TRANSFORMERS: "vision_model.embeddings.patch_embedding.weight"}
_BLOCK = {
    r"ln_1\.(weight|bias)": r"layer_norm1.\2",
    r"ln_2\.(weight|bias)": r"layer_norm2.\2",
    r"attn\.in_proj_(weight|bias)\.([qkv])": r"self_attn.\3_proj.\2",
    r"attn\.out_proj\.(weight|bias)": r"self_attn.out_proj.\2",
    r"mlp\.c_fc\.(weight|bias)": r"mlp.fc1.\2",
    r"mlp\.c_proj\.(weight|bias)": r"mlp.fc2.\2",
}
_CONSTANTS = {
    r"input_resolution|context_length|vocab_size": "a number that OpenAI's files carry",
    r"attn_mask": "the causal mask, a constant that older versions saved",
    r"(?:text|vision)_model\.embeddings\.position_ids": "a constant that transformers before 4.31 saved",
}


def layout_of(names: Iterable[str]) -> str:
    """OPEN_CLIP or TRANSFORMERS, "" for what is no CLIP of two transformers."""
    there = set(names)
    return next((layout for layout, sign in _SIGNS.items() if sign in there and "logit_scale" in there), "")


def split_attention(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` with each in_proj (3 * width, ...) as its three equal parts: the same name and .q, .k or .v."""
    return weights.split_thirds(tensors, r".+\.attn\.in_proj_(?:weight|bias)")


def published_table(own: Iterable[str]) -> WeightTable:
    """Names of either layout, attention split -> names of ours, `own`."""
    own = list(own)
    vision = "vision.model." + weights.clip_prefix(own, "vision.model.")
    text = "text.model." + weights.clip_prefix(own, "text.model.", "text_model.")
    return WeightTable(_open_clip(vision, text) | _transformers(vision, text), _CONSTANTS, {
        r"visual\.proj|text_projection": lambda matrix: matrix.mT if matrix.ndim == 2 else matrix,
    })  # fmt: skip


def _open_clip(vision: str, text: str) -> dict[str, str]:
    renames = {
        r"visual\.class_embedding": f"{vision}embeddings.class_embedding",
        r"visual\.positional_embedding": f"{vision}embeddings.position_embedding.weight",
        r"visual\.conv1\.weight": f"{vision}embeddings.patch_embedding.weight",
        r"visual\.ln_pre\.(weight|bias)": rf"{vision}pre_layrnorm.\1",
        r"visual\.ln_post\.(weight|bias)": rf"{vision}post_layernorm.\1",
        r"visual\.proj": "image_projection.weight",
        r"token_embedding\.weight": f"{text}embeddings.token_embedding.weight",
        r"positional_embedding": f"{text}embeddings.position_embedding.weight",
        r"ln_final\.(weight|bias)": rf"{text}final_layer_norm.\1",
        r"text_projection": "text_projection.weight",
        r"logit_scale": "logit_scale",
    }
    for theirs, ours in ((r"visual\.transformer", vision), ("transformer", text)):
        at = rf"{theirs}\.resblocks\.(\d+)\."
        renames |= {at + name: rf"{ours}encoder.layers.\1.{target}" for name, target in _BLOCK.items()}
    return renames


def _transformers(vision: str, text: str) -> dict[str, str]:
    parts = r"((?:embeddings|pre_layrnorm|encoder|post_layernorm|final_layer_norm)\..+)"
    return {
        rf"vision_model\.{parts}": rf"{vision}\1",
        rf"text_model\.{parts}": rf"{text}\1",
        r"visual_projection\.weight": "image_projection.weight",
        r"text_projection\.weight": "text_projection.weight",
    }


@dataclass(frozen=True, slots=True)
class CLIPSizes:
    """The sizes of a CLIP that its tensors tell. Heads and activation they do not tell."""

    width: int
    depth: int
    patch: int
    size: int
    text_width: int
    text_depth: int
    context: int
    vocabulary: int
    dim: int

    @property
    def name(self) -> str:
        """The architecture in words: "CLIP ViT-B/32 at 224 px"; its sizes where it is none that is published."""
        towers = (self.width, self.depth, self.text_width, self.text_depth, self.dim)
        named = _NAMES.get(towers)
        if named and (self.context, self.vocabulary) == (77, 49408):
            return f"CLIP ViT-{named}/{self.patch} at {self.size} px"
        return (
            f"a CLIP of {self.width} x {self.depth} (width x layers) with patches of {self.patch} at {self.size} px, "
            f"text {self.text_width} x {self.text_depth} over {self.vocabulary:,} ids, vectors of {self.dim}"
        )


_NAMES = {
    (768, 12, 512, 12, 512): "B", (1024, 24, 768, 12, 768): "L", (1280, 32, 1024, 24, 1024): "H",
    (1408, 40, 1024, 24, 1024): "g", (1664, 48, 1280, 32, 1280): "bigG",
}  # fmt: skip


def sizes_of(tensors: Mapping[str, Tensor]) -> CLIPSizes | None:
    """The sizes of a CLIP from its tensors in either layout or under our names; None where some cannot be read."""
    table = published_table(())
    shapes = {table.ours(name) or name: table.laid_out(name, tensor).shape for name, tensor in tensors.items()}

    def depth(tower: str) -> int:
        return sum(name.startswith(tower) and name.endswith(".layer_norm1.weight") for name in shapes)

    wanted = {
        "vision.model.embeddings.patch_embedding.weight": 4, "vision.model.embeddings.position_embedding.weight": 2,
        "text.model.embeddings.token_embedding.weight": 2, "text.model.embeddings.position_embedding.weight": 2,
        "image_projection.weight": 2,
    }  # fmt: skip
    if any(len(shapes.get(name, ())) != ndim for name, ndim in wanted.items()):
        return None
    patches, grid, words, positions, image = (shapes[name] for name in wanted)
    return CLIPSizes(
        width=patches[0], depth=depth("vision."), patch=patches[-1],
        size=round((grid[0] - 1) ** 0.5) * patches[-1], text_width=words[1], text_depth=depth("text."),
        context=positions[0], vocabulary=words[0], dim=image[0],
    )  # fmt: skip


def check_sizes(published: Mapping[str, Tensor], own: Mapping[str, Tensor], *, source: str, wanted: str) -> None:
    """Raises BadInput where a checkpoint's sizes are not those of `own`, our state dict (a meta one will do).

    `wanted` is what to do then, behind "; ".
    """
    found, expected = sizes_of(published), sizes_of(own)
    if found and found != expected:
        assert expected is not None
        raise BadInput(f"{source} looks like {found.name}, expected {expected.name}; {wanted}.")
