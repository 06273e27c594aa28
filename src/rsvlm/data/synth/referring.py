"""Referring expressions from boxes: phrases true of exactly one box, or of all boxes of a class. Ours.

"the boat" (the only one), "the largest boat", "the car at the top left", "the second person from the left", "all cars".
A phrase is made only where nobody could take another box for it: sizes differ by a half, places keep a margin from the
borders of the thirds, ranks keep a gap. Whatever the authors could not tell (`meta["ignore"]`) counts as a rival of
every kind. Nothing is drawn by chance: a sample has the same phrases in every run.

A recipe names it as "<set>/referring" for any set with regions: {set: ships/referring}.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rsvlm.data import box_codecs as boxes
from rsvlm.data.dihedral import dihedral_box, dihedral_size
from rsvlm.data.images import picture_size
from rsvlm.data.resize import CropWindowOf, full_window
from rsvlm.data.synth.claims import decidable_labels
from rsvlm.sample import Box, Region, Sample, Turn

MIN_AREA_RATIO = 1.5  # times the area of the next largest (or smallest) box
POSITION_MARGIN = 0.04  # of the picture's side: how far a centre stays away from the border of a third
MIN_RANK_GAP = 0.05  # of the picture's side: between the centres of neighbours in a row that is counted
MAX_RANKED = 6  # longer rows are not counted out
MAX_ALL_BOXES = 6  # "all cars" of more are not written down
_ORDINALS = ("", "second ", "third ")
_THIRD = 1 / 3


@dataclass(frozen=True, slots=True)
class ReferringPhrase:
    """A referring expression: `targets` are indices of the sample's regions, one or (kind "all") any number.

    `kind` is unique, size, position, order or all.
    """

    words: str
    kind: str
    targets: tuple[int, ...]


def pluralize(label: str) -> str:
    """The plural of a class name: "people", "boats"."""
    return {"person": "people"}.get(label, f"{label}s")


def referring_phrases(sample: Sample, labels: Sequence[str] = ()) -> list[ReferringPhrase]:
    """Every phrase of a sample with regions, in a fixed order: by label, then unique, size, position, order, all.

    `labels` are kinds that the sample is known to have or not to have (`rsvlm.data.synth.claims.known`); those without
    a region here give an "all" phrase without targets, unless the authors left something out. The pixels' size is taken
    from the picture where the sample does not say it.
    """
    size = picture_size(sample.images[0])
    unknown = [_normalized_box(box, size) for box in sample.meta.get("ignore", ())]
    found: list[ReferringPhrase] = []
    for label in sorted({*labels, *(region.label for region in sample.regions)}):
        own = {i: _normalized_box(region.box, size) for i, region in enumerate(sample.regions) if region.label == label}
        found += _single_box_phrases(label, own, unknown)
        if len(own) <= MAX_ALL_BOXES and not unknown:
            order = sorted(own, key=lambda i, own=own: own[i])
            found.append(ReferringPhrase(f"all {pluralize(label)}", "all", tuple(order)))
    return found


def referring_samples(samples: Sequence[Sample], *, max_per_image: int = 8) -> list[Sample]:
    """One Sample a phrase, as referring sets publish them: its one region, and a turn "ground" that asks the phrase.

    For measuring, so without "all" (which detection measures); at most `max_per_image` phrases of a picture, spread
    evenly over `referring_phrases`.
    """
    made: list[Sample] = []
    for sample in samples:
        single = [phrase for phrase in referring_phrases(sample) if phrase.kind != "all"]
        for phrase in _evenly_spaced(single, max_per_image):
            turn = Turn(question=phrase.words, answer="", task="ground", kind=phrase.kind)
            region = replace(sample.regions[phrase.targets[0]], image=0)
            name = f"{sample.id}#{phrase.words.removeprefix('the ').replace(' ', '-')}"
            made.append(replace(sample, id=name, turns=(turn,), regions=(region,)))
    return made


def training_samples(
    samples: Sequence[Sample], *, dialect: str, views: int = 1, window_of: CropWindowOf = full_window
) -> list[Sample]:
    """Training Samples: of each picture one in each of `views` turned views, with a "ground" turn a phrase.

    The phrases are made anew in each view, because what is on the left is elsewhere in the mirror; `meta["view"]` says
    which it is (`rsvlm.data.dihedral`), and the loader shows that view, whole. The answers are boxes in `dialect`;
    "none" where there is nothing. Regions are in pixels of the turned picture. Pictures without a phrase are left out.
    `window_of` gives the window that box coordinates are fractions of (`rsvlm.data.resize.box_window`).
    """
    labels = sorted({region.label for sample in samples for region in sample.regions})
    made: list[Sample] = []
    for sample in samples:
        for view in range(views):
            shown = dihedral_sample(sample, view)
            turns = tuple(
                _turn(shown, phrase, dialect, window_of)
                for phrase in referring_phrases(shown, decidable_labels(shown, labels))
            )
            if turns:
                made.append(replace(shown, turns=turns))
    return made


def dihedral_sample(sample: Sample, view: int) -> Sample:
    """The sample in dihedral view 0..7: regions, `ignore` and the picture's size transformed, polygons left out.

    The file is the same; `meta["view"]` says how its pixels must be transformed.
    """
    size = picture_size(sample.images[0])
    width, height = dihedral_size(size, view)
    regions = tuple(Region(label=r.label, box=dihedral_box(r.box, size, view)) for r in sample.regions)
    meta = {**sample.meta, "view": view}
    if "ignore" in meta:
        meta["ignore"] = [list(dihedral_box(box, size, view)) for box in sample.meta["ignore"]]
    image = replace(sample.images[0], width=width, height=height)
    return replace(sample, id=f"{sample.id}@{view}", images=(image,), regions=regions, meta=meta)


def _turn(sample: Sample, phrase: ReferringPhrase, dialect: str, window_of: CropWindowOf) -> Turn:
    x, y, width, height = window_of((sample.images[0].width, sample.images[0].height))
    found = [[n - (x, y)[i % 2] for i, n in enumerate(sample.regions[i].box)] for i in phrase.targets]
    answer = boxes.encode(found, dialect, size=(width, height)) if found else "none"
    return Turn(question=phrase.words, answer=answer, task="ground", kind=phrase.kind)


def _evenly_spaced(found: Sequence[ReferringPhrase], most: int) -> list[ReferringPhrase]:
    return [found[k * len(found) // most] for k in range(most)] if len(found) > most else list(found)


def _normalized_box(box: Sequence[float], size: tuple[int, int]) -> Box:
    x1, y1, x2, y2 = (n / size[i % 2] for i, n in enumerate(box))
    return x1, y1, x2, y2


def _single_box_phrases(label: str, own: dict[int, Box], unknown: Sequence[Box]) -> Iterator[ReferringPhrase]:
    """Phrases for one of the boxes of a label; `own` maps the region's index to its box, `unknown` are rivals."""
    rivals = [*own.values(), *unknown]
    if len(rivals) == 1:
        yield ReferringPhrase(f"the {label}", "unique", tuple(own))
    if len(rivals) > 1:
        for index, box in own.items():
            others = [_area(rival) for rival in rivals if rival is not box]
            if _area(box) >= MIN_AREA_RATIO * max(others):
                yield ReferringPhrase(f"the largest {label}", "size", (index,))
            if _area(box) * MIN_AREA_RATIO <= min(others):
                yield ReferringPhrase(f"the smallest {label}", "size", (index,))
    for index, box in own.items():
        others = [_centre(rival) for rival in rivals if rival is not box]
        for words, inside in _POSITIONS.items():
            if inside(*_centre(box), -POSITION_MARGIN) and not any(inside(*other, POSITION_MARGIN) for other in others):
                yield ReferringPhrase(f"the {label} {words}", "position", (index,))
    yield from _rank_phrases(label, own, rivals)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _before(n: float, slack: float) -> bool:
    return n < _THIRD + slack


def _after(n: float, slack: float) -> bool:
    return n > 1 - _THIRD - slack


def _between(n: float, slack: float) -> bool:
    return _THIRD - slack < n < 1 - _THIRD + slack


# Where a centre (x, y) in fractions lies; `slack` widens the place (or, negative, narrows it). A side is a whole third
# of the picture, corners included: whoever says "on the left" may mean the top left.
_POSITIONS: dict[str, Callable[[float, float, float], bool]] = {
    "at the top left": lambda x, y, slack: _before(x, slack) and _before(y, slack),
    "at the top right": lambda x, y, slack: _after(x, slack) and _before(y, slack),
    "at the bottom left": lambda x, y, slack: _before(x, slack) and _after(y, slack),
    "at the bottom right": lambda x, y, slack: _after(x, slack) and _after(y, slack),
    "in the middle": lambda x, y, slack: _between(x, slack) and _between(y, slack),
    "on the left": lambda x, y, slack: _before(x, slack),
    "on the right": lambda x, y, slack: _after(x, slack),
    "at the top": lambda x, y, slack: _before(y, slack),
    "at the bottom": lambda x, y, slack: _after(y, slack),
}
# Side from which is counted -> (axis, sign, the word for the first one).
_SIDES = {"left": (0, 1, "leftmost"), "right": (0, -1, "rightmost"), "top": (1, 1, "topmost"),
          "bottom": (1, -1, "lowest")}  # fmt: skip


def _rank_phrases(label: str, own: dict[int, Box], rivals: Sequence[Box]) -> Iterator[ReferringPhrase]:
    """First, second and third from a side; only ranks that near edge, centre and far edge agree on."""
    if not 2 <= len(rivals) <= MAX_RANKED:
        return
    for side, (axis, sign, first) in _SIDES.items():
        rows = [sorted(rivals, key=lambda box, at=at: sign * at(box)) for at in _edges(axis)]
        places = [sign * _centre(box)[axis] for box in rows[1]]
        places = [-math.inf, *places, math.inf]
        for rank in range(min(len(_ORDINALS), len(rivals) - 1 if len(rivals) > 2 else 1)):
            if any(places[k + 1] - places[k] < MIN_RANK_GAP for k in range(rank + 2)):
                break  # neither this rank nor a later one is certain
            if not all(row[rank] is rows[1][rank] for row in rows):
                continue
            target = tuple(index for index, box in own.items() if box is rows[1][rank])
            if target:
                words = f"{first} {label}" if not rank else f"{_ORDINALS[rank]}{label} from the {side}"
                yield ReferringPhrase(f"the {words}", "order", target)


def _edges(axis: int) -> tuple[Callable[[Box], float], ...]:
    return lambda box: box[axis], lambda box: _centre(box)[axis], lambda box: box[axis + 2]
