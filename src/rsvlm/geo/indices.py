"""What covers the ground, computed from bands: water, vegetation, built-up land, burnt land and snow.

`classify(scene, "water")` takes the best normalised-difference index that the bands allow, (a - b) / (a + b), finds the
border of the cover in its histogram (`rsvlm.geo.thresholds`) and measures what lies beyond. Memory is that of a grid of
at most 2048 x 2048 cells (`rsvlm.geo.cells`); the scene is read by windows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.geo.band_roles import ROLE_WORDS
from rsvlm.geo.cells import LARGEST_SIDE, Bits, Cells, Patch
from rsvlm.geo.cover_rules import COVER_WORDS, COVERS, INDICES, CoverRule, Index
from rsvlm.geo.scene import Scene
from rsvlm.geo.thresholds import BINS, Border, find_border, histogram
from rsvlm.geo.vector import Feature, feature, polygon_to_region
from rsvlm.sample import Region

_SNOW_NIR = 0.11  # reflectance in near infrared below which an NDSI of snow is water (Hall et al. 2001)
_SNOW_NIR_8BIT = 102.0  # the same for 8-bit values of a display, in which snow is among the brightest: ours
_REFLECTANCE_STEPS = 10_000.0  # integer value of a reflectance of 1 (Sentinel-2), where the file states no scale


@dataclass(frozen=True)
class CoverPatch:
    """A connected area of a cover: `outline` in pixels of the scene (shapely), mean index value, and its size."""

    outline: Region
    shape: Any = field(repr=False)
    mean: float
    area_px: float
    area_m2: float | None


@dataclass(frozen=True, eq=False)
class Cover:
    """Where a scene has a cover, by an index of its bands.

    `numbers` are those of the two bands, from 1. `formula` has their roles and numbers. Cells whose index is above
    (`above`) or below `border.value` have the cover. `share` in 0..1 is that of the valid cells, `valid_share` of the
    scene. `area_m2` is None without a place. `patches` are the largest, of `patch_count`. `cells` is the working grid
    and `mask`, `valid` and `values` (rows, columns) the cover, the cells with data and the index (NaN without) on it.
    `notes` are sentences about what limits the result; `source` names who published the index.
    """

    cover: str
    index: str
    formula: str
    numbers: tuple[int, int]
    border: Border
    above: bool
    share: float
    valid_share: float
    area_m2: float | None
    patches: tuple[CoverPatch, ...]
    patch_count: int
    notes: tuple[str, ...]
    source: str
    cells: Cells
    mask: Bits = field(repr=False)
    valid: Bits = field(repr=False)
    values: NDArray[np.float32] = field(repr=False)

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        area = "" if self.area_m2 is None else f" ({_area_words(self.area_m2)})"
        side = "above" if self.above else "below"
        how = {"otsu": "Otsu's border in this scene", "valley": "the valley in this scene's histogram"}
        border = how.get(self.border.method, "the published border")
        whole = "the scene" if self.valid_share == 1 else "the pixels with data"
        return (
            f"{_name(self.cover)} covers {_share_words(self.share)} of {whole}{area}: {self.index} of bands "
            f"{self.numbers[0]} and {self.numbers[1]} {side} {self.border.value:.2f} ({border})."
        )

    def features(self, scene: Scene) -> list[Feature]:
        """The patches as GeoJSON features (in pixels without a place), with their holes, label and mean index value."""
        return [
            feature(patch.shape, scene.place, label=self.cover, index=self.index, mean=round(patch.mean, 4))
            for patch in self.patches
        ]


def classify(
    scene: Scene, cover: str, *, index: str = "", most: int = 20, least: int = 9, largest: int = LARGEST_SIDE
) -> Cover:
    """Where `scene` has a cover: "water", "vegetation", "built-up", "burnt" or "snow".

    `index` is the best one of the cover that the bands allow, unless named. `most` patches are returned, none of fewer
    than `least` cells; `share` and `area_m2` count those, too. `largest`: cells along the longer side. Raises BadInput,
    "... cannot be computed ...", where the roles of the bands are not known, or a band has no data, only zeros, or the
    values of the other one.
    """
    rule = COVERS[cover]
    chosen, numbers = _choose(scene, rule, index)
    cells = Cells.over(scene.width, scene.height, largest)
    values, dark, counts = _index_values(scene, rule, chosen, numbers, cells)
    areas = cells.areas(scene.place) if scene.place else None
    if areas is not None:
        values[areas == 0] = np.nan  # the rim of a disc seen from far, and the sky
    valid = np.isfinite(values)
    if not valid.any():
        raise _impossible(rule.cover, scene, "no pixel has data in both bands, or their sum is nowhere above 0")
    digital = _digital_reason(scene, numbers)
    limits = rule.digital_limits if digital else rule.limits
    border = find_border(counts, limits, rule.valley_limits, rule.default, fixed=rule.fixed)
    with np.errstate(invalid="ignore"):
        mask = (values > border.value if rule.above else values < border.value) & ~dark
    patches, count = cells.patches(mask, most, least)
    return Cover(
        cover=rule.cover,
        index=chosen.name,
        formula=_formula(chosen, numbers),
        numbers=numbers,
        border=border,
        above=rule.above,
        share=float(mask.sum() / valid.sum()),
        valid_share=float(valid.mean()),
        area_m2=None if areas is None else float(areas[mask].sum(dtype=np.float64)),
        patches=tuple(_patch(rule.cover, one, values, areas) for one in patches),
        patch_count=count,
        notes=tuple(_notes(rule, scene, cells, border, digital)),
        source=chosen.source,
        cells=cells,
        mask=mask,
        valid=valid,
        values=values,
    )


def can_classify(scene: Scene, cover: str) -> str:
    """ "" where the bands of a scene have the roles that a cover needs, else the sentence that says why not."""
    try:
        _choose(scene, COVERS[cover])
    except BadInput as error:
        return str(error)
    return ""


def _choose(scene: Scene, rule: CoverRule, wanted: str = "") -> tuple[Index, tuple[int, int]]:
    if wanted and wanted not in rule.indices:
        raise BadInput(f"{_name(rule.cover)} is not found by {wanted!r}; name one of {', '.join(rule.indices)}.")
    names = (wanted,) if wanted else rule.indices
    for name in names:
        index = INDICES[name]
        if index.first in scene.band_roles and index.second in scene.band_roles:
            return index, (scene.band_roles.index(index.first) + 1, scene.band_roles.index(index.second) + 1)
    needed = " or ".join(f"{_word(INDICES[name].first)} and {_word(INDICES[name].second)}" for name in names)
    known = ", ".join(f"{number} {_word(role)}" for number, role in enumerate(scene.band_roles, start=1) if role)
    found = f"only these bands are known: {known}" if known else "no band is known by its name"
    raise _impossible(
        rule.cover,
        scene,
        f"it takes {needed}, and {found}; "
        f"name the bands in the file, or choose a recipe (--bands naip, sentinel2, landsat, landsat-swir)",
    )


def _index_values(
    scene: Scene, rule: CoverRule, index: Index, numbers: tuple[int, int], cells: Cells
) -> tuple[NDArray[np.float32], Bits, NDArray[np.int64]]:
    """(values (rows, columns), NaN without data; cells too dark for the cover; histogram (BINS,)) of an index."""
    values, dark = np.full(cells.shape, np.nan, np.float32), np.zeros(cells.shape, bool)
    counts = np.zeros(BINS, np.int64)
    nir = scene.band_roles.index("nir") + 1 if rule.needs_bright_nir and "nir" in scene.band_roles else 0
    floor = _least_snow_nir(scene, nir) if nir else 0.0
    zeros = [scene.band_scale(number)[1] for number in numbers]
    there, beyond_zero, differ = np.zeros(2, bool), np.zeros(2, bool), False
    for window, at in cells.windows():
        size = (at[1].stop - at[1].start, at[0].stop - at[0].start)
        bands = scene.read_bands((*numbers, nir) if nir else numbers, window, size)
        mask = np.ma.getmaskarray(bands)[:2]
        missing = _missing(scene, mask)
        a, b = (np.where(missing, 0, np.maximum(band, 0)) for band in bands.data[:2])
        total = a + b
        part = np.full(total.shape, np.nan, np.float32)
        np.divide(a - b, total, out=part, where=total > 0)
        values[at] = part
        counts += histogram(part[part >= rule.least_value])
        dark[at] = bands.data[2] < floor if nir else False
        there |= ~mask.all(axis=(1, 2))
        beyond_zero |= [
            bool((band != zero)[~hole].any()) for band, zero, hole in zip(bands.data, zeros, mask, strict=False)
        ]
        differ = differ or bool((bands.data[0] != bands.data[1])[~missing].any())
    for number, role, has, more in zip(numbers, (index.first, index.second), there, beyond_zero, strict=True):
        if not has or not more:
            what = "nothing but zeros" if has else "no data"
            raise _impossible(rule.cover, scene, f"band {number} ({_word(role)}) holds {what}")
    if not differ:
        raise _impossible(rule.cover, scene, f"the bands {numbers[0]} and {numbers[1]} hold the same values")
    return values, dark, counts


def _missing(scene: Scene, mask: Bits) -> Bits:
    """(H, W) from the masks (2, H, W) of both bands. Where nodata is 0, one band of 0 is a dark pixel, not a hole."""
    dark_is_data = scene.nodata == 0 and np.dtype(scene.dtype).kind == "u"
    return np.asarray(mask.all(axis=0) if dark_is_data else mask.any(axis=0))


def _least_snow_nir(scene: Scene, number: int) -> float:
    """The value in near infrared (band `number`, scaled) that snow has at least."""
    if scene.dtype == "uint8":
        return _SNOW_NIR_8BIT
    stored_as_is = scene.band_scale(number)[0] == 1 and np.dtype(scene.dtype).kind != "f"
    return _SNOW_NIR * (_REFLECTANCE_STEPS if stored_as_is else 1.0)


def _digital_reason(scene: Scene, numbers: tuple[int, int]) -> str:
    """Why values are digital numbers and not reflectance, half a sentence; "" where they may be reflectance."""
    if scene.dtype == "uint8":
        return "its 8-bit values are digital numbers of a display, not reflectance"
    stated = scene.band_scale(numbers[0]) != (1.0, 0.0)
    if not stated and np.dtype(scene.dtype).kind == "u" and scene.bands[numbers[0] - 1].lower().startswith("sr_b"):
        return "the file does not state the scale 0.0000275 and offset -0.2 of Landsat's Collection 2"
    return ""


def _notes(rule: CoverRule, scene: Scene, cells: Cells, border: Border, digital: str) -> Iterator[str]:
    if digital:
        sought = "" if rule.fixed else "the border was sought in wider limits, and "
        yield f"{digital}: {sought}published borders hold only roughly"
    if border.method == "default" and not border.clear:
        yield (
            f"the index has one group of values here, through which the published border {rule.default:g} runs: the "
            f"share of {rule.cover} is uncertain"
        )
    if rule.needs_bright_nir and "nir" not in scene.band_roles:
        yield "near infrared is not known, by which water would be told from snow"
    if cells.step > 1:
        yield f"computed on cells of {cells.step} x {cells.step} pixels ({cells.shape[1]} x {cells.shape[0]} cells)"
    yield rule.confused


def _patch(cover: str, patch: Patch, values: NDArray[np.float32], areas: NDArray[np.float32] | None) -> CoverPatch:
    outline, cells, at = patch
    area = None if areas is None else float(areas[at][cells].sum(dtype=np.float64))
    region = polygon_to_region(outline, cover)
    return CoverPatch(region, outline, float(np.nanmean(values[at][cells])), float(outline.area), area)


def _impossible(cover: str, scene: Scene, why: str) -> BadInput:
    return BadInput(f"{_name(cover)} cannot be computed from {scene.path.name}: {why}.")


def _formula(index: Index, numbers: tuple[int, int]) -> str:
    a, b = (f"{_word(role)} (band {number})" for role, number in zip((index.first, index.second), numbers, strict=True))
    return f"({a} - {b}) / ({a} + {b})"


def _name(cover: str) -> str:
    return COVER_WORDS.get(cover, cover).capitalize()


def _word(role: str) -> str:
    return ROLE_WORDS.get(role, role)


def _share_words(share: float) -> str:
    return "less than 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def _area_words(square_metres: float) -> str:
    if square_metres >= 1e5:
        return f"{square_metres / 1e6:,.2f} square km"
    return f"{square_metres:,.0f} square m"
