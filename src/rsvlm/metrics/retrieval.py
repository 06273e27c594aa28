"""Recall at K of text-image retrieval, both directions, in the two protocols of the field.

`grouped_captions` (AMFMN, GeoRSCLIP): each caption is a candidate of its own and right for its image only, so that the
same sentence of another image counts as wrong. `merged_texts` (SkyScript): identical texts are one candidate, right for
all their images. The second is easier; its scores are called `merged_...`, so that no table mixes the two.

Ties matter: under `grouped_captions` equal sentences have equal similarities. The default never gives a tie away
(`pessimistic`: what is wrong and as near stands in front), does not depend on the order of files, and gives a model
that cannot tell its candidates apart nothing. `optimistic` is the other bound. `amfmn_stable_reversed` is the released
`argsort(...)[::-1]` with a stable sort: among equals the later one stands in front.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.metrics.score import Score, mean_score, ratio

Protocol = Literal["grouped_captions", "merged_texts"]
Ties = Literal["pessimistic", "optimistic", "amfmn_stable_reversed"]
Ints = NDArray[np.int64]
Similarity = NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]

KS = (1, 5, 10)  # mean recall is the mean over these and both directions
_MERGED_KS = (*KS, 100)  # SkyScript prints R@100 too and leaves it out of its means
_DECIMALS = 6  # products of float32 features differ in the last bits for equal texts: rounded, a tie is a tie
_CELLS = 2**22  # similarities in memory at once


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """0-based rank of the best right candidate: `i2t` (images,) among texts, `t2i` (texts,) among images."""

    i2t: Ints
    t2i: Ints


def retrieval_ranks(
    predictions: Similarity,
    image_of: Sequence[int] | Ints,
    captions: Sequence[str] | None = None,
    *,
    protocol: Protocol = "grouped_captions",
    ties: Ties = "pessimistic",
) -> Ranks:
    """Exact ranks, counted block by block: 10,000 images and 50,000 texts need no matrix of that size.

    `predictions` is the similarity (images, captions), larger is nearer, or the pair of features (images, D) and
    (captions, D), whose inner products are rounded to 6 decimals. `image_of` (captions,) is the index of each caption's
    image. `merged_texts` needs the `captions` themselves; of identical ones the first column counts. A NaN similarity
    is the farthest; what has only NaN among its right candidates ranks last. Raises BadInput where sizes do not fit or
    an image has no caption.
    """
    images, columns = _sizes(predictions)
    owner = np.asarray(image_of, dtype=np.int64)
    if len(owner) != columns or set(owner.tolist()) != set(range(images)):
        raise BadInput(
            f"Similarities of {images} images and {columns} captions came with the images of {len(owner)} captions, "
            f"numbered {owner.min(initial=0)} to {owner.max(initial=-1)}; give one number per caption, and each "
            "image at least one caption."
        )
    pairs = np.stack([owner, np.arange(columns)])
    if protocol == "merged_texts":
        if captions is None or len(captions) != columns:
            raise BadInput(
                f"merged_texts needs the {columns} captions themselves to see which are the same; pass them."
            )
        _, first, text_of = np.unique(np.asarray(captions), return_index=True, return_inverse=True)
        pairs = np.unique(np.stack([owner, text_of]), axis=1)
        predictions = _take_columns(predictions, first)
    forth, back = _blocks(predictions)
    texts = int(pairs[1].max(initial=-1)) + 1
    return Ranks(
        _count_ahead(forth, (images, texts), pairs, ties), _count_ahead(back, (texts, images), pairs[::-1], ties)
    )


def retrieval_scores(
    predictions: Similarity,
    image_of: Sequence[int] | Ints,
    captions: Sequence[str] | None = None,
    *,
    protocol: Protocol = "grouped_captions",
    ties: Ties = "pessimistic",
) -> dict[str, Score]:
    """`i2t_recall@K` and `t2i_recall@K` (K = 1, 5, 10), their means `i2t_`/`t2i_mean_recall`, and `mean_recall`.

    Arguments as in `retrieval_ranks`. Fractions; `mean_recall` is the mean of the six. Under `merged_texts` each name
    begins with `merged_` and K = 100 is there too. The rows of all scores are the images, then the texts (captions, or
    distinct texts in alphabetical order), with zeros where a score does not count them. To draw captions together with
    their image in a bootstrap: groups = [*range(images), *image_of].
    """
    ranks = retrieval_ranks(predictions, image_of, captions, protocol=protocol, ties=ties)
    merged = protocol == "merged_texts"
    front, ks = ("merged_", _MERGED_KS) if merged else ("", KS)
    rank = np.concatenate([ranks.i2t, ranks.t2i])
    is_image = np.arange(len(rank)) < len(ranks.i2t)
    candidates = np.where(is_image, len(ranks.t2i), len(ranks.i2t))  # a rank of all of them: never found
    hits = np.stack([rank < np.minimum(k, candidates) for k in ks], axis=1).astype(np.float64)
    mean_hit = hits[:, : len(KS)].mean(axis=1)
    scores: dict[str, Score] = {}
    for direction, among in (("i2t", is_image), ("t2i", ~is_image)):
        for k, hit in zip(ks, hits.T, strict=True):
            name = f"{front}{direction}_recall@{k}"
            scores[name] = mean_score(name, hit, among)
        name = f"{front}{direction}_mean_recall"
        scores[name] = mean_score(name, mean_hit, among)
    sides = [scores[f"{front}{direction}_mean_recall"] for direction in ("i2t", "t2i")]
    name = f"{front}mean_recall"
    scores[name] = Score(
        name=name,
        value=float(np.mean([side.value for side in sides])),
        per_item=mean_hit,
        n=len(rank),
        sums=np.concatenate([side.sums for side in sides], axis=1),
        finish=lambda sums: (ratio(sums[..., :2]) + ratio(sums[..., 2:])) / 2,
    )
    return scores


def median_rank(ranks: Ints) -> float:
    """AMFMN's medr: the median of the 0-based ranks, rounded down, plus 1."""
    return float(np.floor(np.median(ranks)) + 1)


def mean_rank(ranks: Ints) -> float:
    """AMFMN's meanr: the mean of the 0-based ranks plus 1."""
    return float(np.mean(ranks) + 1)


def _sizes(predictions: Similarity) -> tuple[int, int]:
    parts = predictions if isinstance(predictions, tuple) else (predictions,)
    if any(part.ndim != 2 for part in parts) or len({part.shape[1] for part in parts}) != 1:
        shapes = " and ".join(str(part.shape) for part in parts)
        raise BadInput(
            f"Retrieval got {shapes}; give similarities (images, texts), or features (images, D), (texts, D)."
        )
    return (len(parts[0]), len(parts[1])) if len(parts) == 2 else (parts[0].shape[0], parts[0].shape[1])


def _take_columns(predictions: Similarity, first: Ints) -> Similarity:
    return (predictions[0], predictions[1][first]) if isinstance(predictions, tuple) else predictions[:, first]


Rows = Callable[[slice], NDArray[Any]]


def _blocks(predictions: Similarity) -> tuple[Rows, Rows]:
    """Similarities of some images to all texts, and of some texts to all images."""
    if isinstance(predictions, tuple):
        images, texts = predictions
        return (
            lambda rows: _rounded(images[rows] @ texts.T),
            lambda rows: _rounded(texts[rows] @ images.T),
        )
    return lambda rows: predictions[rows], lambda rows: np.ascontiguousarray(predictions.T[rows])


def _rounded(near: NDArray[Any]) -> NDArray[Any]:
    """In place: whole millionths, which stand in the order of the similarities rounded to 6 decimals."""
    near *= 10**_DECIMALS
    return np.rint(near, out=near)


def _count_ahead(rows: Rows, shape: tuple[int, int], pairs: Ints, ties: Ties) -> Ints:
    """For each query how many candidates stand before its best right one. `pairs` (2, P): query, right candidate.

    All of them where it has none that is a number.
    """
    queries, candidates = shape
    query, right = pairs[:, np.argsort(pairs[0], kind="stable")]
    found = np.empty(queries, dtype=np.int64)
    step = max(1, _CELLS // max(1, candidates))
    for start in range(0, queries, step):
        block = slice(start, min(start + step, queries))
        near = rows(block)
        if near.size and np.isnan(near.max()):
            near = np.where(np.isnan(near), -np.inf, near)
        some = slice(*np.searchsorted(query, (block.start, block.stop)))
        row, column = query[some] - start, right[some]
        own = near[row, column]
        best = np.full(len(near), -np.inf, near.dtype if near.dtype.kind == "f" else np.float64)
        np.maximum.at(best, row, own)
        if ties == "pessimistic":  # all as near as the best right one, less those that are right
            ahead = _true_in_rows(near >= best[:, None])
            np.subtract.at(ahead, row, own == best[row])
        else:
            ahead = _true_in_rows(near > best[:, None])
        if ties == "amfmn_stable_reversed":
            latest = np.full(len(near), -1)
            level = own == best[row]
            np.maximum.at(latest, row[level], column[level])
            ahead += _true_in_rows((near == best[:, None]) & (np.arange(candidates) > latest[:, None]))
        found[block] = np.where(np.isneginf(best), candidates, ahead)
    return found


def _true_in_rows(mask: NDArray[np.bool_]) -> Ints:
    """How many of each row are true: row by row NumPy counts in a third of the time that it takes along an axis."""
    return np.fromiter((np.count_nonzero(row) for row in mask), np.int64, len(mask))
