"""One scene and what several models say about it, as one HTML page: the scene once, with the marks of all, and below
it each question with the answers side by side, the places behind them, and what each model said of every tile.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import shapely
from PIL import Image

from rsvlm.geo.scene import Scene
from rsvlm.geo.tiles import Window
from rsvlm.html import escape
from rsvlm.sample import Answer
from rsvlm.serve.aggregate import Evidence
from rsvlm.serve.georeference import evidence_shape, format_area
from rsvlm.serve.grounding import box_count_text
from rsvlm.serve.page_frame import frame, key
from rsvlm.serve.question_type import normalise
from rsvlm.serve.results import Side

SHOWN = 1400  # pixels of the picture's longer side
MOST_PLACES = 50  # listed under an answer; all are in answer.geojson
_INSET = 0.004  # of the scene's longer side: windows of several models stand inside one another, not on top
_LONGEST = 240  # letters of a reply in the table of tiles
_TALL = 40  # rem: the picture's greatest height
_NAMED, _SHORT, _LETTERS = 12, 28, 0.016  # marks that bear their label, its letters, their height as share of the side


def page(scene: Scene, questions: Sequence[str], sides: Sequence[Side]) -> str:
    """A self-contained page: no script, nothing loaded; see the module."""
    body = [
        f"<h1>{escape(scene.path.name)}</h1>", f'<p class="quiet under">{escape(_about(scene, sides))}</p>',
        _scene(scene, questions, sides),
        *(_question(at, question, sides) for at, question in enumerate(questions)),
        _origin(sides),
    ]  # fmt: skip
    return frame(f"{scene.path.name}: {', '.join(questions)}", "\n".join(body), models=len(sides),
                 questions=len(questions))  # fmt: skip


def _about(scene: Scene, sides: Sequence[Side]) -> str:
    facts = [f"{scene.width} x {scene.height} pixels"]
    facts += [f"{scene.gsd_m:.3g} m per pixel"] if scene.gsd_m else []
    facts += [str(fact) for fact in (scene.crs, scene.date) if fact]
    count = len(_tiles(sides))
    return ", ".join([*facts, f"{count} tiles and the whole" if count else "seen in one piece", f"{len(sides)} models"])


# ---- the scene ----


def _scene(scene: Scene, questions: Sequence[str], sides: Sequence[Side]) -> str:
    with io.BytesIO() as file:
        Image.fromarray(scene.read_rgb(size=SHOWN)).save(file, "JPEG", quality=85)
        picture = base64.b64encode(file.getvalue()).decode("ascii")
    width, height = scene.width, scene.height
    tiles = "".join(
        f'<rect class="tile" id="t{at}" x="{x}" y="{y}" width="{w}" height="{h}"/>'
        for at, (x, y, w, h) in enumerate(_tiles(sides), start=1)
    )
    marks = "".join(
        _mark(one, model, question, side.model, max(width, height), named=len(cell.evidence) <= _NAMED)
        for model, side in enumerate(sides)
        for question, cell in enumerate(side.cells)
        for one in cell.evidence
    )
    return (
        f'<div class="scene">{_switches(questions, sides, bool(tiles))}'
        f'<svg class="map" viewBox="0 0 {width} {height}" style="max-width:{_TALL * width / height:.4g}rem" role="img" '
        f'aria-label="{escape(scene.path.name)} with marks">'
        f'<image width="{width}" height="{height}" preserveAspectRatio="none" href="data:image/jpeg;base64,{picture}"/>'
        f"{tiles}{marks}</svg></div>"
    )


def _switches(questions: Sequence[str], sides: Sequence[Side], tiled: bool) -> str:
    models = "".join(
        f'<label><input type="checkbox" id="m{at}" checked>{key(at)}{escape(side.model)}</label>'
        for at, side in enumerate(sides)
    )
    models += '<label><input type="checkbox" id="tiles">tiles</label>' if tiled else ""
    shown = f'<fieldset class="controls"><legend>Shown:</legend>{models}</fieldset>'
    if len(questions) == 1:
        return f"{shown}\n"
    asked = "".join(
        f'<label><input type="radio" name="q" id="q{at}"{" checked" * (not at)}>{escape(question)}</label>'
        for at, question in enumerate([*questions, "all questions"])
    )
    return f'{shown}<fieldset class="controls"><legend>Marks for:</legend>{asked}</fieldset>\n'


def _mark(one: Evidence, model: int, question: int, name: str, side: int, *, named: bool) -> str:
    """The outline of what supports an answer, with its label and score for whoever points at it.

    `side` is the scene's longer one in pixels; `named`: the short label of a window is written in the picture, too.
    """
    whole = evidence_shape(one)
    if one.region is None:
        inner = whole.buffer(-_INSET * side * model, join_style="mitre")
        whole = whole if inner.is_empty else inner
    path = " ".join(
        "M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in ring.coords[:-1]) + "z"
        for part in shapely.get_parts(whole)
        for ring in (part.exterior, *part.interiors)
    )
    score = f" {one.score:.2f}" if one.score else ""
    area = " area" if one.region is None else ""
    text = _label(one, whole, _LETTERS * side, model) if named and area and len(one.label) <= _SHORT else ""
    return (
        f'<g class="mark m{model} q{question}{area}"><title>{escape(f"{name}: {one.label}{score}")}</title>'
        f'<path class="rim" d="{path}"/><path class="edge" fill-rule="evenodd" d="{path}"/>{text}</g>'
    )


def _label(one: Evidence, shape: Any, size: float, model: int) -> str:
    """The label of a mark: at the corner of a window, in the midst of several; a line lower a model."""
    largest = max(shapely.get_parts(shape), key=lambda part: part.area)
    point = largest.representative_point()
    x, y = largest.bounds[:2] if len(one.windows) < 2 else (point.x - 2 * size, point.y - 2 * size)
    place = f'x="{x + size / 3:.1f}" y="{y + size * (1.2 + 1.3 * model):.1f}"'
    return f'<text {place} font-size="{size:.3g}">{escape(one.label)}</text>'


# ---- the answers ----


def _question(at: int, question: str, sides: Sequence[Side]) -> str:
    said = [side.answers[at] if side.cells else None for side in sides]
    different = len({normalise(answer.answer) for answer in said if answer})
    given = sum(answer is not None for answer in said)
    agree = "in the same words" if different == 1 else f"{different} different answers"
    cards = "".join(_card(at, number, side) for number, side in enumerate(sides))
    return (
        f'<section><h2>{escape(question)}</h2><span class="quiet">{given} of {len(sides)} models answered; '
        f'{agree if given > 1 else "nothing to compare"}</span><div class="cards">{cards}</div>'
        f"{_by_tile(at, said, sides)}</section>"
    )


def _card(question: int, model: int, side: Side) -> str:
    cell = side.cells[question] if side.cells else None
    answer = cell.answer if cell else None
    head = f'<article class="card m{model}"><h3>{escape(side.model)}</h3>'
    if answer is None:
        why = side.error or (cell.error if cell else "")
        return f'{head}<p class="failed"><strong>No answer.</strong> {escape(why)}</p></article>'
    sure = f"{100 * answer.confidence:.0f}"
    bar = f'<div class="sure" aria-hidden="true"><div style="width:{sure}%"></div></div>' if answer.confidence else ""
    certainty = f"confidence {answer.confidence:.2f}" if answer.confidence else "confidence not known"
    return (
        f'{head}<p class="answer{" long" * (len(answer.answer) > 60)}">{escape(answer.answer) or "(no words)"}</p>'
        f'<div class="quiet">{certainty}, {side.seconds:.1f} s for all questions</div>{bar}{_places(answer)}'
        f'<details><summary>How it came about</summary><p class="quiet">{escape(answer.trace["rule"])}. '
        f"Confidence: {escape(answer.trace['confidence'])}.</p></details></article>"
    )


def _places(answer: Answer) -> str:
    if not answer.regions:
        return '<p class="quiet">No place is marked.</p>'
    rows = "".join(_place(region) for region in answer.regions[:MOST_PLACES])
    rest = len(answer.regions) - MOST_PLACES
    more = f'<p class="quiet">{rest} more are in answer.geojson.</p>' if rest > 0 else ""
    count = f"{len(answer.regions)} place{'s' * (len(answer.regions) > 1)}"
    heads = "<th>what</th><th>score</th><th>area</th><th>centre</th>"
    return (
        f'<details><summary>{count}</summary><div class="wide" tabindex="0" role="region" aria-label="{count}"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{more}</details>"
    )


def _place(region: Mapping[str, Any]) -> str:
    known = region["properties"]
    middle = shapely.geometry.shape(region["geometry"]).centroid
    unit = "area_m2" if "area_m2" in known else "area_px"
    centre = f"{middle.x:.1f}, {middle.y:.1f} px" if unit == "area_px" else f"{middle.x:.6f}, {middle.y:.6f}"
    score = f"{known['score']:.2f}" if known["score"] else "-"
    return (
        f'<tr><td>{escape(known["label"])}</td><td class="number">{score}</td>'
        f'<td class="number">{format_area(known[unit], unit)}</td><td class="number">{centre}</td></tr>'
    )


# ---- tile by tile ----


def _tiles(sides: Sequence[Side]) -> list[Window]:
    """The tiles that the models were shown, which are the same for all."""
    first = next((answer for side in sides for answer in side.answers if answer), None)
    rows = first.trace["windows"][:-1] if first else []
    return [(x, y, w, h) for x, y, w, h in (row["window"] for row in rows)]


def _by_tile(at: int, said: Sequence[Answer | None], sides: Sequence[Side]) -> str:
    tiles = _tiles(sides)
    if not tiles:
        return ""
    certainty = [{tuple(row["window"]): row for row in answer.trace["windows"]} if answer else {} for answer in said]
    rows, differ = [], 0
    for number, window in enumerate(tiles, start=1):
        cells = [rows_of.get(window) for rows_of in certainty]
        words = {normalise(_reply_facts(cell)) for cell in cells if cell and not cell.get("error")}
        differ += len(words) > 1
        inner = "".join(f"<td>{_reply(cell)}</td>" for cell in cells)
        kind = "other" if len(words) > 1 else "same"
        rows.append(f'<tr class="{kind}"><td><a href="#t{number}">tile {number}</a></td>{inner}</tr>')
    whole = "".join(f"<td>{_reply(answer.trace['windows'][-1] if answer else None)}</td>" for answer in said)
    rows.append(f"<tr><td>the whole</td>{whole}</tr>")
    heads = "".join(f"<th>{escape(side.model)}</th>" for side in sides)
    return (
        f"<details><summary>Tile by tile: the models differ in {differ} of {len(tiles)}</summary>"
        f'<fieldset class="controls"><label><input type="checkbox" id="d{at}">only tiles where they differ</label>'
        '</fieldset><div class="wide" tabindex="0" role="region" aria-label="Tile by tile"><table class="tiles">'
        f"<thead><tr><th>tile</th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def _reply(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return '<span class="quiet">-</span>'
    if row.get("error"):
        return f'<span class="quiet">no reply: {escape(row["error"][:_LONGEST])}</span>'
    text = _reply_facts(row) if len(_reply_facts(row)) <= _LONGEST else f"{_reply_facts(row)[:_LONGEST]}..."
    sure = f' <span class="quiet">{row["confidence"]:.2f}</span>' if row["confidence"] else ""
    return f"{escape(text)}{sure}"


def _reply_facts(row: Mapping[str, Any]) -> str:
    """What was said of a tile; of boxes, how many, because each model writes them in its own way."""
    return box_count_text(len(row["boxes"])) if "boxes" in row else row["reply"]


def _origin(sides: Sequence[Side]) -> str:
    """Where each model comes from: what its trace says besides the answer."""
    own = ("prompt", "kind", "rule", "confidence", "windows")
    parts = []
    for at, side in enumerate(sides):
        first = next((answer for answer in side.answers if answer), None)
        if first:
            rows = "".join(
                f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>"
                for name, value in first.trace.items()
                if name not in own
            )
            parts.append(f'<h3>{key(at)} {escape(side.model)}</h3><table class="origin">{rows}</table>')
    return f"<section><details><summary>Where the answers come from</summary>{''.join(parts)}</details></section>"
