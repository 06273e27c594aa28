"""Test pictures that a model may have seen in training: near-duplicates across splits and sets.

Two pictures are near-duplicates when their 64-bit perceptual hashes (signs of the 8 x 8 lowest DCT coefficients against
their median) differ in few bits in one of the eight turns and flips of the test picture, and when their thumbnails,
turned the same way, correlate. The thumbnails are needed because hashes of water or fields agree by chance. Found
are copies: encoded again, resized, turned, brighter, cut by one or two per cent. Where the model's features are passed
in, pairs with nearly the same features are listed apart, as alike: they hold the same place cut otherwise, but also two
pieces of forest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from rsvlm.data.images import read_rgb
from rsvlm.errors import missing_extra
from rsvlm.evaluate.baselines import Embed
from rsvlm.evaluate.items import Item
from rsvlm.sample import Image

try:
    from scipy.fft import dctn
except ImportError as error:  # pragma: no cover - the core install
    raise missing_extra("scipy", "evaluate") from error

MAX_DISTANCE = 8  # of 64 bits
MIN_CORRELATION = 0.8
MIN_COSINE = 0.98
FLAT = 4.0  # grey levels; below this standard deviation a thumbnail is mostly noise of its coding

_SIDE, _KEPT, _VIEWS = 32, 8, 8
_CELLS = 2**18  # pairs compared at once: they stay in the processor's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """Of N pictures: `hashes` uint64 (N, 8), one a view; `thumbnails` float32 (N, 32, 32), mean 0, length 1; `flat`.

    View v is the picture transposed where v & 4, then upside down where v & 2, then mirrored where v & 1.
    """

    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.float32]
    flat: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A test picture and a training picture that look the same: `distance` in bits, `correlation` of the thumbnails.

    `cosine` of their features, None where none were given or it is below the threshold.
    """

    test: str
    train: str
    distance: int
    correlation: float
    cosine: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What the check found among `test` and `train` distinct pictures: copies (`pairs`), the best first, and `alike`.

    `flat` test pictures have too little contrast for the hash: of them a missing pair proves nothing.
    """

    test: int
    train: int
    flat: int
    pairs: tuple[Pair, ...]
    alike: tuple[Pair, ...] = ()

    @property
    def leaked(self) -> frozenset[str]:
        """The names (`name_of`) of the test pictures with a near-duplicate in training."""
        return frozenset(pair.test for pair in self.pairs)

    @property
    def share(self) -> float:
        """Share of the test pictures that have a near-duplicate in training."""
        return len(self.leaked) / self.test if self.test else 0.0

    def summary(self, root: Path, most: int = 20) -> dict[str, Any]:
        """JSON values for a result file: counts of pictures and of pairs, and the first `most` pairs.

        Pictures are named relative to the data root.
        """

        def short(name: str) -> str:
            path = Path(name)
            return str(path.relative_to(root)) if path.is_relative_to(root) else name

        counts = {
            "test": self.test,
            "train": self.train,
            "flat": self.flat,
            "leaked": len(self.leaked),
            "share": self.share,
        }
        first = self.pairs[:most]
        found = [{"test": short(one.test), "train": short(one.train), "distance": one.distance} for one in first]
        return counts | {"pairs": len(self.pairs), "first": found, "alike": len({pair.test for pair in self.alike})}


def find_leaks(
    train: Sequence[Image],
    test: Sequence[Image],
    *,
    embed: Embed | None = None,
    max_distance: int = MAX_DISTANCE,
    min_correlation: float = MIN_CORRELATION,
    min_cosine: float = MIN_COSINE,
) -> Leak:
    """Every pair of a test and a training picture that look the same, each picture read once.

    With `embed` (rows of unit length) also the `alike` pairs, whose features have a cosine of `min_cosine` or more; how
    near that is depends on the model. Raises BadInput for a picture that cannot be read.
    """
    pool, queries = ({name_of(image): image for image in images} for images in (train, test))
    mine, theirs = fingerprints(list(queries.values())), fingerprints(list(pool.values()))
    copies = _by_hash(mine, theirs, max_distance, min_correlation)
    alike: dict[tuple[int, int], float] = {}
    if embed is not None and queries and pool:
        alike = _by_features(embed(list(queries.values())), embed(list(pool.values())), min_cosine)
    other = {(i, j): _compare(mine, theirs, i, j) for i, j in alike if (i, j) not in copies}
    test_names, train_names = list(queries), list(pool)

    def pairs(found: dict[tuple[int, int], tuple[int, float]]) -> list[Pair]:
        return [
            Pair(test=test_names[i], train=train_names[j], distance=bits, correlation=same, cosine=alike.get((i, j)))
            for (i, j), (bits, same) in sorted(found.items(), key=lambda one: (one[1][0], -one[1][1], one[0]))
        ]

    sure = pairs(copies)
    return Leak(
        test=len(queries),
        train=len(pool),
        flat=int(mine.flat.sum()),
        pairs=tuple(sure),
        alike=tuple(pair for pair in [*sure, *pairs(other)] if pair.cosine is not None),
    )


def leak_free(items: Sequence[Item], leak: Leak, *, strict: bool = False) -> list[Item]:
    """The items none of whose pictures leaked, in their order; `strict` also leaves out the alike ones."""
    out = leak.leaked | ({pair.test for pair in leak.alike} if strict else set[str]())
    return [item for item in items if not any(name_of(image) in out for image in item.images)]


def name_of(image: Image) -> str:
    """What a picture is known by here: its path, and its window where it has one."""
    return image.key


def fingerprints(images: Sequence[Image]) -> Fingerprints:
    """Read and hash pictures. Raises BadInput like `read_rgb`."""
    small = np.empty((len(images), _SIDE, _SIDE), dtype=np.float32)
    for row, image in zip(small, images, strict=True):
        grey = PIL.Image.fromarray(read_rgb(image)).convert("L")
        row[:] = np.asarray(grey.resize((_SIDE, _SIDE), PIL.Image.Resampling.LANCZOS))
    centred = small - small.mean(axis=(1, 2), keepdims=True)
    lengths = np.linalg.norm(centred, axis=(1, 2))
    low = np.asarray(dctn(small, axes=(1, 2), norm="ortho"))[:, :_KEPT, :_KEPT]
    odd = (-1.0) ** np.arange(_KEPT)  # a mirrored picture has the odd coefficients negated
    views = [
        (low.swapaxes(1, 2) if view & 4 else low)
        * (odd[:, None] if view & 2 else 1.0)
        * (odd[None, :] if view & 1 else 1.0)
        for view in range(_VIEWS)
    ]
    flattened = np.stack(views, axis=1).reshape(len(images), _VIEWS, _KEPT * _KEPT)
    bits = flattened > np.median(flattened, axis=-1, keepdims=True)
    return Fingerprints(
        hashes=np.packbits(bits, axis=-1).view(np.uint64)[..., 0],
        thumbnails=centred / np.maximum(lengths, 1e-6)[:, None, None],
        flat=lengths / _SIDE < FLAT,
    )


def _turned(thumbnail: NDArray[np.float32], view: int) -> NDArray[np.float32]:
    turned = thumbnail.T if view & 4 else thumbnail
    turned = turned[::-1] if view & 2 else turned
    return turned[:, ::-1] if view & 1 else turned


def _ones(bits: NDArray[np.uint64]) -> NDArray[np.unsignedinteger[Any]]:
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(bits)
    return np.unpackbits(bits[..., None].view(np.uint8), axis=-1).sum(axis=-1, dtype=np.uint8)  # NumPy 1


def _by_hash(
    mine: Fingerprints, theirs: Fingerprints, max_distance: int, min_correlation: float
) -> dict[tuple[int, int], tuple[int, float]]:
    """(test, train) -> bits and correlation, in the best of the views that pass both."""
    against = theirs.hashes[:, 0]
    found: dict[tuple[int, int], tuple[int, float]] = {}
    step = max(1, _CELLS // max(1, len(against)))
    for start in range(0, len(mine.hashes), step):
        for view in range(_VIEWS):
            bits = _ones(mine.hashes[start : start + step, view, None] ^ against)
            for at in np.flatnonzero(bits <= max_distance).tolist():
                row, j = divmod(at, len(against))
                i = start + row
                likeness = float(np.vdot(_turned(mine.thumbnails[i], view), theirs.thumbnails[j]))
                worse, known = found.get((i, j), (max_distance + 1, 0.0))
                if likeness >= min_correlation and (bits[row, j], -likeness) < (worse, -known):
                    found[i, j] = int(bits[row, j]), likeness
    return found


def _compare(mine: Fingerprints, theirs: Fingerprints, i: int, j: int) -> tuple[int, float]:
    """Bits and correlation of one pair in the view of the fewest bits."""
    bits = _ones(mine.hashes[i] ^ theirs.hashes[j, 0])
    view = int(bits.argmin())
    return int(bits[view]), float(np.vdot(_turned(mine.thumbnails[i], view), theirs.thumbnails[j]))


def _by_features(rows: NDArray[Any], columns: NDArray[Any], least: float) -> dict[tuple[int, int], float]:
    found: dict[tuple[int, int], float] = {}
    step = max(1, _CELLS // max(1, len(columns)))
    for start in range(0, len(rows), step):
        near = rows[start : start + step] @ columns.T
        found |= {(start + row, j): float(near[row, j]) for row, j in np.argwhere(near >= least).tolist()}
    return found
