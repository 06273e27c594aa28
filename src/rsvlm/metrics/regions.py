"""Regions (upright boxes, turned boxes, polygons) of images: their IoU, labels, areas, and scores over images."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import missing_extra
from rsvlm.metrics.boxes import outlines, overlaps, quotient, shape_overlaps, valid_polygons
from rsvlm.metrics.score import Array, Score, mean_score, ratio
from rsvlm.sample import Region

Regions = Sequence[Region]


def region_ious(predicted: Regions, target: Regions) -> Array:
    """IoU of each region with each, (N, M): of boxes where all are upright, else of polygons."""
    shape = len(predicted), len(target)
    if 0 in shape:
        return np.zeros(shape)
    if any(region.angle or region.polygon for region in (*predicted, *target)):
        shared, union = shape_overlaps(polygons_of(predicted)[:, None], polygons_of(target)[None])
    else:
        boxes = (np.array([region.box for region in regions], dtype=np.float64) for regions in (predicted, target))
        said, expected = boxes
        shared, union = overlaps(said[:, None], expected[None])
    return quotient(shared, union)


def shares_inside(predicted: Regions, target: Regions) -> Array:
    """The share of each region's own area that lies in each target, (N, M)."""
    if not predicted or not target:
        return np.zeros((len(predicted), len(target)))
    shared, _ = shape_overlaps(polygons_of(predicted)[:, None], polygons_of(target)[None])
    return quotient(shared, np.array([[max(area_of(region), 1e-9)] for region in predicted]))


def polygons_of(regions: Regions) -> NDArray[np.object_]:
    """(N,) valid shapely polygons. Raises MissingPart without shapely."""
    try:
        from shapely import Polygon
    except ImportError as err:
        raise missing_extra("shapely", "evaluate") from err
    shapes = np.empty(len(regions), dtype=object)
    for i, region in enumerate(regions):
        shapes[i] = Polygon(region.polygon or outlines((*region.box, region.angle)))
    return valid_polygons(shapes)


def labels_of(images: Iterable[Regions]) -> list[str]:
    """The labels that occur in these images, sorted."""
    return sorted({region.label for regions in images for region in regions})


def with_label(label: str, regions: Regions) -> Regions:
    """The regions of this label, in their order."""
    return [region for region in regions if region.label == label]


def area_of(region: Region) -> float:
    """The area in square pixels: of the polygon where there is one, else of the box."""
    if region.polygon:
        return float(polygons_of([region])[0].area)
    return max(region.box[2] - region.box[0], 0.0) * max(region.box[3] - region.box[1], 0.0)


def score_of_images(
    name: str, value: float, each: Sequence[float] | Array, among: Sequence[bool] | NDArray[np.bool_]
) -> Score:
    """A `value` of the whole set that is no function of sums over images, as a Score.

    `each` (N,) is what each image scores by itself, `among` marks the images that count. The spread is that of the mean
    of `each`, shifted onto `value`.
    """
    of_mean = mean_score(name, each, among)
    shift = value - of_mean.value
    return replace(of_mean, value=value, finish=lambda sums: ratio(sums) + shift)
