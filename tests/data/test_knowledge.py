"""Readers of sets whose answers need knowledge of the world."""

from collections import Counter

import pytest

from fake import annotations
from fake.knowledge import rswk_knowledge
from rsvlm.data.catalogue import load
from rsvlm.data.sources.rswk_knowledge import read_knowledge
from rsvlm.errors import BadInput


def test_rswk_joins_its_tasks_by_picture(tmp_path):
    samples = {s.id: s for s in load("rswk", annotations.make("rswk", tmp_path), "test")}
    basilica = samples["rswk/test/St. Mary Cathedral Basilica.png"]
    assert [(t.task, t.kind) for t in basilica.turns] == [
        ("scene", "Historic Site"), ("vqa", "rsk"), ("vqa", "wk"), ("vqa", "c"), ("vqa", "c"),
    ]  # fmt: skip
    assert basilica.turns[0].question.startswith("What is the category") and basilica.turns[1].answer.startswith(
        "0.45 of all the light"
    )
    stadium = samples['rswk/test/Estadio Monumental "U".png']
    assert [t.kind for t in stadium.turns if t.task == "vqa"] == ["rsk", "wk"]  # its third file could not be parsed
    assert samples["rswk/test/Þórsmörk.png"].images[0].path.endswith(".png")  # whose name is spelt in two ways
    assert samples["rswk/test/012248.png"].turns[0].task == "caption"


def test_the_training_captions_are_called_test(tmp_path):
    train = {s.id: s for s in load("rswk", annotations.make("rswk", tmp_path), "train")}
    assert set(train) == {"rswk/train/000001.png", "rswk/train/Salts Mill.png"}


def test_rswk_mini_has_no_tasks_in_its_records(tmp_path):
    folder = annotations.make("rswk_mini", tmp_path)
    (mill,) = load("rswk_mini", folder, "train")
    assert [t.task for t in mill.turns] == ["caption", "scene", "vqa"]
    tasks = Counter(t.task for s in load("rswk_mini", folder, "test") for t in s.turns)
    assert tasks == {"caption": 2, "scene": 3, "vqa": 3}


def test_the_two_sizes_do_not_mix(tmp_path):
    root = annotations.make("rswk", tmp_path, "RSWK")
    annotations.make("rswk_mini", tmp_path, "RSWK")
    assert len(load("rswk", root, "test")) == 5 and len(load("rswk_mini", root, "test")) == 3


@pytest.mark.parametrize(
    "text", ['{"messages": []}', '{"messages": [{"content": "a"}, {"content": "b"}], "images": []}']
)
def test_bad_records_are_named(text, tmp_path):
    folder = annotations.make("rswk_mini", tmp_path)
    (folder / "test" / "image_vqa_mini_test_5242.jsonl").write_text(text + "\n")
    with pytest.raises(BadInput, match="record 0 is not RSWK's"):
        load("rswk_mini", folder, "all")


def landmarks(root, **how):
    return {one.name: one for one in read_knowledge(root, **how)}


def test_knowledge_is_joined_by_landmark_in_either_spelling(tmp_path):
    root = rswk_knowledge(tmp_path)
    found = landmarks(root)
    assert {name: one.split for name, one in found.items()} == {
        "Þórsmörk": "test",
        "Salts Mill": "train",
        "Nowhere": "",
    }
    park = found["Þórsmörk"]
    assert set(park.record) == {"world knowledge", "description", "monthly expert knowledge"}
    assert park.picture is not None and found["Salts Mill"].picture.name == "000007.png"  # by its ID
    assert found["Nowhere"].picture is None
    assert list(landmarks(root, split="train")) == ["Salts Mill"]
    one = landmarks(root / "ori_data_test.json", pictures=root / "images")
    assert list(one) == ["Þórsmörk"] and one["Þórsmörk"].picture is not None


@pytest.mark.parametrize(
    ("text", "said"), [("{}", "expected a list"), ("[3]", "no image_name"), ('[{"image_name": " "}]', "record 0")]
)
def test_knowledge_of_another_form_is_named(text, said, tmp_path):
    root = rswk_knowledge(tmp_path)
    (root / "monthly_knowledge.json").write_text(text)
    with pytest.raises(BadInput, match=said):
        landmarks(root)
    with pytest.raises(BadInput, match="holds none of ori_data"):
        landmarks(root / "images")
    (root / "monthly_knowledge.json").unlink()
    with pytest.raises(BadInput, match="split 'val'"):
        landmarks(root, split="val")
