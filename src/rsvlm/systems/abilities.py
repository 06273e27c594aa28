"""What every system offers: the registry of systems, the abilities as Protocols, and who has which."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.registry import Registry
from rsvlm.sample import Region, Reply

Pixels = NDArray[np.uint8]  # (H, W, 3), RGB, 0..255

SYSTEMS: Registry[type] = Registry("system")


@runtime_checkable
class Answers(Protocol):
    """Answers a question about a picture in words. What `rsvlm.systems.load` returns for a chat system.

    `name` is what the user asked for ("mini", a path, "hf:...", "openai:..."); `trace` holds what a result file must
    carry about the model (system, size, recipe hash, sha256 of the weights, versions) and is the same at every load;
    its `trained_on`, where known, names the data sets of the catalogue that the model was trained on.

    More members are read with getattr, because most have none: `box_dialect`, a name of `rsvlm.data.box_codecs` ("" = none
    known); `input_size(width, height)`, the size at which a picture is seen, for the dialect "qwen25vl";
    `box_part(width, height)`, the part of it that fractions are of; `phrase(task, words)`, a question in its own words.
    """

    name: str
    trace: dict[str, str]

    def answer(
        self, images: Sequence[Pixels | None], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One greedy reply per (image, question) pair, batched; `images` and `questions` have one length.

        None is no picture: the model answers from the question alone (the blind baseline).
        """
        ...


@runtime_checkable
class Compares(Protocol):
    """Answers a question about two dates of one place in words."""

    def compare(
        self, before: Sequence[Pixels], after: Sequence[Pixels], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One greedy reply per (before, after, question); the three have one length, a pair has one place."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """Turns pictures into vectors: the features behind the nearest-image baseline."""

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length."""
        ...


@runtime_checkable
class Matches(Embeds, Protocol):
    """Turns pictures and texts into vectors of one space: their inner product says how well they fit."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length, D as of `embed_images`."""
        ...


@runtime_checkable
class Segments(Protocol):
    """Marks the pixels that a phrase speaks of."""

    def segment(self, images: Sequence[Pixels], phrases: Sequence[str]) -> list[NDArray[np.bool_]]:
        """One mask (H, W) per (image, phrase), in the pixels of the image as given; all False where there is none."""
        ...


@runtime_checkable
class SegmentsChange(Protocol):
    """Marks the pixels that have changed between two dates of one place."""

    def segment_change(
        self, before: Sequence[Pixels], after: Sequence[Pixels], phrases: Sequence[str]
    ) -> list[NDArray[np.bool_]]:
        """One mask (H, W) per (before, after, phrase), in the pixels of `after`; all False where nothing changed."""
        ...


@runtime_checkable
class Detects(Protocol):
    """Finds the objects that a phrase speaks of."""

    def detect(self, images: Sequence[Pixels], phrases: Sequence[str]) -> list[tuple[Region, ...]]:
        """Regions per (image, phrase): boxes in pixels of the image as given, each with its score, best first."""
        ...


ABILITIES: Mapping[type, str] = {  # in words that follow "cannot"
    Answers: "answer questions about a picture",
    Compares: "compare two dates of a place",
    Embeds: "turn pictures into vectors",
    Matches: "match pictures and texts",
    Segments: "segment",
    SegmentsChange: "mark what changed between two dates",
    Detects: "detect objects",
}

# Names that `rsvlm.systems.load` takes, and abilities: a table, so that asking needs no PyTorch; a test holds it.
FORMS: Mapping[str, tuple[type, ...]] = {
    "mini": (Answers, Embeds, Detects),
    "<a run's model folder>": (Answers, Embeds),
    "<a run's model folder with a box head>": (Answers, Embeds, Detects),
    "hf:<a Hugging Face folder or id>": (Answers, Compares),
    "openai:http://<host>/v1#<model>": (Answers, Compares),
}


def who_can(ability: type) -> tuple[str, ...]:
    """How to name the models that have this ability (a Protocol of this module)."""
    return tuple(form for form, abilities in FORMS.items() if any(ability in one.__mro__ for one in abilities))


def lacking(name: str, ability: type) -> BadInput:
    """The error for a model that is asked for what it cannot do; it says who can."""
    others = ", ".join(who_can(ability)) or "none yet"
    return BadInput(f"{name} cannot {ABILITIES[ability]}; models that can: {others}.")


def dialect_of(name: str) -> str:
    """The box dialect of a model by its name or `model_type` ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2_5_vl"); "" else."""
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((dialect for dialect in _DIALECTS if dialect in letters), "")


_DIALECTS = ("qwen2vl", "qwen25vl", "qwen3vl", "internvl")


def by_sight(images: Sequence[Pixels | None], ask: Callable[[list[int]], list[Reply]]) -> list[Reply]:
    """Replies in order, where pairs with a picture and pairs without are asked apart: `ask` gets their places."""
    replies: dict[int, Reply] = {}
    for seen in (True, False):
        places = [place for place, image in enumerate(images) if (image is not None) is seen]
        if places:
            replies |= zip(places, ask(places), strict=True)
    return [replies[place] for place in range(len(images))]
