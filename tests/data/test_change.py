"""Readers of sets about two dates."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake import annotations
from fake.change import NO_CHANGE, block, changes, label
from rsvlm.data.catalogue import load
from rsvlm.data.masks import decode_rle
from rsvlm.data.sources.changechat import task_of
from rsvlm.errors import BadInput


def test_levir_cc_pairs_and_sentences(tmp_path):
    samples = load("levir_cc", annotations.make("levir_cc", tmp_path), "test")
    assert [s.turns[0].kind for s in samples] == ["unchanged", "unchanged", "changed", "changed"]
    first = samples[0]
    assert first.id == "levir_cc/test_000001.png" and len(first.turns[0].references) == 5
    assert set(first.turns[0].references) == {f"{text} ." for text in NO_CHANGE}
    assert [Path(image.path).parent.name for image in first.images] == ["A", "B"]
    assert first.images[0].path != first.images[1].path and first.regions == ()


def test_levir_cc_without_a_flag_goes_by_what_is_said(tmp_path):
    folder = annotations.make("levir_cc", tmp_path)
    path = folder / "LevirCCcaptions.json"
    data = json.loads(path.read_text())
    for item in data["images"]:
        del item["changeflag"]
    path.write_text(json.dumps(data))
    assert Counter(s.turns[0].kind for s in load("levir_cc", folder, "all")) == {"changed": 6, "unchanged": 6}


def test_levir_mci_masks_lie_in_the_second_image(tmp_path):
    folder = annotations.make("levir_mci", tmp_path)
    samples = load("levir_mci", folder, "val")
    assert [[r.label for r in s.regions] for s in samples] == [[], [], ["road", "building"], ["building"]]
    road, building = samples[2].regions
    assert road.image == building.image == 1 and road.box == (9, 7, 13, 11) and building.box == (2, 2, 6, 6)
    assert (decode_rle(road.mask) == (block(1, 7, 9) > 0)).all()
    assert [turn.task for turn in samples[0].turns] == ["change_caption", "change_mask", "change_mask"]
    (folder / "images" / "val" / "label" / "val_000001.png").unlink()
    with pytest.raises(BadInput, match=r"no label picture .*val_000001\.png"):
        load("levir_mci", folder, "val")


def test_second_cc_keeps_the_paths_of_its_maps(tmp_path):
    folder = annotations.make("second_cc", tmp_path)
    unchanged, changed, _ = load("second_cc", folder, "test")
    assert unchanged.turns[0].kind == "unchanged" and changed.turns[0].kind == "changed"
    assert changed.turns[0].references[-1] == f"{changes(1)[0]} ."
    assert all(Path(path).is_file() for path in changed.meta["maps"]) and "rgb" in changed.images[0].path
    for path in (folder / "test" / "sem" / "B").iterdir():
        path.unlink()
    assert load("second_cc", folder, "test")[0].meta == {}  # the captions do not need them


def test_changechat_joins_the_files_of_a_pair(tmp_path):
    samples = {s.id: s for s in load("changechat", annotations.make("changechat", tmp_path), "all")}
    pair = samples["changechat/test/test_000002.png"]
    assert [turn.task for turn in pair.turns] == [
        "change_caption", "change_class", "change_count", "change_locate", "change_qa", *["change_dialogue"] * 3,
    ]  # fmt: skip
    assert len(pair.turns[0].references) == 5 and pair.turns[0].kind == "changed"
    assert [turn.kind for turn in pair.turns[-3:]] == ["turn1", "turn2", "turn3"]
    assert not any("<image>" in turn.question for turn in pair.turns)
    assert Counter(s.split for s in samples.values()) == {"train": 4, "test": 4}


def test_changechat_training_file_is_told_apart_by_its_questions(tmp_path):
    pair = load("changechat", annotations.make("changechat", tmp_path), "train")[1]
    assert Counter(turn.task for turn in pair.turns) == {
        "change_caption": 1, "change_class": 1, "change_count": 1, "change_locate": 1, "change_qa": 1,
        "change_dialogue": 3,
    }  # fmt: skip
    caption = next(turn for turn in pair.turns if turn.task == "change_caption")
    assert len(caption.references) == 5  # five records of the file
    assert task_of(["How many roads were removed?"]) == task_of(["What changed in the north?"]) == "change_qa"


def test_cdvqa_asks_about_pairs_and_has_two_test_sets(tmp_path):
    samples = load("cdvqa", annotations.make("cdvqa", tmp_path), "test")
    assert [s.meta["test_set"] for s in samples] == ["test1", "test1", "test2", "test2"]
    first = samples[0]
    assert [turn.kind for turn in first.turns] == [
        "change_or_not", "increase_or_not", "largest_change", "change_ratio", "change_ratio",
    ]  # fmt: skip
    assert first.turns[2].answer == "NVG_surface" and first.id == "cdvqa/test/d.png"
    assert [Path(image.path).parent.name for image in first.images] == ["im1", "im2"]


def test_change_masks_of_0_and_1_and_pairs_without_a_label(tmp_path):
    folder = annotations.make("levir_cd", tmp_path)
    changed, unchanged = load("levir_cd", folder, "train")  # the third pair has no label picture
    assert changed.regions[0].box == (5, 3, 9, 7) and changed.regions[0].image == 1
    assert decode_rle(changed.regions[0].mask).sum() == 16
    assert unchanged.regions == () and unchanged.turns[0].kind == "unchanged" and unchanged.images[1].width == 16
    (folder / "test" / "B" / "test_0.png").unlink()
    with pytest.raises(BadInput, match="labels a pair that is not there"):
        load("levir_cd", folder, "train")


def test_change_masks_in_one_folder_take_lists_or_names(tmp_path):
    root = tmp_path / "LEVIR-CD"
    for stem in ("train_1", "test_2", "7_4"):
        for date in "AB":
            label(root / date / f"{stem}.png", block(9, 0, 0))
        label(root / "label" / f"{stem}.png", block(255, 0, 0))
    assert {s.id.split("/")[-1]: s.split for s in load("levir_cd", root, "all")} == {
        "train_1": "train", "test_2": "test", "7_4": "train",
    }  # fmt: skip
    (root / "list").mkdir()
    (root / "list" / "val.txt").write_text("train_1.png\n")
    assert [s.id for s in load("levir_cd", root, "val")] == ["levir_cd/val/train_1"]


def test_a_jpeg_label_is_cut_in_the_middle(tmp_path):
    folder = annotations.make("dsifn", tmp_path)
    rows = np.full((64, 64), 6, np.uint8)
    rows[16:32, 16:32] = 250
    for path in (folder / "val" / "mask").iterdir():
        path.unlink()
    for number in range(2):
        Image.fromarray(rows).save(folder / "val" / "mask" / f"{number}_1.jpg", quality=95)
    (region,) = load("dsifn", folder, "val")[0].regions
    assert region.box == (16, 16, 32, 32)


@pytest.mark.parametrize(
    ("name", "file", "text", "says"),
    [
        ("levir_cc", "LevirCCcaptions.json", '{"images": [{"filename": "a.png", "split": "test"}]}', "sentences"),
        ("second_cc", "SECOND-CC-AUG.json", '{"images": [{"filename": "a", "split": "x", "sentences": []}]}', "no se"),
        ("changechat", "annotations/changechat_105k_test_loc.json", '[{"image": ["a"]}]', "record 0"),
        (
            "changechat", "annotations/changechat_105k_train.json",
            '[{"image": ["a", "b"], "changeflag": 0, "conversations": [{"value": "?"}]}]', "pairs of question",
        ),
        ("cdvqa", "Val_answers.json", '{"answers": []}', "not CDVQA's"),
        ("cdvqa", "Val_images.json", "[]", "not CDVQA's"),
        ("levir_cd", "val/label/val_0.png", "no picture", "cannot be read as a label picture"),
    ],
)  # fmt: skip
def test_bad_files_are_one_sentence(name, file, text, says, tmp_path):
    said = annotations.refusal(name, tmp_path, file, text)
    assert re.search(says, said)


def test_cdvqa_incomplete(tmp_path):
    folder = annotations.make("cdvqa", tmp_path)
    (folder / "Test2_questions.json").unlink()
    with pytest.raises(BadInput, match="Test2 of CDVQA is incomplete"):
        load("cdvqa", folder, "all")


def test_xbd_marks_graded_damage_in_the_later_picture(tmp_path):
    folder = annotations.make("xbd", tmp_path)
    first, *others = load("xbd", folder, "all")
    (region,) = first.regions
    assert first.id == "xbd/storm_00000000" and region.label == "damaged" and region.image == 1
    assert decode_rle(region.mask)[2:6, 2:6].all() and decode_rle(region.mask).sum() == 16
    assert [Path(image.path).stem.split("_")[2] for image in first.images] == ["pre", "post"]
    assert [one.turns[0].kind for one in (first, *others)] == ["changed", "changed", "unchanged"]
    assert all(one.meta["label"] == "damaged" for one in others)
    (folder / "images" / "storm_00000001_pre_disaster.png").unlink()
    with pytest.raises(BadInput, match=r"storm_00000001_post_disaster\.json labels a pair that is not there"):
        load("xbd", folder, "all")


@pytest.mark.parametrize(("name", "scene", "label_path", "kind"), [
    ("oscd", "oscd/rennes", "rennes/cm/cm.png", "built"), ("sztaki", "sztaki/Szada/3", "Szada/3/gt.png", "other"),
])  # fmt: skip
def test_scenes_with_a_label_picture(tmp_path, name, scene, label_path, kind):
    folder = annotations.make(name, tmp_path)
    found = {sample.id: sample for sample in load(name, folder, "train")}
    (region,) = found[scene].regions
    assert region.label == kind and region.image == 1 and len(found) == 2
    label(folder / label_path, block(255, 0, 0, size=(9, 9)))
    with pytest.raises(BadInput, match="has 9 x 9 pixels, its picture 16 x 12; fetch both again"):
        load(name, folder, "train")
    for path in folder.rglob(Path(label_path).name):
        path.unlink()
    with pytest.raises(BadInput, match="as its authors publish it"):
        load(name, folder, "train")
