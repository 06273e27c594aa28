"""The HTML page of one run: metrics and baselines, plots, and a browser of the samples. It loads nothing."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rsvlm.evaluate.items import Item, number_pictures
from rsvlm.evaluate.protocol import Row
from rsvlm.evaluate.report.pictures import Album, legend, marked, targets
from rsvlm.evaluate.report.plots import Lane, lanes, of_metrics, reliability, risk_coverage
from rsvlm.evaluate.report.sample_browser import SampleRow, browser, clipped, document, grid, listed
from rsvlm.evaluate.report.text import Run, interval_of, remarks, table, warnings, words
from rsvlm.html import escape
from rsvlm.metrics.score import intervals, mean_score

MOST = 500  # pictures on a page: some 5 MB
KINDS = 30  # in a plot


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredItem:
    """One item of a run with its row, the prediction parsed from it, and its score."""

    item: Item
    row: Row
    parsed: Any
    score: float
    wrong: bool


def page(title: str, result: Run, shown: Sequence[ScoredItem]) -> str:
    """A self-contained HTML page of one run.

    Headline metrics with intervals beside the baselines, warnings, remarks, plots, and a table of samples that can be
    filtered, searched and sorted. At most `MOST` pictures, spread evenly over the run; the page says where it skips.
    """
    album = Album()
    kept = shown[:: max(1, -(-len(shown) // samples_per_page([one.item for one in shown])))]
    samples = _samples(kept, result["per_item"], album)
    return document(
        title,
        [
            f"<h1>{escape(title)}</h1>",
            f'<p class="under">{escape(result["protocol"])}, {escape(result["split"])}: '
            f"<b>{escape(result['model'])}</b></p>",
            *(f'<p class="warning">{escape(warning)}</p>' for warning in warnings(result)),
            *_figures(result),
            _plots(result, shown),
            listed(remarks(result)),
            _origin(result),
            "<h2>Samples</h2>",
            listed(_left_out(len(shown), len(kept), album)),
            legend({"target": "to be found", "said": "the answer"}) if any(one.item.regions for one in kept) else "",
            album.definitions(),
            samples,
        ],
    )


def samples_per_page(items: Sequence[Item]) -> int:
    """How many samples fit on a page that holds at most `MOST` pictures."""
    return max(1, MOST // max((len(item.images) for item in items if item.images), default=1))


def _left_out(whole: int, kept: int, album: Album) -> list[str]:
    """What is not on the page."""
    found = [f"{kept} of {whole} samples are shown, evenly spread; all are in answers.jsonl"] if kept < whole else []
    if album.missing:
        why = next(iter(album.missing.values()))
        found.append(f"{len(album.missing)} pictures cannot be shown, the first because: {why}")
    return found


def _figures(result: Run) -> list[str]:
    """The headline table, and the other metrics folded away."""
    heads, rows = table([result], every=True)
    first = heads.index("metric")
    order = [first, *range(first + 1, len(heads)), heads.index("n")]
    cut = [[row[at] for at in order] for row in rows]
    heads = [heads[at] for at in order]
    quoted = [row for row in cut if row[0] in result["headline"]]
    rest = [row for row in cut if row not in quoted]
    more = f"<details><summary>{len(rest)} more metrics</summary>{grid(heads, rest)}</details>" if rest else ""
    return [grid(heads, quoted), more]


def _plots(result: Run, shown: Sequence[ScoredItem]) -> str:
    calibration: Mapping[str, Any] = result.get("calibration", {})
    curves = calibration.get("curves", {})
    figures = {name: found for name, found in calibration.items() if name != "curves"}
    rows = [[words(name), f"{found['value']:.3f}", interval_of(found)] for name, found in figures.items()]
    beside = of_metrics(result["metrics"], result["headline"], result["baselines"])
    squares = reliability(curves["reliability"]) + risk_coverage(curves["risk_coverage"]) if curves else ""
    return (
        f'<div class="plots"><div>{beside}{_kinds(result["per_item"], shown)}</div>'
        f'<div><div class="plots">{squares}</div>{grid(["calibration", "value", "95 % interval"], rows)}</div></div>'
    )


def _kinds(metric: str, shown: Sequence[ScoredItem]) -> str:
    """The mean of the samples' scores by kind of question, the `KINDS` most frequent ones."""
    values = np.array([one.score for one in shown], dtype=np.float64)
    kinds = [one.item.kind for one in shown]
    names = [name for name, _ in Counter(kinds).most_common(KINDS)]
    if len(names) < 2 or not np.isfinite(values).all():
        return ""
    scores = {name: mean_score(name, values, [kind == name for kind in kinds]) for name in names}
    spread = intervals(scores, groups=number_pictures([one.item for one in shown]))
    rows = [
        Lane(
            label=name or "other",
            value=score.value,
            low=spread[name].low,
            high=spread[name].high,
            note=f"n = {score.n}",
        )
        for name, score in scores.items()
    ]
    return lanes(f"{words(metric)} by kind of question", rows)


def _origin(result: Run) -> str:
    recorded = {key: result[key] for key in ("seed", "seconds", "asked", "limit") if result.get(key) is not None}
    found = {
        **result.get("trace", {}),
        **recorded,
        **{f"version of {k}": v for k, v in result.get("versions", {}).items()},
    }
    rows = [[key, str(value)] for key, value in found.items()]
    return f"<details><summary>Where the numbers come from</summary>{grid(['what', 'is'], rows, 2)}</details>"


# ---- samples ----


def _samples(shown: Sequence[ScoredItem], metric: str, album: Album) -> str:
    graded = all(one.score in (0.0, 1.0) for one in shown)
    labels = {"right": "right", "wrong": "wrong"} if graded else {"right": "good score", "wrong": "poor score"}
    heads = [("picture", "19%"), ("question", "26%"), ("reply", "24%"), ("references", "21%"), (words(metric), "10%")]
    return browser(
        heads,
        [_line(one, album) for one in shown],
        {**labels, "unread": "not read", "failed": "no reply"},
        {"score": "score", "confidence": "confidence"},
    )


def _line(one: ScoredItem, album: Album) -> SampleRow:
    item, sure = one.item, float(one.row.get("confidence") or 0.0)
    score = "" if math.isnan(one.score) else f"{one.score:.2f}"
    marks = ["" if math.isnan(one.score) else "wrong" if one.wrong else "right"]
    marks += ["unread"] * (one.parsed is None) + ["failed"] * bool(one.row.get("error"))
    confidence = f'<br><span class="quiet">confidence {sure:.2f}</span>' if sure else ""
    return SampleRow(
        cells=[pictures(item, album, marked(one.row, one.parsed)), question(item), reply(one.row, one.parsed),
               listed(map(_cut, dict.fromkeys(item.references))), f"{score}{confidence}"],
        marks=marks, kind=item.kind, numbers={"score": one.score, "confidence": sure},
    )  # fmt: skip


def pictures(item: Item, album: Album, marks: str = "") -> str:
    """The item's pictures with its targets; `marks`, what answers marked, lie on the last."""
    last = len(item.images) - 1
    return "".join(
        album.show(image, targets(item.regions, at) + (marks if at == last else ""))
        for at, image in enumerate(item.images)
    )


def question(item: Item) -> str:
    """The question, and in small letters its type and id, as HTML."""
    kind = f"{escape(item.kind)} · " if item.kind else ""
    return f'<span class="text">{clipped(item.question)}</span><br><span class="quiet">{kind}{escape(item.id)}</span>'


def reply(row: Row, parsed: object) -> str:
    """The reply as HTML, and the parsed prediction where it differs from the reply."""
    if row.get("error"):
        return f'<span class="none">no reply: {clipped(row["error"])}</span>'
    said = row.get("answer")
    text = f'<span class="text said">{clipped(said)}</span>' if said is not None else ""
    if parsed is None:
        return f'{text} <span class="none">(not read)</span>'
    read = _read(parsed)
    return text if read == str(said).strip() else f'{text} <span class="quiet">read as {clipped(read)}</span>'


def _read(parsed: Any) -> str:
    """A prediction in few words: numbers rounded, and of vectors, maps and masks only what they are."""
    if isinstance(parsed, Mapping):
        return f"a mask of {' x '.join(map(str, parsed.get('size', '?')))}" if "counts" in parsed else str(dict(parsed))
    if isinstance(parsed, str) and len(parsed) > 2 * 160 and " " not in parsed:
        return f"{len(parsed)} letters of data"
    if isinstance(parsed, list) and len(parsed) > 64:
        return f"{len(parsed)} numbers"
    if isinstance(parsed, list) and all(isinstance(one, list) for one in parsed):
        return "; ".join(", ".join(f"{n:.4g}" if isinstance(n, int | float) else str(n) for n in one) for one in parsed)
    return str(parsed)


def _cut(text: str) -> str:
    return text if len(text) <= 600 else f"{text[:600]}…"
