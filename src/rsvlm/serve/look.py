"""The model shown the views of a scene: pictures and questions in batches, replies in order."""

from collections.abc import Callable, Iterator, Sequence

from rsvlm.geo.raster import Scene
from rsvlm.sample import Reply
from rsvlm.serve.combine import Seen
from rsvlm.serve.views import Plan, View, views
from rsvlm.systems.base import Answers

Advance = Callable[[int, int], None]  # views done, views in all


def look(
    model: Answers, scene: Scene, planned: Plan, questions: Sequence[str], *, max_new_tokens: int, batch: int,
    advance: Advance,
) -> list[list[Seen]]:  # fmt: skip
    """What the model says about every view: a list for each question, the view of the whole scene last.

    The scene is read once for all questions. The model gets at most `batch` (picture, question) pairs at once, across
    tiles; the questions about one picture follow one another, so that it can be seen once.
    """
    seen: list[list[Seen]] = [[] for _ in questions]
    pairs: list[tuple[View, int]] = []

    def flush() -> None:
        images, asked = [view.pixels for view, _ in pairs], [questions[index] for _, index in pairs]
        replies: list[Reply] = model.answer(images, asked, max_new_tokens=max_new_tokens)
        for (view, index), reply in zip(pairs, replies, strict=True):
            seen[index].append(Seen(window=view.window, valid=view.valid, reply=reply))
        pairs.clear()

    for view in _counted(scene, planned, advance):
        for index in range(len(questions)):
            pairs.append((view, index))
            if len(pairs) == batch:
                flush()
    if pairs:
        flush()
    return seen


def _counted(scene: Scene, planned: Plan, advance: Advance) -> Iterator[View]:
    for number, view in enumerate(views(scene, planned), start=1):
        if view is not None:
            yield view
        advance(number, planned.total)
