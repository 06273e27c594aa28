"""A comparison of two dates as one HTML page: both pictures under a slider, regions over them, facts and answers."""

import base64
import io

import numpy as np
from PIL import Image as PILImage

from rsvlm.geo.overlay import color_of
from rsvlm.geo.scene import Pixels
from rsvlm.html import escape, page
from rsvlm.sample import Answer
from rsvlm.serve.change import Compared
from rsvlm.serve.change_facts import area_words
from rsvlm.serve.change_preview import Preview
from rsvlm.serve.change_scan import ChangeRegion
from rsvlm.serve.cover import format_share
from rsvlm.serve.page_frame import STYLE

_DRAWN, _LISTED = 2000, 200  # regions in the picture, and in the table; the largest first
_STYLE = """
.swipe { position: relative; line-height: 0; --at: 50%; overflow: hidden; border-radius: 4px; touch-action: pan-y }
.swipe img { width: 100%; height: auto; image-rendering: auto }
.swipe .late { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--at)) }
.swipe svg { position: absolute; inset: 0; width: 100%; height: 100% }
.swipe path { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke }
.swipe path.rim { stroke: #000; stroke-opacity: .7; stroke-width: 4 }
.bar { position: absolute; top: 0; bottom: 0; left: var(--at); width: 3px; margin-left: -1.5px; background: #fff;
  box-shadow: 0 0 4px #000; pointer-events: none }
.date { position: absolute; top: .5rem; padding: .15rem .5rem; background: #000a; color: #fff; font-size: 13px;
  line-height: 1.4; border-radius: 3px; pointer-events: none; max-width: 45%; overflow-wrap: anywhere }
.date.first { left: .5rem } .date.second { right: .5rem }
.slide { width: 100%; height: 1.6rem; margin: .4rem 0 }
.no-marks svg { display: none }
.dot { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .4rem }
"""
_SCRIPT = """
const swipe = document.querySelector('.swipe'), slide = document.querySelector('.slide');
const move = at => { swipe.style.setProperty('--at', at + '%'); slide.value = at; };
slide.addEventListener('input', () => move(slide.value));
const drag = e => {
  if (e.type === 'pointermove' && !e.buttons) return;
  const box = swipe.getBoundingClientRect();
  move(Math.min(100, Math.max(0, 100 * (e.clientX - box.left) / box.width)));
};
for (const kind of ['pointerdown', 'pointermove']) swipe.addEventListener(kind, drag);
swipe.addEventListener('dragstart', e => e.preventDefault());
const marks = document.getElementById('marks');
if (marks) marks.addEventListener('change', () => swipe.classList.toggle('no-marks', !marks.checked));
"""


def change_page(done: Compared, seen: Preview) -> str:
    """A self-contained page; without scripts both dates are shown half and half."""
    report, pair = done.report, done.pair
    regions = done.shapes
    names = [f"{scene.path.name}{f' ({scene.date})' if scene.date else ''}" for scene in (pair.before, pair.after)]
    size = f"{pair.width} x {pair.height} pixels" + (f" of {pair.gsd_m:.3g} m" if pair.gsd_m else "")
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    body = (
        f"<h1>{escape(names[0])} and {escape(names[1])}</h1>"
        f'<p class="quiet under">{escape(size)}, by {escape(report.trace["model"])}</p>'
        f'<p class="answer">{escape(report.caption.answer)}</p>'
        + _swipe(seen, regions, names)
        + (_facts(done) if done.scan else "")
        + "".join(_answered(answer) for answer in report.answers)
        + (f"<section><h2>To know</h2><ul>{notes}</ul></section>" if notes else "")
        + (_table(regions) if regions else "")
        + _origin(report.caption)
    )
    return page(f"Change: {names[0]} and {names[1]}", body, style=STYLE + _STYLE, script=_SCRIPT)


def _swipe(seen: Preview, regions: tuple[ChangeRegion, ...], names: list[str]) -> str:
    height, width = seen.after.shape[:2]
    drawn = "".join(_path(one, seen.scale) for one in regions[:_DRAWN])
    switch = '<label><input type="checkbox" id="marks" checked> Outlines of what changed</label>' if drawn else ""
    labels = dict.fromkeys(one.label for one in regions[:_DRAWN])
    switch += "".join(f"<span>{_dot(label)}{escape(label)}</span>" for label in labels)
    return (
        f'<div class="swipe"><img alt="before" src="{_url(seen.before)}">'
        f'<img alt="after" class="late" src="{_url(seen.after)}">'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{drawn}</svg><div class="bar"></div>'
        f'<div class="date first">{escape(names[0])}</div><div class="date second">{escape(names[1])}</div></div>'
        '<input class="slide" type="range" min="0" max="100" value="50" aria-label="from the first date to the second">'
        f'<div class="controls">{switch}</div>'
    )


def _path(region: ChangeRegion, scale: float) -> str:
    rings = [region.outline.exterior, *region.outline.interiors]
    line = " ".join(
        "M" + "L".join(f"{x * scale:.1f} {y * scale:.1f}" for x, y in ring.coords[:-1]) + "Z" for ring in rings
    )
    title = f"<title>{escape(region.label)}, {region.score:.2f}</title>"
    return f'<path class="rim" d="{line}"/><path d="{line}" stroke="{_colour(region.label)}">{title}</path>'


def _facts(done: Compared) -> str:
    if not done.report.facts["classes"]:
        return ""
    rows = [
        f"<tr><td>{_dot(one['class'])}{escape(one['class'])}</td>"
        f'<td class="number">{one["count"]:,}</td><td class="number">{area_words(one["area_m2"], one["pixels"])}</td>'
        f'<td class="number">{format_share(one["share"])}</td><td>{escape(", ".join(one["cells"]))}</td></tr>'
        for one in done.report.facts["classes"]
    ]
    head = "<th>class</th><th>regions</th><th>area</th><th>of what both dates show</th><th>cells (3 x 3)</th>"
    return f"<section><h2>Measured</h2><table><tr>{head}</tr>{''.join(rows)}</table></section>"


def _answered(answer: Answer) -> str:
    return f'<section><h2>{escape(answer.question)}</h2><p class="answer">{escape(answer.answer)}</p></section>'


def _table(regions: tuple[ChangeRegion, ...]) -> str:
    rows = "".join(
        f'<tr><td class="number">{number}</td><td>{escape(one.label)}</td><td class="number">{one.score:.2f}</td>'
        f'<td class="number">{area_words(one.area_m2, one.pixels)}</td></tr>'
        for number, one in enumerate(regions[:_LISTED], 1)
    )
    more = f'<p class="quiet">The largest {_LISTED} of {len(regions):,}.</p>' if len(regions) > _LISTED else ""
    head = "<tr><th></th><th>class</th><th>score</th><th>area</th></tr>"
    return (
        f"<section><details><summary>Regions</summary>{more}"
        f'<div class="wide"><table>{head}{rows}</table></div></details></section>'
    )


def _origin(caption: Answer) -> str:
    known = {name: value for name, value in caption.trace.items() if value not in (None, "")}
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in known.items())
    table = f'<table class="origin">{rows}</table>'
    return f"<section><details><summary>How it came about</summary>{table}</details></section>"


def _dot(label: str) -> str:
    return f'<span class="dot" style="background:{_colour(label)}"></span>'


def _colour(label: str) -> str:
    return f"rgb{color_of(label)}"


def _url(pixels: Pixels) -> str:
    """A picture as a data URL (JPEG)."""
    kept = io.BytesIO()
    PILImage.fromarray(np.ascontiguousarray(pixels)).save(kept, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(kept.getvalue()).decode('ascii')}"
