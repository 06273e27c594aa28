"""EVA-CLIP's vision transformer, as BLIP-2 and its children use it, and its published file."""

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.weights import WeightTable
from rsvlm.parts.vision.clip import CLIPLevels
from rsvlm.parts.vision.positions import resized
from rsvlm.parts.vision.tower import Tower


class EVAAttention(nn.Module):
    """Self-attention whose queries and values have a bias and whose keys have none; (B, N, width) in and out."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, N, width) -> tokens (B, N, width), every one reading every one."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        mapped = F.linear(x, self.qkv.weight, bias)
        q, k, v = mapped.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class EVABlock(nn.Module):
    """Pre-norm attention and MLP: x + A(LN(x)), then x + MLP(LN(x)); (B, N, width). Norms have eps 1e-6."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attention = EVAAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, N, width) -> tokens (B, N, width)."""
        x = x + self.attention(self.norm_attention(x))
        return x + self.mlp(self.norm_mlp(x))


class EVACLIP(Tower):
    """The tokens after the last block of EVA-CLIP's vision transformer (arXiv:2211.07636; LAVIS' eva_vit.py).

    image (B, 3, size, size) in [0, 1] -> one level (B, (size / patch)^2, width), row by row; with `class_token` one
    token more, the class token first. The transformer has no norm of its own after the last block: `norm` adds the one
    that BLIP-2 and its children put there (`ln_vision`, eps 1e-5; transformers' port has `norm_eps` 1e-6). EVA-CLIP-g
    is width 1408, depth 39 (its fortieth block is not used), 16 heads, patch 14; the MLP is int(width * mlp_ratio)
    wide. Pixels are normalised as CLIP's.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, *, width: int, depth: int, heads: int, patch: int, size: int, mlp_ratio: float = 4.3637,
        class_token: bool = False, norm: bool = False, norm_eps: float = 1e-5,
    ) -> None:  # fmt: skip
        super().__init__()
        if width % heads or size % patch:
            raise BadInput(
                f"An EVA tower of width {width} with {heads} heads, {size} pixels and patches of {patch} cannot be "
                "built; give a width that the heads divide and a size that the patch divides."
            )
        self.size, self.keeps_class_token = size, class_token
        self.dims, self.tokens = (width,), ((size // patch) ** 2 + class_token,)
        self.patch = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, width), std=0.02))
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, (size // patch) ** 2 + 1, width), std=0.02))
        self.blocks = nn.ModuleList(EVABlock(width, heads, int(width * mlp_ratio)) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=norm_eps) if norm else None
        self.register_buffer("mean", torch.tensor(CLIPLevels.MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(CLIPLevels.STD).view(1, 3, 1, 1), persistent=False)

    def hidden(self, pixels: Tensor) -> Iterator[Tensor]:
        """Normalised pixels (B, 3, size, size) -> all tokens (B, 1 + N, width) after each block, in order.

        Raises BadInput for pictures of another size: positions are those of one grid.
        """
        if pixels.shape[-2:] != (self.size, self.size):
            raise BadInput(
                f"The EVA tower sees pictures of {self.size} x {self.size} pixels, not {tuple(pixels.shape[-2:])}; "
                "leave `size` out of the stage or give it in the recipe's vision."
            )
        patches = self.patch(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(patches), -1, -1), patches], 1) + self.positions
        for block in self.blocks:
            x = block(x)
            yield x

    def forward(self, image: Tensor) -> list[Tensor]:
        """Image (B, 3, size, size) in [0, 1] -> [(B, N, width)], the one level."""
        (x,) = deque(self.hidden((image - self.mean) / self.std), maxlen=1)  # the ones before the last are let go
        x = x if self.norm is None else self.norm(x)
        return [x if self.keeps_class_token else x[:, 1:]]


EVA = WeightTable(
    {
        r"cls_token": "class_token",
        r"pos_embed": "positions",
        r"patch_embed\.proj\.(.+)": r"patch.\1",
        r"blocks\.(\d+)\.norm1\.(.+)": r"blocks.\1.norm_attention.\2",
        r"blocks\.(\d+)\.norm2\.(.+)": r"blocks.\1.norm_mlp.\2",
        r"blocks\.(\d+)\.attn\.proj\.(.+)": r"blocks.\1.attention.out.\2",
        r"blocks\.(\d+)\.attn\.(q_bias|v_bias|qkv\.weight)": r"blocks.\1.attention.\2",
        r"blocks\.(\d+)\.mlp\.fc1\.(.+)": r"blocks.\1.mlp.0.\2",
        r"blocks\.(\d+)\.mlp\.fc2\.(.+)": r"blocks.\1.mlp.2.\2",
    }
)

# The tower of BLIP-2 in transformers, biases cut by `split_biases`.
TRANSFORMERS = WeightTable(
    {
        r"embeddings\.class_embedding": "class_token",
        r"embeddings\.position_embedding": "positions",
        r"embeddings\.patch_embedding\.(.+)": r"patch.\1",
        r"encoder\.layers\.(\d+)\.layer_norm1\.(.+)": r"blocks.\1.norm_attention.\2",
        r"encoder\.layers\.(\d+)\.layer_norm2\.(.+)": r"blocks.\1.norm_mlp.\2",
        r"encoder\.layers\.(\d+)\.self_attn\.qkv\.bias\.(q|v)": r"blocks.\1.attention.\2_bias",
        r"encoder\.layers\.(\d+)\.self_attn\.qkv\.weight": r"blocks.\1.attention.qkv.weight",
        r"encoder\.layers\.(\d+)\.self_attn\.projection\.(.+)": r"blocks.\1.attention.out.\2",
        r"encoder\.layers\.(\d+)\.mlp\.fc1\.(.+)": r"blocks.\1.mlp.0.\2",
        r"encoder\.layers\.(\d+)\.mlp\.fc2\.(.+)": r"blocks.\1.mlp.2.\2",
        r"post_layernorm\.(.+)": r"norm.\1",
    },
    {r".+\.qkv\.bias\.k": "a bias of all keys, which softmax takes out again"},
)


def split_biases(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`published` with each bias of queries, keys and values as three tensors, ".q", ".k" and ".v"."""
    return weights.split_thirds(published, r".+\.qkv\.bias")


def published_table(depth: int) -> WeightTable:
    """`EVA` for the file of a whole EVA-CLIP, of which a tower of `depth` blocks reads the first `depth`."""
    behind = "behind the last block that is read"
    return EVA | WeightTable({}, {rf"blocks\.{depth}\..+": behind, r"(norm|fc_norm|head)\..+": behind})


def read_published(path: Path, tower: EVACLIP) -> tuple[dict[str, Tensor], weights.Account]:
    """A published EVA-CLIP file (LAVIS' eva_vit_g.pth) under the names of `tower`, positions resized to its grid.

    The norm is not in it, so it stays as it starts. Raises BadInput for a damaged file, one that holds more than
    tensors, and any tensor without a counterpart.
    """
    published = weights.flatten(checkpoint.read_tree(path), source=str(path))
    own = tower.state_dict()
    return weights.adopt(
        resize_positions(published, "pos_embed", tower), own, published_table(len(tower.blocks)), source=str(path),
        elsewhere={r"norm\..+": "the norm behind the tower, which starts at one and zero"},
    )  # fmt: skip


def resize_positions(published: Mapping[str, Tensor], name: str, tower: EVACLIP) -> dict[str, Tensor]:
    """`published` with the position embeddings called `name`, where they are there, on the grid of `tower`."""
    out = dict(published)
    if name in out and out[name].ndim == 3:  # any other shape is refused where shapes are compared
        out[name] = resized(out[name], tower.positions.shape[1])
    return out
