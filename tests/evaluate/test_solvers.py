"""Every solver, from a miniature data set to a result: what is asked, kept, and said when a model cannot."""

import base64
import json

import numpy as np
import pytest

from fake import abilities, annotations
from fake.model import Answerer
from rsvlm.data.catalogue import DATASETS, load
from rsvlm.data.images import picture_size
from rsvlm.errors import BadInput
from rsvlm.evaluate.benchmarks import find
from rsvlm.evaluate.run import evaluate
from rsvlm.evaluate.solvers import read_map, read_vector, write_map, write_vector


def miniature(name, root):
    protocol = find(name)
    annotations.make(protocol.dataset, root, DATASETS[protocol.dataset].folder)
    return protocol


def targets(protocol, root):
    """Phrase -> box in pixels and as words, of the first samples of a grounding set."""
    items = protocol.ask(load(protocol.dataset, root, protocol.split))
    boxes = {item.question: item.regions[0].box for item in items}
    sizes = {item.question: picture_size(item.image) for item in items}
    words = {q: str([n / sizes[q][k % 2] for k, n in enumerate(box)]) for q, box in boxes.items()}
    return boxes, words


@pytest.mark.parametrize(
    ("name", "model", "key", "baseline"),
    [
        ("levir_cc", abilities.Compares(), "answer", "most_frequent"),
        ("rrsis_d", abilities.Segments(), "mask", "centre_box"),
        ("levir_cd", abilities.MarksChange(), "mask", "no_change"),
        ("ucm_retrieval/grouped-captions", abilities.Matches(), "vector", "chance"),
        ("air_slt", abilities.Matches(), "map", "uniform_map"),
    ],
)
def test_each_ability_is_asked_and_kept(name, model, key, baseline, tmp_path):
    protocol = miniature(name, tmp_path)
    result = evaluate(name, tmp_path, model, out=tmp_path / "out", batch=3)
    assert result["protocol"] == protocol.name and result["n"] == result["asked"] > 0
    assert set(result["headline"]) <= set(result["metrics"]) and result["headline"]
    assert baseline in result["baselines"]
    rows = [json.loads(line) for line in (tmp_path / "out" / "replies.jsonl").read_text().splitlines()][1:]
    assert len(rows) == result["n"] and all(row[key] for row in rows)
    again = evaluate(name, tmp_path, model, out=tmp_path / "out", batch=3)
    assert again["asked"] == 0 and again["metrics"] == result["metrics"]  # kept replies are scored again
    assert (tmp_path / "out" / "report.html").stat().st_size > 1000


def test_boxes_of_a_detector_and_boxes_in_words_are_one(tmp_path):
    protocol = miniature("dior_rsvg", tmp_path)
    boxes, words = targets(protocol, tmp_path)
    found = evaluate("dior_rsvg", tmp_path, abilities.Detects(boxes))
    written = evaluate("dior_rsvg", tmp_path, abilities.Writes(words))
    assert found["metrics"]["acc@0.5"]["value"] == written["metrics"]["acc@0.5"]["value"] == 1.0
    assert set(found["baselines"]) == {"centre_box", "typical_box"}  # a detector has nothing to look at when blind
    assert set(written["baselines"]) == {"centre_box", "typical_box", "blind"}
    assert written["baselines"]["blind"]["miou"] == pytest.approx(written["baselines"]["centre_box"]["miou"])


def test_a_model_is_told_what_it_lacks(tmp_path):
    for name, words in (
        ("rrsis_d", "segment"),
        ("levir_cd", "mark what changed"),
        ("ucm_retrieval", "match"),
        ("levir_cc", "compare"),
    ):
        with pytest.raises(BadInput, match=f"colour cannot {words}"):
            evaluate(name, tmp_path, Answerer())
    with pytest.raises(BadInput, match="no box dialect"):
        evaluate("dior_rsvg", tmp_path, Answerer())


def test_replies_that_failed_are_counted_and_asked_again(tmp_path):
    annotations.make("eurosat", tmp_path, "EuroSAT_RGB")
    model, out = abilities.Falters(), tmp_path / "out"
    first = evaluate("eurosat", tmp_path, model, out=out, blind=False, leak=False)
    assert 0 < first["failed"] < first["n"]
    assert first["failed"] <= first["parse_failures"]
    asked, model.broken = len(model.asked), False
    second = evaluate("eurosat", tmp_path, model, out=out, blind=False, leak=False)
    assert len(model.asked) - asked == second["asked"] == first["failed"]
    assert second["failed"] == 0
    assert second["calibration"]["ece"]["n"] == second["n"]
    assert first["calibration"]["ece"]["n"] == first["n"] - first["failed"]  # no confidence was given


def test_a_picture_of_the_training_set_is_found(tmp_path):
    root = annotations.make("eurosat", tmp_path, "EuroSAT_RGB")
    pictures = sorted(root.rglob("*.jpg"))
    grid = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    for path in pictures:
        seed = np.random.default_rng(len(path.name) + sum(map(ord, str(path)))).integers(
            0, 255, (8, 8, 3), dtype=np.uint8
        )
        annotations.picture(path)
        _save(path, seed)
    samples = {split: load("eurosat", tmp_path, split) for split in ("train", "val")}
    for split in samples:
        _save(samples[split][0].images[0].path, grid)
    result = evaluate("eurosat", tmp_path, Answerer(otherwise="sea lake"), blind=False)
    assert result["leak"]["leaked"] == 1
    assert result["leak"]["without"]["n"] == result["n"] - 1
    assert set(result["leak"]["without"]["metrics"]) == {"accuracy", "balanced_accuracy"}


def _save(path, grid):
    from PIL import Image

    Image.fromarray(grid).resize((64, 64), Image.Resampling.BICUBIC).save(path)


def test_vectors_and_maps_survive_the_file():
    vector = np.array([0.25, -1.5, 3e-8])
    assert read_vector(write_vector(vector)) == pytest.approx(vector, rel=1e-6)
    assert read_vector([1, 2]).tolist() == [1.0, 2.0]
    with pytest.raises(ValueError):
        read_vector("no base64")
    heat = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert (read_map(write_map(heat)) == heat).all()
    assert base64.b64decode(write_map(heat)).startswith(b"\x89PNG")
