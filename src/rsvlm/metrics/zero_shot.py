"""Zero-shot classification by texts: class weights out of prompts, accuracies, and SkyScript's yes/no mode.

The field averages the prompts of a class in two ways that give different numbers: `raw_mean` (GeoRSCLIP) averages the
text features as they leave the encoder, `unit_mean` (open_clip, SkyScript) brings each to unit length first.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.metrics.accuracy import scene_scores
from rsvlm.metrics.score import Array, Score, mean_score

Average = Literal["raw_mean", "unit_mean"]

SCALE = 100.0  # logits = 100 * cosine
_QUALITIES = (
    "low resolution", "bad", "cropped", "bright", "dark", "close-up", "black and white", "jpeg corrupted", "blurry",
    "good",
)  # fmt: skip
_SIZES = ("large", "nice", "small", "weird", "cool")


def _georsclip(article: str, noun: str) -> list[str]:
    plain = f"{article} {noun} of"
    return [
        *(f"{plain} {what} {{}}." for what in ("many", "a", "the", "the hard to see", "a hard to see")),
        *(f"a {quality} {noun} of {the} {{}}." for quality in _QUALITIES for the in ("the", "a")),
        *(f"{plain} {the} {size} {{}}." for size in _SIZES for the in ("the", "a")),
    ]


_NOUNS = (("a", "remote sensing image"), ("an", "aerial image"), ("a", "satellite image"))
# om-ai-lab/RS5M, inference/classname_and_prompt: one list for AID, EuroSAT and RESISC45.
GEORSCLIP_TEMPLATES = tuple(template for article, noun in _NOUNS for template in _georsclip(article, noun))
# The texts whose mean says how much a picture of the web is one of remote sensing (arXiv:2306.11300, app. B3).
GEORSCLIP_FILTER_PROMPTS = tuple(
    prompt
    for article, noun in _NOUNS
    for prompt in (f"{article} {noun}.", *(f"a {quality} {noun}." for quality in _QUALITIES))
)
# wangzhecheng/SkyScript, prompt_templates.py: the second of each pair has no full stop.
SKYSCRIPT_TEMPLATES = ("a satellite photo of {}.", "a satellite image of {}")
SKYSCRIPT_ROOF_TEMPLATES = ("a satellite photo of building, {}.", "a satellite image of building, {}")
SKYSCRIPT_ROAD_TEMPLATES = ("a satellite photo of road, {}.", "a satellite image of road, {}")
# The set of each published protocol by name; RSICB goes by two names in the original, whose own run fails on one.
TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "georsclip": GEORSCLIP_TEMPLATES,
    "skyscript": SKYSCRIPT_TEMPLATES,
    "skyscript_roof_shape": SKYSCRIPT_ROOF_TEMPLATES,
    "skyscript_smoothness": SKYSCRIPT_ROAD_TEMPLATES,
    "skyscript_surface": SKYSCRIPT_ROAD_TEMPLATES,
}
# The classes of SkyScript's sets of attributes, in their first wording (arXiv:2312.12856); of the second only the files
# tell, and so do the 70 of SkyScript_cls.
SKYSCRIPT_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "skyscript_roof_shape": ("flat", "hipped", "gabled", "dome", "pyramidal", "round"),
    "skyscript_smoothness": ("excellent", "good", "intermediate", "bad", "very bad"),
    "skyscript_surface": ("asphalt", "concrete", "grass", "gravel", "sand"),
}


def prompts(classes: Sequence[str], templates: Sequence[str]) -> list[list[str]]:
    """Every class name in every template: a list of prompts per class."""
    return [[template.replace("{}", name) for template in templates] for name in classes]


def georsclip_class_name(folder: str) -> str:
    """A folder's name as GeoRSCLIP says it: "_" and "/" are blanks, lower case, CamelCase is not split."""
    return folder.replace("_", " ").replace("/", " ").lower()


def class_weights(features: Sequence[NDArray[Any]] | NDArray[Any], *, average: Average) -> Array:
    """(C, D) rows of unit length out of the text features of each class's prompts, (C, T, D) or C of (T_c, D).

    `features` are as the encoder gives them, not normalised. A class whose features are all zero keeps a row of zeros.
    """
    rows = [np.asarray(each, dtype=np.float64) for each in features]
    if average == "unit_mean":
        rows = [_unit(each) for each in rows]
    return _unit(np.stack([each.mean(axis=0) for each in rows]))


def zero_shot_logits(images: NDArray[Any], weights: NDArray[Any]) -> Array:
    """(N, C): 100 times the cosine of image features (N, D), of any length, and class weights (C, D)."""
    return SCALE * _unit(np.asarray(images, dtype=np.float64)) @ np.asarray(weights, dtype=np.float64).T


def zero_shot_scores(
    logits: NDArray[Any], labels: Sequence[int] | NDArray[Any], classes: Sequence[str]
) -> dict[str, Score]:
    """`acc@1`, `acc@5` (from six classes on), `balanced_accuracy` and `acc@1_<class>` for each class that occurs.

    `logits` (N, C), `labels` (N,) indices into `classes`. A class as near as the right one stands in front of it, and a
    right class with a NaN is last: neither is counted right. Raises BadInput where the sizes do not fit.
    """
    logits, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if logits.shape != (len(truth), len(classes)) or ((truth < 0) | (truth >= len(classes))).any():
        raise BadInput(
            f"Logits {logits.shape} came with {len(truth)} labels up to {truth.max(initial=-1)} and {len(classes)} "
            "classes; give (images, classes) and one label below the number of classes per image."
        )
    own = np.take_along_axis(logits, truth[:, None], axis=1)
    rank = len(classes) - (logits < own).sum(axis=1) - 1  # what is not farther stands in front
    rank[np.isnan(own[:, 0])] = len(classes)
    first = (rank < 1).astype(np.float64)
    scores = {"acc@1": mean_score("acc@1", first)}
    if len(classes) > 5:
        scores["acc@5"] = mean_score("acc@5", (rank < 5).astype(np.float64))
    names = [classes[int(label)] for label in truth]
    said = [name if right else None for name, right in zip(names, first, strict=True)]
    scores["balanced_accuracy"] = scene_scores(said, [[name] for name in names])["balanced_accuracy"]
    for label in np.unique(truth):
        name = f"acc@1_{classes[int(label)]}"
        scores[name] = mean_score(name, first, truth == label)
    return scores


_THRESHOLDS = np.linspace(-1.0, 1.0, 101)
_SMALL = 1e-9


def binary_scores(cosines: NDArray[Any], labels: Sequence[bool] | NDArray[Any]) -> dict[str, Score]:
    """SkyScript's mode of one class: `best_f1` over 101 thresholds from -1 to 1, with its precision and recall.

    `cosines` (N,) of image and class weight, yes where >= the threshold; a NaN is a no. The threshold is chosen on the
    very set that is scored, so the value flatters; `best_threshold` (the first of the best) is returned beside it to be
    used on another set. Each draw of a bootstrap chooses its own.
    """
    truth = np.asarray(labels, dtype=bool)
    yes = np.asarray(cosines)[:, None] >= _THRESHOLDS
    own = truth[:, None]
    sums = np.concatenate([yes & own, yes & ~own, ~yes & own], axis=1).astype(np.float64)
    best = int(_best(sums.sum(axis=0))[1])
    right = (yes[:, best] == truth).astype(np.float64)

    def score(name: str, which: int) -> Score:
        def finish(totals: Array) -> Array:
            table, at = _best(totals)
            return np.take_along_axis(table[which], at[..., None], axis=-1)[..., 0]

        value = float(finish(sums.sum(axis=0)))
        return Score(name=name, value=value, per_item=right, n=len(truth), sums=sums, finish=finish)

    names = ("best_f1", "best_precision", "best_recall", "best_threshold")
    return {name: score(name, which) for which, name in enumerate(names)}


def _best(totals: Array) -> tuple[tuple[Array, ...], NDArray[np.int64]]:
    """F1, precision, recall and threshold at each threshold, and the place of the first best F1."""
    hit, false, missed = np.split(totals, 3, axis=-1)
    precision = (hit + _SMALL) / (hit + false + _SMALL)
    recall = (hit + _SMALL) / (hit + missed + _SMALL)
    f1 = 2 * precision * recall / (precision + recall + _SMALL)
    return (f1, precision, recall, np.broadcast_to(_THRESHOLDS, f1.shape)), f1.argmax(axis=-1)


def _unit(rows: Array) -> Array:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths != 0)
