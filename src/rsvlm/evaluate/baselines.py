"""What a model must beat: the most frequent answer of each question type, and the answer of the most similar picture.

Both look at the training split only. The second uses the model's own vision features, so that what is left above it is
what the model says beyond remembering.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rsvlm.evaluate.metrics.accuracy import exact
from rsvlm.evaluate.tasks import Item
from rsvlm.sample import Image

Embed = Callable[[Sequence[Image]], NDArray[np.float32]]  # (N,) pictures -> (N, D) rows of unit length


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


def nearest_image(train: Sequence[Item], items: Sequence[Item], embed: Embed, *, depth: int = 50) -> list[str]:
    """For each item the first reference of the nearest training picture that was asked the same question.

    Nearness is the cosine of `embed`'s rows. Among the `depth` nearest pictures none may have been asked the question:
    then the nearest that was asked one of the same type answers, else the most frequent answer. A picture is never its
    own neighbour, so the training split itself can be scored.
    """
    asked: defaultdict[str, dict[str, str]] = defaultdict(dict)
    of_kind: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for item in train:
        asked[item.image.path].setdefault(exact(item.question), item.references[0])
        of_kind[item.image.path].setdefault(item.kind, item.references[0])
    pool = list({item.image.path: item.image for item in train}.values())
    queries = list({item.image.path: item.image for item in items}.values())
    likeness = embed(queries) @ embed(pool).T
    closest = np.argsort(-likeness, axis=1, kind="stable")[:, : depth + 1]
    ranked = {
        query.path: [pool[at].path for at in row if pool[at].path != query.path]
        for query, row in zip(queries, closest, strict=True)
    }
    fallback = most_frequent(train, items)

    def answer(item: Item, otherwise: str) -> str:
        paths = ranked[item.image.path]
        same = (asked[path][exact(item.question)] for path in paths if exact(item.question) in asked[path])
        alike = (of_kind[path][item.kind] for path in paths if item.kind in of_kind[path])
        return next(same, None) or next(alike, otherwise)

    return [answer(item, otherwise) for item, otherwise in zip(items, fallback, strict=True)]
