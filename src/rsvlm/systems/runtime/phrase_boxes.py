"""Detection by phrase from the peaks of a heat map: phrases that need geometry, and doubles. No PyTorch."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from rsvlm.data.referring_parser import parse_phrase
from rsvlm.data.resize import CropWindow
from rsvlm.sample import Region
from rsvlm.systems.abilities import Pixels

MAX_BOXES = 100  # of one phrase
SCORE_THRESHOLD = 0.3  # of a box, where a phrase may mean several
NMS_IOU = 0.5  # from which two boxes are taken for one object

Find = Callable[[Sequence[Pixels], Sequence[str]], list[tuple[Region, ...]]]


def detect(images: Sequence[Pixels], phrases: Sequence[str], find: Find) -> list[tuple[Region, ...]]:
    """Regions per (image, phrase): boxes in pixels of the image as given, each with its score, best first.

    A phrase that says which of several is meant ("the largest boat", `rsvlm.data.referring_parser`) is answered in two
    steps: `find` gives all of the kind, and geometry chooses among them. Any other that begins with "the", or finds
    none so, gets the best box; the rest ("boats", "all cars") every box with a score of `SCORE_THRESHOLD` or more,
    perhaps none.
    """
    if len(images) != len(phrases):
        raise ValueError(f"{len(images)} images and {len(phrases)} phrases")
    if not images:
        return []
    read = [parse_phrase(phrase) for phrase in phrases]
    found = find(images, [one.plural_phrase if one.select else one.words for one in read])
    for at, (one, image) in enumerate(zip(read, images, strict=True)):
        if one.select:
            chosen = one.select(found[at], (image.shape[1], image.shape[0]))
            found[at] = (replace(chosen, label=phrases[at]),) if chosen else ()
    if lost := [at for at, one in enumerate(read) if one.select and not found[at]]:
        again = find([images[at] for at in lost], [phrases[at] for at in lost])
        found = [again[lost.index(at)] if at in lost else regions for at, regions in enumerate(found)]
    return found


def kept_boxes(
    phrase: str, shown: CropWindow, scores: Sequence[float], boxes: Sequence[Sequence[float]]
) -> tuple[Region, ...]:
    """The peaks of one heat map that answer `phrase`, best first, without doubles.

    Boxes are (x1, y1, x2, y2) in fractions of the part of the picture that was `shown`; scores fall.
    """
    left, top, width, height = shown
    one = phrase.strip().lower().startswith("the ")
    kept: list[Region] = []
    for score, (x1, y1, x2, y2) in zip(scores, boxes, strict=True):
        box = left + x1 * width, top + y1 * height, left + x2 * width, top + y2 * height
        region = Region(label=phrase, box=box, score=score)
        if one:
            return (region,)
        if score < SCORE_THRESHOLD:
            break
        if all(_iou(region.box, other.box) < NMS_IOU for other in kept):
            kept.append(region)
    return tuple(kept)


def _iou(one: Sequence[float], other: Sequence[float]) -> float:
    sides = [max(0.0, min(one[k + 2], other[k + 2]) - max(one[k], other[k])) for k in (0, 1)]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    shared = sides[0] * sides[1]
    return shared / max(sum(areas) - shared, 1e-9)
