"""Run the model on every tile of a scene and on the whole, batched; replies in tile order, the whole last."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from rsvlm.geo.scene import Scene
from rsvlm.sample import Region, Reply
from rsvlm.serve.aggregate import ViewReply
from rsvlm.serve.grounding import ModelQuestion, ground
from rsvlm.serve.question_type import QuestionType
from rsvlm.serve.tiling import TilePlan, View, read_views
from rsvlm.systems.abilities import Answers, Pixels, features_of
from rsvlm.systems.choices import choice_log_likelihoods, choice_probabilities
from rsvlm.systems.model_limits import familiarity, limits_of

Pair = tuple[View, int]  # a view, and the number of the question that is asked about it
Advance = Callable[[int, int], None]  # views done, views in all


def run_views(
    model: Answers, scene: Scene, planned: TilePlan, asked: Sequence[ModelQuestion], *, max_new_tokens: int, batch: int,
    advance: Advance, rules: bool = True,
) -> list[list[ViewReply]]:  # fmt: skip
    """What the model says about every view: a list for each of `asked`, the view of the whole scene last.

    With `rules` each view is compared with what the model was trained on, where its limits tell that.

    The scene is read once for all questions. The model gets at most `batch` (picture, question) pairs at once, across
    tiles; the questions about one picture follow one another, so that it can be seen once.
    """
    seen: list[list[ViewReply]] = [[] for _ in asked]
    pairs: list[Pair] = []
    is_strange = strangeness(model, rules=rules)

    def flush() -> None:
        for ask, own in _alike(asked, pairs):
            # A class is that of as much ground as a picture of its kind shows.
            part = planned.wanted if ask.kind is QuestionType.SCENE and ask.choices else None
            images = [view.middle(part) if part else view.pixels for view, _ in own]
            words = [asked[index].words for _, index in own]
            if ask.choices:
                rows = choose(model, images, words, ask.choices)
            elif ask.phrase is not None:
                rows = [(*one, ()) for one in ground(model, images, words, max_new_tokens=max_new_tokens)]
            else:
                rows = [(reply, (), ()) for reply in model.answer(images, words, max_new_tokens=max_new_tokens)]
            for (view, index), (reply, found, logs) in zip(own, rows, strict=True):
                seen[index].append(_seen(view, reply, found, logs, strange=is_strange(view)))
        pairs.clear()

    for view in counted_views(scene, planned, advance):
        for index, ask in enumerate(asked):
            if not (ask.tiles or view.whole):
                continue
            pairs.append((view, index))
            if len(pairs) == batch:
                flush()
    if pairs:
        flush()
    return seen


def strangeness(model: Any, *, rules: bool = True) -> Callable[[View], bool]:
    """Whether a view is unlike all that the model was trained on, by its limits; found out once for each."""
    limits, known = limits_of(model), {}
    embed = features_of(model)
    if not rules or limits.exemplars is None or embed is None:
        return lambda _: False

    def is_strange(view: View) -> bool:
        if view.window not in known:
            known[view.window] = familiarity(limits, embed([view.pixels]))[0] < limits.least_similarity
        return bool(known[view.window])

    return is_strange


def _alike(asked: Sequence[ModelQuestion], pairs: Sequence[Pair]) -> list[tuple[ModelQuestion, list[Pair]]]:
    """The pairs that a model can be asked together, with one of their questions: words, boxes, or the same choices."""
    groups: dict[tuple[bool, tuple[str, ...]], list[Pair]] = {}
    for view, index in pairs:
        ask = asked[index]
        groups.setdefault((ask.phrase is not None, ask.choices), []).append((view, index))
    return [(asked[own[0][1]], own) for own in groups.values()]


def choose(
    model: Any, images: Sequence[Pixels], questions: Sequence[str], choices: Sequence[str]
) -> list[tuple[Reply, tuple[Region, ...], tuple[float, ...]]]:
    """The likeliest choice for each (image, question) as a Reply with its share of the likelihood; and all logs."""
    logs = choice_log_likelihoods(model, images, questions, choices)
    found = []
    for row, share in zip(logs, choice_probabilities(logs), strict=True):
        best = int(share.argmax())
        reply = Reply(text=choices[best], confidence=float(share[best]))
        found.append((reply, (), tuple(map(float, row))))
    return found


def _seen(view: View, reply: Reply, found: Sequence[Region], logs: tuple[float, ...], *, strange: bool) -> ViewReply:
    """Regions come in pixels of the picture, which a large window is shrunk to."""
    scale = view.window[2] / view.pixels.shape[1], view.window[3] / view.pixels.shape[0]
    placed = tuple(_scaled(region, scale) for region in found)
    return ViewReply(window=view.window, valid=view.valid, reply=reply, found=placed, logs=logs, strange=strange)


def _scaled(region: Region, scale: tuple[float, float]) -> Region:
    x, y = scale
    x1, y1, x2, y2 = region.box
    ring = tuple((x * px, y * py) for px, py in region.polygon)
    return replace(region, box=(x * x1, y * y1, x * x2, y * y2), polygon=ring)


def counted_views(scene: Scene, planned: TilePlan, advance: Advance) -> Iterator[View]:
    """The views of a scene that have data, the whole last; `advance` is called for each, and for those without."""
    for number, view in enumerate(read_views(scene, planned), start=1):
        if view is not None:
            yield view
        advance(number, planned.total)
