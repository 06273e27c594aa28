"""Conversations as other tools write them: objects of ms-swift, placeholders, ids, paths, columns of Parquet."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from rsvlm.data import formats
from rsvlm.data.formats.placeholders import expand_placeholders
from rsvlm.data.images import read_rgb
from rsvlm.errors import BadInput
from rsvlm.sample import Image as Picture
from rsvlm.sample import Sample


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "img").mkdir()
    for name, grey in (("a", 10), ("b", 200)):
        Image.fromarray(np.full((100, 200, 3), grey, np.uint8)).save(tmp_path / "img" / f"{name}.png")
    return tmp_path


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(question, answer, objects=None, **more):
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": said, "images": ["img/a.png"], **({"objects": objects} if objects else {}), **more}


ROWS = (
    row("<image>Find <ref-object>.", "<bbox><bbox><bbox>",
        {"ref": ["tank", "ship"], "bbox": [[1, 2, 30, 40], [50, 60, 70, 80], [90, 60, 120, 80]]}),
    row("<image>Click.", "click('<bbox>')", {"ref": [], "bbox": [[615, 226]]}),
    row("<image>Is <ref-object> there?", "no", {"ref": ["a dam"], "bbox": []}),
    row("<image>Outline.", "<bbox>", {"ref": ["ship"], "bbox": [[20, 10, 60, 12, 58, 50, 18, 48]]}),
    row("<image>x", "y", {"ref": ["ship"], "bbox": [[1, 2, 30, 40]], "image_id": [0]},
        rejected_response="z", channel="a"),
)  # fmt: skip


def test_objects_come_back_as_they_were_by_way_of_parquet(folder):
    formats.convert(lines(folder / "in.jsonl", *ROWS), folder / "a.parquet")
    formats.convert(folder / "a.parquet", folder / "b.jsonl")
    back = [json.loads(line) for line in (folder / "b.jsonl").read_text().splitlines()]
    assert [one.get("objects") for one in back] == [one.get("objects") for one in ROWS]
    assert (back[4]["rejected_response"], back[4]["channel"]) == ("z", "a")
    assert list(formats.read(folder / "b.jsonl")) == list(formats.read(folder / "a.parquet"))


def test_regions_that_were_changed_are_what_is_written(folder):
    (sample, *_) = formats.read(lines(folder / "in.jsonl", *ROWS))
    formats.write([replace(sample, regions=sample.regions[:1])], folder / "c.jsonl")
    assert json.loads((folder / "c.jsonl").read_text())["objects"]["bbox"] == [[1, 2, 30, 40]]


@pytest.mark.parametrize(
    "given",
    [
        row("<image>Find <ref-object>.", "<bbox>",
            {"ref": ["ship"], "bbox": [[0.1, 0.1, 0.3, 0.5]], "bbox_type": "norm1"}),
        row("<image>Find <ref-object>.", "<bbox>", json.dumps([{"caption": "ship", "bbox": [20, 10, 60, 50]}])),
        {"query": "Find <ref-object>.", "response": "<bbox>", "images": ["img/a.png"],
         "objects": json.dumps([{"caption": "ship", "bbox": [[20, 10, 60, 50]], "bbox_type": "real", "image": 0}])},
    ],
)  # fmt: skip
def test_older_forms_of_objects_are_in_pixels(folder, given):
    (sample,) = formats.read(lines(folder / "in.jsonl", given))
    assert [(one.label, one.box) for one in sample.regions] == [("ship", (20, 10, 60, 50))]
    assert sample.turns[0].answer == "<bbox>"


def test_placeholders_are_written_out_or_refused(folder):
    beside = {"ref": ["a tank", "a ship"], "bbox": [[0, 0, 10, 10], [50, 50, 90, 90]]}
    path = lines(folder / "in.jsonl", row("<image>Describe.", "<ref-object><bbox> beside <ref-object><bbox>.", beside))
    with pytest.raises(BadInput, match=r"holds <bbox> or <ref-object>, for which this format has no field.*--dialect"):
        formats.convert(path, folder / "out.json")
    assert not (folder / "out.json").exists()
    formats.convert(path, folder / "out.json", dialect="geochat")
    (sample,) = formats.read(folder / "out.json")
    assert sample.turns[0].answer == "a tank{<0><0><5><10>} beside a ship{<25><50><45><90>}."
    (short,) = formats.read(
        lines(folder / "short.jsonl", row("<image>x", "<bbox><bbox>", {"ref": [], "bbox": [[1, 2, 3, 4]]}))
    )
    with pytest.raises(BadInput, match="has more <bbox> in its texts than objects"):
        expand_placeholders(short, "geochat")


def test_no_id_no_picture_and_paths_of_windows(folder):
    turns = [{"from": "HUMAN", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "a"}]
    entries = [
        {"id": None, "image": "img\\a.png", "conversations": turns}, {"image": "img/b.png", "conversations": turns},
        {"id": 0, "image": "", "conversations": turns[1:]},
    ]  # fmt: skip
    (folder / "in.json").write_text(json.dumps(entries))
    first, second, third = formats.read(folder / "in.json")
    assert (first.id, second.id, third.id) == ("0", "1", "0") and third.images == ()
    assert [round(read_rgb(one.images[0]).mean()) for one in (first, second)] == [10, 200]


def png(grey):
    held = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), grey, np.uint8)).save(held, "PNG")
    return held.getvalue()


@pytest.mark.parametrize(
    "columns",
    [
        {"caption": "a ship"}, {"question": "What?", "answer": "a ship"}, {"text": "a ship"},
        {"conversations": [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "a ship"}]},
        {"conversations": [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "a ship"}]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("picture", [{"bytes": png(10), "path": None}, png(10)], ids=["struct", "bytes"])
def test_columns_of_the_hub(tmp_path, columns, picture):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"image": picture, **columns}]), tmp_path / "a.parquet")
    (sample,) = formats.read(tmp_path / "a.parquet")
    assert sample.turns[0].answer == "a ship" and round(read_rgb(sample.images[0]).mean()) == 10


def test_columns_that_hold_no_text_are_named(tmp_path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"image": png(10), "label": 3}]), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="row 0 holds no conversation"):
        list(formats.read(tmp_path / "a.parquet"))


def _rows(path, *rows):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


CONVERSATION = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "a ship"}]


@pytest.mark.parametrize("target", ["out.json", "out.jsonl"])
def test_pictures_of_parquet_become_files_for_other_tools(tmp_path, target):
    given = [(10, "x/1.png"), (99, "y/1.png"), (10, "x/1.png"), (30, None), (40, "../../a b\u00e9/..\\..\\..")]
    source = _rows(
        tmp_path / "in.parquet",
        *({"image": {"bytes": png(grey), "path": path}, "conversations": CONVERSATION} for grey, path in given),
    )
    out = tmp_path / "deep" / target
    for _ in range(2):  # a second run finds the folder there
        assert formats.convert(source, out) == len(given)
    text = out.read_text()
    entries = json.loads(text) if target == "out.json" else [json.loads(line) for line in text.splitlines()]
    named = [entry["image"] if "image" in entry else entry["images"][0] for entry in entries]
    assert [(out.parent / one).read_bytes() for one in named] == [png(grey) for grey, _ in given]
    assert named[0] == named[2] and len(set(named)) == 4
    assert all(re.fullmatch(r"out_pictures/\w[\w-]*-[0-9a-f]{16}\.png", one) for one in named)
    assert sorted(file.name for file in (out.parent / "out_pictures").iterdir()) == sorted(
        {Path(one).name for one in named}
    )
    assert sorted(file.name for file in out.parent.iterdir()) == [target, "out_pictures"]
    moved = out.parent.rename(tmp_path / "moved") / target
    assert list(formats.read(moved)) == list(formats.read(source))
    (moved.parent / named[1]).unlink()
    with pytest.raises(BadInput, match=r"There is no picture .*1-[0-9a-f]{16}\.png; keep the folder"):
        list(formats.read(moved))


def test_pictures_as_files_appear_whole_or_not_at_all(tmp_path):
    good = Sample(id="a", images=(Picture(path="", data=png(10)),))
    bad = Sample(id="b", images=(), meta={"x": object()})
    with pytest.raises(BadInput, match="cannot be written as JSON"):
        formats.write([good, bad], tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out_pictures").write_text("in the way")
    with pytest.raises(BadInput, match="cannot be written"):
        formats.write([good], tmp_path / "out.json")
    assert [file.name for file in tmp_path.iterdir()] == ["out_pictures"]
    formats.write([good], tmp_path / "held.json", embed_images=True)
    assert not (tmp_path / "held_pictures").exists() and list(formats.read(tmp_path / "held.json")) == [good]


def test_conversations_of_role_and_content_in_json(folder):
    lines_ = [
        {"role": "user", "content": "<image>What?"},
        {"role": "assistant", "content": [{"type": "text", "text": "a ship"}]},
    ]
    (folder / "in.json").write_text(json.dumps([{"image": "img/a.png", "conversations": lines_}]))
    (sample,) = formats.read(folder / "in.json")
    assert (sample.turns[0].question, sample.turns[0].answer) == ("What?", "a ship")
    assert round(read_rgb(sample.images[0]).mean()) == 10
