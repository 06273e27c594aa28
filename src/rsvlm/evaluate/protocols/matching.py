"""Matching benchmarks: retrieval both ways, zero-shot classes by prompts, localisation by a text.

Items with a picture are asked for its vector, items without for that of their question; a metric sees all of them.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from rsvlm.errors import BadInput
from rsvlm.evaluate.items import Item, items_of
from rsvlm.evaluate.protocol import Protocol, Read, Row
from rsvlm.evaluate.solvers import read_map, read_vector
from rsvlm.metrics.retrieval import retrieval_scores
from rsvlm.metrics.score import Array, Score
from rsvlm.metrics.text.captions import spread
from rsvlm.metrics.zero_shot import (
    TEMPLATES,
    Average,
    class_weights,
    georsclip_class_name,
    prompts,
    zero_shot_logits,
    zero_shot_scores,
)
from rsvlm.sample import Sample


def vector_of(_: Sequence[Item]) -> Read:
    """The vector in a row as it is written; None where there is none, or one that is no list of finite numbers."""

    def read(_: Item, row: Row) -> Any:
        given = row.get("vector")
        try:
            found = None if given is None else read_vector(given)
        except (ValueError, TypeError):
            return None
        return given if found is not None and found.ndim == 1 and found.size and np.isfinite(found).all() else None

    return read


def feature_rows(predictions: Sequence[Any]) -> Array:
    """(N, D); rows of NaN, which match nothing, where there is no vector or one of another length than most."""
    found = [None if p is None else read_vector(p) for p in predictions]
    width = Counter(len(vector) for vector in found if vector is not None).most_common(1)
    size = width[0][0] if width else 1
    blank = np.full(size, np.nan)
    rows = [blank if vector is None or len(vector) != size else vector for vector in found]
    return np.stack(rows) if rows else np.zeros((0, size))


# ---- retrieval ----


def _grouped(samples: Sequence[Sample]) -> list[Item]:
    """Each picture, then each of its captions as a candidate of its own."""
    captions = items_of(samples, "caption")
    shown = [replace(item, question="", references=(), meta={"image": item.id}) for item in captions]
    return shown + [
        Item(id=f"{item.id}/{place}", question=text, meta={"image": item.id})
        for item in captions
        for place, text in enumerate(item.references)
    ]


_PREFIX = "a satellite image. {}"


def _merged(samples: Sequence[Sample]) -> list[Item]:
    """Each picture, then each distinct caption once, in alphabetical order, with all pictures it is true of."""
    shown = [item for item in _grouped(samples) if item.images]
    of: dict[str, list[str]] = {}
    for item in items_of(samples, "caption"):
        for text in item.references:
            of.setdefault(_PREFIX.replace("{}", text), []).append(item.id)
    texts = sorted(of)
    return shown + [
        Item(id=f"text{number}", question=text, meta={"images": sorted(set(of[text]))})
        for number, text in enumerate(texts)
    ]


def _recalls(items: Sequence[Item], predictions: Sequence[Any], merged: bool) -> Mapping[str, Score]:
    features = feature_rows(predictions)
    number = {item.id: at for at, item in enumerate(items) if item.images}
    texts = [at for at, item in enumerate(items) if not item.images]
    owners = [items[at].meta["images"] if merged else [items[at].meta["image"]] for at in texts]
    pairs = [  # without leaked pictures, texts of those alone are no candidates
        (at, number[image]) for at, images in zip(texts, owners, strict=True) for image in images if image in number
    ]
    columns = np.array([at for at, _ in pairs], dtype=np.int64)
    return retrieval_scores(
        (features[: len(number)], features[columns]),
        [image for _, image in pairs],
        [items[at].question for at in columns],
        protocol="merged_texts" if merged else "grouped_captions",
    )


def _retrieval(dataset: str, title: str, name: str, **counts: Mapping[str, int]) -> tuple[Protocol, Protocol]:
    """Both protocols of a caption set; `counts` of items (pictures and texts) by protocol."""

    def entry(
        protocol: str, what: str, ask: Callable[[Sequence[Sample]], list[Item]], front: str, **more: Any
    ) -> Protocol:
        heads = [f"{front}{way}_recall@{k}" for way in ("i2t", "t2i") for k in (1, 5, 10)]
        return Protocol(
            name=f"{name}/{protocol}@1", title=f"{title}: retrieval both ways, {what}", dataset=dataset, ask=ask,
            reader=vector_of, measure=partial(_recalls, merged=bool(front)), headline=(f"{front}mean_recall", *heads),
            per_item=f"{front}mean_recall", ability="matches", wrong_below=0.5, graded=False, **more,
        )  # fmt: skip

    grouped = entry(
        "grouped-captions", "each caption a candidate (AMFMN, GeoRSCLIP)", _grouped, "", wording=("",),
        counts=counts.get("grouped", {}), dialect="equal sentences of other pictures are wrong; ties against the model",
    )  # fmt: skip
    merged = entry(
        "merged-texts", "equal captions merged (SkyScript)", _merged, "merged_", wording=(_PREFIX,),
        counts=counts.get("merged", {}), dialect="a text is right for all its pictures; ties against the model",
    )  # fmt: skip
    return grouped, merged


# ---- zero-shot classes ----


def _prompted(
    samples: Sequence[Sample], templates: Sequence[str], named: Callable[[Sample], str], listed: str = "classes"
) -> list[Item]:
    """Each picture with its class, then every class (of the set's list, else those that occur) in every template."""
    shown = [
        replace(item, question="", kind="", references=(named(sample),), meta={"image": sample.id})
        for sample in samples
        for item in items_of([sample], "scene")[:1]
    ]
    expected = next((sample.meta[listed] for sample in samples if sample.meta.get(listed)), None)
    classes = list(expected) if expected else sorted({item.references[0] for item in shown})
    if len(classes) < 2:
        raise BadInput(
            f"{samples[0].source} here has {len(classes)} class; a choice needs two or more: bring all of it."
        )
    return shown + [
        Item(id=f"{name}?{place}", question=text, references=(name,), meta={"class": name})
        for name, texts in zip(classes, prompts(classes, templates), strict=True)
        for place, text in enumerate(texts)
    ]


def _accuracies(items: Sequence[Item], predictions: Sequence[Any], average: Average) -> Mapping[str, Score]:
    features = feature_rows(predictions)
    shown = np.array([bool(item.images) for item in items], bool)
    of: dict[str, list[int]] = {}
    for at in np.flatnonzero(~shown).tolist():
        of.setdefault(items[at].meta["class"], []).append(at)
    classes = list(of)
    logits = zero_shot_logits(features[shown], class_weights([features[rows] for rows in of.values()], average=average))
    labels = [classes.index(items[at].references[0]) for at in np.flatnonzero(shown).tolist()]
    return {name: spread(score, shown) for name, score in zero_shot_scores(logits, labels, classes).items()}


def _as_folder(sample: Sample) -> str:
    return georsclip_class_name(sample.turns[0].kind)


def _in_words(sample: Sample) -> str:
    return sample.turns[0].answer


def _zero_shot(
    dataset: str,
    title: str,
    family: str,
    *,
    name: str = "",
    protocol: str = "",
    listed: str = "classes",
    named: Callable[[Sample], str] | None = None,
    **more: Any,
) -> Protocol:
    """`family` is a set of `TEMPLATES`: GeoRSCLIP averages prompts as they come, SkyScript each at length 1."""
    templates, released = TEMPLATES[family], family == "georsclip"
    ask = partial(_prompted, templates=templates, named=named or (_as_folder if released else _in_words), listed=listed)
    defaults: dict[str, Any] = {"split": "all"}
    return Protocol(
        name=f"{name or dataset}/{protocol or f'zero-shot-{family}'}@1", dataset=dataset,
        ask=ask, wording=templates, reader=vector_of,
        title=f"{title}: zero-shot by {len(templates)} prompts a class",
        measure=partial(_accuracies, average="raw_mean" if released else "unit_mean"), headline=("acc@1", "acc@5"),
        per_item="acc@1", ability="matches", graded=False, shared=True, raw_texts=released,
        dialect=f"prompts averaged {'before' if released else 'after'} each is brought to unit length",
        **defaults | more,
    )  # fmt: skip


def _second_wording(sample: Sample) -> str:
    return str(sample.meta["label_v2"])


def _attribute(dataset: str, title: str) -> tuple[Protocol, Protocol]:
    one = partial(_zero_shot, dataset, family=dataset, split="test")
    second = {"listed": "classes_v2", "named": _second_wording}
    return one(title=title, protocol="label-v1"), one(title=f"{title}, second wording", protocol="label-v2", **second)


_SCENES = (
    ("aid", "AID", "aid_scenes"), ("ucm_scenes", "UC Merced", ""), ("nwpu_resisc45", "NWPU-RESISC45", ""),
    ("eurosat", "EuroSAT RGB", ""), ("rsscn7", "RSSCN7", ""), ("whu_rs19", "WHU-RS19", ""),
    ("siri_whu", "SIRI-WHU", ""),
)  # fmt: skip

# ---- localisation ----


def map_of(_: Sequence[Item]) -> Read:
    """The map in a row as it is written; None where there is none that can be read."""

    def read(_: Item, row: Row) -> Any:
        try:
            return row.get("map") if row.get("map") is not None and read_map(row["map"]).size else None
        except (ValueError, TypeError, OSError, SyntaxError):
            return None

    return read


def _selo(items: Sequence[Item], predictions: Sequence[Any]) -> Mapping[str, Score]:
    from rsvlm.metrics.selo import selo_scores  # scipy, an extra

    return selo_scores(
        [None if p is None else read_map(p) for p in predictions],
        [[region.polygon for region in item.regions] for item in items],
        sizes=[(item.image.height, item.image.width) for item in items],
    )


POSITION = 120
PROTOCOLS = (
    *_retrieval("rsicd", "RSICD", "rsicd_retrieval", grouped={"test": 1093 + 5465}),
    *_retrieval("rsitmd", "RSITMD", "rsitmd_retrieval", grouped={"test": 452 + 2260}),
    *_retrieval("ucm_captions", "UCM-Captions", "ucm_retrieval", merged={"test": 210 + 377}),
    *(_zero_shot(scene, title, how, name=name) for how in ("georsclip", "skyscript") for scene, title, name in _SCENES),
    _zero_shot("fmow", "fMoW", "skyscript", split="val"),
    _zero_shot("skyscript_cls", "SkyScript's 70 classes", "skyscript", split="test"),
    *_attribute("skyscript_roof_shape", "SkyScript roof shapes"),
    *_attribute("skyscript_smoothness", "SkyScript road smoothness"),
    *_attribute("skyscript_surface", "SkyScript road surfaces"),
    Protocol(
        name="air_slt/selo@1", title="AIR-SLT: where in a large scene a text is true", dataset="air_slt", wording=("",),
        ask=partial(items_of, task="locate"), reader=map_of, measure=_selo, headline=("rmi", "rsu", "rda", "ras"),
        per_item="rmi", ability="localises", wrong_below=0.5, graded=False, counts={"test": 59},
        dialect="SemanticLocalizationMetrics, without its JPEG round trips; ras: 0 is best",
    ),
)  # fmt: skip
