"""Classes of scene and land cover by likelihood: one of a vocabulary for each tile, or unsure; yes or no likewise."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rsvlm.serve.aggregate import Evidence, SceneAnswer, ViewReply
from rsvlm.serve.scene_classes import SYNONYMS
from rsvlm.systems.choices import choice_probabilities

UNSURE = "unsure"
LEAST_MASS = 0.5  # of a model's replies that are a class it was taught: with less, it would rather say something else
LEAST_STRANGE = 0.6  # what a model says of a picture unlike its training is no surer than this
YES_NO = ("yes", "no")
_NAMED = 3  # choices that an unsure answer leans to


class Seen(Protocol):
    """A view that a model saw."""

    @property
    def strange(self) -> bool:
        """Whether it is unlike all that the model was trained on."""
        ...


def class_answer(
    views: Sequence[ViewReply], classes: Sequence[str], *, temperature: float = 1.0, least: float = 0.5,
    taught: bool = True,
) -> SceneAnswer:  # fmt: skip
    """The class of a scene from the choices of its tiles, or of its only view; a tile is unsure under `least`.

    `taught`: the model was trained to name these classes. It then is unsure, too, of a picture where it gives them
    less than `LEAST_MASS` of the probability of all that it could reply. It is unsure of a strange picture in any case.
    Shares are of the valid area.
    """
    logs, classes = _merged(np.array([view.logs for view in views]), classes)
    share, mass = choice_probabilities(logs, temperature), np.exp(np.minimum(logs, 0)).sum(1)
    best = share.argmax(1)
    sure = (share.max(1) >= least) & (mass >= LEAST_MASS if taught else np.ones(len(views), bool))
    sure &= ~np.array([view.strange for view in views]) & (not mostly_strange(views))
    names = [str(classes[int(at)]) if one else UNSURE for at, one in zip(best, sure, strict=True)]
    score = [float(one if known else 1 - one) for one, known in zip(share.max(1), sure, strict=True)]
    area = {
        name: sum(v.pixels for v, n in zip(views, names, strict=True) if n == name) for name in dict.fromkeys(names)
    }
    total = sum(area.values())
    order = sorted(area, key=lambda name: (name == UNSURE, -area[name], name))
    evidence = tuple(
        _of_class(name, [(v, s) for v, s, n in zip(views, score, names, strict=True) if n == name], area[name] / total)
        for name in order if name != UNSURE
    )  # fmt: skip
    rule = f"likeliest of {len(classes)} classes in {len(views)} view{'s' if len(views) > 1 else ''}"
    if UNSURE in area:
        rule += f"; unsure of {sum(name == UNSURE for name in names)}, where no class has {least:.2f}"
        rule += f" or all together have less than {LEAST_MASS:.2f}" if taught else ""
        rule += strange_note(views)
    mean = np.average(share, axis=0, weights=[view.pixels for view in views])
    if order[0] == UNSURE:
        return SceneAnswer(
            answer=f"Unsure; it leans to {_leaning(mean, classes)}.", confidence=float(min(mean.max(), mass.mean())),
            evidence=(), rule=rule, about="mean probability of the likeliest class, or of all where less",
        )  # fmt: skip
    first = evidence[0]
    mostly = area.get(UNSURE, 0.0) > total / 2
    return SceneAnswer(
        answer="Mostly unsure" if mostly else first.label[:1].upper() + first.label[1:],
        confidence=first.score * area[order[0]] / total,
        evidence=evidence, rule=rule, about="share of the class times its mean probability, by valid area",
        shares=tuple((name, area[name] / total) for name in order) if len(views) > 1 else (),
    )  # fmt: skip


def class_shares(found: SceneAnswer) -> dict[str, float]:
    """The share of each class in the valid area, of `UNSURE` too, of an answer of `class_answer`."""
    return dict(found.shares) or {one.label: 1.0 for one in found.evidence} or {UNSURE: 1.0}


def _merged(logs: NDArray[np.float64], classes: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Log-likelihoods (N, C) with the words for one class as one."""
    names = [SYNONYMS.get(name, name) if SYNONYMS.get(name, name) in classes else name for name in classes]
    kept = list(dict.fromkeys(names))
    own = np.array([[name == one for name in names] for one in kept])
    return np.stack([np.logaddexp.reduce(logs[:, row], axis=1) for row in own], axis=1), kept


def _of_class(name: str, views: Sequence[tuple[ViewReply, float]], share: float) -> Evidence:
    pixels = sum(view.pixels for view, _ in views)
    window_pixels = sum(view.window[2] * view.window[3] for view, _ in views)
    return Evidence(
        label=name, score=sum(view.pixels * score for view, score in views) / pixels,
        windows=tuple(view.window for view, _ in views),
        properties={"share": share, "tiles": len(views), "valid": pixels / window_pixels},
    )  # fmt: skip


def _leaning(mean: np.ndarray, classes: Sequence[str]) -> str:
    order = np.argsort(-mean)[:_NAMED]
    return ", ".join(f"{classes[at]} ({mean[at]:.2f})" for at in order if mean[at] >= 0.05)


def yes_probabilities(views: Sequence[ViewReply], temperature: float = 1.0) -> list[float]:
    """The probability of yes in each view, of those that chose from `YES_NO`."""
    return choice_probabilities(np.array([view.logs for view in views]), temperature)[:, 0].tolist()


def presence_answer(
    thing: str, tiles: Sequence[ViewReply], whole: ViewReply, *, temperature: float = 1.0, least: float = 0.5
) -> SceneAnswer:
    """Whether a thing is in a scene: yes where a view is sure of it, no where all are sure that it is not, else unsure.

    A part is in the whole, so that one tile is enough for a yes; what is larger than a tile the whole shows.
    """
    views = [*tiles, whole]
    yes = yes_probabilities(views, temperature)
    doubted = [view.strange or mostly_strange(views) for view in views]
    yes = [min(max(p, 1 - LEAST_STRANGE), LEAST_STRANGE) if no else p for p, no in zip(yes, doubted, strict=True)]
    best = max(yes)
    where = tuple(
        Evidence(label=thing, score=p, windows=(view.window,), properties={"reply": view.reply.text})
        for p, view, no in zip(yes, views, doubted, strict=True) if p >= least and not no
    )  # fmt: skip
    if tiles and len(where) > 1:
        where = tuple(one for one in where if one.windows[0] != whole.window) or where
    rule = f"yes where a view gives it {least:.2f} or more: {len(where)} of {len(views)} do{strange_note(views)}"
    if where:
        return SceneAnswer(answer="Yes", confidence=best, evidence=where, rule=rule, about="the surest yes of a view")
    if best <= 1 - least and not mostly_strange(views):
        return SceneAnswer(
            answer="No", confidence=1 - best, evidence=(), rule=rule, about="1 - the surest yes of a view"
        )
    lean = "yes" if best >= 0.5 else "no"
    return SceneAnswer(
        answer=f"Unsure; it leans to {lean} ({max(best, 1 - best):.2f}).", confidence=max(best, 1 - best), evidence=(),
        rule=f"{rule}; no where all views give it {1 - least:.2f} or less", about="of what it leans to",
    )  # fmt: skip


def mostly_strange(views: Sequence[Seen]) -> bool:
    """Whether more than half of the pictures are unlike those of training: the others are then not believed, either."""
    return 2 * sum(view.strange for view in views) > len(views)


def strange_note(views: Sequence[Seen]) -> str:
    """ "; 3 of 12 pictures are unlike those that the model was trained on", or ""."""
    strange = sum(view.strange for view in views)
    return f"; {strange} of {len(views)} pictures are unlike those that the model was trained on" if strange else ""


def unsure(result: SceneAnswer, kind: str, unsure_below: Mapping[str, float]) -> SceneAnswer:
    """The answer, or that it is unsure where its confidence is known and below that of its kind."""
    least = unsure_below.get(kind, 0.0)
    if not 0 < result.confidence < least or result.answer.startswith("Unsure"):
        return result
    lean = result.answer.rstrip(".")
    return replace(
        result, answer=f'Unsure; it leans to "{lean}" ({result.confidence:.2f}).',
        rule=f"{result.rule}; unsure under a confidence of {least:.2f}",
    )  # fmt: skip
