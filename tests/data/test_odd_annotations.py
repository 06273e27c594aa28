"""Annotations as people write them: split lists, names of pictures, ids, boxes, encodings, tars, foreign folders."""

import codecs
import gzip
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from rsvlm.data import formats
from rsvlm.data.catalogue import load
from rsvlm.data.formats import wds
from rsvlm.data.images import read_rgb
from rsvlm.data.sources import voc
from rsvlm.data.sources.layout import ordered_box
from rsvlm.data.text_file import read_lines, split_lines
from rsvlm.errors import BadInput


def picture(path, grey, size=(60, 50)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), grey, np.uint8)).save(path)
    return path


def grey(sample):
    return round(float(read_rgb(sample.images[0]).mean()))


# ---- split lists, VOC ----


def xml(filename, *boxes):
    objects = "".join(
        f"<object><name>ship</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>"
        "</object>"
        for a, b, c, d in boxes
    )
    size = "<size><width>100</width><height>80</height></size>"
    return f"<annotation><filename>{filename}</filename>{size}{objects}</annotation>"


def voc_folder(root, annotations, pictures=(), lists=None, **encoding):
    for name, text in annotations.items():
        path = root / "Annotations" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, value in dict(pictures).items():
        picture(root / "JPEGImages" / name, value, (100, 80))
    for split, lines in (lists or {}).items():
        path = root / "ImageSets" / "Main" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            encoding.get("bom", b"") + "".join(line + encoding.get("end", "\n") for line in lines).encode()
        )
    return root


WANTED = {"train": ["s 0", "s1"], "val": ["s2", "s3"], "test": ["s4"]}


@pytest.mark.parametrize(
    ("written", "encoding"),
    [
        (lambda name: name, {}),
        (lambda name: f"{name}.jpg", {}),
        (lambda name: f"JPEGImages/{name}.JPG", {"end": "\r\n"}),
        (lambda name: f"C:\\data\\{name}.xml", {}),
        (lambda name: name, {"bom": codecs.BOM_UTF8}),
    ],
)
def test_a_published_split_is_followed_however_it_is_written(tmp_path, written, encoding):
    names = [name for group in WANTED.values() for name in group]
    lists = {split: [written(name) for name in group] for split, group in WANTED.items()}
    root = voc_folder(tmp_path, {name: xml(f"{name}.jpg") for name in [*names, "s9"]}, lists=lists, **encoding)
    found = {sample.id.removeprefix("voc/"): sample.split for sample in voc.read(root, "voc")}
    assert found == {name: split for split, group in WANTED.items() for name in group} | {"s9": "unlisted"}


def test_a_class_flag_behind_a_name_and_a_list_of_other_pictures(tmp_path):
    root = voc_folder(tmp_path, {"s1": xml("s1.jpg")}, lists={"val": ["s1  -1"]})
    assert [sample.split for sample in voc.read(root, "voc")] == ["val"]
    (tmp_path / "ImageSets/Main/val.txt").write_text("other_1\nother_2\n")
    with pytest.raises(BadInput, match=r"None of the 2 entries of .*val\.txt .* first is 'other_1'; .* 's1'"):
        list(voc.read(root, "voc"))


def test_the_picture_is_that_of_the_files_own_name(tmp_path):
    files = {
        "s1": xml("old name.jpg", (11, 21, 30, 40)), "s2": xml("s1.jpg"), "s3": xml("C:\\img\\s1.jpg"),
        "t.a": xml("t.a"), "P__0.5__0": xml("P__0.5__0"),
    }  # fmt: skip
    pictures = {"s1.jpg": 10, "s2.jpg": 200, "t.a.png": 40, "t.png": 90, "P__0.5__0.png": 120, "P__0.png": 250}
    found = {s.id.removeprefix("voc/"): grey(s) for s in voc.read(voc_folder(tmp_path, files, pictures), "voc")}
    assert found == {"s1": 10, "s2": 200, "s3": 10, "t.a": 40, "P__0.5__0": 120}


def test_boxes_are_put_in_order_and_empty_ones_counted(tmp_path):
    files = {"s1": xml("s1.jpg", (30, 40, 11, 21), (12, 12, 11, 11), (12, 12, 12, 12)), "s2": ""}
    turned, empty = voc.read(voc_folder(tmp_path, files, {"s1.jpg": 10, "s2.jpg": 20}), "voc")
    assert [region.box for region in turned.regions] == [(10, 20, 30, 40), (11, 11, 12, 12)]
    assert turned.meta == {"boxes_without_area": 1}
    assert empty.split == "unlisted" and empty.meta == {"empty_annotation": True}
    assert ordered_box(3, 4, 1, 2) == (1, 2, 3, 4) and ordered_box(1, 1, 1, 5) is None


# ---- COCO, Karpathy, DOTA ----

IMAGES = [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 50}, {"id": 2, "file_name": "b.jpg"}]
BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 6, 10, 12]}


def coco(root, images, annotations, bom=b""):
    picture(root / "images" / "a.jpg", 50)
    picture(root / "images" / "b.jpg", 200)
    whole = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "ship"}]}
    path = root / "annotations" / "instances_all.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bom + json.dumps(whole).encode())
    return load("coco", root, "all")


@pytest.mark.parametrize("changes", [{}, {"image_id": "1"}, {"category_id": "1"}])
def test_ids_as_text_or_numbers_are_linked(tmp_path, changes):
    first, second = coco(tmp_path, IMAGES, [BOX | changes], codecs.BOM_UTF8)
    assert [(region.label, region.box) for region in first.regions] == [("ship", (5, 6, 15, 18))] and not second.regions


def test_links_that_fail_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"1 annotations of the COCO file are of images that it does not list.*77"):
        coco(tmp_path, IMAGES, [BOX, BOX | {"image_id": 77}])
    with pytest.raises(BadInput, match="1 image ids of the COCO file stand there twice, the first is 1"):
        coco(tmp_path, [*IMAGES, IMAGES[0] | {"file_name": "c.jpg"}], [BOX])


def test_turned_and_empty_boxes_of_coco(tmp_path):
    odd = [BOX | {"bbox": [20, 20, -10, -8]}, BOX | {"bbox": [5, 5, 0, 3]}, BOX | {"bbox": []}]
    first, _ = coco(tmp_path, IMAGES, odd)
    assert [region.box for region in first.regions] == [(10, 12, 20, 20)] and first.meta == {"boxes_without_area": 2}


def test_equal_names_in_two_folders_are_two_pictures(tmp_path):
    picture(tmp_path / "images/site1/0001.png", 40)
    picture(tmp_path / "images/site2/0001.png", 220)
    picture(tmp_path / "images/0001.png", 128)
    images = [{"id": k, "file_name": f"site{k}\\0001.png"} for k in (1, 2)]
    assert [grey(sample) for sample in coco(tmp_path, images, [])] == [40, 220]


def test_one_picture_for_two_names_is_refused(tmp_path):
    picture(tmp_path / "images/0001.png", 128)
    images = [{"id": k, "file_name": f"site{k}/0001.png"} for k in (1, 2)]
    with pytest.raises(BadInput, match=r"'site1/0001\.png' and 'site2/0001\.png' both find the picture"):
        coco(tmp_path, images, [])
    assert grey(coco(tmp_path, images[:1], [])[0]) == 128, "a folder that is not there is left out for one name"


def test_karpathy_files_may_name_the_folder(tmp_path):
    for folder, value in (("a", 10), ("b", 200)):
        picture(tmp_path / "images" / folder / "1.jpg", value)
    listed = [
        {"filepath": one, "filename": "1.jpg", "split": "train", "sentences": [{"raw": f"caption {one}"}]}
        for one in "ab"
    ]
    (tmp_path / "dataset.json").write_bytes(codecs.BOM_UTF8 + json.dumps({"images": listed}).encode())
    samples = load("ucm_captions", tmp_path, "train")
    assert [(grey(s), s.turns[0].answer) for s in samples] == [(10, "caption a"), (200, "caption b")]
    assert len({sample.id for sample in samples}) == 2


@pytest.mark.parametrize(
    ("line", "label", "difficult"),
    [
        ("10 10 30 10 30 20 10 20 large vehicle 1", "large vehicle", True),
        ("10 10 30 10 30 20 10 20 ground track field 0", "ground track field", False),
        ("10, 10, 30, 10, 30, 20, 10, 20, plane, 0", "plane", False),
        ("10 10 30 10 30 20 10 20 plane", "plane", False),
        ("\ufeff10 10 30 10 30 20 10 20 small-vehicle 2\r", "small vehicle", True),
    ],
)
def test_dota_lines(tmp_path, line, label, difficult):
    picture(tmp_path / "images/P1.png", 0)
    (tmp_path / "labelTxt").mkdir()
    (tmp_path / "labelTxt/P1.txt").write_bytes(f"{line}\n".encode())
    (sample,) = load("dota", tmp_path, "all")
    assert sample.regions[0].label == label and ("difficult" in sample.meta) is difficult


def test_another_encoding_is_named(tmp_path):
    picture(tmp_path / "images/P1.png", 0)
    (tmp_path / "labelTxt").mkdir()
    (tmp_path / "labelTxt/P1.txt").write_bytes(b"10 10 30 10 30 20 10 20 " + "飞机 0\n".encode("gbk"))
    with pytest.raises(BadInput, match=r"P1\.txt is not UTF-8 text \(byte 0xb7 at 24\); save it as UTF-8"):
        load("dota", tmp_path, "all")


def test_lines_end_at_line_feeds_only(tmp_path):
    assert split_lines("a\u2028b\r\nc\x85d\n\ne") == ["a\u2028b", "c\x85d", "", "e"] and split_lines("") == []
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF8 + b"one\r\ntwo")
    assert read_lines(tmp_path / "a.txt") == ["one", "two"]
    rows = [{"id": "1", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "x\u2028y"}]}] * 2
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    assert [sample.turns[0].answer for sample in formats.read(tmp_path / "a.jsonl")] == ["x\u2028y"] * 2


# ---- tars ----


def jpg(value):
    held = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), value, np.uint8)).save(held, "JPEG")
    return held.getvalue()


def tar(path, *members):
    with tarfile.open(path, "w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return list(formats.read(path))


RUBBISH = ("./._0.jpg", b"\0\5\x16\7"), ("__MACOSX/0.jpg", b"x"), (".DS_Store", b"x")


@pytest.mark.parametrize("names", [("0.jpg", "0.txt"), ("0.JPG", "0.TXT"), ("./0.jpeg", "./0.caption")])
def test_members_are_read_in_any_case_and_rubbish_left_out(tmp_path, names):
    first, second = tar(
        tmp_path / "a.tar", RUBBISH[0], (names[0], jpg(10)), RUBBISH[1], (names[1], b"\xef\xbb\xbfa ship"), RUBBISH[2],
        ("1.png", jpg(200)), ("1.json", b'{"text": "a farm"}'),
    )  # fmt: skip
    assert (first.turns[0].answer, second.turns[0].answer) == ("a ship", "a farm")
    assert len(first.images) == len(second.images) == 1 and not first.meta


def test_members_that_nothing_reads_are_named_and_those_apart_refused(tmp_path):
    (sample,) = tar(tmp_path / "cls.tar", ("0.jpg", jpg(10)), ("0.cls", b"3"))
    assert sample.meta == {"unread": ["cls"]}
    with pytest.raises(BadInput, match="members of sample 0 do not lie side by side"):
        tar(tmp_path / "apart.tar", ("0.jpg", jpg(1)), ("1.jpg", jpg(2)), ("0.txt", b"a"), ("1.txt", b"b"))


def test_a_compressed_tar_has_a_budget_for_each_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(wds, "MAX_SAMPLE_BYTES", 1_000_000)
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        for name in ("0.bin", "0.img"):
            info = tarfile.TarInfo(name)
            info.size = 700_000
            file.addfile(info, io.BytesIO(bytes(info.size)))
    (tmp_path / "bomb.tar").write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes()))
    assert (tmp_path / "bomb.tar").stat().st_size < 5_000
    with pytest.raises(BadInput, match=r"0\.img makes its sample 1 MB, over the budget of 1 MB"):
        list(formats.read(tmp_path / "bomb.tar"))


# ---- foreign folders ----


def test_a_folder_of_other_classes_is_no_set_of_scenes(tmp_path):
    for number in range(4):
        picture(tmp_path / "imgs" / f"{number}.jpg", 10)
    for name in ("eurosat", "nwpu_resisc45"):
        with pytest.raises(BadInput, match=r"is not .*: its classes are imgs; expected a"):
            load(name, tmp_path, "all")
    picture(tmp_path / "Forest" / "9.jpg", 10)
    assert {turn.answer for sample in load("eurosat", tmp_path, "all") for turn in sample.turns} == {"imgs", "forest"}
