"""Water, vegetation and snow that came and went between two dates: sentences, regions, and questions about them."""

from collections.abc import Iterator, Sequence
from typing import Any

from rsvlm.geo.cover_change import CoverChange
from rsvlm.geo.pair import Pair
from rsvlm.geo.vector import feature
from rsvlm.serve.archive_relevance import content_words
from rsvlm.serve.change_scan import ChangeRegion
from rsvlm.serve.cover import cover_named, format_share
from rsvlm.serve.georeference import format_area
from rsvlm.systems.runtime.change_maps import WORDS, class_of

_PRESENT = 0.002  # share at one of the dates, below which a cover is not spoken of


def asked_cover(question: str, covers: Sequence[CoverChange]) -> CoverChange | None:
    """The cover that a question speaks of, None where of none that was computed, or of something beside it.

    "Are there new houses near the water?" is no question about water.
    """
    if class_of(question, tuple(WORDS)):
        return None
    named = {cover_named(word) for word in content_words(question)}
    return next((one for one in covers if one.cover in named), None)


def is_there(found: CoverChange) -> bool:
    """Whether a cover is worth a word."""
    return max(found.shares) >= _PRESENT


def cover_sentence(found: CoverChange, dates: tuple[str, str]) -> str:
    """ "Water covered 12 % at the first date (2009-08-18) and 23 % at the second: 1.94 km2 came, 54,919 m2 went." """
    first, second = (f" ({date})" if date else "" for date in dates)
    before, after = (format_share(share) for share in found.shares)
    said = (
        f"{found.cover.capitalize()} covered {before} at the first date{first} and {after} at the second{second}"
        f"{_amounts(found)}."
    )
    return said if found.clear else f"Unsure, as its index falls into no two clear groups: {said[0].lower()}{said[1:]}"


def cover_regions(found: CoverChange, pair: Pair) -> Iterator[ChangeRegion]:
    """Its patches as regions that were gained ("water gained") and lost, the largest of each kind first."""
    for word, patches in (("gained", found.gained), ("lost", found.lost)):
        other = f"no {found.cover}"
        was, became = (other, found.cover) if word == "gained" else (found.cover, other)
        for patch in patches:
            pixels = round(patch.outline.area)
            label = f"{found.cover} {word}"
            meaning = {"from": was, "to": became, "computed": found.formulas[0]}
            properties: dict[str, Any] = {"label": label, "score": None, "pixels": pixels, **meaning}
            made = feature(patch.outline, pair.place, **properties)
            yield ChangeRegion(
                label=label, outline=patch.outline, pixels=pixels, score=1.0 if found.clear else 0.5,
                area_m2=made["properties"].get("area_m2"), feature=made,
            )  # fmt: skip


def _amounts(found: CoverChange) -> str:
    if found.gained_m2 is None or found.lost_m2 is None:
        return ""
    came, went = (format_area(area, "area_m2") for area in (found.gained_m2, found.lost_m2))
    return f": {came} came, {went} went"
