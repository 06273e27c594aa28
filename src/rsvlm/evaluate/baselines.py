"""Baselines: a constant answer, the answer of the nearest training picture, and the model without the picture (blind).

Constants look at the training split only. The nearest picture is found by the model's own vision features: a model
that only remembers its training set scores no more than this. The blind baseline is computed in `run`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rsvlm.data.images import picture_size, read_rgb
from rsvlm.evaluate.items import Item
from rsvlm.evaluate.protocol import Protocol, Row
from rsvlm.evaluate.solvers import write_map, write_vector
from rsvlm.geo.thresholds import histogram, otsu
from rsvlm.metrics.accuracy import exact
from rsvlm.sample import Image

Embed = Callable[[Sequence[Image]], NDArray[np.float32]]  # (N,) pictures -> (N, D) rows of unit length

CHANCE_WIDTH = 64  # length of the random vectors


def constants(protocol: Protocol, train: Sequence[Item], items: Sequence[Item]) -> dict[str, list[Row]]:
    """The rows of the constant baselines that fit the protocol's ability, by name."""
    match protocol.ability:
        case "answers" | "chooses" | "compares" | "compares_with_maps":
            return {"most_frequent": [{"answer": text} for text in most_frequent(train, items)]} if train else {}
        case "grounds":
            found = {"centre_box": _boxes(items, np.array([0.25, 0.25, 0.75, 0.75]))}
            typical = typical_box(train)
            return found if typical is None else found | {"typical_box": _boxes(items, typical)}
        case "segments":
            return {"whole_picture": _masks(items, 0.0), "centre_box": _masks(items, 0.25)}
        case "segments_change":
            return {"no_change": _masks(items, 1.0), "differences": _differences(items)}
        case "matches" | "embeds":
            rng = np.random.default_rng(0)
            chance: list[Row] = [{"vector": write_vector(rng.standard_normal(CHANCE_WIDTH))} for _ in items]
            return _most_frequent_class(train, items) | {"chance": chance}
        case "localises":
            sizes = [picture_size(item.image) for item in items]
            return {"uniform_map": [{"map": write_map(np.full(size[::-1], 128, np.uint8))} for size in sizes]}
        case _:
            raise ValueError(f"no constant baseline is known for {protocol.ability!r}")


def colour_histograms(items: Sequence[Item]) -> list[Row]:
    """Rows of vectors that know a picture's colours alone: the share of each of 4 x 4 x 4, as square roots."""
    rows: list[Row] = []
    for item in items:
        pixels = read_rgb(item.image)[::2, ::2].reshape(-1, 3).astype(np.int64) // 64
        counts = np.bincount(pixels @ (16, 4, 1), minlength=64)
        rows.append({"vector": write_vector(np.sqrt(counts / counts.sum()))})
    return rows


def most_frequent(train: Sequence[Item], items: Sequence[Item]) -> list[str]:
    """For each item the most frequent training answer of its type (of all types where it is new); ties by alphabet."""
    by_kind: defaultdict[str, Counter[str]] = defaultdict(Counter)
    overall: Counter[str] = Counter()
    for item in train:
        answers = [exact(reference) for reference in item.references]
        by_kind[item.kind].update(answers)
        overall.update(answers)

    def top(counts: Counter[str]) -> str:
        return min(counts, key=lambda answer: (-counts[answer], answer), default="")

    best = {kind: top(counts) for kind, counts in by_kind.items()}
    fallback = top(overall)
    return [best.get(item.kind, fallback) for item in items]


def _most_frequent_class(train: Sequence[Item], items: Sequence[Item]) -> dict[str, list[Row]]:
    """Vectors by which every picture is nearest to the prompts of the most frequent training class, and so on.

    Nothing without training pictures, or where the texts are no classes.
    """
    classes = sorted({item.meta["class"] for item in items if not item.images and "class" in item.meta})
    counts = Counter(item.references[0] for item in train if item.images and item.references)
    if not classes or not counts:
        return {}
    order = sorted(classes, key=lambda name: (counts[name], name))  # rarest first
    nearness, own = np.arange(1.0, len(order) + 1), dict(zip(order, np.eye(len(order)), strict=True))
    return {
        "most_frequent": [
            {"vector": write_vector(nearness if item.images else own[item.meta["class"]])} for item in items
        ]
    }


def typical_box(train: Sequence[Item]) -> NDArray[np.float64] | None:
    """The most frequent training box: the median of each side, as fractions of the picture. (4,), None without any."""
    found = [np.asarray(region.box) / np.tile(picture_size(item.image), 2) for item in train for region in item.regions]
    return np.median(found, axis=0) if found else None


def _boxes(items: Sequence[Item], fractions: NDArray[np.float64]) -> list[Row]:
    return [{"boxes": [(fractions * np.tile(picture_size(item.image), 2)).tolist()]} for item in items]


def _masks(items: Sequence[Item], margin: float) -> list[Row]:
    from rsvlm.data.masks import encode_rle

    rows: list[Row] = []
    for item in items:
        width, height = picture_size(item.images[-1])
        mask = np.zeros((height, width), bool)
        top, left = int(margin * height), int(margin * width)
        mask[top : height - top, left : width - left] = True
        rows.append({"mask": encode_rle(mask)})
    return rows


def _differences(items: Sequence[Item]) -> list[Row]:
    """Where two dates differ by more than Otsu's threshold: the length of the difference of RGB, each date evened out.

    A date is evened out channel by channel to mean 0 and deviation 1, so that another light is no change.
    """
    from rsvlm.data.masks import encode_rle

    rows: list[Row] = []
    for item in items:
        before, after = (read_rgb(image).astype(np.float32) for image in item.images)
        if before.shape != after.shape:
            rows.append({"mask": None})
            continue
        even = [(date - date.mean((0, 1))) / np.maximum(date.std((0, 1)), 1e-6) for date in (before, after)]
        length = np.linalg.norm(even[1] - even[0], axis=2)
        spread = 2 * length / max(float(length.max()), 1e-6) - 1
        rows.append({"mask": encode_rle(spread > otsu(histogram(spread), (-1.0, 1.0))[0])})
    return rows


def nearest_image(train: Sequence[Item], items: Sequence[Item], embed: Embed, *, depth: int = 50) -> list[str]:
    """For each item the first reference of the nearest training picture that was asked the same question.

    Nearness is the cosine of `embed`'s rows. Among the `depth` nearest pictures none may have been asked the question:
    then the nearest that was asked one of the same type answers, else the most frequent answer. A picture is never its
    own neighbour, so the training split itself can be scored.
    """
    asked: defaultdict[str, dict[str, str]] = defaultdict(dict)
    of_kind: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for item in train:
        asked[item.image.key].setdefault(exact(item.question), item.references[0])
        of_kind[item.image.key].setdefault(item.kind, item.references[0])
    pool = list({item.image.key: item.image for item in train}.values())
    queries = list({item.image.key: item.image for item in items}.values())
    likeness = embed(queries) @ embed(pool).T
    closest = np.argsort(-likeness, axis=1, kind="stable")[:, : depth + 1]
    ranked = {
        query.key: [pool[at].key for at in row if pool[at].key != query.key]
        for query, row in zip(queries, closest, strict=True)
    }
    fallback = most_frequent(train, items)

    def answer(item: Item, otherwise: str) -> str:
        near = ranked[item.image.key]
        same = (asked[key][exact(item.question)] for key in near if exact(item.question) in asked[key])
        alike = (of_kind[key][item.kind] for key in near if item.kind in of_kind[key])
        return next(same, None) or next(alike, otherwise)

    return [answer(item, otherwise) for item, otherwise in zip(items, fallback, strict=True)]
