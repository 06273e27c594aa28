"""What is computed from regions of change: numbers, areas, shares, cells of a 3 x 3 grid, and sentences about them.

The rules are ours; ChangeChat's (arXiv:2409.08582) were not released. A region is a group of connected pixels of one
class: things that touch count as one. A cell is named where it holds at least `CELL_SHARE` of the changed pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rsvlm.serve.change_scan import ChangeRegion, ChangeScan, clipped
from rsvlm.serve.cover import format_share
from rsvlm.serve.georeference import format_area

CELLS = tuple(f"{row}-{column}" for row in ("top", "center", "bottom") for column in ("left", "center", "right"))
CELL_SHARE = 0.01
_NAMED = 3  # cells that a sentence names
# Class of a model -> the noun of one region, and of several.
NOUNS = {
    "built": ("newly built or rebuilt place", "newly built or rebuilt places"),
    "damaged": ("place with damaged buildings", "places with damaged buildings"),
    "other": ("place with another change", "places with other changes"),
    "": ("changed place", "changed places"),
}


@dataclass(frozen=True, kw_only=True)
class ChangeFacts:
    """Of one class, or of all ("" as `label`): `count` regions, their pixels and area, the share of what was compared.

    `cells` are those of the 3 x 3 grid that hold some, the fullest first.
    """

    label: str
    count: int
    pixels: int
    area_m2: float | None
    share: float
    cells: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "class": self.label or "any", "count": self.count, "pixels": self.pixels, "area_m2": self.area_m2,
            "share": self.share, "cells": list(self.cells),
        }  # fmt: skip


def chosen(found: ChangeScan, label: str = "") -> list[ChangeRegion]:
    """The regions of a class, "" for all."""
    return [one for one in found.regions if label in ("", one.label)]


def facts_of(found: ChangeScan, size: tuple[int, int], label: str = "") -> ChangeFacts:
    """The facts of one class or, with "", of all, on a grid of `size` (width, height)."""
    regions = chosen(found, label)
    pixels = sum(one.pixels for one in regions)
    areas = [one.area_m2 for one in regions if one.area_m2 is not None]
    return ChangeFacts(
        label=label, count=len(regions), pixels=pixels, share=pixels / found.compared if found.compared else 0.0,
        area_m2=sum(areas) if found.compared_m2 is not None else None, cells=tuple(_cells(regions, size, pixels)),
    )  # fmt: skip


def _cells(regions: Sequence[ChangeRegion], size: tuple[int, int], pixels: int) -> Iterator[str]:
    width, height = size
    held = dict.fromkeys(CELLS, 0.0)
    for region in regions:
        left, top, right, bottom = region.outline.bounds
        for at, name in enumerate(CELLS):
            box = (at % 3 * width / 3, at // 3 * height / 3, (at % 3 + 1) * width / 3, (at // 3 + 1) * height / 3)
            if left < box[2] and right > box[0] and top < box[3] and bottom > box[1]:
                held[name] += clipped(region.outline, box)
    for name, part in sorted(held.items(), key=lambda one: -one[1]):
        if part and part >= CELL_SHARE * pixels:
            yield name


def counted(facts: ChangeFacts) -> str:
    """ "7 newly built or rebuilt places"."""
    one, several = NOUNS.get(facts.label, (f"place of the class {facts.label}", f"places of the class {facts.label}"))
    return f"{facts.count:,} {one if facts.count == 1 else several}"


def amount(facts: ChangeFacts) -> str:
    """ "3,420 m2 (1.2 % of what both dates show)", in pixels without a place."""
    size = area_words(facts.area_m2, facts.pixels)
    return f"{size} ({format_share(facts.share)} of what both dates show)"


def area_words(area_m2: float | None, pixels: int) -> str:
    """An area with its unit, in pixels without a place."""
    return format_area(pixels, "area_px") if area_m2 is None else format_area(area_m2, "area_m2")


def where(facts: ChangeFacts) -> str:
    """ "mostly top-left and center-center", "" where nothing changed; "all over" where most cells hold some."""
    if not facts.cells:
        return ""
    if len(facts.cells) >= 7:
        return f"all over, most of it {facts.cells[0]}"
    named = " and ".join(filter(None, (", ".join(facts.cells[: _NAMED - 1]), *facts.cells[_NAMED - 1 : _NAMED])))
    return f"{'mostly ' * (len(facts.cells) > _NAMED)}{named}"


def describe(found: ChangeScan, size: tuple[int, int]) -> str:
    """The caption: what changed, how much and where, a sentence a class; nothing that is not computed."""
    if found.identical:
        return "Both files show the same pixels: no change."
    every = facts_of(found, size)
    if not every.count:
        return "No change was found."
    of_classes = [facts_of(found, size, label) for label in found.classes]
    there = sorted((one for one in of_classes if one.count), key=lambda one: -one.pixels)
    said = [f"{counted(one)}, {amount(one)}, {where(one)}." for one in there]
    if len(there) > 1:
        said.append(f"In all {amount(every)}.")
    return " ".join(said)
