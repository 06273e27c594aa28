"""From samples to batches: a schedule fixed by the seed, pictures in turned views, cached levels, padded tensors.

Nothing here has a state: batch k of a stage is a function of (seed, stage, k), so a run resumes by counting.
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

from rsvlm.data.images import read_rgb
from rsvlm.data.packing import first_fit
from rsvlm.data.prompt import Encoded, Frame, encode
from rsvlm.data.resize import fitted
from rsvlm.data.synth.box_targets import Locate, collate_targets
from rsvlm.data.synth.conversations import converse
from rsvlm.data.synth.tag_targets import targets
from rsvlm.errors import BadInput
from rsvlm.sample import IGNORE, Batch, Image, Sample

Levels = Callable[[Image, int], list[NDArray[Any]]]
Encode = Callable[[Sample, int], Encoded]


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


def picture(image: Image, size: int, view: int = 0, fit: str = "squash") -> NDArray[np.uint8]:
    """(size, size, 3) uint8: the picture made square (`rsvlm.data.resize`), then turned: view 0..7, 0 = as it is."""
    return turned(fitted(read_rgb(image), size, fit), view)


def turned(pixels: NDArray[np.uint8], view: int) -> NDArray[np.uint8]:
    """The view-th of the eight flips and quarter turns of (H, W, C) pixels: mirror for odd views, view // 2 turns."""
    return np.rot90(pixels[:, ::-1] if view % 2 else pixels, view // 2)


def cropped(pixels: NDArray[np.uint8], size: int, rng: np.random.Generator, least: float = 0.6) -> NDArray[np.uint8]:
    """A random square of `least`..1 of the area of (H, W, 3) pixels, resized to `size`."""
    side = int(min(pixels.shape[:2]) * np.sqrt(rng.uniform(least, 1.0)))
    top, left = (int(rng.integers(0, extent - side + 1)) for extent in pixels.shape[:2])
    cut = PILImage.fromarray(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return np.asarray(cut.resize((size, size), PILImage.Resampling.BILINEAR))


def to_tensor(pixels: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Pictures (H, W, 3) uint8 -> (B, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float().div(255)


def encoder(tokenizer: Any, frame: Frame, *, image_tokens: int, seed: int, most: int, max_tokens: int) -> Encode:
    """Conversations of `rs_gpt4v.converse` as token ids.

    Four visits of five ask the turns apart, as branches that share the image; in the fifth they follow one another, as
    a user would ask. A sample without a picture is a conversation already: it is learned as it is written.
    """

    def one(sample: Sample, visit: int) -> Encoded:
        if not sample.images:
            return encode(tokenizer, frame, [sample.turns], image_tokens=0, max_tokens=max_tokens)
        turns = converse(sample, visit, seed=seed, most=most)
        chained = (visit + len(sample.id)) % 5 == 0
        talks = [turns] if chained else [[turn] for turn in turns]
        return encode(tokenizer, frame, talks, image_tokens=image_tokens, max_tokens=max_tokens)

    return one


def collate(encoded: Sequence[Encoded], pad: int, pack: int | None = None) -> Batch:
    """Pad to tensors of the batch contract: prompts on the left, replies on the right.

    With `pack` conversations share rows of so many tokens, those of one expert at a time (`first_fit`).
    """
    reply = max(len(e.reply) for e in encoded)

    def right(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
        return torch.tensor([[*row, *[fill] * (reply - len(row))] for row in rows])

    batch: Batch = {
        **padded_prompts([e.prompt for e in encoded], pad),
        "reply": right([e.reply for e in encoded], pad),
        "reply_mask": torch.tensor([[i < len(e.reply) for i in range(reply)] for e in encoded]),
        "labels": right([e.labels for e in encoded], IGNORE),
        "turn": right([e.turn for e in encoded], 0),
    }
    if encoded[0].question is not None:
        batch["question"] = padded([e.question or [] for e in encoded])
    if encoded[0].expert is not None:
        batch["expert"] = torch.tensor([e.expert for e in encoded])
    if pack is not None:
        lengths = [len(e.prompt) + len(e.reply) for e in encoded]
        batch["row"] = torch.tensor(first_fit(lengths, pack, [e.expert for e in encoded]))
    return batch


def padded_prompts(rows: Sequence[Sequence[int]], pad: int = 0) -> Batch:
    """Ids of prompts as `prompt` and `prompt_mask` of the batch contract: (B, P), padded on the left."""
    width = max(map(len, rows))
    return {
        "prompt": torch.tensor([[*[pad] * (width - len(row)), *row] for row in rows]),
        "prompt_mask": torch.tensor([[i >= width - len(row) for i in range(width)] for row in rows]),
    }


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Ids of questions as `question` of the batch contract: (B, Q), -1 behind the shorter ones."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows])


def check_pictures(samples: Sequence[Sample], num_images: int) -> None:
    """Raises BadInput where a sample has another number of pictures than a system sees; text alone is let through."""
    odd = [sample for sample in samples if len(sample.images) not in (0, num_images)]
    if odd:
        first = odd[0]
        raise BadInput(
            f"{first.source or 'A set'}, sample {first.id}, has {len(first.images)} pictures where the system sees "
            f"{num_images} (found in {len(odd)} of {len(samples)} samples); leave them out, or train a system that "
            "sees as many."
        )


class StageBatches(Dataset[list[Batch]]):
    """Item k = the `accumulate` micro-batches of step k for this process, each of `batch / world / accumulate` samples.

    Give one of `encode` (conversations), `tags` (a vocabulary) and `locate` (phrases and boxes). Pictures come as
    `levels(image, view)` where cached levels are given, else as pixels of `size`, made square by `fit`. Every process
    draws the same global batch and takes its own slice, so the losses of any number of processes agree; what is in a
    micro-batch shares rows of `pack` tokens where that is given. A sample's pictures follow one another, `num_images`
    of each that has some. Raises BadInput for a batch that cannot be cut, and for another number of pictures.
    """

    def __init__(
        self, samples: Sequence[Sample], schedule: Schedule, *, batch: int, size: int, views: int, pad: int,
        encode: Encode | None = None, tags: Sequence[str] = (), locate: Locate | None = None,
        levels: Levels | None = None, fit: str = "squash", accumulate: int = 1, rank: int = 0, world: int = 1,
        seed: int = 0, pack: int | None = None, num_images: int = 1,
    ) -> None:  # fmt: skip
        if batch % (accumulate * world):
            raise BadInput(
                f"A batch of {batch} cannot be cut into {accumulate} x {world} equal parts (accumulate x processes); "
                "change one of the three."
            )
        check_pictures(samples, num_images)
        self.samples, self.schedule, self.batch, self.size, self.views = samples, schedule, batch, size, views
        self.pad, self.encode, self.tags, self.locate, self.levels = pad, encode, tags, locate, levels
        self.fit, self.accumulate, self.rank, self.world, self.seed, self.pack = (
            fit,
            accumulate,
            rank,
            world,
            seed,
            pack,
        )

    def __len__(self) -> int:
        return len(self.schedule.sample) // self.batch

    def __getitem__(self, step: int) -> list[Batch]:
        places = range(step * self.batch, (step + 1) * self.batch)
        parts = self.accumulate * self.world
        if self.tags:
            return [self._tagged(places[self.rank + i * self.world :: parts]) for i in range(self.accumulate)]
        if self.locate is not None:
            return [self._located(places[self.rank + i * self.world :: parts]) for i in range(self.accumulate)]
        assert self.encode is not None
        encoded = [self.encode(self.samples[self.schedule.sample[p]], int(self.schedule.visit[p])) for p in places]
        labelled = sum(label != IGNORE for e in encoded for label in e.labels)
        out: list[Batch] = []
        for i in range(self.accumulate):
            mine = slice(self.rank + i * self.world, None, parts)
            batch = collate(encoded[mine], self.pad, self.pack)
            batch["normaliser"] = torch.tensor(max(labelled, 1) / parts)
            out.append(self._seen(batch, places[mine]))
        return out

    def _seen(self, batch: Batch, places: Sequence[int]) -> Batch:
        """Add the pictures: visits walk through the views, each image starting at its own.

        Where no sample has one, a blank one is added, which no prompt asks about: see `BATCH_CONTRACT`.
        """
        which = [(image, self._view(p), p) for p in places for image in self.samples[self.schedule.sample[p]].images]
        if self.levels is None:
            pixels = [self._fresh(image, view, p) for image, view, p in which]
            batch["image"] = to_tensor(pixels or [np.zeros((self.size, self.size, 3), np.uint8)])
        else:
            seen = [self.levels(image, view) for image, view, _ in which] or [self._blank(self.levels)]
            batch["levels"] = [torch.from_numpy(np.stack(column)).float() for column in zip(*seen, strict=True)]
        return batch

    def _blank(self, levels: Levels) -> list[NDArray[Any]]:
        first = next(sample.images[0] for sample in self.samples if sample.images)
        return [np.zeros_like(level) for level in levels(first, 0)]

    def _fresh(self, image: Image, view: int, place: int) -> NDArray[np.uint8]:
        """The picture in a view; every second time (in runs with views) only a random part of it.

        A sample that knows its view speaks of places in the whole picture, and is shown whole.
        """
        rng = np.random.default_rng([self.seed, place])
        whole = "view" in self.samples[self.schedule.sample[place]].meta
        if whole or self.views == 1 or rng.random() < 0.5:
            return picture(image, self.size, view, self.fit)
        return cropped(turned(read_rgb(image), view), self.size, rng, least=0.75)

    def _view(self, place: int) -> int:
        own = self.samples[self.schedule.sample[place]].meta.get("view")
        return int(self.schedule.sample[place] + self.schedule.visit[place]) % self.views if own is None else int(own)

    def _located(self, places: Sequence[int]) -> Batch:
        assert self.locate is not None
        drawn = [(self.samples[self.schedule.sample[p]], int(self.schedule.visit[p])) for p in places]
        return self._seen(collate_targets([self.locate(*one) for one in drawn], self.pad), places)

    def _tagged(self, places: Sequence[int]) -> Batch:
        samples = [self.samples[self.schedule.sample[p]] for p in places]
        pixels = []
        for place, sample in zip(places, samples, strict=True):
            for image in sample.images:  # cut alike
                rng = np.random.default_rng([self.seed, place])
                pixels.append(cropped(turned(read_rgb(image), int(rng.integers(8))), self.size, rng))
        wanted = np.stack([targets(sample, self.tags) for sample in samples])
        return {"image": to_tensor(pixels), "tags": torch.from_numpy(wanted)}
