"""Zero-shot classification against the original functions' weights and logits."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from fake.golden import OWN
from rsvlm.data.sources.scene_classes import CLASSES
from rsvlm.errors import BadInput
from rsvlm.metrics import zero_shot
from rsvlm.metrics.score import resample
from rsvlm.metrics.zero_shot import (
    GEORSCLIP_TEMPLATES,
    binary_scores,
    class_weights,
    georsclip_class_name,
    prompts,
    zero_shot_logits,
    zero_shot_scores,
)


def recording():
    name = "clip/zero_shot_classifier.safetensors"  # among the recordings of modules
    other = Path(os.environ.get("RSVLM_GOLDEN_DIR") or OWN.parent) / name
    path = other if other.is_file() else OWN.parent / name
    with safe_open(path, "np") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys() if key.startswith("output.")}  # noqa: SIM118
        return json.loads(file.metadata()["golden"]), tensors


META, GOLDEN = recording()


@pytest.mark.parametrize("average, theirs", [
    ("raw_mean", "georsclip"), ("unit_mean", "skyscript"), ("unit_mean", "open_clip"),
])  # fmt: skip
def test_weights_are_those_of_the_originals(average, theirs):
    weights = class_weights(GOLDEN["output.text_features_raw"], average=average)
    assert np.abs(weights.T - GOLDEN[f"output.weights_{theirs}"]).max() <= META["atol"]


@pytest.mark.parametrize("average, theirs", [("raw_mean", "georsclip"), ("unit_mean", "skyscript")])
def test_logits_and_order_are_those_of_the_originals(average, theirs):
    weights = class_weights(GOLDEN["output.text_features_raw"], average=average)
    logits = zero_shot_logits(GOLDEN["output.image_features"], weights)
    wanted = GOLDEN[f"output.logits_{theirs}"]
    assert np.abs(logits - wanted).max() <= META["atol"] * max(1, np.abs(wanted).max())
    assert np.array_equal(np.argsort(-logits, axis=1)[:, :5], GOLDEN[f"output.top5_{theirs}"])
    classes = META["config"]["classes"]
    for rank, labels in enumerate(GOLDEN[f"output.top5_{theirs}"].T):
        scores = zero_shot_scores(logits, labels, classes)
        assert scores["acc@1"].value == (rank == 0)
        assert "acc@5" not in scores or scores["acc@5"].value == 1


def test_the_two_averages_differ():
    features = np.array([[[1.0, 0.0], [0.0, 3.0]]])
    assert class_weights(features, average="unit_mean")[0] == pytest.approx([0.5**0.5, 0.5**0.5])
    assert class_weights(features, average="raw_mean")[0] == pytest.approx(np.array([1, 3]) / 10**0.5)
    assert not class_weights(np.zeros((1, 2, 3)), average="raw_mean").any()


def test_classes_may_have_different_numbers_of_prompts():
    features = [np.array([[2.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 5.0]])]
    assert class_weights(features, average="raw_mean") == pytest.approx(np.eye(2))


def test_templates_are_the_published_ones():
    assert len(GEORSCLIP_TEMPLATES) == len(set(GEORSCLIP_TEMPLATES)) == 105
    assert GEORSCLIP_TEMPLATES[:7] == (
        "a remote sensing image of many {}.", "a remote sensing image of a {}.", "a remote sensing image of the {}.",
        "a remote sensing image of the hard to see {}.", "a remote sensing image of a hard to see {}.",
        "a low resolution remote sensing image of the {}.", "a low resolution remote sensing image of a {}.",
    )  # fmt: skip
    assert (
        GEORSCLIP_TEMPLATES[35] == "an aerial image of many {}."
        and GEORSCLIP_TEMPLATES[42] == "a bad aerial image of the {}."
    )
    assert GEORSCLIP_TEMPLATES[-1] == "a satellite image of a cool {}."
    assert all(template.count("{}") == 1 for templates in zero_shot.TEMPLATES.values() for template in templates)
    assert len(zero_shot.GEORSCLIP_FILTER_PROMPTS) == len(set(zero_shot.GEORSCLIP_FILTER_PROMPTS)) == 33
    assert zero_shot.GEORSCLIP_FILTER_PROMPTS[:2] == (
        "a remote sensing image.",
        "a low resolution remote sensing image.",
    )
    assert zero_shot.GEORSCLIP_FILTER_PROMPTS[11] == "an aerial image."
    assert zero_shot.GEORSCLIP_FILTER_PROMPTS[-1] == "a good satellite image."
    assert prompts(["river"], zero_shot.SKYSCRIPT_TEMPLATES) == [
        ["a satellite photo of river.", "a satellite image of river"]
    ]
    assert georsclip_class_name("HerbaceousVegetation") == "herbaceousvegetation"
    assert georsclip_class_name("storage_tank") == "storage tank"


def test_class_lists_are_the_published_ones():
    assert [len(CLASSES[name]) for name in ("aid", "eurosat", "nwpu_resisc45")] == [30, 10, 45]
    folders = ["AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture", "PermanentCrop",
               "Residential", "River", "SeaLake"]  # fmt: skip
    assert [georsclip_class_name(one) for one in folders] == [one.replace(" ", "") for one in CLASSES["eurosat"]]
    assert {name: len(one) for name, one in zero_shot.SKYSCRIPT_ATTRIBUTES.items()} == {
        "skyscript_roof_shape": 6, "skyscript_smoothness": 5, "skyscript_surface": 5,
    }  # fmt: skip
    for name, classes in zero_shot.SKYSCRIPT_ATTRIBUTES.items():
        thing = "building" if "roof" in name else "road"
        assert prompts(classes[:1], zero_shot.TEMPLATES[name])[0][1] == f"a satellite image of {thing}, {classes[0]}"


def test_accuracies_by_hand():
    logits = np.array([[9, 1, 2], [1, 9, 2], [9, 1, 2], [5, 5, 1]])
    scores = zero_shot_scores(logits, [0, 1, 1, 0], ["a", "b", "c"])
    assert scores["acc@1"].value == 0.5  # the tie of the last image is not given away
    assert scores["acc@1_a"].value == 0.5 and scores["acc@1_b"].value == 0.5 and "acc@1_c" not in scores
    assert "acc@5" not in scores
    assert scores["balanced_accuracy"].value == 0.5
    unbalanced = zero_shot_scores(logits[:3], [0, 0, 0], ["a", "b", "c"])
    assert unbalanced["balanced_accuracy"].value == unbalanced["acc@1"].value == pytest.approx(2 / 3)
    six = zero_shot_scores(np.arange(6.0)[None].repeat(6, 0), np.arange(6), list("abcdef"))
    assert six["acc@5"].value == pytest.approx(5 / 6) and six["acc@1"].value == pytest.approx(1 / 6)
    assert all(np.isfinite(values).all() for values in resample(six, draws=10).values())


def test_nan_is_never_right():
    logits = np.full((2, 6), np.nan)
    scores = zero_shot_scores(logits, [0, 5], list("abcdef"))
    assert scores["acc@1"].value == scores["acc@5"].value == 0
    assert zero_shot_scores(np.full((1, 1), np.nan), [0], ["a"])["acc@1"].value == 0


@pytest.mark.parametrize("logits, labels", [(np.zeros((2, 3)), [0]), (np.zeros((1, 3)), [3]), (np.zeros((1, 2)), [0])])
def test_what_does_not_fit_is_named(logits, labels):
    with pytest.raises(BadInput, match="one label below"):
        zero_shot_scores(logits, labels, ["a", "b", "c"])


def test_binary_mode_is_the_loop_of_the_original():
    rng = np.random.default_rng(0)
    labels = rng.random(60) < 0.3
    cosines = np.clip(rng.normal(size=60) * 0.3 + labels * 0.2, -1, 1)
    best = (0.0, 0.0, 0.0, 0.0)
    for threshold in np.linspace(-1, 1, 101):
        said = cosines >= threshold
        hit, false, missed = (said & labels).sum(), (said & ~labels).sum(), (~said & labels).sum()
        precision, recall = (hit + 1e-9) / (hit + false + 1e-9), (hit + 1e-9) / (hit + missed + 1e-9)
        f1 = 2 * precision * recall / (precision + recall + 1e-9)
        if f1 > best[0]:
            best = (f1, precision, recall, threshold)
    scores = binary_scores(cosines, labels)
    names = ("best_f1", "best_precision", "best_recall", "best_threshold")
    assert tuple(scores[name].value for name in names) == pytest.approx(best, rel=0, abs=1e-12)
    assert resample(scores, draws=30)["best_f1"].std() > 0
    assert binary_scores([np.nan, 0.9], [True, True])["best_recall"].value == pytest.approx(0.5)
    assert binary_scores([1.0, 0.99], [True, False])["best_f1"].value == pytest.approx(
        1
    )  # the threshold itself is a yes
