"""Regions drawn on the scene: a PNG with outlines, labels and scores, and a small preview for the terminal."""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rsvlm.errors import BadInput
from rsvlm.geo.scene import Scene
from rsvlm.geo.vector import region_polygon
from rsvlm.sample import Region

# Okabe and Ito's colours, told apart by every kind of sight (https://jfly.uni-koeln.de/color/).
_COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
_MAX_SIDE = 1600
_MIN_SIDE = 800  # pixels: smaller scenes are enlarged, so that labels fit


def color_of(label: str) -> tuple[int, int, int]:
    """The colour of a label: the same in every picture."""
    return _COLORS[zlib.crc32(label.encode()) % len(_COLORS)]


def draw_regions(
    pixels: NDArray[np.uint8], regions: Sequence[Region], scale: float = 1.0, *, legend: bool = False
) -> Image.Image:
    """A Pillow image of pixels (H, W, 3) with regions on it; `scale` = picture pixels per pixel of a region.

    Each region has its label and score beside it; with `legend` each label stands once, in a corner.
    """
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    pen = ImageDraw.Draw(picture)
    thick = max(2, round(max(picture.size) / 500))
    font = ImageFont.load_default(size=max(11, round(max(picture.size) / 70)))
    for region in regions:
        for part in _polygons(region_polygon(region)):
            for ring in (part.exterior, *part.interiors):
                line = [(x * scale, y * scale) for x, y in ring.coords]
                pen.line(line, fill=(0, 0, 0), width=thick + 2, joint="curve")  # a dark rim shows on bright ground
                pen.line(line, fill=color_of(region.label), width=thick, joint="curve")
    if legend:
        _draw_legend(pen, list(dict.fromkeys(region.label for region in regions)), font)
        return picture
    for region in regions:  # after all outlines, so that no line crosses a word
        _draw_label(pen, region, scale, font, picture.size)
    return picture


def _draw_legend(pen: Any, labels: Sequence[str], font: Any) -> None:
    """Each label once, on its colour, in the top left corner."""
    top = 0.0
    for label in labels:
        box = pen.textbbox((4, top + 2), label, font=font)
        pen.rectangle((0, top, box[2] + 4, box[3] + 3), fill=color_of(label))
        pen.text((4, top + 2), label, fill=(0, 0, 0), font=font)
        top = box[3] + 3


def overlay(scene: Scene, regions: Sequence[Region], *, size: int = _MAX_SIDE) -> Image.Image:
    """The whole scene with regions given in scene pixels, at most `size` wide and high; small ones are enlarged."""
    pixels = scene.read_rgb(size=size)
    if (times := _MIN_SIDE // max(pixels.shape[:2])) > 1:
        pixels = pixels.repeat(times, axis=0).repeat(times, axis=1)
    return draw_regions(pixels, regions, pixels.shape[1] / scene.width)


def save_overlay(scene: Scene, regions: Sequence[Region], path: str | Path, *, size: int = _MAX_SIDE) -> Path:
    """Write `overlay` as a PNG, aside first and then renamed. Raises BadInput where the folder cannot be written."""
    path = Path(path)
    picture = overlay(scene, regions, size=size)
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False) as aside:
            try:
                picture.save(aside, format="PNG")
            except BaseException:
                Path(aside.name).unlink(missing_ok=True)
                raise
        Path(aside.name).chmod(0o666 & ~_umask())
        return Path(aside.name).replace(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); choose another output folder.") from error


def preview(pixels: NDArray[np.uint8], columns: int = 80) -> str:
    """Pixels (H, W, 3) as lines of half blocks in 24-bit ANSI colour, two rows of pixels a line."""
    height, width = pixels.shape[:2]
    columns = max(1, min(columns, width))
    rows = max(2, 2 * round(height * columns / width / 2))
    small = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((columns, rows), Image.Resampling.BOX))
    lines = []
    for top, bottom in zip(small[0::2], small[1::2], strict=True):
        cells = (
            f"\x1b[38;2;{a[0]};{a[1]};{a[2]}m\x1b[48;2;{b[0]};{b[1]};{b[2]}m▀" for a, b in zip(top, bottom, strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _polygons(shape: Any) -> list[Any]:
    return list(getattr(shape, "geoms", [shape]))


def _draw_label(pen: ImageDraw.ImageDraw, region: Region, scale: float, font: Any, size: tuple[int, int]) -> None:
    """The label and score above the region, or just inside where there is no room."""
    text = region.label if region.score is None else f"{region.label} {region.score:.2f}".strip()
    if not text:
        return
    corners = [corner for part in _polygons(region_polygon(region)) for corner in part.exterior.coords]
    y, x = min((corner[1] * scale, corner[0] * scale) for corner in corners)  # the top corner, left one first
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 6, bottom - top + 4
    x = min(max(x, 0), max(0, size[0] - width))
    y = y - height if y >= height else min(max(y, 0), max(0, size[1] - height))
    fill = color_of(region.label)
    ink = (
        (0, 0, 0)
        if sum(part * share for part, share in zip(fill, (0.3, 0.59, 0.11), strict=True)) > 110
        else (255,) * 3
    )
    pen.rectangle((x, y, x + width, y + height), fill=fill)
    pen.text((x + 3 - left, y + 2 - top), text, font=font, fill=ink)
