"""Readers of grounding sets, and what VRSBench shares with one of them."""

import pytest

from fake import annotations
from rsvlm.data.catalogue import load
from rsvlm.errors import BadInput


def test_dior_rsvg_counts_expressions_over_all_files(tmp_path):
    """The lists number expressions, not images: 0 and 1 are two ships of one picture, in train and in test."""
    samples = {sample.id: sample for sample in load("dior_rsvg", annotations.make("dior_rsvg", tmp_path), "all")}
    assert {i: s.split for i, s in samples.items()} == {
        "dior_rsvg/0": "train", "dior_rsvg/1": "test", "dior_rsvg/2": "train", "dior_rsvg/3": "val",
    }  # fmt: skip
    right = samples["dior_rsvg/1"]
    assert right.images == samples["dior_rsvg/0"].images and right.images[0].width == 16
    assert (right.turns[0].task, right.turns[0].question, right.turns[0].answer) == (
        "ground",
        "A gray ship on the right",
        "",
    )
    (region,) = right.regions
    assert (region.label, region.box) == ("ship", (10, 2, 15, 8))  # the numbers of the file, as the authors read them


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("test.txt", "7\n", "numbers of the split lists name no expression"),
        ("test.txt", "00002\nA12\n", "not a list of expression numbers"),
        ("Annotations/00020.xml", "<annotation><object><name>dam</name></object></annotation>", "bndbox/xmin"),
        (
            "Annotations/00020.xml",
            "<annotation><object><name>dam</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
            "</bndbox></object></annotation>",
            "without a description",
        ),
    ],
)
def test_dior_rsvg_bad_input(file, text, says, tmp_path):
    folder = annotations.make("dior_rsvg", tmp_path)
    (folder / file).write_text(text)
    with pytest.raises(BadInput, match=says):
        load("dior_rsvg", folder, "all")


def test_dior_rsvg_without_its_lists(tmp_path):
    folder = annotations.make("dior_rsvg", tmp_path)
    (folder / "val.txt").unlink()
    with pytest.raises(BadInput, match=r"no val\.txt"):
        load("dior_rsvg", folder, "all")


def test_rsvg_reads_pickles_without_running_them(tmp_path):
    import torch

    folder = annotations.make("rsvg", tmp_path)
    sample = load("rsvg", folder, "train")[0]
    assert sample.id == "rsvg/train/0" and sample.regions[0].box == (1, 2, 9, 10)
    assert (sample.turns[0].question, sample.images[0].width, sample.images[0].height) == ("the train field", 16, 12)

    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("the pickle ran code",))

    torch.save([Evil()], folder / "rsvg_train.pth")
    with pytest.raises(BadInput, match="cannot be read as plain lists"):
        load("rsvg", folder, "all")


@pytest.mark.parametrize(("rows", "says"), [('[["a.jpg", [1, 2, 3], "x"]]', "row 0"), ('{"a": 1}', "holds a dict")])
def test_rsvg_bad_rows(rows, says, tmp_path):
    folder = annotations.make("rsvg", tmp_path)
    (folder / "rsvg_test.json").write_text(rows)
    with pytest.raises(BadInput, match=says):
        load("rsvg", folder, "all")


def test_vrsbench_takes_the_corners_and_keeps_the_cut_off_text(tmp_path):
    samples = [s for s in load("vrsbench", annotations.make("vrsbench", tmp_path), "val") if s.regions]
    plane, ship = samples
    assert plane.regions[0].box == pytest.approx((0.109 * 64, 0.209 * 64, 0.509 * 64, 0.609 * 64))  # obj_corner
    assert len(plane.regions[0].polygon) == 4 and plane.regions[0].label == "airplane"
    assert ship.regions[0].box == pytest.approx((3.2, 3.2, 9.6, 16))  # no corners: the hundredths
    assert plane.meta == {"unique": True, "size_group": "large", "ground_truth": "{<10><20><50><60>}"}
    assert ship.meta["unique"] is False  # written as is_unique


def test_vrsbench_pictures_and_training_part(tmp_path):
    folder = annotations.make("vrsbench", tmp_path)
    first = load("vrsbench", folder, "val")[0]
    assert [(t.task, t.kind, t.answer) for t in first.turns] == [
        ("caption", "", "A scene called 00011 ."), ("vqa", "object existence", "No"), ("vqa", "object quantity", "2"),
    ]  # fmt: skip
    kinds = {turn.kind for sample in load("vrsbench", folder, "val") for turn in sample.turns if turn.task == "vqa"}
    assert "rural or urban" in kinds  # "Rural or Urban " as some releases spell it
    picture, ship = load("vrsbench", folder, "train")
    assert [turn.task for turn in picture.turns] == ["caption", "vqa"] and ship.meta["size_group"] == "medium"


def test_vrsbench_knows_what_is_in_dior_rsvg_where_that_is_at_hand(tmp_path):
    """Patch 00011_0000 is cut from DIOR's image 00011, which has a training expression; DOTA's patches never leak."""
    folder = annotations.make("vrsbench", tmp_path)
    assert not any("in_dior_rsvg_train" in sample.meta for sample in load("vrsbench", folder, "val"))
    annotations.make("dior_rsvg", tmp_path)
    flags = [s.meta["in_dior_rsvg_train"] for s in load("vrsbench", folder, "val") if s.regions]
    assert flags == [True, False]


def test_vrsbench_bad_record(tmp_path):
    folder = annotations.make("vrsbench", tmp_path)
    (folder / "VRSBench_EVAL_vqa.json").write_text('[{"image_id": "a.png", "question": "?"}]')
    with pytest.raises(BadInput, match="record 0"):
        load("vrsbench", folder, "all")
    (folder / "VRSBench_EVAL_vqa.json").write_text('{"a": 1}\n{"b"')
    with pytest.raises(BadInput, match="not valid JSON"):
        load("vrsbench", folder, "all")
