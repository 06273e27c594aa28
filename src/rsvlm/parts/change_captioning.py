"""What describes the change between two dates: attention to their difference, fusion of layers, gated decoding.

The parts of RSICCformer (TGRS 2022, DOI 10.1109/TGRS.2022.3218921) and of MModalCC (arXiv:2501.10075). Grids are
(2 B, C, g, g), the dates of a pair side by side; tokens are (B, N, D), N = g * g, row by row.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CrossAttentionBlock(nn.Module):
    """Queries that attend to a context, and an MLP: (B, N, D), (B, M, D) -> (B, N, D); each norm follows its sum."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.linear1, self.linear2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Queries and their context -> queries."""
        x = self.norm1(x + self.dropout(self.attention(x, context, context, need_weights=False)[0]))
        return self.norm2(x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x))))))


class GridPosition(nn.Module):
    """Learned positions of a grid of `side` cells a side: the first half of the channels says the column, the rest the
    row."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.column, self.row = nn.Embedding(side, width // 2), nn.Embedding(side, width // 2)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, D, g, g) -> the tokens with their positions, (B, N, D)."""
        columns, rows = self.column.weight, self.row.weight
        shape = (len(rows), len(columns), -1)
        place = torch.cat([columns[None].expand(shape), rows[:, None].expand(shape)], -1)
        return (maps.movedim(1, -1) + place).flatten(1, 2)


class ResidualConvs(nn.Module):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1 with batch norms, and a shortcut: (B, D, g, g) -> (B, D, g, g)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width // 2
        self.convs = nn.Sequential(
            nn.Conv2d(width, inner, 1), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, width, 1), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, maps: Tensor) -> Tensor:
        """Maps -> maps."""
        return F.relu(maps + self.convs(maps))


class BitemporalFusion(nn.Module):
    """The outputs of all layers, shallow to deep, in one: each is added to what came before, convolved and normed."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(ResidualConvs(width) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))

    def forward(self, outputs: Sequence[Tensor]) -> Tensor:
        """[(B, N, D)], one a layer -> (B, N, D)."""
        fused, side = torch.zeros_like(outputs[0]), math.isqrt(outputs[0].shape[1])
        for output, convs, norm in zip(outputs, self.convs, self.norms, strict=True):
            maps = (fused + output).mT.unflatten(2, (side, side))
            fused = norm(convs(maps).flatten(2).mT)
        return fused


class DifferenceEncoder(nn.Module):
    """RSICCformer's: both dates attend to their difference, layer after layer; one attention serves both.

    Grids (2 B, C, g, g) -> one memory [(B, N, 2 D)], the dates' channels side by side.
    """

    def __init__(
        self, inputs: int, *, width: int = 512, heads: int = 8, layers: int = 3, dropout: float = 0.5, grid: int = 14,
    ) -> None:  # fmt: skip
        super().__init__()
        self.grid, self.memory_width = grid, 2 * width
        self.projection, self.position = nn.Conv2d(inputs, width, 1), GridPosition(grid, width)
        self.layers = nn.ModuleList(CrossAttentionBlock(width, heads, dropout) for _ in range(layers))
        self.fusion = BitemporalFusion(2 * width, layers)
        start_matrices(self)

    def layer_outputs(self, maps: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Both dates after each layer."""
        tokens, found = self.position(self.projection(maps)), list[tuple[Tensor, Tensor]]()
        dates = tokens[::2], tokens[1::2]
        for layer in self.layers:
            change = dates[1] - dates[0]
            dates = layer(dates[0], change), layer(dates[1], change)
            found.append(dates)
        return found

    def forward(self, maps: Tensor) -> list[Tensor]:
        """Grids of both dates -> the one memory."""
        return [self.fusion([torch.cat(dates, -1) for dates in self.layer_outputs(maps)])]


class CrossModalEncoder(nn.Module):
    """MModalCC's: pictures and semantic maps attend to each other (CMCA), then each to its own difference (UDCA).

    Grids (2 B, C, g, g) of pictures and of maps -> their memories [(B, N, 2 D), (B, N, 2 D)]. A layer has one attention
    for all, and both kinds share the fusion. Every layer gets the inputs, as released; `stacked`: what the one before
    it gave, and the differences of that (ours).
    """

    def __init__(
        self, inputs: int, *, width: int = 512, heads: int = 8, layers: int = 2, dropout: float = 0.5, grid: int = 14,
        stacked: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.grid, self.memory_width, self.stacked = grid, 2 * width, stacked
        self.projection, self.semantic_projection = nn.Conv2d(inputs, width, 1), nn.Conv2d(inputs, width, 1)
        self.position = GridPosition(grid, width)
        self.layers = nn.ModuleList(CrossAttentionBlock(width, heads, dropout) for _ in range(layers))
        self.fusion = BitemporalFusion(2 * width, layers)
        start_matrices(self)

    def layer_outputs(self, maps: Tensor, semantic: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Pictures and maps (2 B, N, D), dates side by side, after each layer."""
        own = self.position(self.projection(maps)), self.position(self.semantic_projection(semantic))
        found: list[tuple[Tensor, Tensor]] = []
        for layer in self.layers:
            image, land = found[-1] if found and self.stacked else own
            crossed = layer(image, land), layer(land, image)
            changes = (_change(image), _change(land))
            found.append((layer(crossed[0], changes[0]), layer(crossed[1], changes[1])))
        return found

    def forward(self, maps: Tensor, semantic: Tensor) -> list[Tensor]:
        """Grids of pictures and of maps -> their two memories."""
        streams = zip(*self.layer_outputs(maps, semantic), strict=True)
        return [self.fusion([torch.cat([one[::2], one[1::2]], -1) for one in stream]) for stream in streams]


def _change(tokens: Tensor) -> Tensor:
    """After less before of each pair, for both dates: (2 B, N, D), dates side by side -> the same shape."""
    return (tokens[1::2] - tokens[::2]).repeat_interleave(2, 0)


def start_matrices(module: nn.Module) -> None:
    """Xavier's uniform start for every parameter that is no vector, as the originals have it."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)


class CaptionLayer(nn.Module):
    """A layer of RSICCformer's decoder: words attend to those before them, then to a memory, then an MLP.

    (B, R, D) and memories [(B, N, D)] -> (B, R, D); each norm follows its sum.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, memories: Sequence[Tensor]) -> Tensor:
        """Words and memories -> words."""
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        x = self.norm1(x + self.dropout(self.self_attention(x, x, x, attn_mask=later, need_weights=False)[0]))
        x = self.norm2(self.joined(x, [self.attended(x, memory) for memory in memories]))
        return self.norm3(x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x))))))

    def attended(self, x: Tensor, memory: Tensor) -> Tensor:
        """What the words find in a memory, by the one cross-attention."""
        return self.dropout(self.cross_attention(x, memory, memory, need_weights=False)[0])

    def joined(self, x: Tensor, found: Sequence[Tensor]) -> Tensor:
        """The words and what they found."""
        return x + found[0]


class GatedCaptionLayer(CaptionLayer):
    """MModalCC's MGCA: two memories through one cross-attention; gates say how much of either and of the word stays."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__(width, heads, hidden, dropout)
        self.image_gate, self.semantic_gate = nn.Linear(2 * width, width), nn.Linear(2 * width, width)
        self.word_gate = nn.Linear(width, width)

    def joined(self, x: Tensor, found: Sequence[Tensor]) -> Tensor:
        """The gated sum of the words and what they found in the picture and in the map."""
        image, semantic = found
        gates = self.image_gate(torch.cat([x, image], -1)), self.semantic_gate(torch.cat([x, semantic], -1))
        return gates[0].sigmoid() * image + gates[1].sigmoid() * semantic + self.word_gate(x).sigmoid() * x


class CaptionDecoder(nn.Module):
    """Word ids and memories -> logits of the next words.

    `vocabulary` is the number of ids. Embeddings are not scaled; sinusoidal positions are added. `positional_dropout`
    is that of the words' embeddings.
    """

    def __init__(
        self, vocabulary: int, *, width: int, gated: bool, heads: int = 8, layers: int = 1, dropout: float = 0.5,
        positional_dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embedding, self.head = nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary)
        kind = GatedCaptionLayer if gated else CaptionLayer
        self.layers = nn.ModuleList(kind(width, heads, 4 * width, dropout) for _ in range(layers))
        self.dropout, self.positional_dropout = nn.Dropout(dropout), nn.Dropout(positional_dropout)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.head.weight, -0.1, 0.1)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor, memories: Sequence[Tensor]) -> Tensor:
        """(B, R) int64, [(B, N, D)] -> (B, R, vocabulary)."""
        words = self.embedding(ids)
        x = self.positional_dropout(words + sinusoids(ids.shape[1], words.shape[2]).to(words))
        for layer in self.layers:
            x = layer(x, memories)
        return self.head(self.dropout(x))


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width): sine on even, cosine on odd channels, of wavelengths 2 pi to 20000 pi (arXiv:1706.03762)."""
    angle = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
