"""From samples to batches: a schedule fixed by the seed, dihedral augmentation, cached features, padded tensors.

Stateless: batch k of a stage is a function of (seed, stage, k), so a run resumes by counting. What a
batch holds is said by the stage's objective (`rsvlm.train.objectives`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import Tensor
from torch.utils.data import Dataset

from rsvlm.data.augment import Augmentation
from rsvlm.data.images import read_rgb
from rsvlm.data.resize import resize_square
from rsvlm.data.semantic_maps import read_semantic_map, resized_map
from rsvlm.errors import BadInput
from rsvlm.sample import Batch, Image, Sample

Levels = Callable[[Image, int], list[NDArray[Any]]]
_PART = 0.75  # least share of a picture's largest square that is looked at alone


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which sample is drawn at each position of a stage, and for the how-manieth time: two int arrays (positions,)."""

    sample: NDArray[np.int64]
    visit: NDArray[np.int64]

    @classmethod
    def draw(cls, sizes: Sequence[int], weights: Sequence[float], positions: int, seed: Sequence[int]) -> "Schedule":
        """Ingredients are drawn by weight; within one, every sample comes once before any comes again.

        `sizes` are the ingredients' lengths; samples are numbered through, ingredient after ingredient.
        """
        rng = np.random.default_rng(list(seed))
        share = np.asarray(weights, float) / np.sum(weights)
        ingredient = rng.choice(len(sizes), positions, p=share)
        sample, visit = np.zeros(positions, np.int64), np.zeros(positions, np.int64)
        for index, size in enumerate(sizes):
            places = np.flatnonzero(ingredient == index)
            rounds = -(-len(places) // size)
            order = np.concatenate([rng.permutation(size) for _ in range(rounds)] or [np.zeros(0, np.int64)])
            sample[places] = order[: len(places)] + sum(sizes[:index])
            visit[places] = np.arange(len(places)) // size
        return cls(sample, visit)


def load_square(image: Image, size: int, view: int = 0, fit: str = "squash") -> NDArray[np.uint8]:
    """(size, size, 3) uint8: the picture resized (`rsvlm.data.resize`), in dihedral view 0..7 (0: identity)."""
    return dihedral_view(resize_square(read_rgb(image), size, fit), view)


def dihedral_view(pixels: NDArray[np.uint8], view: int) -> NDArray[np.uint8]:
    """The view-th of the eight flips and quarter turns of (H, W, C) pixels: mirror for odd views, view // 2 turns."""
    return np.rot90(pixels[:, ::-1] if view % 2 else pixels, view // 2)


def random_square(
    extent: tuple[int, int], rng: np.random.Generator, min_area: float = 0.6
) -> tuple[slice, slice]:  # fmt: skip
    """Rows and columns of a random square within (height, width), `min_area`..1 of the largest square's area."""
    side = int(min(extent) * np.sqrt(rng.uniform(min_area, 1.0)))
    top, left = (int(rng.integers(0, one - side + 1)) for one in extent)
    return slice(top, top + side), slice(left, left + side)


def random_crop(
    pixels: NDArray[np.uint8], size: int, rng: np.random.Generator, min_area: float = 0.6
) -> NDArray[np.uint8]:
    """A random square crop of (H, W, 3) pixels (`random_square`), resized to `size`."""
    cut = PILImage.fromarray(np.ascontiguousarray(pixels[random_square(pixels.shape[:2], rng, min_area)]))
    return np.asarray(cut.resize((size, size), PILImage.Resampling.BILINEAR))


def to_tensor(pixels: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Pictures (H, W, 3) uint8 -> (B, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float().div(255)


def pad_prompts(rows: Sequence[Sequence[int]], pad: int = 0) -> Batch:
    """Ids of prompts as `prompt` and `prompt_mask` of the batch contract: (B, P), padded on the left."""
    width = max(map(len, rows))
    return {
        "prompt": torch.tensor([[*[pad] * (width - len(row)), *row] for row in rows], dtype=torch.int64),
        "prompt_mask": torch.tensor([[i >= width - len(row) for i in range(width)] for row in rows], dtype=torch.bool),
    }


def pad_right(rows: Sequence[Sequence[int]]) -> Tensor:
    """Token ids as (B, longest), padded on the right with -1 (`question` of the batch contract)."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows], dtype=torch.int64)


def pad_texts(tokenizer: Any, texts: Sequence[str], most: int) -> Batch:
    """Texts as `text` and `text_mask` of the batch contract, padded on the right.

    At most `most` tokens each, among them those that the tokenizer puts around a text, which are never cut.
    """
    cut = {"add_special_tokens": True, "truncation": True, "max_length": most}
    rows = [tokenizer(text, **cut)["input_ids"] or [tokenizer.pad_token_id] for text in texts]
    ids = pad_right(rows)
    return {"text": ids.clamp(min=0), "text_mask": ids >= 0}


def check_image_counts(samples: Sequence[Sample], num_images: int) -> None:
    """Raises BadInput where a sample has another number of pictures than a system sees; text alone is let through."""
    odd = [sample for sample in samples if len(sample.images) not in (0, num_images)]
    if odd:
        first = odd[0]
        raise BadInput(
            f"{first.source or 'A set'}, sample {first.id}, has {len(first.images)} pictures where the system sees "
            f"{num_images} (found in {len(odd)} of {len(samples)} samples); leave them out, or train a system that "
            "sees as many."
        )


@dataclass(frozen=True, slots=True)
class ScheduledSample:
    """A sample at one position of a stage's schedule, drawn for the `visit`-th time.

    `sample_index`: its index in the stage's samples. `position`: its index in the schedule.
    """

    sample: Sample
    sample_index: int
    visit: int
    position: int


# The draws of a step's global batch, and of it the draws of each micro-batch of this process -> the micro-batches.
Collate = Callable[[list[ScheduledSample], list[list[ScheduledSample]]], list[Batch]]


class StageBatches(Dataset[list[Batch]]):
    """Item k = the `accumulate` micro-batches of step k for this process, each of `batch / world / accumulate` samples.

    Every process draws the same global batch and takes its own part, so the losses of any number of processes agree.
    `collate` is that of the stage's objective. Raises BadInput for a batch that cannot be cut.
    """

    def __init__(
        self, samples: Sequence[Sample], schedule: Schedule, collate: Collate, *, batch: int, accumulate: int = 1,
        rank: int = 0, world: int = 1,
    ) -> None:  # fmt: skip
        if batch % (accumulate * world):
            raise BadInput(
                f"A batch of {batch} cannot be cut into {accumulate} x {world} equal parts (accumulate x processes); "
                "change one of the three."
            )
        self.samples, self.schedule, self.collate, self.batch = samples, schedule, collate, batch
        self.accumulate, self.rank, self.world = accumulate, rank, world

    def __len__(self) -> int:
        return len(self.schedule.sample) // self.batch

    def __getitem__(self, step: int) -> list[Batch]:
        draws = [self._draw(place) for place in range(step * self.batch, (step + 1) * self.batch)]
        parts = self.accumulate * self.world
        own = [draws[self.rank + index * self.world :: parts] for index in range(self.accumulate)]
        return self.collate(draws, own)

    def _draw(self, place: int) -> ScheduledSample:
        number = int(self.schedule.sample[place])
        return ScheduledSample(self.samples[number], number, int(self.schedule.visit[place]), place)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCollator:
    """Collates the pictures of scheduled samples: pixels resized to `size` by `fit`, or cached `levels(image, view)`.

    A sample's pictures follow one another. With `views` above 1 each visit turns or mirrors them; `augment` changes the
    pixels of each picture besides. `first` is any picture of the stage, whose cached levels say what a blank picture's
    look like.
    """

    size: int
    fit: str = "squash"
    views: int = 1
    seed: int = 0
    augment: Augmentation | None = None
    levels: Levels | None = None
    first: Image | None = None

    def collate(self, draws: Sequence[ScheduledSample]) -> Batch:
        """`image` or `levels` of the batch contract: visits walk through the views, each image starting at its own.

        Where no draw has a picture, a blank one is given, which no prompt asks about: see `BATCH_CONTRACT`.
        """
        which = [(image, self.view(draw), draw) for draw in draws for image in draw.sample.images]
        if self.levels is None:
            pixels = [self._augmented(image, view, draw) for image, view, draw in which]
            return {"image": to_tensor(pixels or [np.zeros((self.size, self.size, 3), np.uint8)])}
        seen = [self.levels(image, view) for image, view, _ in which] or [self._blank(self.levels)]
        return {"levels": [torch.from_numpy(np.stack(column)).float() for column in zip(*seen, strict=True)]}

    def view(self, draw: ScheduledSample) -> int:
        """The view that a draw's pictures are seen in, 0..7: the sample's own (`meta["view"]`) where it knows one."""
        own = draw.sample.meta.get("view")
        return (draw.sample_index + draw.visit) % self.views if own is None else int(own)

    def random_crops(self, draw: ScheduledSample) -> list[NDArray[np.uint8]]:
        """A sample's pictures in a random view, randomly cropped; the pictures of one sample share view and crop."""
        found: list[NDArray[np.uint8]] = []
        for image in draw.sample.images:
            rng = np.random.default_rng([self.seed, draw.position])
            found.append(random_crop(dihedral_view(read_rgb(image), int(rng.integers(8))), self.size, rng))
        return found

    def _augmented(self, image: Image, view: int, draw: ScheduledSample) -> NDArray[np.uint8]:
        """The picture in a view: augmented, or every second time (in runs with views) only a random part of it.

        A sample that knows its view speaks of places in the whole picture: it is shown whole, and only coloured.
        """
        rng = np.random.default_rng([self.seed, draw.position])
        if self.augment and "view" not in draw.sample.meta:
            return self.augment(dihedral_view(read_rgb(image), view), rng, self.size, self.fit)
        if self.augment:
            return self.augment.coloured(load_square(image, self.size, view, self.fit), rng)
        if self._whole(draw, rng):
            return load_square(image, self.size, view, self.fit)
        return random_crop(dihedral_view(read_rgb(image), view), self.size, rng, min_area=_PART)

    def _whole(self, draw: ScheduledSample, rng: np.random.Generator) -> bool:
        return "view" in draw.sample.meta or self.views == 1 or rng.random() < 0.5

    def maps(self, draws: Sequence[ScheduledSample]) -> Tensor:
        """The semantic maps of the draws' pictures (`meta["maps"]`), int64 (I, size, size), as `collate` shows those.

        Raises BadInput for what is no semantic map.
        """
        return torch.from_numpy(np.stack([self._map(path, d) for d in draws for path in d.sample.meta["maps"]])).long()

    def _map(self, path: str, draw: ScheduledSample) -> NDArray[np.uint8]:
        classes = dihedral_view(read_semantic_map(path)[..., None], self.view(draw))[..., 0]
        rng = np.random.default_rng([self.seed, draw.position])
        whole = self.levels is not None or self._whole(draw, rng)
        return resized_map(classes if whole else classes[random_square(classes.shape, rng, _PART)], self.size)

    def _blank(self, levels: Levels) -> list[NDArray[Any]]:
        assert self.first is not None
        return [np.zeros_like(level) for level in levels(self.first, 0)]
