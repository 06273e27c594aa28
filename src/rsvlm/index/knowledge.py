"""A knowledge base in memory: passages about pictures, with a vector of each text and of each picture."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.files import sha256
from rsvlm.json_text import load_json

Vectors = NDArray[np.floating[Any]]  # (N, D)
PASSAGES, PICTURES, VECTORS = "passages.jsonl", "pictures.jsonl", "vectors.npz"


@dataclass(frozen=True, slots=True)
class Passage:
    """A text of one kind (`rsvlm.index.landmarks`); `month` ("2019 January") where it is about one."""

    kind: str
    text: str
    month: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """What passages are about: the landmark's name, and the SHA-256 of the picture's pixels ("" = no picture)."""

    name: str
    pixels: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class KnowledgeBase:
    """N passages about P pictures, in vectors of one space of D numbers.

    `texts` (N, D) are the vectors of the passages, `images` (P, D) those of the pictures, and `about` (N,) the picture
    of each passage, -1 for none. Raises ValueError where they do not fit together.
    """

    passages: Sequence[Passage]
    pictures: Sequence[Picture]
    texts: Vectors
    images: Vectors
    about: NDArray[np.integer[Any]]

    def __post_init__(self) -> None:
        shapes = [(len(self.passages), self.texts.shape[-1]), (len(self.pictures), self.texts.shape[-1])]
        if [self.texts.shape, self.images.shape] != shapes or self.about.shape != (len(self.passages),):
            raise ValueError(f"vectors of shapes {self.texts.shape}, {self.images.shape} and {self.about.shape}")
        if len(self.about) and not -1 <= self.about.min() <= self.about.max() < len(self.pictures):
            raise ValueError(f"a passage is about a picture that is none of {len(self.pictures)}")

    def picture_of(self, passage: int) -> Picture | None:
        """The picture that a passage is about, by the passage's number; None where there is none."""
        number = int(self.about[passage])
        return self.pictures[number] if number >= 0 else None

    def pictured(self, names: Collection[str] = (), pixels: str = "") -> set[int]:
        """The numbers of the pictures that have one of these names, or these pixels."""
        return {
            number
            for number, picture in enumerate(self.pictures)
            if picture.name in names or (pixels and picture.pixels == pixels)
        }

    def save(self, folder: Path) -> None:
        """Write passages.jsonl, pictures.jsonl and vectors.npz (float32) into a folder that is there."""
        for name, rows in ((PASSAGES, self.passages), (PICTURES, self.pictures)):
            lines = [json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows]
            (folder / name).write_text("".join(lines), "utf-8")
        vectors: dict[str, Any] = {"texts": self.texts.astype(np.float32), "images": self.images.astype(np.float32)}
        np.savez(folder / VECTORS, **vectors, about=self.about.astype(np.int32))


def open_knowledge(folder: Path) -> KnowledgeBase:
    """The knowledge base in a folder. Raises BadInput where it is not whole."""
    try:
        rows = [
            [load_json(line) for line in (folder / name).read_text("utf-8").splitlines()]
            for name in (PASSAGES, PICTURES)
        ]
        with np.load(folder / VECTORS, allow_pickle=False) as stored:
            texts, images, about = (stored[key] for key in ("texts", "images", "about"))
        return KnowledgeBase([Passage(**r) for r in rows[0]], [Picture(**r) for r in rows[1]], texts, images, about)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise BadInput(
            f"{folder} holds no whole knowledge base ({type(error).__name__}: {error}); expected {PASSAGES}, "
            f"{PICTURES} and {VECTORS}, as rsvlm knowledge writes them: make it again."
        ) from error


def digest(folder: Path) -> str:
    """16 hex digits over the texts and vectors in a folder."""
    return "".join(sha256(folder / name)[:8] for name in (PASSAGES, VECTORS))


def pixels_hash(image: NDArray[np.uint8]) -> str:
    """SHA-256 over the shape and the pixels of a picture (H, W, 3): one picture under two names has one."""
    return hashlib.sha256(f"{image.shape}".encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
