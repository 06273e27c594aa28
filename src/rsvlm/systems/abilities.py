"""What a model may be able to do: the abilities as Protocols, the sentence of each, and who has which. No PyTorch.

This is the only list of abilities. `rsvlm.evaluate.solvers` says how a benchmark asks for each.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.sample import Region, Reply

Pixels = NDArray[np.uint8]  # (H, W, 3), RGB, 0..255
Maps = NDArray[np.float32]  # (C, H, W)
# A window (column, row, width, height) of a pair -> both dates, and (H, W) where both have data
ReadPair = Callable[[tuple[int, int, int, int]], tuple[Pixels, Pixels, NDArray[np.bool_]]]
# Squares of two dates, N of each -> probabilities (N, C, h, w)
CompareSquares = Callable[[list[Pixels], list[Pixels]], NDArray[np.float32]]
Classes = NDArray[np.uint8]  # (H, W), the class of each pixel
Features = Callable[[Sequence[Pixels]], NDArray[np.float32]]  # pictures to (N, D) rows of unit length


@runtime_checkable
class Answers(Protocol):
    """Answers a question about a picture in words. What `rsvlm.systems.load` returns for a chat system.

    `name` is what the user asked for ("mini", a path, "hf:...", "openai:..."); `trace` holds what a result file must
    carry about the model (system, size, recipe hash, sha256 of the weights, versions) and is the same at every load;
    its `trained_on`, where known, names the data sets of the catalogue that the model was trained on.
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
class Streams(Protocol):
    """Answers one question about a picture piece by piece. Not every model that answers can."""

    def stream(self, image: Pixels | None, question: str, *, max_new_tokens: int = 64) -> Generator[str, None, Reply]:
        """Pieces of text that, joined, are the text of what `answer` replies; the Reply itself is returned at the end.

        None is no picture. Raises BadInput where a reply breaks off: the pieces before are then not the whole.
        """
        ...


@runtime_checkable
class ScoresReplies(Protocol):
    """Tells how likely given replies are, so that one of several can be chosen and none is invented."""

    def log_likelihoods(
        self, images: Sequence[Pixels | None], questions: Sequence[str], replies: Sequence[str]
    ) -> NDArray[np.float64]:
        """(N, R): natural logarithm of the probability of each reply, its end included, to each (image, question).

        A reply that is e^8 times less likely than the likeliest may get an upper bound of its own instead.
        """
        ...


@runtime_checkable
class WritesBoxes(Protocol):
    """Its answers may hold boxes in words; `rsvlm.systems.text_boxes` reads them."""

    box_dialect: str  # a name of `rsvlm.data.box_codecs`; "" = none known, so that no box can be read


@runtime_checkable
class ResizesInput(Protocol):
    """Writes boxes in the pixels of the picture as it sees it (dialect "qwen25vl")."""

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) at which the model sees a picture of this size."""
        ...


@runtime_checkable
class ShowsPart(Protocol):
    """Writes boxes in fractions of a part of the picture: of the square that it is shown, padded or cropped."""

    def box_part(self, width: int, height: int) -> tuple[float, float, float, float]:
        """That part of a picture of this size: x, y, width, height in its pixels."""
        ...


@runtime_checkable
class HasNativePrompts(Protocol):
    """Was trained with wordings of its own."""

    def native_prompt(self, task: str, words: str) -> str | None:
        """How it was asked for `task` (caption, vqa, ground, ...) about `words`; None where it has no wording."""
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
class ComparesWithMaps(Protocol):
    """Answers a question about two dates whose true semantic maps it is shown: they tell where something changed."""

    def compare_with_maps(
        self, before: Sequence[Pixels], after: Sequence[Pixels], maps: Sequence[tuple[Classes, Classes]],
        questions: Sequence[str], *, max_new_tokens: int = 64,
    ) -> list[Reply]:  # fmt: skip
        """As `Compares.compare`; `maps` are of both dates, classes by `rsvlm.data.semantic_maps`."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """Turns pictures into vectors: features, which probes and the nearest-image baseline compare."""

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length."""
        ...


@runtime_checkable
class PoolsFeatures(Protocol):
    """Has a tower whose features tell how alike pictures look, whatever space it matches texts in."""

    def pooled(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length: the means of the tower's levels, each scaled to unit length first."""
        ...


def features_of(model: object) -> Features | None:
    """How a model's own features of pictures are computed: pooled ones, else its vectors; None where it has neither."""
    if isinstance(model, PoolsFeatures):
        return model.pooled
    return model.embed_images if isinstance(model, Embeds) else None


@runtime_checkable
class Matches(Embeds, Protocol):
    """Turns pictures and texts into vectors of one space: their inner product says how well they fit.

    `name` and `trace` as of `Answers`.
    """

    name: str
    trace: dict[str, str]

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length, D as of `embed_images`."""
        ...


@runtime_checkable
class HasLogitScale(Protocol):
    """Knows how the cosine of a picture and a text becomes a probability: `rsvlm.systems.matching`."""

    logit_scale: float  # by what a cosine is multiplied: the inverse of the temperature
    logit_bias: float | None  # what is added, for a sigmoid of each text; None: a softmax over all texts


@runtime_checkable
class CountsTokens(Protocol):
    """Reads so many tokens of a text to match, and cuts the rest."""

    name: str
    max_text: int

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, with those around it."""
        ...


@runtime_checkable
class EncodesTexts(Protocol):
    """Gives the vectors of texts as they leave its encoder: GeoRSCLIP averages prompts before they get unit length."""

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 rows of any length, in the directions of `embed_texts`."""
        ...


@runtime_checkable
class Segments(Protocol):
    """Marks the pixels that a phrase speaks of."""

    def segment(self, images: Sequence[Pixels], phrases: Sequence[str]) -> list[NDArray[np.bool_]]:
        """One mask (H, W) per (image, phrase), in the pixels of the image as given; all False where there is none."""
        ...


class ChangeStrip(NamedTuple):
    """Rows of a pair from `top` on: probabilities of classes of change (C, h, W), and (h, W) where both have data."""

    top: int
    maps: Maps
    valid: NDArray[np.bool_]


@runtime_checkable
class MapsChange(Protocol):
    """Tells how likely each pixel of two dates of one place has changed, class by class, whatever their size."""

    change_classes: tuple[str, ...]

    def change_strips(self, read: ReadPair, width: int, height: int) -> Iterator[ChangeStrip]:
        """Strips of a pair of `width` x `height` pixels from the top, which together cover it once."""
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
    ScoresReplies: "tell how likely a reply is",
    Compares: "compare two dates of a place",
    ComparesWithMaps: "compare two dates of a place by their semantic maps",
    Embeds: "turn pictures into vectors",
    Matches: "match pictures and texts",
    Segments: "segment",
    SegmentsChange: "mark what changed between two dates",
    Detects: "detect objects",
}

# Names that `rsvlm.systems.load` takes, and abilities: a table, so that asking needs no PyTorch; a test holds it.
MODEL_NAMES: Mapping[str, tuple[type, ...]] = {
    "mini": (Answers, ScoresReplies, Embeds, Matches, SegmentsChange, Detects),
    "torch:mini": (Answers, ScoresReplies, Embeds, Matches, SegmentsChange, Detects),
    "<a run's model folder>": (Answers, ScoresReplies, Embeds),
    "<the model folder of a run of CMID>": (Embeds,),
    "<a run's model folder with a box head>": (Answers, ScoresReplies, Embeds, Detects),
    "<a run's model folder with a change head>": (Answers, ScoresReplies, Embeds, SegmentsChange),
    "<the model folder of a run of RS-CapRet>": (Answers, ScoresReplies, Embeds, Matches),
    "<a dual encoder's model folder>": (Embeds, Matches),
    "<the model folder of a run of RSICCformer>": (Compares, Embeds),
    "<the model folder of a run of MModalCC>": (Compares, ComparesWithMaps, Embeds),
    "<a folder of rsvlm knowledge>": (Answers,),
    "hf:<a Hugging Face folder or id>": (Answers, ScoresReplies, Compares),
    "hf:<a CLIP or SigLIP folder or id>": (Embeds, Matches),
    "openai:http://<host>/v1#<model>": (Answers, Compares),
}


def who_can(ability: type) -> tuple[str, ...]:
    """How to name the models that have this ability (a Protocol of this module)."""
    return tuple(form for form, abilities in MODEL_NAMES.items() if any(ability in one.__mro__ for one in abilities))


def ability_error(name: str, ability: type) -> BadInput:
    """The error for a model that is asked for what it cannot do; it says who can."""
    others = ", ".join(who_can(ability)) or "none yet"
    return BadInput(f"{name} cannot {ABILITIES[ability]}; models that can: {others}.")
