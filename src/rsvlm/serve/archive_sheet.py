"""The tiles of a search as one picture: thumbnails in rows, best first, each with its rank, score, scene and date."""

import io
import math
import textwrap
from functools import cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from rsvlm.printable import printable
from rsvlm.serve.archive_result import FoundTile, SearchResult

_SIDE, _GAP, _LINE = 220, 16, 19  # pixels of a thumbnail, between two, of a line of text
_COLUMNS = 5
_INK, _QUIET, _DOUBT = (28, 28, 28), (90, 90, 90), (160, 80, 0)
_EMPTY = (225, 225, 225)


def contact_sheet(result: SearchResult) -> Image.Image:
    """A Pillow image of all tiles of a result, five in a row. Tiles without a thumbnail are grey."""
    columns = min(_COLUMNS, max(3, len(result.hits)))
    width = columns * (_SIDE + _GAP) + _GAP
    head = [*_wrapped(result.title, width, 18)[:3]]
    foot = [line for note in result.notes for line in _wrapped(note, width, 13)]
    row_height = _SIDE + 3 * _LINE + _GAP
    rows = math.ceil(len(result.hits) / columns)
    top = _GAP + len(head) * 26 + 8
    sheet = Image.new("RGB", (width, top + rows * row_height + (len(foot) + bool(foot)) * _LINE + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for at, line in enumerate(head):
        pen.text((_GAP, _GAP + at * 26), line, font=_font(18), fill=_INK)
    for at, hit in enumerate(result.hits):
        _draw(sheet, pen, hit, _GAP + at % columns * (_SIDE + _GAP), top + at // columns * row_height)
    for at, line in enumerate(foot):
        pen.text((_GAP, top + rows * row_height + at * _LINE), line, font=_font(13), fill=_QUIET)
    return sheet


def _draw(sheet: Image.Image, pen: ImageDraw.ImageDraw, hit: FoundTile, x: int, y: int) -> None:
    """One tile with its words at a place on the sheet."""
    pen.rectangle((x, y, x + _SIDE - 1, y + _SIDE - 1), fill=_EMPTY)
    if hit.tile.thumbnail:
        with Image.open(io.BytesIO(hit.tile.thumbnail)) as picture:
            shown = picture.convert("RGB")
        scale = _SIDE / max(shown.size)
        shown = shown.resize((max(1, round(shown.width * scale)), max(1, round(shown.height * scale))))
        sheet.paste(shown, (x + (_SIDE - shown.width) // 2, y + (_SIDE - shown.height) // 2))
    said = f"{hit.rank}   {hit.score:.3f}"
    pen.text((x, y + _SIDE + 3), said, font=_font(15), fill=_INK)
    if hit.doubt:
        pen.text((x + pen.textlength(said, font=_font(15)) + 10, y + _SIDE + 4), "unsure", font=_font(13), fill=_DOUBT)
        pen.rectangle((x, y, x + _SIDE - 1, y + _SIDE - 1), outline=_DOUBT, width=3)
    window = ",".join(map(str, hit.tile.window))
    facts = "   ".join(filter(None, (window, hit.date, f"{hit.tile.gsd:.3g} m" if hit.tile.gsd else "")))
    for at, line in enumerate((hit.scene, facts), start=1):
        pen.text((x, y + _SIDE + 3 + at * _LINE), _cut(pen, line), font=_font(12), fill=_QUIET)


def _cut(pen: ImageDraw.ImageDraw, words: str) -> str:
    """Words that fit under a thumbnail: what is too long loses its middle."""
    words, keep = printable(words), len(words)
    while pen.textlength(words, font=_font(12)) > _SIDE and keep > 8:
        keep -= 2
        words = f"{words[: keep // 2]}...{words[-keep // 2 :]}"
    return words


def _wrapped(words: str, width: int, size: int) -> list[str]:
    return textwrap.wrap(printable(words), int((width - 2 * _GAP) / (0.53 * size))) or [""]


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size=size)
