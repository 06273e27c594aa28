"""What a search of an archive gives: tiles with their scores, what to doubt, and as JSON and GeoJSON."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import shapely
import shapely.geometry

from rsvlm.index.rows import Tile


@dataclass(frozen=True, kw_only=True)
class Query:
    """What was asked: a text ("" for none), the names of example pictures, the texts that were not wanted."""

    text: str = ""
    like: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f'"{self.text}"'] if self.text else []
        parts += [f"like {PurePath(name).name}" for name in self.like]
        return " ".join([", ".join(parts), *(f'not "{text}"' for text in self.without)])


@dataclass(frozen=True, kw_only=True)
class FoundTile:
    """One tile of a result.

    `score`: its cosine with what was asked, in [-1, 1]. `against`: its largest cosine with an unwanted text, None
    without one. `text_score`: that of its caption (BM25), None where captions were not searched. `doubt`: why it should
    not be believed, "" where nothing speaks against it.
    """

    rank: int
    tile: Tile
    score: float
    against: float | None = None
    text_score: float | None = None
    doubt: str = ""

    @property
    def scene(self) -> str:
        """The name of the scene, without its folder."""
        return PurePath(self.tile.scene).name

    @property
    def place(self) -> str:
        """Scene and window, as a name."""
        return f"{self.scene} {','.join(map(str, self.tile.window))}"

    @property
    def date(self) -> str:
        """The day, "" where it is not known."""
        return self.tile.date.date().isoformat() if self.tile.date else ""

    @property
    def shape(self) -> Any:
        """The footprint in degrees, cut at the antimeridian, as shapely has it; None without a place on Earth."""
        return shapely.from_wkb(self.tile.footprint) if self.tile.footprint else None

    def feature(self) -> dict[str, Any]:
        """A GeoJSON feature in degrees, cut at the antimeridian; its geometry is null without a place on Earth."""
        tile, shape = self.tile, self.shape
        properties = {
            "rank": self.rank, "score": self.score, "text_score": self.text_score, "against": self.against,
            "unsure": bool(self.doubt), "doubt": self.doubt, "scene": tile.scene, "window": list(tile.window),
            "date": tile.date.isoformat() if tile.date else None, "gsd_m": tile.gsd, "sensor": tile.sensor or None,
            "caption": tile.caption or None,
        }  # fmt: skip
        found = {"type": "Feature", "id": tile.id, "geometry": None, "properties": properties}
        if shape is None:
            return found
        # West > east where it crosses the antimeridian (RFC 7946, 5.2).
        return found | {"bbox": list(tile.bounds or shape.bounds), "geometry": shapely.geometry.mapping(shape)}


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The tiles that an archive gave, best first. `notes`: sentences on what not to believe; `trace`: how it came."""

    query: Query
    archive: str
    hits: tuple[FoundTile, ...]
    conditions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    trace: Mapping[str, Any] = field(repr=False)

    @property
    def title(self) -> str:
        """What was asked, with the conditions."""
        return ", ".join([str(self.query), *self.conditions])

    def as_dict(self) -> dict[str, Any]:
        """A GeoJSON FeatureCollection; what was asked stands beside its features (RFC 7946, 6.1)."""
        about = {
            "text": self.query.text or None, "like": list(self.query.like), "not": list(self.query.without),
            "conditions": list(self.conditions), "archive": self.archive, "notes": list(self.notes),
            "trace": dict(self.trace),
        }  # fmt: skip
        return {"type": "FeatureCollection", "features": [one.feature() for one in self.hits], "search": about}


def picture_url(jpeg: bytes) -> str:
    """A JPEG as a URL that holds it."""
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode('ascii')}"
