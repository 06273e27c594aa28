"""Benchmarks of features: the training pictures are asked, never scored; probes tell good vectors from bad ones."""

import json

import numpy as np
import pytest

from fake import abilities, annotations
from rsvlm.data.catalogue import DATASETS
from rsvlm.errors import BadInput
from rsvlm.evaluate.benchmarks import find
from rsvlm.evaluate.items import is_support
from rsvlm.evaluate.run import evaluate
from rsvlm.evaluate.score_file import score
from rsvlm.evaluate.task import prepare


class Embeds(abilities.Fake):
    """Knows the class by the mean colour of the fake pictures, or nothing."""

    def __init__(self, *, blind=False):
        super().__init__()
        self.blind = blind

    def embed_images(self, images):
        rows = np.stack([image.reshape(-1, 3).mean(0) for image in images]) - 128
        rows = np.random.default_rng(len(images)).standard_normal(rows.shape) if self.blind else rows
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """EuroSAT in miniature, each class of a colour of its own."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("features")
    annotations.make("eurosat", folder, DATASETS["eurosat"].folder)
    task = prepare(find("eurosat/knn"), folder)
    classes = sorted({item.references[0] for item in task.items})
    for index, item in enumerate(task.items):
        colour = np.random.default_rng([7, classes.index(item.references[0])]).integers(20, 236, 3)
        noise = np.random.default_rng([8, index]).integers(-8, 9, 3)
        Image.new("RGB", (16, 16), tuple(int(part) for part in colour + noise)).save(item.image.path, quality=95)
    return folder


@pytest.mark.parametrize("probe", ["knn", "linear-probe"])
def test_vectors_that_know_the_class_are_told_from_those_that_do_not(root, tmp_path, probe):
    good = evaluate(f"eurosat/{probe}", root, Embeds(), out=tmp_path / "good", leak=False)
    blind = evaluate(f"eurosat/{probe}", root, Embeds(blind=True), leak=False)
    task = prepare(find(f"eurosat/{probe}"), root)
    scored = [item for item in task.items if not is_support(item)]
    assert good["n"] == good["asked"] == len(task.items) > len(scored)
    assert good["metrics"]["accuracy"]["n"] == len(scored) > 0
    assert good["metrics"]["accuracy"]["value"] > 0.85 > blind["metrics"]["accuracy"]["value"] + 0.3
    assert set(good["baselines"]) == {"chance", "colour_histogram"}
    assert good["baselines"]["colour_histogram"]["accuracy"] > good["baselines"]["chance"]["accuracy"]
    assert good["metrics"]["accuracy"]["low"] <= good["metrics"]["accuracy"]["value"]
    rows = [json.loads(line) for line in (tmp_path / "good" / "answers.jsonl").read_text().splitlines()]
    assert sum(bool(row.get("meta", {}).get("support")) for row in rows) == len(rows) - len(scored)


def test_a_file_of_vectors_is_scored_alike_and_what_it_lacks_is_never_right(root, tmp_path):
    result = evaluate("eurosat/knn", root, Embeds(), out=tmp_path / "run", leak=False)
    rows = [json.loads(line) for line in (tmp_path / "run" / "answers.jsonl").read_text().splitlines()]
    file = tmp_path / "vectors.jsonl"

    def written(kept):
        file.write_text("".join(json.dumps({"id": row["id"], "vector": row["vector"]}) + "\n" for row in kept))
        return score("eurosat/knn", file, root)["metrics"]["accuracy"]["value"]

    assert written(rows) == result["metrics"]["accuracy"]["value"]
    support = [row for row in rows if row.get("meta", {}).get("support")]
    first = next(row for row in rows if row not in support and row["score"] == 1)
    scored = len(rows) - len(support)
    assert written([row for row in rows if row is not first]) == pytest.approx(
        result["metrics"]["accuracy"]["value"] - 1 / scored
    )
    assert written([row for row in rows if row not in support]) == 0


@pytest.mark.parametrize("split", ["train", "all"])
def test_what_is_learned_from_is_not_scored(root, split):
    with pytest.raises(BadInput, match=f"learns from the train split, so that '{split}' cannot be scored"):
        evaluate("eurosat/knn", root, Embeds(), split=split)


def test_training_pictures_are_no_leak(root):
    result = evaluate("eurosat/knn", root, Embeds())
    assert result["leak"]["tested"] == result["metrics"]["accuracy"]["n"] if "tested" in result["leak"] else True
    assert result["leak"].get("leaked", 0) <= result["metrics"]["accuracy"]["n"]


def test_a_model_without_vectors_is_told_so(root):
    with pytest.raises(BadInput, match="fake cannot turn pictures into vectors; models that can: mini"):
        evaluate("eurosat/knn", root, abilities.Compares())
