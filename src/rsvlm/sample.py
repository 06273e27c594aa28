"""The nouns: `Image`, `Region`, `Turn`, `Sample`, `Answer`, and the batch that systems train on.

Everything that flows through the package is one of these. Annotations become Samples; Samples become shards, batches,
answers and GeoJSON. Pixel convention everywhere: x to the right, y down, origin at the outer corner of the top-left
pixel; boxes are (x1, y1, x2, y2) in pixels of the image as stored, x2 and y2 exclusive edges.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One picture: a file, or bytes in memory, and where in a larger scene it was cut from.

    `width`, `height` in pixels (0 = not known yet). `window` is (column, row, width, height) in pixels of the file when
    the picture is only a part of it. `data` holds the encoded file (JPEG, PNG, GeoTIFF) when there is no path to read.
    """

    path: str
    width: int = 0
    height: int = 0
    window: tuple[int, int, int, int] | None = None
    data: bytes | None = None

    @property
    def key(self) -> str:
        """What tells this picture from others: its path, and "#column,row,width,height" where it has a window."""
        return self.path if self.window is None else f"{self.path}#{','.join(map(str, self.window))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A labelled place in an image, in pixels: a box, turned by `angle`, or a polygon.

    `box` is (x1, y1, x2, y2). `angle` in degrees, positive = counter-clockwise as seen on screen, about the centre of
    the box. `polygon` is one closed ring without the repeated last point; where given it is the exact outline and `box`
    its bounds. `mask` is the exact pixels as COCO run-length encoding, {"size": [height, width], "counts": ...}, where
    the source publishes masks. `score` in [0, 1], or None where the region is a label. `image` is the picture's index
    in the sample.
    """

    label: str
    box: Box
    angle: float = 0.0
    polygon: tuple[Point, ...] = ()
    score: float | None = None
    image: int = 0
    mask: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One question and its answer.

    `task` is the field's name of the task (caption, scene, vqa, count, presence, ground, refuse, ...); `kind` the
    question type within it, as its authors name it. `references` are all accepted answers (the five captions of an
    image); empty means `(answer,)`. `question` is "" where the source publishes only labels: the builder or the
    protocol words it. `choices` are the options of a multiple-choice question, A first; `answer` is then one of them.
    """

    question: str
    answer: str
    task: str = ""
    kind: str = ""
    references: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def accepted(self) -> tuple[str, ...]:
        """All accepted answers, at least one."""
        return self.references or (self.answer,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Images with a place, a conversation about them, and regions in them.

    `id` is unique within its source; `source` is the data set's name in the catalogue; `split` is train, val or test.
    `meta` carries whatever else the source says and must survive a round trip (JSON values only).
    """

    id: str
    images: tuple[Image, ...]
    turns: tuple[Turn, ...] = ()
    regions: tuple[Region, ...] = ()
    source: str = ""
    split: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said about one picture: the text, and its confidence in [0, 1].

    The confidence is the geometric mean of the probabilities of the reply's tokens, and exactly 0 where the model does
    not tell them. `error` is one sentence where no reply came; the text is then empty, and never right.
    """

    text: str
    confidence: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a user gets for one question about one scene.

    `regions` are GeoJSON Feature objects (lon/lat, or pixel coordinates with `"crs": null` in their properties where
    the scene has no georeference); `confidence` in [0, 1]; `trace` says how the answer came about: model, recipe hash,
    windows read, prompt, seconds.
    """

    question: str
    answer: str
    regions: tuple[Mapping[str, Any], ...] = ()
    confidence: float = 0.0
    trace: Mapping[str, Any] = field(default_factory=dict[str, Any])


IMAGE_TOKEN = -200  # stands in `prompt` where one visual token goes; never embedded
IGNORE = -100  # a label that carries no loss

# The batch contract. B samples, I pictures: `num_images` of the system (1 unless it says otherwise) for each row of
# `prompt` that has some, in order, earlier dates first, or a single blank one where none has; in a stage of views, two
# of each sample side by side. H = W the tower's input size, P prompt tokens, R reply tokens, K visual tokens.
BATCH_CONTRACT: Mapping[str, str] = {
    "image": "float32 (I, 3, H, W), RGB in [0, 1]; absent when `levels` is given",
    "levels": "list of (I, N_l, D_l): cached feature levels of a frozen tower, shallow to deep; absent when `image` is",
    "picture": "int64 (B,): the row of `levels` that a prompt asks about; only for answering, absent = its own row",
    "prompt": f"int64 (B, P), left-padded; each image is K copies of {IMAGE_TOKEN}",
    "prompt_mask": "bool (B, P), False on padding",
    "question": "int64 (B, Q): the question's words alone, -1 = none, where the picture is read with it in mind",
    "expert": "int64 (B,): which of a system's experts speaks the row, -1 = all of them together; absent = all -1",
    "reply": "int64 (B, R), right-padded: the first answer and, in a conversation, the turns after it",
    "reply_mask": "bool (B, R), False on padding",
    "turn": "int64 (B, R): the branch of a reply token; branches share the prompt and do not see one another",
    "row": "int64 (B,): the row that a conversation shares with others in the language model, absent = its own",
    "sequence": "int64 (B,): the row in which a caption sees those before it with their pictures; absent = its own",
    "labels": f"int64 (B, R): the reply's ids where an answer is learned, {IGNORE} elsewhere",
    "normaliser": "float32 scalar: labelled tokens of the whole global batch / number of parts it was cut into",
    "phrase": "int64 (B, Q): ids of a phrase, right-padded; box stage only",
    "phrase_mask": "bool (B, Q), False on padding; box stage only",
    "boxes": "float32 (B, K, 4): the phrase's x1, y1, x2, y2 in fractions of the picture, rows of -1 = padding",
    "text": "int64 (B, T): ids of a text that belongs to the picture, right-padded; contrastive stages only",
    "text_mask": "bool (B, T), False on padding; contrastive stages only",
    "text_key": "int64 (B,): equal for equal texts; contrastive stage with labels only, as the next three",
    "image_key": "int64 (B,): equal for equal pictures",
    "text_class": "int64 (B,): the class that a text names, -1 = it is a caption",
    "image_class": "int64 (B,): the picture's class, -1 = not known; equal numbers are equal names",
    "hidden": "bool (I, n, n): the blocks of a view that the student does not see, n a side; views stage only",
    "window": "float32 (I, 5): height, width, top, left of a view in the picture's square in pixels, 1 = mirrored",
    "step": "int64 (2,): which step of the stage it is, from 0, and how many there are; views stage only",
    "change": "float32 (B, C, h, w) in [0, 1]: share of a cell that changed, -1 = not labelled; change stage only",
    "semantic": "int64 (I, H, W): class of each pixel by `rsvlm.data.semantic_maps`; absent = predicted or not read",
    "map_labels": "int64 (I, H, W): the same to be learned; semantic map stage only",
    "tags": "float32 (B, T) in [0, 1]: share of an image's captions that use a word, -1 = not known; tag stage only",
}


class Batch(TypedDict, total=False):
    """Tensors under the names, shapes and dtypes of `BATCH_CONTRACT` (typed Any: the nouns do not import torch)."""

    image: Any
    levels: Any
    picture: Any
    prompt: Any
    prompt_mask: Any
    question: Any
    expert: Any
    reply: Any
    reply_mask: Any
    turn: Any
    row: Any
    sequence: Any
    labels: Any
    normaliser: Any
    phrase: Any
    phrase_mask: Any
    boxes: Any
    text: Any
    text_mask: Any
    text_key: Any
    image_key: Any
    text_class: Any
    image_class: Any
    hidden: Any
    window: Any
    step: Any
    change: Any
    semantic: Any
    map_labels: Any
    tags: Any
