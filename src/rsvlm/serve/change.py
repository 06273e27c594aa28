"""Two dates of one place compared: what changed, where and how much, as `ChangeReport`; `ComparesScenes` for `load`.

What marks pixels (`MapsChange`, `SegmentsChange`) answers by computing from its map. What only answers in words
(`Compares`) is shown both dates as a whole, and its words are marked as its own.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsvlm import __version__
from rsvlm.errors import BadInput
from rsvlm.geo.bands import BandChoice
from rsvlm.geo.class_raster import ClassRaster, class_raster
from rsvlm.geo.pair import Pair, open_pair
from rsvlm.geo.pair_fit import MAX_SHIFT
from rsvlm.sample import Answer
from rsvlm.serve.change_facts import describe, facts_of
from rsvlm.serve.change_preview import Preview, preview
from rsvlm.serve.change_questions import answer
from rsvlm.serve.change_scan import Advance, ChangeScan, scan
from rsvlm.systems.abilities import Compares, MapsChange, SegmentsChange, ability_error

CAPTION = "What has changed between these two images?"
_SHOWN = 1024  # pixels: the longer side of what a model that answers in words is shown


@dataclass(frozen=True, kw_only=True)
class ChangeSettings:
    """As the arguments of `ComparesScenes.compare`."""

    bands: BandChoice = None
    after_bands: BandChoice = None
    max_shift: float = MAX_SHIFT
    normalise: bool = True
    max_new_tokens: int = 64


@dataclass(frozen=True, kw_only=True)
class ChangeReport:
    """What is known of two dates: a caption, answers, regions, facts and notes.

    `regions` are GeoJSON Features with `label`, `from`, `to`, `score` and `area_m2`; `facts` say how much was compared
    and, class by class, what was found (empty where the model marks nothing); `notes` are sentences about the files,
    the alignment and what was left out.
    """

    caption: Answer
    answers: tuple[Answer, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notes: tuple[str, ...] = ()
    trace: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def regions(self) -> tuple[Mapping[str, Any], ...]:
        """All regions that changed, the largest first."""
        return self.caption.regions

    @property
    def answer(self) -> Answer:
        """The answer to the first question, the caption where there was none."""
        return self.answers[0] if self.answers else self.caption


class ComparesScenes:
    """Comparison of two dates by the `model` of a subclass, while no other thread uses it."""

    model: Any
    _in_use: Any

    def compare(
        self, before: str | Path, after: str | Path, questions: str | Sequence[str] = (), *,
        bands: BandChoice = None, after_bands: BandChoice = None, max_shift: float = MAX_SHIFT, normalise: bool = True,
        max_new_tokens: int = 64, advance: Advance = lambda done, total: None,
    ) -> ChangeReport:  # fmt: skip
        """What changed between two scenes of one place, with answers to `questions`.

        `bands`, `after_bands`, `max_shift` (pixels) and `normalise` as of `rsvlm.geo.pair.open_pair`. `advance` is
        called with the rows looked through and their number. Raises BadInput for what is no scene, scenes with nothing
        in common, an empty question, and a model that compares nothing.
        """
        settings = ChangeSettings(
            bands=bands, after_bands=after_bands, max_shift=max_shift, normalise=normalise,
            max_new_tokens=max_new_tokens,
        )  # fmt: skip
        with compared(self, before, after, questions, settings, advance=advance) as done:
            return done.report


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A comparison whose files are still open: the pair, and, of a model that marks pixels, what it found."""

    report: ChangeReport
    pair: Pair
    scan: ChangeScan | None = None
    raster: ClassRaster | None = None


@contextmanager
def compared(
    assistant: ComparesScenes, before: str | Path, after: str | Path, questions: str | Sequence[str],
    settings: ChangeSettings, *, advance: Advance,
) -> Iterator[Compared]:  # fmt: skip
    """As `ComparesScenes.compare`, with what its files are made of."""
    model, started = assistant.model, time.perf_counter()
    asked = [one.strip() for one in ([questions] if isinstance(questions, str) else questions)]
    if not all(asked):
        raise BadInput('A question is empty; ask something, for example "How much has changed?"')
    marks = isinstance(model, MapsChange | SegmentsChange)
    if not marks and not isinstance(model, Compares):
        raise ability_error(model.name, SegmentsChange)
    opened = open_pair(
        before, after, bands=settings.bands, after_bands=settings.after_bands, max_shift=settings.max_shift,
        normalise=settings.normalise,
    )  # fmt: skip
    with opened as pair, class_raster(pair.width, pair.height, pair.place) as raster:
        trace = {"rsvlm": __version__, **model.trace, "model": model.name, **_pair_trace(pair)}
        with assistant._in_use:
            found = scan(pair, model, raster, advance) if marks else None
            said = {} if marks else _in_words(model, pair, [CAPTION, *asked], settings.max_new_tokens)
        trace["seconds"] = round(time.perf_counter() - started, 3)
        report = _computed(found, pair, asked, trace) if found else _worded(said, pair, asked, trace)
        yield Compared(report=report, pair=pair, scan=found, raster=raster if found else None)


def _computed(found: ChangeScan, pair: Pair, asked: Sequence[str], trace: Mapping[str, Any]) -> ChangeReport:
    size = pair.width, pair.height
    features = tuple(one.feature for one in found.regions)
    confidence = max((one.score for one in found.regions), default=1.0 if found.identical else 1 - found.peak)
    rule = {"rule": "computed from the map of change", "kind": "caption"}
    caption = Answer(
        question="", answer=describe(found, size), regions=features, confidence=confidence, trace={**trace, **rule}
    )
    answers = [(one, answer(one, found, size)) for one in asked]
    facts = {
        "compared_pixels": found.compared, "compared_m2": found.compared_m2, "identical": found.identical,
        "any": facts_of(found, size).as_dict(),
        "classes": [facts_of(found, size, label).as_dict() for label in found.classes],
    }  # fmt: skip
    notes = list(pair.notes)
    if found.unlisted:
        notes.append(f"{found.unlisted:,} smaller regions are in the mask and not listed")
    return ChangeReport(
        caption=caption, facts=facts, notes=tuple(notes), trace=trace,
        answers=tuple(
            Answer(
                question=question, answer=one.text, regions=tuple(region.feature for region in one.regions),
                confidence=one.confidence, trace={**trace, **rule, "kind": one.kind},
            )
            for question, one in answers
        ),
    )  # fmt: skip


def _worded(
    said: Mapping[str, tuple[str, float]], pair: Pair, asked: Sequence[str], trace: Mapping[str, Any]
) -> ChangeReport:
    answers = [
        Answer(question=question, answer=text, confidence=confidence, trace={**trace, "rule": "the model's own words"})
        for question, (text, confidence) in said.items()
    ]
    by_question = {one.question: one for one in answers}
    notes = (*pair.notes, f"{trace['model']} answers in words and marks no pixels: nothing was counted or measured")
    return ChangeReport(
        caption=by_question[CAPTION], answers=tuple(by_question[one] for one in asked), notes=notes, trace=trace
    )


def _in_words(
    model: Compares, pair: Pair, questions: Sequence[str], max_new_tokens: int
) -> dict[str, tuple[str, float]]:
    """The model's reply to each question about both dates as a whole. Identical dates are not shown to it.

    Raises BadInput where it gives none.
    """
    if pair.identical:
        return dict.fromkeys(questions, ("Both files show the same pixels: no change.", 1.0))
    seen: Preview = preview(pair, _SHOWN)
    asked = list(dict.fromkeys(questions))
    replies = model.compare([seen.before] * len(asked), [seen.after] * len(asked), asked, max_new_tokens=max_new_tokens)
    for question, reply in zip(asked, replies, strict=True):
        if reply.error:
            raise BadInput(f"{question!r} got no reply: {reply.error}; ask again.")
    return {one: (reply.text, float(reply.confidence)) for one, reply in zip(asked, replies, strict=True)}


def _pair_trace(pair: Pair) -> dict[str, Any]:
    shift = pair.shift
    return {
        "before": pair.before.path.name, "after": pair.after.path.name, "dates": [pair.before.date, pair.after.date],
        "width": pair.width, "height": pair.height, "crs": pair.crs, "gsd_m": pair.gsd_m,
        "shift_pixels": [shift.dx, shift.dy] if shift else None, "shift_corrected": bool(shift and shift.corrected),
        "left_out": dict(pair.left_out), "swapped": pair.swapped,
    }  # fmt: skip
