"""Integer tags of an image file directory (a page) of a TIFF that GDAL does not expose: RowsPerStrip, Orientation."""

import struct
from pathlib import Path
from typing import BinaryIO

ORIENTATION, ROWS_PER_STRIP = 274, 278
_MAX_ENTRIES = 4096  # of a directory that is read; imagery has some twenty
_TYPE_CODES = {3: "H", 4: "I", 16: "Q"}  # SHORT, LONG, LONG8


def read_tiff_tags(
    path: Path, wanted: tuple[int, ...] = (ORIENTATION, ROWS_PER_STRIP), *, page: int = 1
) -> dict[int, int]:
    """The values of the `wanted` tags of a page that are there; none of a file that is no TIFF or is cut short."""
    try:
        with path.open("rb") as file:
            return _read(file, wanted, page)
    except (OSError, struct.error, ValueError, OverflowError):
        return {}


def _read(file: BinaryIO, wanted: tuple[int, ...], page: int) -> dict[int, int]:
    read, seek = file.read, file.seek
    head = read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return {}
    big = struct.unpack_from(order + "H", head, 2)[0] == 43
    start = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0]
    size, place = (20, 12) if big else (12, 8)
    count = 0
    for left in range(page - 1, -1, -1):
        seek(start)
        count = struct.unpack(order + ("Q" if big else "H"), read(8 if big else 2))[0]
        if left:
            seek(count * size, 1)
            start = struct.unpack(order + ("Q" if big else "I"), read(8 if big else 4))[0]
    entries = read(min(count, _MAX_ENTRIES) * size)
    found: dict[int, int] = {}
    for at in range(0, len(entries) - size + 1, size):
        tag, kind = struct.unpack_from(order + "HH", entries, at)
        if tag in wanted and kind in _TYPE_CODES:
            found[tag] = struct.unpack_from(order + _TYPE_CODES[kind], entries, at + place)[0]
    return found
