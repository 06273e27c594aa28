"""Detection: average precision as COCO and as PASCAL VOC count it, F1, counts; for upright and turned boxes, polygons.

A vision-language model gives no confidence. Its boxes then have equal scores, the precision-recall curve is one point,
and the average precision is called `map_nc` ("no confidence", RSCoVLM): never to be compared with a detector's `map`.

Average precision and COCO's recall are no functions of sums over images. Their `value` is that of the set; `sums` hold
what each image scores by itself, and `finish` is their mean, moved onto the value: the standard error is that of the
mean of the images' own scores.
"""

import contextlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import missing_extra
from rsvlm.metrics.boxes import best_pairs, outlines, overlaps, quotient, shape_overlaps, valid_polygons
from rsvlm.metrics.change import count_scores
from rsvlm.metrics.score import Array, Finish, Score, mean_score, ratio
from rsvlm.sample import Region

Regions = Sequence[Region]
Marks = Sequence[bool] | NDArray[np.bool_]
Curve = Literal["area", "voc11", "coco101"]

_SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}  # COCO's areas, in square pixels
_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_ANY = _THRESHOLDS > 0


def detection_scores(predictions: Sequence[Regions | None], references: Sequence[Regions]) -> dict[str, Score]:
    """`f1@0.5`, `precision@0.5`, `recall@0.5`, `mae` and `rmse` of the number of boxes, `parse_failures`; and COCO's
    scores where every predicted region has a score, else `map_nc` (`ap_score` at IoU 0.5).

    N images; regions in pixels, matched within a label; None: the answer could not be read (no box, counted).
    """
    said = [p or () for p in predictions]
    scored = all(region.score is not None for regions in said for region in regions)
    scores = f1_scores(said, references)
    scores |= count_scores([None if p is None else len(p) for p in predictions], list(map(len, references)))
    scores["parse_failures"] = mean_score("parse_failures", [p is None for p in predictions])
    if scored and any(said):
        return scores | coco_scores(said, references)
    said = [[replace(region, score=None) for region in regions] for regions in said]
    return scores | {"map_nc": ap_score(said, references, name="map_nc")}


def region_ious(predicted: Regions, target: Regions) -> Array:
    """IoU of each region with each, (N, M): of boxes where all are upright, else of polygons."""
    shape = len(predicted), len(target)
    if 0 in shape:
        return np.zeros(shape)
    if any(region.angle or region.polygon for region in (*predicted, *target)):
        shared, union = shape_overlaps(_shapes(predicted)[:, None], _shapes(target)[None])
    else:
        boxes = (np.array([region.box for region in regions], dtype=np.float64) for regions in (predicted, target))
        said, expected = boxes
        shared, union = overlaps(said[:, None], expected[None])
    return quotient(shared, union)


def _shapes(regions: Regions) -> NDArray[np.object_]:
    try:
        from shapely import Polygon
    except ImportError as err:
        raise missing_extra("shapely", "evaluate") from err
    shapes = np.empty(len(regions), dtype=object)
    for i, region in enumerate(regions):
        shapes[i] = Polygon(region.polygon or outlines((*region.box, region.angle)))
    return valid_polygons(shapes)


def _labels(*sets: Iterable[Regions]) -> list[str]:
    return sorted({region.label for images in sets for regions in images for region in regions})


def _of(label: str, regions: Regions) -> Regions:
    return [region for region in regions if region.label == label]


# ---- without confidence ----


def f1_scores(
    predictions: Sequence[Regions | None], references: Sequence[Regions], *, threshold: float = 0.5
) -> dict[str, Score]:
    """`precision@t`, `recall@t` and `f1@t` over all boxes of all images (micro), matched one to one within a label.

    As many pairs of IoU >= t as possible are made, so neither scores nor the order of the boxes matter.
    """
    rows: list[tuple[int, int, int]] = []
    for said, expected in zip(predictions, references, strict=True):
        right = 0
        for label in _labels([expected]):
            fits = region_ious(_of(label, said or ()), _of(label, expected)) >= threshold
            i, j = best_pairs(fits.astype(np.float64))
            right += int(fits[i, j].sum())
        rows.append((right, len(said or ()), len(expected)))
    sums = np.array(rows, dtype=np.float64).reshape(-1, 3)
    finishes: dict[str, Finish] = {
        "precision": lambda s: ratio(s[..., :2]),
        "recall": lambda s: ratio(s[..., ::2]),
        "f1": lambda s: ratio(np.stack([2 * s[..., 0], s[..., 1] + s[..., 2]], axis=-1)),
    }
    return {
        f"{name}@{threshold:g}": Score(
            name=f"{name}@{threshold:g}",
            value=float(finish(sums.sum(axis=0))),
            per_item=finish(sums),
            n=len(sums),
            sums=sums,
            finish=finish,
        )
        for name, finish in finishes.items()
    }


# ---- PASCAL VOC ----


def ap_score(
    predictions: Sequence[Regions | None],
    references: Sequence[Regions],
    *,
    threshold: float = 0.5,
    curve: Curve = "area",
    ties: Literal["together", "listed"] = "together",
    name: str = "map",
) -> Score:
    """Mean over labels of the average precision at one IoU, matched as PASCAL VOC and DOTA do.

    By falling score, a box takes the target it overlaps most; where that one is taken, or IoU < t, the box is false.
    `curve`: `area` under the envelope (VOC 2010), the mean of it at 11 recalls (`voc11`, VOC 2007, mmrotate's default)
    or at 101 (`coco101`). No score is a score of 0. Boxes of equal score enter the curve together, so that it does not
    hang on their order in the list; `ties="listed"` lets them in one by one, as released code does. Labels without a
    target do not count.
    """
    images = [(p or (), t) for p, t in zip(predictions, references, strict=True)]
    labels = [[_matched(_of(k, p), _of(k, t), threshold) for p, t in images] for k in _labels(references)]
    together = ties == "together"

    def mean(rows: Sequence[Sequence[tuple[Array, Array, int]]]) -> float:
        aps = [_average_precision(row, curve, together) for row in rows if any(targets for _, _, targets in row)]
        return float(np.mean(aps)) if aps else 0.0

    each = [mean([[row[i]] for row in labels]) for i in range(len(images))]
    return _of_images(name, mean(labels), each, [bool(t) for _, t in images])


def _of_images(name: str, value: float, each: Sequence[float] | Array, among: Marks) -> Score:
    """The value of the set with the spread of the mean of its images, moved onto that value."""
    of_mean = mean_score(name, each, among)
    shift = value - of_mean.value
    return replace(of_mean, value=value, finish=lambda sums: ratio(sums) + shift)


def _matched(said: Regions, expected: Regions, threshold: float) -> tuple[Array, Array, int]:
    """Scores and hits (0, 1) of one image's boxes of a label by falling score, and the number of its targets."""
    scores = np.array([region.score or 0.0 for region in said], dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    hits = np.zeros(len(said))
    if said and expected:
        table = region_ious(said, expected)
        taken: set[int] = set()
        for rank, row in enumerate(table[order]):
            best = int(row.argmax())
            hits[rank] = row[best] >= threshold and best not in taken
            if row[best] >= threshold:
                taken.add(best)
    return scores[order], hits, len(expected)


def _average_precision(images: Sequence[tuple[Array, Array, int]], curve: Curve, together: bool) -> float:
    scores, hits = (np.concatenate([image[k] for image in images]) for k in (0, 1))
    order = np.argsort(-scores, kind="stable")
    right = hits[order].cumsum()
    last = np.append(np.diff(scores[order]) != 0, True)[: len(order)] if together else np.ones(len(order), bool)
    recall = right[last] / sum(image[2] for image in images)
    envelope = np.maximum.accumulate((right / np.arange(1, len(right) + 1))[last][::-1])[::-1]
    if curve == "area":
        return float((np.diff(recall, prepend=0.0) * envelope).sum())
    at = np.searchsorted(recall, np.linspace(0, 1, 11 if curve == "voc11" else 101), side="left")
    return float(np.append(envelope, 0.0)[at].mean())


# ---- COCO ----


def coco_scores(
    predictions: Sequence[Regions | None], references: Sequence[Regions], *, max_detections: int = 100
) -> dict[str, Score]:
    """COCOeval's numbers (pycocotools): `map` (IoU 0.50 to 0.95), `ap50`, `ap75`, `map_<size>`, `ar@1`, `ar@10`,
    `ar@<max_detections>`, `ar_<size>`, in fractions; what no target is there for is left out.

    Turned boxes and polygons are matched and counted by COCOeval too, with their own IoU. Sizes are those of the region
    in square pixels. Raises ValueError where a predicted region has no score.
    """
    evaluation = _evaluated([p or () for p in predictions], references, max_detections)
    if evaluation is None:
        return {}
    areas, limits = ("all", *_SIZES), sorted({1, 10, max_detections})
    last = len(limits) - 1
    wanted = [("map", "precision", _ANY, "all", last), ("ap50", "precision", _THRESHOLDS == 0.5, "all", last)]
    wanted += [("ap75", "precision", np.isclose(_THRESHOLDS, 0.75), "all", last)]
    wanted += [(f"map_{size}", "precision", _ANY, size, last) for size in _SIZES]
    wanted += [(f"ar@{limit}", "recall", _ANY, "all", i) for i, limit in enumerate(limits)]
    wanted += [(f"ar_{size}", "recall", _ANY, size, last) for size in _SIZES]
    scores: dict[str, Score] = {}
    for name, kind, levels, size, limit in wanted:
        cells = evaluation.eval[kind][levels][..., areas.index(size), limit]  # -1: no target of that label and size
        if (cells > -1).any():
            each = _coco_images(evaluation, areas.index(size), limits[limit], levels, kind == "recall")
            there = ~np.isnan(each)
            scores[name] = _of_images(name, float(cells[cells > -1].mean()), np.where(there, each, 0.0), there)
    return scores


def _evaluated(predictions: Sequence[Regions], references: Sequence[Regions], max_detections: int) -> Any:
    """A COCOeval that has matched and accumulated, or None where there is no target."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as err:
        raise missing_extra("pycocotools", "evaluate") from err
    labels = _labels(references)
    if not labels:
        return None
    if any(region.score is None for regions in predictions for region in regions):
        raise ValueError("average precision needs a score for every region; see detection_scores for boxes without")

    class ByRegion(COCOeval):
        """COCOeval with the IoU of regions."""

        _gts: Any
        _dts: Any

        def computeIoU(self, imgId: int, catId: int) -> Any:
            said, expected = (rows[imgId, catId] for rows in (self._dts, self._gts))
            order = np.argsort([-row["score"] for row in said], kind="mergesort")[: self.params.maxDets[-1]]
            return region_ious([said[i]["region"] for i in order], [row["region"] for row in expected])

    with contextlib.redirect_stdout(io.StringIO()):
        sides: list[Any] = []
        for images in (references, predictions):
            side: Any = COCO()
            side.dataset = {
                "images": [{"id": i} for i in range(len(references))],
                "categories": [{"id": k, "name": label} for k, label in enumerate(labels)],
                "annotations": _annotations(images, labels),
            }
            side.createIndex()
            sides.append(side)
        evaluation = ByRegion(*sides, iouType="bbox")
        evaluation.params.maxDets = sorted({1, 10, max_detections})
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _annotations(images: Sequence[Regions], labels: Sequence[str]) -> list[dict[str, Any]]:
    number = {label: k for k, label in enumerate(labels)}
    found = [(i, region) for i, regions in enumerate(images) for region in regions if region.label in number]
    return [
        {
            "id": n, "image_id": i, "category_id": number[region.label], "score": region.score, "region": region,
            "area": _area(region), "iscrowd": 0,
        }
        for n, (i, region) in enumerate(found, start=1)  # 0 would mean "not matched"
    ]  # fmt: skip


def _area(region: Region) -> float:
    if region.polygon:
        return float(_shapes([region])[0].area)
    return max(region.box[2] - region.box[0], 0.0) * max(region.box[3] - region.box[1], 0.0)


def _coco_images(evaluation: Any, area: int, limit: int, levels: NDArray[np.bool_], recall: bool) -> Array:
    """(N,) what each image scores by itself: the mean over its labels and the IoU levels; NaN without a target."""
    images = len(evaluation.params.imgIds)
    sums, labels = np.zeros(images), np.zeros(images)
    grid = np.array(evaluation.evalImgs, dtype=object).reshape(-1, len(_SIZES) + 1, images)
    for i, cell in ((i, cell) for row in grid[:, area] for i, cell in enumerate(row) if cell is not None):
        targets = int(np.count_nonzero(cell["gtIgnore"] == 0))
        if not targets:
            continue
        counted = ~cell["dtIgnore"][levels, :limit]
        right = ((cell["dtMatches"][levels, :limit] > 0) & counted).cumsum(axis=1)
        reached = right / targets  # the recall after each box, by falling score
        if recall:
            found = reached.max(axis=1, initial=0.0)
        else:
            precision = right / np.maximum(counted.cumsum(axis=1), 1)
            kept = np.where(reached[..., None] >= np.linspace(0, 1, 101), precision[..., None], 0.0)
            found = kept.max(axis=1, initial=0.0)
        sums[i] += found.mean()
        labels[i] += 1
    return np.divide(sums, labels, out=np.full(images, np.nan), where=labels > 0)
