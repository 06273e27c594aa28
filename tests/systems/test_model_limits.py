"""What a model was trained for: read from its folder, refused where it is no such thing; pictures unlike training."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from rsvlm.errors import BadInput
from rsvlm.systems.model_limits import ModelLimits, familiarity, limits_of, read_limits

GOOD = {
    "gsd_m": {"any": [0.1, 3], "scene": [0.1, 10]}, "composites": ["natural colour"], "finds": ["boat"],
    "temperature": {"scene": 1.5}, "unsure_below": {"scene": 0.6}, "least_similarity": 0.5,
}  # fmt: skip


def written(folder, **changes):
    (folder / "limits.json").write_text(json.dumps({**GOOD, **changes}))
    return folder


def test_limits_are_read_and_asked_by_kind(tmp_path):
    limits = read_limits(written(tmp_path))
    assert limits.gsd_range("scene") == (0.1, 10.0) and limits.gsd_range("count") == (0.1, 3.0)
    assert limits.finds == ("boat",) and limits.temperature["scene"] == 1.5 and limits.exemplars is None


def test_a_folder_without_them_has_none(tmp_path):
    assert read_limits(tmp_path) == ModelLimits() and ModelLimits().gsd_range("any") is None
    assert limits_of(object()) == ModelLimits()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"gsd_m": [1, 2]}, "gsd_m"), ({"gsd_m": {"any": [3, 1]}}, "gsd_m"), ({"gsd_m": {"any": [0, 1]}}, "gsd_m"),
        ({"composites": "grey"}, "composites"), ({"finds": [1]}, "finds"),
        ({"temperature": {"scene": 0}}, "temperature"),
        ({"temperature": {"scene": True}}, "temperature"), ({"unsure_below": []}, "unsure_below"),
        ({"least_similarity": 2}, "least_similarity"), ({"least_similarity": "x"}, "least_similarity"),
    ],
)  # fmt: skip
def test_what_is_no_limit_is_refused(tmp_path, changes, named):
    with pytest.raises(BadInput, match=named):
        read_limits(written(tmp_path, **changes))


def test_pictures_near_the_exemplars_are_familiar(tmp_path):
    rng = np.random.default_rng(0)
    exemplars = rng.standard_normal((6, 8)).astype(np.float32)
    exemplars /= np.linalg.norm(exemplars, axis=1, keepdims=True)
    mean = np.full(8, 0.25, np.float32)
    save_file({"mean": mean, "exemplars": exemplars.astype(np.float16)}, written(tmp_path) / "exemplars.safetensors")
    limits = read_limits(tmp_path)
    known, strange = familiarity(limits, np.stack([mean + 3 * exemplars[0], mean - exemplars.sum(0)]))
    top = np.sort(exemplars @ exemplars[0])[-3:].mean()
    assert known == pytest.approx(top, abs=1e-2) and strange < known
    assert familiarity(ModelLimits(), np.zeros((2, 8), np.float32)).tolist() == [1, 1]


@pytest.mark.parametrize(
    "tensors", [
        {"mean": np.zeros(8, np.float32)}, {"mean": np.zeros(8, np.float32), "exemplars": np.ones((2, 7), np.float32)},
        {"mean": np.full(8, np.nan, np.float32), "exemplars": np.ones((2, 8), np.float32)},
    ],
)  # fmt: skip
def test_damaged_exemplars_are_refused(tmp_path, tensors):
    save_file(tensors, written(tmp_path) / "exemplars.safetensors")
    with pytest.raises(BadInput, match=r"exemplars\.safetensors"):
        read_limits(tmp_path)
