"""A student that follows its own average: the teacher, global contrast with a queue, and local distillation by place.

Sources: CMID (arXiv:2304.09670, sec. III), which puts together MoCo v2 (arXiv:2003.04297), BYOL (arXiv:2006.07733) and
DINO (arXiv:2104.14294); VICRegL's matching by place (arXiv:2210.01571).
"""

import copy
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F

from rsvlm.errors import BadInput

Coordinates = Literal["pixel", "legacy"]
Init = Literal["unit", "legacy"]


class MomentumTeacher(nn.ModuleDict):
    """Copies of parts of a student that follow it: parameters by an exponential moving average, buffers by themselves.

    The momentum, the share of the old that is kept, grows from `base` to `final` by half a cosine over the training.
    """

    def __init__(self, parts: Mapping[str, nn.Module], *, base: float = 0.996, final: float = 1.0) -> None:
        super().__init__({name: copy.deepcopy(part).requires_grad_(False) for name, part in parts.items()})
        self.base, self.final = base, final

    def momentum(self, progress: float) -> float:
        """The momentum when `progress` (0 to 1) of the training is done."""
        return self.final - (self.final - self.base) * (math.cos(math.pi * progress) + 1) / 2

    @torch.no_grad()
    def follow(self, parts: Mapping[str, nn.Module], step: int, steps: int) -> float | None:
        """Called after `step` (from 0) of `steps`; gives the momentum that was used, None where none was.

        As in the released code, nothing follows the first step, and each later one has the momentum of the one before.
        """
        if step == 0:
            return None
        used = self.momentum((step - 1) / steps)
        for name, part in parts.items():
            for own, students in zip(self[name].parameters(), part.parameters(), strict=True):
                own.mul_(used).add_(students, alpha=1 - used)
        return used


class KeyQueue(nn.Module):
    """The last `size` keys of the teacher, the negatives of the contrast: `keys` (dim, size), first in, first out.

    `start` "unit" begins with random keys of length 1; "legacy" brings the rows to length 1 instead, as the released
    code does, so that a key has a length of about sqrt(dim / size). Both are gone when the queue was filled once.
    """

    keys: Tensor
    pointer: Tensor

    def __init__(self, dim: int, size: int, start: Init = "unit") -> None:
        super().__init__()
        self.register_buffer("keys", initial_keys(torch.randn(dim, size), start))
        self.register_buffer("pointer", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put keys (B, dim) of every process in place of the oldest, each once.

        Raises BadInput where they do not divide the queue.
        """
        keys, size = _gathered(keys.to(self.keys.dtype)), self.keys.shape[1]
        if size % len(keys):
            raise BadInput(
                f"A queue of {size} keys cannot be filled by {len(keys)} at a time, the samples of a step's part over "
                "all processes; give the recipe a queue that is a multiple of it, or another batch."
            )
        at = int(self.pointer)
        self.keys[:, at : at + len(keys)] = keys.T
        self.pointer.fill_((at + len(keys)) % size)


def initial_keys(drawn: Tensor, start: Init) -> Tensor:
    """Random numbers (dim, size) as the keys that a queue begins with (`KeyQueue`)."""
    return F.normalize(drawn, dim=0 if start == "unit" else 1)


def _gathered(keys: Tensor) -> Tensor:
    """The rows of all processes, in the order of their ranks."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return keys
    rows = [torch.empty_like(keys) for _ in range(dist.get_world_size())]
    dist.all_gather(rows, keys.contiguous())
    return torch.cat(rows)


def queue_contrast(query: Tensor, key: Tensor, queue: Tensor, temperature: float = 0.2) -> Tensor:
    """MoCo's loss: each query (B, D) must find its key (B, D) among the keys of the queue (D, K); all of length 1."""
    with torch.autocast(query.device.type, enabled=False):
        query, key, queue = query.float(), key.detach().float(), queue.detach().float()
        logits = torch.cat([(query * key).sum(1, keepdim=True), query @ queue], 1) / temperature
        return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def regression(prediction: Tensor, target: Tensor) -> Tensor:
    """BYOL's loss: 2 - 2 cosine of predictions and targets (B, D), of any length."""
    return (2 - 2 * F.cosine_similarity(prediction.float(), target.detach().float(), dim=-1)).mean()


def projector(dim: int, hidden: int, outputs: int, *, batch_norm: bool = False) -> nn.Sequential:
    """Two linear maps with ReLU between them, (B, dim) -> (B, outputs); BYOL's has a batch norm before the ReLU."""
    norm = nn.BatchNorm1d(hidden) if batch_norm else nn.Identity()
    return nn.Sequential(nn.Linear(dim, hidden), norm, nn.ReLU(), nn.Linear(hidden, outputs))


class _Prototypes(nn.Module):
    """A linear map (B, D, N) -> (B, P, N) whose rows have the lengths `weight_g`, which stay (1 at the start)."""

    weight_g: Tensor

    def __init__(self, dim: int, prototypes: int) -> None:
        super().__init__()
        drawn = nn.Conv1d(dim, prototypes, 1, bias=False).weight.detach()
        self.weight_v = nn.Parameter(drawn)
        self.register_buffer("weight_g", torch.ones(prototypes, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(x, self.weight_g * self.weight_v / self.weight_v.norm(dim=(1, 2), keepdim=True))


class LocalHead(nn.Module):
    """Features of places (B, D, N) -> logits over prototypes (B, P, N): an MLP, length 1, prototypes of length 1."""

    def __init__(
        self, dim: int, *, prototypes: int = 2048, hidden: int = 2048, bottleneck: int = 256, layers: int = 3,
        batch_norm: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [dim, *[hidden] * (layers - 1), bottleneck]
        mlp: list[nn.Module] = []
        for index, (start, end) in enumerate(pairwise(widths)):
            mlp.append(nn.Conv1d(start, end, 1))
            if index < layers - 1:
                mlp += [nn.BatchNorm1d(end)] * batch_norm + [nn.GELU()]
        self.mlp, self.last_layer = nn.Sequential(*mlp), _Prototypes(bottleneck, prototypes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, N) -> (B, P, N)."""
        return self.last_layer(F.normalize(self.mlp(x), dim=1))


class LocalDistillation(nn.Module):
    """DINO's loss between logits of matched places, (B, P, N): the teacher's are centred and sharpened.

    `centre` (1, P, 1) is the moving average of the teacher's logits over batch, places and processes, brought up to
    date within each call. The teacher's temperature rises from `temperatures[0]` to `temperatures[1]` by a line over
    the first `warmup` (0 to 1) of the training.
    """

    centre: Tensor

    def __init__(
        self, prototypes: int, *, temperature: float = 0.1, temperatures: tuple[float, float] = (0.04, 0.07),
        warmup: float = 0.0, centre_momentum: float = 0.9,
    ) -> None:  # fmt: skip
        super().__init__()
        self.temperature, self.temperatures, self.warmup = temperature, temperatures, warmup
        self.centre_momentum = centre_momentum
        self.register_buffer("centre", torch.zeros(1, prototypes, 1))

    def teacher_temperature(self, progress: float) -> float:
        """The teacher's temperature when `progress` (0 to 1) of the training is done."""
        first, last = self.temperatures
        return first + (last - first) * (min(progress / self.warmup, 1.0) if self.warmup else 1.0)

    def forward(self, student: Tensor, teacher: Tensor, progress: float) -> Tensor:
        """The cross-entropy of the student's distribution with the teacher's, a scalar; then the centre moves."""
        student, teacher = student.float() / self.temperature, teacher.detach().float()
        wanted = F.softmax((teacher - self.centre) / self.teacher_temperature(progress), dim=1)
        loss = -(wanted * F.log_softmax(student, dim=1)).sum(1).mean()
        mean = teacher.mean((0, 2), keepdim=True)
        if dist.is_initialized():
            dist.all_reduce(mean)
            mean /= dist.get_world_size()
        self.centre.mul_(self.centre_momentum).add_(mean, alpha=1 - self.centre_momentum)
        return loss


def cell_centres(window: Tensor, side: int, extent: tuple[int, int], coordinates: Coordinates = "pixel") -> Tensor:
    """The centres (B, side, side, 2), as (row, column), of the cells of random windows, in pixels of their pictures.

    `window` (B, 5) holds the height, width, top and left of each in pixels of a picture of `extent` (height, width),
    and whether it was mirrored left to right (1 or 0). "legacy" takes top and left as fractions of where they could
    be, so that windows lie at most a pixel apart wherever they were cut: the released code does, and so the published
    weights were trained.
    """
    size, corner = window[:, :2], window[:, 2:4]
    if coordinates == "legacy":
        corner = corner / (window.new_tensor(extent) - size + 1e-10)
    steps = (torch.arange(side, device=window.device) + 0.5) / side
    rows = corner[:, :1] + size[:, :1] * steps
    columns = corner[:, 1:] + size[:, 1:] * steps
    columns = torch.where(window[:, 4:] > 0, columns.flip(1), columns)
    return torch.stack([rows[:, :, None].expand(-1, -1, side), columns[:, None].expand(-1, side, -1)], -1)


def matched(here: Tensor, there: Tensor, centres: Tensor, others: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The `most` cells of one view that lie nearest to a cell of another view, and those cells.

    Maps are (B, D, h, w), their centres (B, h, w, 2). Gives features of both, (B, D, most), the cells of the first
    view in the order of its rows. Raises BadInput for a map of fewer cells.
    """
    places, other_places = centres.flatten(1, 2), others.flatten(1, 2)
    if most > places.shape[1]:
        raise BadInput(
            f"A map of {places.shape[1]} cells has no {most} to be matched; give the recipe fewer matches, or larger "
            "pictures."
        )
    distance = (places[:, :, None] - other_places[:, None]).square().sum(-1)
    nearest, which = distance.min(2)
    chosen = nearest.argsort(dim=1, stable=True)[:, :most].sort(1).values
    partner = which.gather(1, chosen)

    def picked(maps: Tensor, cells: Tensor) -> Tensor:
        return maps.flatten(2).gather(2, cells[:, None].expand(-1, maps.shape[1], -1))

    return picked(here, chosen), picked(there, partner)
