"""The indices of bands, and by which of them each cover is found: a table each, with the sources of their numbers."""

from typing import NamedTuple

from rsvlm.geo.thresholds import Limits
from rsvlm.registry import Registry


class Index(NamedTuple):
    """A normalised-difference index (first - second) / (first + second) of two bands, by their roles; -1..1."""

    name: str
    first: str
    second: str
    shows: str
    source: str


class CoverRule(NamedTuple):
    """How a cover is found. `indices`: the best first. `above`: the cover has the high values.

    `limits` are those of Otsu's border for reflectance, `digital_limits` for 8-bit values of a display, and
    `valley_limits` those of a valley in the histogram. `default` is the published border; `fixed`: no other is sought.
    Values under `least_value` are of other covers and not in the histogram. `needs_bright_nir`: cells that are dark in
    near infrared are excluded. `confused` says what else has such values.
    """

    cover: str
    indices: tuple[str, ...]
    above: bool
    limits: Limits
    digital_limits: Limits
    valley_limits: Limits
    default: float
    confused: str
    fixed: bool = False
    least_value: float = -1.0
    needs_bright_nir: bool = False


INDICES: Registry[Index] = Registry("index")
for _index in (
    Index("NDWI", "green", "nir", "open water", "McFeeters 1996, doi:10.1080/01431169608948714"),
    Index("MNDWI", "green", "swir1", "open water, buildings left out", "Xu 2006, doi:10.1080/01431160600589179"),
    Index("NDVI", "nir", "red", "green vegetation", "Rouse et al. 1974, NASA SP-351, pages 309-317"),
    Index("NDBI", "swir1", "nir", "built-up and bare land", "Zha et al. 2003, doi:10.1080/01431160304987"),
    Index("NBR", "nir", "swir2", "burnt land, by low values", "Key and Benson 2006, USDA RMRS-GTR-164-CD, LA 1-55"),
    Index("NDSI", "green", "swir1", "snow and ice", "Hall et al. 1995, doi:10.1016/0034-4257(95)00137-P"),
):  # fmt: skip
    INDICES.add(_index.name, _index)

COVER_WORDS = {"built-up": "built-up land", "burnt": "burnt land"}  # where a cover is not yet a noun
COVERS: Registry[CoverRule] = Registry("cover")
for _rule in (
    CoverRule(  # the default is McFeeters' and Xu's
        "water", ("MNDWI", "NDWI"), True, (-0.1, 0.3), (-0.3, 0.5), (-0.1, 0.7), 0.0,
        "shadow, snow and dark roofs may pass for water, and turbid or overgrown water for land",
    ),
    CoverRule(  # 0.2 to 0.5: soil and plants mixed (Sobrino et al. 2004, doi:10.1016/j.rse.2004.02.003)
        "vegetation", ("NDVI",), True, (0.2, 0.5), (0.0, 0.6), (0.1, 0.6), 0.2,
        "dry grass, ripe crops and bare trees have the values of soil", least_value=0.0,
    ),
    CoverRule(  # the default is Zha's
        "built-up", ("NDBI",), True, (-0.1, 0.2), (-0.3, 0.4), (-0.1, 0.3), 0.0,
        "bare soil, sand and dry fields have the values of built-up land",
    ),
    CoverRule(  # no border for a single date is published: the default is ours, under most soils
        "burnt", ("NBR",), False, (-0.3, 0.1), (-0.5, 0.3), (-0.5, 0.1), -0.1,
        "bare soil, water and buildings have such values, too: only a picture from before the fire makes sure",
    ),
    CoverRule(  # Hall's border; for the same reason as in Hall et al. 2001 dark cells are water
        "snow", ("NDSI",), True, (0.4, 0.4), (0.4, 0.4), (0.4, 0.4), 0.4,
        "some clouds of ice have the values of snow", fixed=True, needs_bright_nir=True,
    ),
):  # fmt: skip
    COVERS.add(_rule.cover, _rule)
