"""Two dates of one place compared: what changed, where and how much, as `ChangeReport`; `ComparesScenes` for `load`.

What marks pixels (`MapsChange`, `SegmentsChange`) answers by computing from its map. What only answers in words
(`Compares`) is shown both dates as a whole, and its words are marked as its own.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from rsvlm import __version__
from rsvlm.errors import BadInput
from rsvlm.geo.bands import BandChoice
from rsvlm.geo.class_raster import ClassRaster, class_raster
from rsvlm.geo.cover_change import CoverChange, cover_changes
from rsvlm.geo.pair import Pair, open_pair
from rsvlm.geo.pair_fit import MAX_SHIFT
from rsvlm.sample import Answer
from rsvlm.serve.change_belief import Belief
from rsvlm.serve.change_cover import asked_cover, cover_regions, cover_sentence, is_there
from rsvlm.serve.change_facts import describe, facts_of
from rsvlm.serve.change_preview import Preview, preview
from rsvlm.serve.change_questions import answer, sureness
from rsvlm.serve.change_scan import Advance, ChangeRegion, ChangeScan, scan
from rsvlm.systems.abilities import Compares, MapsChange, SegmentsChange, ability_error

CAPTION = "What has changed between these two images?"
_UNSURE = 0.5  # confidence at the most of what is said to be unsure
_SHOWN = 1024  # pixels: the longer side of what a model that answers in words is shown


@dataclass(frozen=True, kw_only=True)
class ChangeSettings:
    """As the arguments of `ComparesScenes.compare`."""

    bands: BandChoice = None
    after_bands: BandChoice = None
    max_shift: float = MAX_SHIFT
    normalise: bool = True
    max_new_tokens: int = 64
    gsd: float | None = None


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
        max_new_tokens: int = 64, gsd: float | None = None, advance: Advance = lambda done, total: None,
    ) -> ChangeReport:  # fmt: skip
        """What changed between two scenes of one place, with answers to `questions`.

        `bands`, `after_bands`, `max_shift` (pixels) and `normalise` as of `rsvlm.geo.pair.open_pair`. `gsd`: metres per
        pixel, where the files do not say. `advance` is called with the rows looked through and their number. Raises
        BadInput for what is no scene, scenes with nothing in common, an empty question, and a model that compares
        nothing.
        """
        settings = ChangeSettings(
            bands=bands, after_bands=after_bands, max_shift=max_shift, normalise=normalise,
            max_new_tokens=max_new_tokens, gsd=gsd,
        )  # fmt: skip
        with compared(self, before, after, questions, settings, advance=advance) as done:
            return done.report


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A comparison whose files are still open: the pair, and, of a model that marks pixels, what it found.

    `shapes` are the regions of the report in pixels of the pair.
    """

    report: ChangeReport
    pair: Pair
    scan: ChangeScan | None = None
    raster: ClassRaster | None = None
    shapes: tuple[ChangeRegion, ...] = ()


@contextmanager
def compared(
    assistant: ComparesScenes, before: str | Path, after: str | Path, questions: str | Sequence[str],
    settings: ChangeSettings, *, advance: Advance,
) -> Iterator[Compared]:  # fmt: skip
    """As `ComparesScenes.compare`, with what its files are made of."""
    started = time.perf_counter()
    model, name, about = assistant.model, assistant.model.name, dict(assistant.model.trace)
    asked = [one.strip() for one in ([questions] if isinstance(questions, str) else questions)]
    if not all(asked):
        raise BadInput('A question is empty; ask something, for example "How much has changed?"')
    marks = isinstance(model, MapsChange | SegmentsChange)
    if not marks and not isinstance(model, Compares):
        raise ability_error(name, SegmentsChange)
    opened = open_pair(
        before, after, bands=settings.bands, after_bands=settings.after_bands, max_shift=settings.max_shift,
        normalise=settings.normalise,
    )  # fmt: skip
    with opened as pair, class_raster(pair.width, pair.height, pair.place) as raster:
        trace = {"rsvlm": __version__, **about, "model": name, **_pair_trace(pair)}
        with assistant._in_use:
            belief = Belief.of(model, pair, settings.gsd)
            found = scan(pair, model, raster, advance, belief.classes) if marks else None
            said = {} if marks else _in_words(model, pair, [CAPTION, *asked], settings.max_new_tokens)
        covers = [] if pair.identical else [one for one in cover_changes(pair) if is_there(one)]
        computed = _Computed(pair, found, covers, belief.doubt)
        trace["seconds"] = round(time.perf_counter() - started, 3)
        report = computed.report(asked, trace) if found else computed.worded(said, asked, trace)
        yield Compared(report=report, pair=pair, scan=found, raster=raster if found else None, shapes=computed.regions)


class _Computed:
    """What was computed of a pair: the regions of a scan, where there was one, and the covers of both dates."""

    def __init__(self, pair: Pair, found: ChangeScan | None, covers: Sequence[CoverChange], doubt: str) -> None:
        self.pair, self.found, self.covers, self.doubt = pair, found, covers, doubt
        self.size = pair.width, pair.height
        self.of_covers = {one.cover: tuple(cover_regions(one, pair)) for one in covers}
        marked = found.regions if found else ()
        self.regions: tuple[ChangeRegion, ...] = (*marked, *chain(*self.of_covers.values()))

    def report(self, asked: Sequence[str], trace: Mapping[str, Any]) -> ChangeReport:
        """Of a model that marks pixels: all is computed."""
        assert self.found is not None
        confidence = sureness(self.found, self.found.regions) if self.found.classes or self.found.identical else 0.0
        caption = " ".join([self._doubted(describe(self.found, self.size)), *map(self._sentence, self.covers)])
        return ChangeReport(
            caption=self._answer("", caption, self.regions, confidence, "caption", trace), facts=self._facts(),
            answers=tuple(self._answered(question, self.found, trace) for question in asked),
            notes=self._notes(), trace=trace,
        )  # fmt: skip

    def worded(
        self, said: Mapping[str, tuple[str, float]], asked: Sequence[str], trace: Mapping[str, Any]
    ) -> ChangeReport:
        """Of a model that answers in words; questions about covers that were computed are answered by those."""
        own = {**trace, "rule": "the model's own words"}
        replies = {
            one: Answer(question=one, answer=text, confidence=sure, trace=own) for one, (text, sure) in said.items()
        }
        caption = replace(replies[CAPTION], regions=tuple(one.feature for one in self.regions))
        answers = tuple(self._of_cover(one, trace) or replies[one] for one in asked)
        note = f"{trace['model']} answers in words and marks no pixels: nothing of what it says was counted or measured"
        return ChangeReport(
            caption=caption, answers=answers, facts=self._facts(), notes=(*self._notes(), note), trace=trace
        )

    def _answered(self, question: str, found: ChangeScan, trace: Mapping[str, Any]) -> Answer:
        if of_cover := self._of_cover(question, trace):
            return of_cover
        one = answer(question, found, self.size)
        text = self._doubted(one.text) if one.known else one.text
        return self._answer(question, text, one.regions, one.confidence, one.kind, trace)

    def _doubted(self, text: str) -> str:
        """What the map says, marked as unsure where the model was trained for other scenes."""
        assert self.found is not None
        if not self.doubt or self.found.identical:
            return text
        return f"Unsure: {text}" if self.found.classes else f"Unsure: {self.doubt}."

    def _of_cover(self, question: str, trace: Mapping[str, Any]) -> Answer | None:
        cover = asked_cover(question, self.covers)
        if cover is None:
            return None
        regions = self.of_covers[cover.cover]
        sure = max((one.score for one in regions), default=0.5)
        return self._answer(question, self._sentence(cover), regions, sure, "cover", trace)

    def _answer(
        self, question: str, text: str, regions: Sequence[ChangeRegion], confidence: float, kind: str,
        trace: Mapping[str, Any],
    ) -> Answer:  # fmt: skip
        rule = "computed from bands" if kind == "cover" else "computed from the map of change"
        sure = min(confidence, _UNSURE) if text.startswith("Unsure") else confidence
        return Answer(
            question=question, answer=text, regions=tuple(one.feature for one in regions), confidence=round(sure, 4),
            trace={**trace, "rule": rule, "kind": kind},
        )  # fmt: skip

    def _sentence(self, cover: CoverChange) -> str:
        return cover_sentence(cover, (self.pair.before.date or "", self.pair.after.date or ""))

    def _facts(self) -> dict[str, Any]:
        covers = [
            {
                "cover": one.cover, "shares": list(one.shares), "gained_m2": one.gained_m2, "lost_m2": one.lost_m2,
                "clear": one.clear, "formulas": list(one.formulas), "notes": list(one.notes),
            }
            for one in self.covers
        ]  # fmt: skip
        facts: dict[str, Any] = {"covers": covers} if covers else {}
        if (found := self.found) is None:
            return facts
        return {
            "compared_pixels": found.compared, "compared_m2": found.compared_m2, "identical": found.identical,
            "any": facts_of(found, self.size).as_dict(),
            "classes": [facts_of(found, self.size, label).as_dict() for label in found.classes], **facts,
        }  # fmt: skip

    def _notes(self) -> tuple[str, ...]:
        more = self.found.unlisted if self.found else 0
        unlisted = [f"{more:,} smaller regions are in the mask and not listed"] if more else []
        return (*([self.doubt] if self.doubt and self.found else []), *self.pair.notes, *unlisted)


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
