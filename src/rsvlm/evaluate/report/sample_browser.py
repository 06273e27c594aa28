"""The samples of an evaluation as an HTML table to filter, search and sort; and the page around it.

A page is one self-contained file. Its content security policy lets it load nothing and run no script but the one of
this module, so that a reply that holds HTML stays text even where it was not escaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rsvlm.html import escape, page

CLIPPED = 1500  # letters of a text in a cell

_STYLE = """
:root { color-scheme: light; --line: #ddd; --quiet: #707070; --own: #1f5fbf }
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 84rem; padding: 0 1.5rem; color: #222 }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem } .under { color: var(--quiet) }
table { border-collapse: collapse } td, th { padding: .25rem 1rem .25rem 0; text-align: left; vertical-align: top }
th { font-weight: 600; border-bottom: 1px solid #999 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.facts tr + tr td { border-top: 1px solid var(--line) }
.warning { background: #fff1d6; border-left: .3rem solid #e08a00; padding: .5rem .8rem; margin: .6rem 0 }
ul { margin: .4rem 0; padding-left: 1.2rem } details { margin: .8rem 0 } summary { cursor: pointer }
.plots { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start }
figure { margin: .8rem 0 } figcaption { font-weight: 600; margin-bottom: .3rem } .key { margin: .2rem 0; color: #444 }
.plot { font: 12px system-ui, sans-serif; fill: #222; max-width: 100%; height: auto }
.plot .small { font-size: 10px; fill: var(--quiet) }
.axis { stroke: #bbb; fill: none } .ideal { stroke: #bbb; stroke-dasharray: 4 3; fill: none } .own { color: var(--own) }
.line { stroke: var(--own); stroke-width: 1.5; fill: none } .dot { fill: var(--own) }
.spread { stroke: var(--own); stroke-width: 5; stroke-opacity: .3; stroke-linecap: round }
.controls { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .6rem; align-items: center;
  background: #fff; padding: .6rem 0 }
.controls input, .controls select { font: inherit; padding: .2rem .3rem } .controls input { width: 16rem }
.samples { width: 100%; table-layout: fixed } .samples td { border-top: 1px solid var(--line); overflow-wrap: anywhere }
.samples td:first-child { border-left: .35rem solid #bbb; padding-left: .6rem }
.samples ul { margin: 0; padding-left: 1rem }
tr.right td:first-child { border-left-color: #14a050 } tr.wrong td:first-child { border-left-color: #d03030 }
tr[hidden] { display: none } .text { white-space: pre-line } .said { font-weight: 600 }
.quiet { color: var(--quiet); font-size: 12px }
.picture { width: 160px; max-height: 160px; margin: 0 .3rem .3rem 0 }
.picture:not(:only-child) { width: 46% } .defs { position: absolute }
.mark { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke } .none { color: var(--quiet) }
"""

_SCRIPT = """
const of = id => document.getElementById(id), [mark, kind, sort, text] = ["mark", "kind", "sort", "text"].map(of);
const rows = [...document.querySelectorAll(".samples tbody tr")], body = document.querySelector(".samples tbody");
function show() {
  const wanted = text.value.toLowerCase();
  for (const row of rows) row.hidden = (mark.value && !row.classList.contains(mark.value))
    || (kind.value && row.dataset.kind !== kind.value) || !row.textContent.toLowerCase().includes(wanted);
  of("count").textContent = rows.filter(row => !row.hidden).length + " of " + rows.length;
}
function order() {
  const [key, way] = sort.value.split(" "), value = row => Number(row.dataset[key]) || 0;
  body.append(...(key ? [...rows].sort((a, b) => way * (value(a) - value(b))) : rows));
}
[mark, kind, text].forEach(one => one.addEventListener("input", show));
sort.addEventListener("input", order);
show();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """One row of `browser`: its cells as HTML, marks and kind to filter by, and numbers to sort by."""

    cells: Sequence[str]
    marks: Sequence[str]
    kind: str
    numbers: Mapping[str, float]


def document(title: str, body: Iterable[str]) -> str:
    """A self-contained HTML page with this style and this script."""
    return page(title, "\n".join(part for part in body if part), style=_STYLE, script=_SCRIPT)


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int = 1) -> str:
    """A table of plain texts, columns from `numbers_from` on as numbers; "" without rows."""
    if not rows:
        return ""

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = (' class="n"' if at >= numbers_from else "" for at in range(len(cells)))
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))

    inner = "\n".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f'<table class="facts"><thead><tr>{line(heads, "th")}</tr></thead><tbody>\n{inner}\n</tbody></table>'


def listed(texts: Iterable[str]) -> str:
    """A list of plain texts; "" without any."""
    inner = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{inner}</ul>" if inner else ""


def clipped(text: object) -> str:
    """A text as HTML, cut where it is longer than any reader reads."""
    whole = str(text)
    return escape(whole if len(whole) <= CLIPPED else f"{whole[:CLIPPED]}… ({len(whole)} letters)")


def browser(
    heads: Sequence[tuple[str, str]],
    lines: Sequence[SampleRow],
    marks: Mapping[str, str],
    sorts: Mapping[str, str],
    order: str = "in the order of the set",
) -> str:
    """The table of samples with what filters, searches and sorts it.

    `heads` are columns with their widths. `marks` are the labels of `SampleRow.marks`, `sorts` those of
    `SampleRow.numbers`; `order` says in which order `lines` come.
    """
    kinds = sorted({line.kind for line in lines if line.kind})
    number = {kind: str(at) for at, kind in enumerate(kinds)}
    counts = {mark: sum(mark in line.marks for line in lines) for mark in marks}
    found = {mark: f"{label} ({counts[mark]})" for mark, label in marks.items() if counts[mark]}
    ways = {f"{key} {way}": f"{label}, {end} first" for key, label in sorts.items() for way, end in _ENDS.items()}
    controls = (
        '<div class="controls"><input id="text" type="search" placeholder="search" aria-label="search">'
        + _choice("mark", f"all ({len(lines)})", found)
        + _choice("kind", "all kinds", {number[kind]: kind for kind in kinds})
        + _choice("sort", order, ways)
        + '<span class="quiet" id="count"></span></div>'
    )
    columns = "".join(f'<col style="width:{width}">' for _, width in heads)
    titles = "".join(f"<th>{escape(head)}</th>" for head, _ in heads)
    rows = "\n".join(_row(line, number.get(line.kind, "")) for line in lines)
    return (
        f'{controls}\n<table class="samples"><colgroup>{columns}</colgroup><thead><tr>{titles}</tr></thead>'
        f"<tbody>\n{rows}\n</tbody></table>"
    )


_ENDS = {1: "lowest", -1: "highest"}


def _choice(name: str, neutral: str, options: Mapping[str, str]) -> str:
    inner = "".join(f'<option value="{escape(value)}">{escape(label)}</option>' for value, label in options.items())
    return f'<select id="{name}" aria-label="{name}"><option value="">{escape(neutral)}</option>{inner}</select>'


def _row(line: SampleRow, kind: str) -> str:
    data = "".join(f' data-{key}="{value:.6g}"' for key, value in line.numbers.items())
    cells = "".join(f"<td>{cell}</td>" for cell in line.cells)
    return f'<tr class="{" ".join(line.marks)}" data-kind="{kind}"{data}>{cells}</tr>'
