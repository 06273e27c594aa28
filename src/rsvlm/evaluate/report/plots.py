"""The plots of a page, as small SVG that needs no library: figures beside baselines, kinds, calibration."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rsvlm.evaluate.report.text import words
from rsvlm.html import escape

Curve = Mapping[str, Sequence[float]]

_SHAPES = ("#e08a00", "#8a4fd0", "#1a9a8a", "#c2407a", "#7a7a7a")  # colours of baselines, in their order
_LEFT, _WIDTH, _RIGHT, _LANE = 150, 320, 130, 26  # pixels of a lane's label, axis, figure and height
_SIDE, _EDGE = 260, 46  # pixels of a square plot and of the room for its labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One line of `lanes`: a value with its interval, and other values on the same axis by name."""

    label: str
    value: float
    low: float
    high: float
    note: str = ""
    beside: Mapping[str, float] | None = None


def lanes(title: str, rows: Sequence[Lane]) -> str:
    """Values with intervals, one below the other, each on an axis from 0; "" without any.

    An axis ends at 1 for fractions, else at the next round number above everything in the lane.
    """
    if not rows:
        return ""
    names = list(dict.fromkeys(name for row in rows for name in row.beside or ()))
    colours = {name: _SHAPES[at % len(_SHAPES)] for at, name in enumerate(names)}
    axes = [_axis([row.value, row.low, row.high, *(row.beside or {}).values()]) for row in rows]
    last = [axis != below for axis, below in zip(axes, [*axes[1:], None], strict=True)]  # equal axes: numbers once
    drawn = "".join(
        _lane(row, 4 + _LANE * (at + 0.5), axis, named, colours)
        for at, (row, axis, named) in enumerate(zip(rows, axes, last, strict=True))
    )
    keys = "".join(f'<span style="color:{colour}">&#9670;</span> {escape(words(n))} ' for n, colour in colours.items())
    legend = f'<p class="key"><span class="own">&#9679;</span> this run, 95 % interval {keys}</p>' if names else ""
    return _figure(title, _LEFT + _WIDTH + _RIGHT, _LANE * len(rows) + 16, drawn, legend)


def _lane(row: Lane, y: float, axis: tuple[float, float], named: bool, colours: Mapping[str, str]) -> str:
    start, end = axis

    def x(value: float) -> float:
        return _LEFT + (value - start) / (end - start) * _WIDTH

    marks = "".join(
        f'<path d="M{x(v):.1f} {y - 6:.1f}l5 6l-5 6l-5 -6z" fill="{colours[name]}"><title>{escape(words(name))} {v:.3f}'
        "</title></path>"
        for name, v in (row.beside or {}).items()
    )
    ends = "".join(
        f'<text class="small" x="{x(end):.1f}" y="{y + 16:.1f}" text-anchor="middle">{end:g}</text>' for end in axis
    )
    return (
        f'<text x="{_LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(_short(row.label))}'
        f"<title>{escape(row.label)}</title></text>"
        f'<path class="axis" d="M{_LEFT} {y:.1f}h{_WIDTH}m0 -3v6M{_LEFT} {y - 3:.1f}v6"/>'
        f'{ends if named else ""}<path class="spread" d="M{x(row.low):.1f} {y:.1f}H{x(row.high):.1f}"/>{marks}'
        f'<circle class="dot" cx="{x(row.value):.1f}" cy="{y:.1f}" r="5"><title>{row.value:.4f}, 95 % interval '
        f"{row.low:.4f} to {row.high:.4f}</title></circle>"
        f'<text x="{_LEFT + _WIDTH + 14}" y="{y + 4:.1f}">{row.value:.3f} '
        f'<tspan class="small">{escape(row.note)}</tspan></text>'
    )


def _axis(values: Sequence[float]) -> tuple[float, float]:
    """From 0 (or a round number below everything) to 1 (or one above everything)."""
    top, bottom = max(values), min(values)
    return (0.0 if bottom >= 0 else -_round_up(-bottom)), (1.0 if top <= 1 else _round_up(top))


def _round_up(value: float) -> float:
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 5, 10) if step * unit >= value)


def _short(text: str, most: int = 26) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def reliability(curve: Curve) -> str:
    """Accuracy against confidence, a dot a bin, its area as the number of answers; the diagonal is perfect."""
    points = list(zip(curve["confidence"], curve["accuracy"], curve["count"], strict=True))
    most = max((count for *_, count in points), default=1)
    line = "M" + "L".join(f"{_x(sure):.1f} {_y(right):.1f}" for sure, right, _ in points)
    dots = "".join(
        f'<circle class="dot" cx="{_x(sure):.1f}" cy="{_y(right):.1f}" r="{2 + 7 * math.sqrt(count / most):.1f}">'
        f"<title>confidence {sure:.2f}, right {right:.2f}, {count:.0f} answers</title></circle>"
        for sure, right, count in points
    )
    ideal = f'<path class="ideal" d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"/>'
    return _square(
        "Is it as sure as it is right?", "confidence", "right", f'{ideal}<path class="line" d="{line}"/>{dots}'
    )


def risk_coverage(curve: Curve) -> str:
    """The share of errors among the surest answers, against how many of all they are."""
    points = list(zip(curve["coverage"], curve["risk"], strict=True))
    line = "M" + "L".join(f"{_x(share):.1f} {_y(risk):.1f}" for share, risk in points)
    level = _y(points[-1][1]) if points else _y(0)
    ideal = f'<path class="ideal" d="M{_x(0)} {level:.1f}H{_x(1)}"/>'
    return _square(
        "If it answered only when sure", "share answered", "share wrong", f'{ideal}<path class="line" d="{line}"/>'
    )


def _x(value: float) -> float:
    return _EDGE + value * (_SIDE - _EDGE - 12)


def _y(value: float) -> float:
    return _SIDE - _EDGE - value * (_SIDE - _EDGE - 12)


def _square(title: str, across: str, up: str, inner: str) -> str:
    """A plot of two shares; both axes from 0 to 1."""
    ticks = "".join(
        f'<text class="small" x="{_x(t):.1f}" y="{_y(0) + 15:.1f}" text-anchor="middle">{t:g}</text>'
        f'<text class="small" x="{_x(0) - 6:.1f}" y="{_y(t) + 4:.1f}" text-anchor="end">{t:g}</text>'
        for t in (0, 0.5, 1)
    )
    middle = (_x(0) + _x(1)) / 2
    labels = (
        f'<text x="{middle:.1f}" y="{_SIDE - 12}" text-anchor="middle">{across}</text>'
        f'<text x="14" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 14 {middle:.1f})">{up}</text>'
    )
    frame = f'<path class="axis" d="M{_x(0)} {_y(1)}V{_y(0)}H{_x(1)}"/>'
    return _figure(title, _SIDE, _SIDE, frame + ticks + labels + inner)


def _figure(title: str, width: float, height: float, inner: str, below: str = "") -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg class="plot" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}">{inner}</svg>{below}</figure>'
    )


def of_metrics(metrics: Mapping[str, Any], names: Sequence[str], baselines: Mapping[str, Mapping[str, float]]) -> str:
    """`lanes` of a result's metrics, with the baselines of each on its axis; what is no number is left out."""
    rows: list[Lane] = []
    for name in names:
        value = metrics[name]["value"]
        beside = {baseline: values[name] for baseline, values in baselines.items() if name in values}
        if math.isfinite(value):
            rows.append(
                Lane(
                    label=name,
                    value=value,
                    low=metrics[name].get("low", value),
                    high=metrics[name].get("high", value),
                    beside={baseline: value for baseline, value in beside.items() if math.isfinite(value)},
                )
            )
    return lanes("Beside the baselines", rows)
