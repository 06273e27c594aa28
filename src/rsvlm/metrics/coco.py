"""COCO's average precision and recall (COCOeval of pycocotools), with the IoU of upright and turned boxes and polygons.

They are no functions of sums over images: see `rsvlm.metrics.regions.score_of_images` for their spread.
"""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import missing_extra
from rsvlm.metrics.regions import Regions, area_of, labels_of, region_ious, score_of_images
from rsvlm.metrics.score import Array, Score

_SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}  # COCO's areas, in square pixels
_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_ANY = _THRESHOLDS > 0


def coco_scores(
    predictions: Sequence[Regions | None], references: Sequence[Regions], *, max_detections: int = 100
) -> dict[str, Score]:
    """COCOeval's numbers (pycocotools): `map` (IoU 0.50 to 0.95), `ap50`, `ap75`, `map_<size>`, `ar@1`, `ar@10`,
    `ar@<max_detections>`, `ar_<size>`, in fractions. A score without any target (no small objects, say) is left out.

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
            scores[name] = score_of_images(name, float(cells[cells > -1].mean()), np.where(there, each, 0.0), there)
    return scores


def _evaluated(predictions: Sequence[Regions], references: Sequence[Regions], max_detections: int) -> Any:
    """A COCOeval that has matched and accumulated, or None where there is no target."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as err:
        raise missing_extra("pycocotools", "evaluate") from err
    labels = labels_of(references)
    if not labels:
        return None
    if any(region.score is None for regions in predictions for region in regions):
        raise ValueError("average precision needs a score for every region; see detection_scores for boxes without")

    class ByRegion(COCOeval):
        """COCOeval with the IoU of regions."""

        _gts: Any
        _dts: Any

        def computeIoU(self, imgId: int, catId: int) -> Any:
            predicted, expected = (rows[imgId, catId] for rows in (self._dts, self._gts))
            order = np.argsort([-row["score"] for row in predicted], kind="mergesort")[: self.params.maxDets[-1]]
            return region_ious([predicted[i]["region"] for i in order], [row["region"] for row in expected])

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
            "area": area_of(region), "iscrowd": 0,
        }
        for n, (i, region) in enumerate(found, start=1)  # 0 would mean "not matched"
    ]  # fmt: skip


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
