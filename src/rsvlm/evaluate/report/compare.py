"""Two runs side by side as Markdown and as an HTML page with the items on which they differ (`rsvlm compare`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsvlm.evaluate.report.comparison import Comparison, Pair, comparison, mcnemar
from rsvlm.evaluate.report.html import pictures, question, reply, samples_per_page
from rsvlm.evaluate.report.pictures import Album, legend, marked
from rsvlm.evaluate.report.sample_browser import SampleRow, browser, document, grid, listed
from rsvlm.evaluate.report.text import cell, markdown, words
from rsvlm.files import atomic_file
from rsvlm.html import escape
from rsvlm.metrics.score import lower_is_better


def compare(
    run_a: str | Path,
    run_b: str | Path,
    out: str | Path | None = None,
    *,
    data: str | Path | None = None,
    every: bool = False,
) -> str:
    """Markdown on how run B differs from run A: two folders that `evaluate` or `score` wrote.

    With `out`, compare.md and compare.html (the items on which they differ) are written there; `data`, the data root,
    brings the pictures. Headline metrics, all with `every`. Raises BadInput where the runs are not about the same
    items under the same protocol, or a file of theirs is broken.
    """
    found = comparison(Path(run_a), Path(run_b), data=None if data is None else Path(data), every=every)
    text = _markdown(found)
    if out is not None:
        with atomic_file(Path(out) / "compare.html") as path:
            path.write_text(_page(found, with_pictures=data is not None), encoding="utf-8")
        with atomic_file(Path(out) / "compare.md") as path:
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return text


def _rows(found: Comparison) -> list[list[str]]:
    return [
        [
            _titled(metric.name), f"{metric.first:.3f}", f"{metric.second:.3f}", f"{metric.second - metric.first:+.3f}",
            f"{metric.spread.low:+.3f} to {metric.spread.high:+.3f}", _p(metric.p),
        ]
        for metric in found.metrics
    ]  # fmt: skip


def _titled(name: str) -> str:
    return f"{name} (lower is better)" if lower_is_better(name) else name


def _heads(found: Comparison) -> list[str]:
    return ["metric", *found.names, "difference", "95 % interval", "p"]


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.0005 else f"{value:.0e}"


def _sentences(found: Comparison) -> list[str]:
    """The items on which they differ, McNemar's test, and notes."""
    (one, other), (run, _) = found.names, found.runs
    lines = [f"{run['protocol']}, split {run['split']}, {run['n']} items; difference: {other} minus {one}"]
    if not found.pairs:
        return [*lines, "there is no value for each item, so no items are compared", *found.notes]
    more, less, same = found.tally
    lines.append(f"{words(run['per_item'])}: {other} is better on {more} items, {one} on {less}, equal on {same}")
    if found.graded:
        lines.append(f"McNemar's exact test over these {more + less}: p = {_p(mcnemar(less, more))}")
    return [*lines, *found.notes]


def _markdown(found: Comparison) -> str:
    head = f"# {' and '.join(map(cell, found.names))}"
    facts = "\n".join(f"- {cell(sentence)}" for sentence in _sentences(found))
    return "\n\n".join([head, markdown(_heads(found), _rows(found)), facts]) + "\n"


def _page(found: Comparison, *, with_pictures: bool) -> str:
    """The numbers, and the items on which the two differ: the largest difference first."""
    one, other = found.names
    differing = sorted((pair for pair in found.pairs if pair.differs), key=lambda pair: -abs(pair.gain))
    kept = differing[: samples_per_page([pair.item for pair in differing])]
    album = Album() if with_pictures else None
    lines = [_line(pair, album) for pair in kept]
    left = [f"{len(differing)} of {len(found.pairs)} items were answered differently"]
    left += [f"{len(kept)} of them are shown, those that differ most"] if len(kept) < len(differing) else []
    if album is not None and album.missing:
        left.append(f"{len(album.missing)} pictures cannot be shown: {next(iter(album.missing.values()))}")
    heads = [("picture", "17%"), ("question", "18%"), (one, "22%"), (other, "22%"), ("references", "21%")]
    marks = {"better": f"better: {other}", "worse": f"better: {one}", "other": "another answer, same score"}
    title = f"{one} and {other}: {found.runs[0]['protocol']}"
    return document(
        title,
        [
            f"<h1>{escape(title)}</h1>",
            grid(_heads(found), _rows(found)),
            listed(_sentences(found)),
            "<h2>Items that were answered differently</h2>",
            listed(left),
            legend({"target": "to be found", "said": one, "other": other}) if any(p.item.regions for p in kept) else "",
            album.definitions() if album else "",
            browser(
                heads,
                lines,
                marks,
                {"gain": "difference", "size": "size of the difference"},
                "largest difference first",
            ),
        ],
    )


def _line(pair: Pair, album: Album | None) -> SampleRow:
    item, first, second = pair.item, pair.first, pair.second
    marks = marked(first, first["parsed"]) + marked(second, second["parsed"], "other")
    return SampleRow(
        cells=[
            pictures(item, album, marks) if album else '<span class="none">no picture</span>', question(item),
            _answer(first), _answer(second), listed(dict.fromkeys(item.references)),
        ],
        marks=["better", "right"] if pair.gain > 0 else ["worse", "wrong"] if pair.gain < 0 else ["other"],
        kind=item.kind, numbers={"gain": pair.gain, "size": abs(pair.gain)},
    )  # fmt: skip


def _answer(line: Mapping[str, Any]) -> str:
    sure = float(line.get("confidence") or 0.0)
    confidence = f" · confidence {sure:.2f}" if sure else ""
    return f'{reply(line, line["parsed"])}<br><span class="quiet">score {line["score"]:.2f}{confidence}</span>'
