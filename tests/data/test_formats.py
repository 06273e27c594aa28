"""Formats both ways: nothing is lost, other tools open what we write, and we read what they write."""

import io
import json
import string
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake.annotations import picture, write_json
from rsvlm.data.formats import FORMATS, convert, format_of, read, write
from rsvlm.data.formats.record import EXTENSION
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Region, Sample, Turn


@pytest.fixture
def samples(tmp_path):
    one, two = picture(tmp_path / "in" / "a.jpg"), picture(tmp_path / "in" / "b.png", 1)
    return [
        Sample(
            id="set/a.jpg",
            images=(Image(path=str(one), width=16, height=12, window=(1, 2, 3, 4)),),
            turns=(
                Turn(question="", answer="a port .", task="caption", references=("a port .", "ships .")),
                Turn(question="How many\nboats?", answer="2", task="vqa", kind="count"),
            ),
            regions=(
                Region(label="boat", box=(1.5, 2, 3, 4.25), angle=-30.0, score=0.5),
                Region(label="", box=(0, 0, 4, 4), polygon=((0, 0), (4, 0), (4, 4))),
            ),
            source="set",
            split="val",
            meta={"gsd": 0.3, "nested": {"a": [1, None, True, "é"]}, "model": "x"},
        ),
        Sample(
            id="two",
            images=(Image(path=str(one)), Image(path=str(two), data=two.read_bytes())),
            turns=(Turn(question="<image>\n<image>\nWhat changed?", answer="nothing"),),
            regions=(Region(label="road", box=(0, 0, 1, 1), image=1),),
            meta={"system": "You look at pairs."},
        ),
        Sample(id="literal", images=(Image(path=str(one)),), turns=(Turn(question=" <image>\n<image> x ", answer=""),)),
        Sample(id="regions only", images=(Image(path=str(two)),), regions=(Region(label="a", box=(0, 1, 2, 3)),)),
        Sample(id="text only", images=(), turns=(Turn(question="Hello?", answer="Hello."),), split="train"),
        Sample(id="in memory", images=(Image(path="", data=one.read_bytes()),), meta={"system": 3}),
    ]


def test_there_are_four_formats():
    assert list(FORMATS) == ["llava", "messages", "parquet", "wds"]


@pytest.mark.parametrize("embed", [None, True, False])
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_lossless(name, embed, samples, tmp_path):
    path = tmp_path / f"out{FORMATS[name].suffix}"
    assert write(samples, path, embed_images=embed) == len(samples)
    assert list(read(path)) == samples
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == [path.name]


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
talk = st.builds(Turn, question=text | st.just("<image>\nwhat"), answer=text, task=text, kind=text)
number = st.floats(-1e6, 1e6)
region = st.builds(Region, label=text, box=st.tuples(*[number] * 4), angle=number, image=st.integers(0, 3))
meta = st.dictionaries(text, st.none() | st.booleans() | st.integers(-9, 9) | text | st.lists(number), max_size=3)
image = st.builds(
    Image, path=st.text(string.ascii_letters + "/.", max_size=9), width=st.integers(0, 9), data=st.binary()
)
anything = st.builds(
    Sample,
    id=text,
    images=st.lists(image, max_size=3).map(tuple),
    turns=st.lists(talk, max_size=3).map(tuple),
    regions=st.lists(region, max_size=3).map(tuple),
    source=text,
    split=text,
    meta=meta,
)


@pytest.mark.parametrize("name", sorted(FORMATS))
@given(samples=st.lists(anything, max_size=3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lossless_for_any_sample(name, samples, tmp_path):
    path = tmp_path / f"out{FORMATS[name].suffix}"
    write(samples, path)
    assert list(read(path)) == samples


def test_convert_goes_round_all_formats(samples, tmp_path):
    paths = [tmp_path / f"x{FORMATS[name].suffix}" for name in ("llava", "parquet", "wds", "messages")]
    write(samples, paths[0])
    for source, target in zip(paths, paths[1:] + paths[:1], strict=True):
        assert convert(source, target) == len(samples)
    assert list(read(paths[0])) == samples


@pytest.mark.parametrize("name", ["parquet", "wds"])
def test_embedded_pictures_outlive_their_files(name, samples, tmp_path):
    path = tmp_path / f"out{FORMATS[name].suffix}"
    write(samples[:1], path)
    original = Path(samples[0].images[0].path)
    data = original.read_bytes()
    original.unlink()
    (moved,) = read(path)
    assert moved == replace(samples[0], images=(replace(samples[0].images[0], data=data),))


def test_an_edit_by_another_tool_stays(samples, tmp_path):
    path = tmp_path / "out.json"
    write(samples[:1], path)
    entries = json.loads(path.read_text())
    entries[0]["conversations"][3]["value"] = "three"
    write_json(path, entries)
    (edited,) = read(path)
    assert edited.turns[1] == replace(samples[0].turns[1], answer="three")
    write(samples[:1], tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    row["objects"]["bbox"][0] = [0, 0, 9, 9]
    (tmp_path / "out.jsonl").write_text(json.dumps(row))
    (edited,) = read(tmp_path / "out.jsonl")
    assert edited.regions[0] == replace(samples[0].regions[0], box=(0, 0, 9, 9))


# ---- what other tools see in our files ----


def test_llava_sees_a_conversation(samples, tmp_path):
    write(samples, tmp_path / "out.json")
    first, second = json.loads((tmp_path / "out.json").read_text())[:2]
    assert first["image"] == samples[0].images[0].path and isinstance(first[EXTENSION], str)
    assert first["conversations"][:2] == [{"from": "human", "value": "<image>\n"}, {"from": "gpt", "value": "a port ."}]
    one, two = second["images"]  # the second is in memory: a file beside the JSON
    assert one == samples[1].images[0].path and (tmp_path / two).read_bytes() == samples[1].images[1].data
    assert [line["from"] for line in second["conversations"]] == ["system", "human", "gpt"]


def test_swift_sees_messages_and_objects(samples, tmp_path):
    write(samples, tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert row["messages"][2] == {"role": "user", "content": "How many\nboats?"}
    assert row["objects"] == {"ref": ["boat", ""], "bbox": [[1.5, 2, 3, 4.25], [0, 0, 4, 4]], "image_id": [0, 0]}
    asked = [sample for sample in samples if sample.turns and sample.id != "literal"]
    write(asked, tmp_path / "out.jsonl")
    for line in (tmp_path / "out.jsonl").read_text().splitlines():
        row = json.loads(line)  # one tag for each picture, or ms-swift refuses the row
        assert sum(message["content"].count("<image>") for message in row["messages"]) == len(row["images"])


def test_hugging_face_opens_our_files(samples, tmp_path):
    datasets = pytest.importorskip("datasets")
    write(samples, tmp_path / "out.parquet")
    table = datasets.Dataset.from_parquet(str(tmp_path / "out.parquet"), cache_dir=str(tmp_path / "cache"))
    assert isinstance(table.features["images"].feature, datasets.Image)
    assert [len(row["images"]) for row in table] == [1, 2, 1, 1, 0, 1]
    assert table[0]["images"][0].size == (16, 12) and table[0]["messages"][1] == {
        "role": "assistant",
        "content": "a port .",
    }
    for name in ("out.json", "out.jsonl"):
        write(samples, tmp_path / name)
        rows = datasets.Dataset.from_json(str(tmp_path / name), cache_dir=str(tmp_path / "cache"))
        assert len(rows) == len(samples)


def test_webdataset_opens_our_tar(samples, tmp_path):
    wds = pytest.importorskip("webdataset")
    write(samples, tmp_path / "out.tar")
    with (tmp_path / "out.tar").open("rb") as stream:
        members = wds.tariterators.tar_file_expander([{"url": "out.tar", "stream": stream}])
        groups = list(wds.tariterators.group_by_keys(members))
    fields = [sorted(key for key in group if not key.startswith("__")) for group in groups]
    assert fields == [
        ["jpg", "json"],
        ["0.jpg", "1.png", "json"],
        ["jpg", "json"],
        ["json", "png"],
        ["json"],
        ["jpg", "json"],
    ]
    assert groups[0]["jpg"] == Path(samples[0].images[0].path).read_bytes()
    assert json.loads(groups[0]["json"])["id"] == "set/a.jpg"


def test_tars_are_the_same_for_the_same_samples(samples, tmp_path):
    write(samples, tmp_path / "a.tar")
    write(samples, tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


# ---- files of other tools ----


def test_reads_sharegpt_and_llama_factory(tmp_path):
    picture(tmp_path / "images" / "a.jpg")
    talk = [{"from": "human", "value": "What is it?\n<image>"}, {"from": "gpt", "value": "A lake."}]
    write_json(tmp_path / "s.json", [{"images": ["a.jpg"], "conversations": talk, "system": "Be brief."}])
    (sample,) = read(tmp_path / "s.json")
    assert sample.turns == (Turn(question="What is it?", answer="A lake."),)
    assert sample.images[0].path == str(tmp_path / "images" / "a.jpg")
    assert (sample.id, sample.meta) == ("0", {"system": "Be brief."})
    rows = [
        {"messages": [{"role": "user", "content": "<image>Hi"}, {"role": "assistant", "content": "Yes"}], "images": []}
    ]
    write_json(tmp_path / "m.json", rows)
    assert next(read(tmp_path / "m.json")).turns == (Turn(question="Hi", answer="Yes"),)


def test_reads_swift_grounding(tmp_path):
    picture(tmp_path / "a.jpg")
    row = {
        "messages": [
            {"role": "user", "content": "<image>Find <ref-object>"},
            {"role": "assistant", "content": "<bbox>"},
        ],
        "images": ["a.jpg"],
        "objects": {"ref": ["ship"], "bbox": [[0.5, 0.25, 1, 0.5], [0, 0]], "bbox_type": "norm1"},
    }
    (tmp_path / "s.jsonl").write_text(json.dumps(row) + "\n\n")
    (sample,) = read(tmp_path / "s.jsonl")
    assert [(region.label, region.box) for region in sample.regions] == [
        ("ship", (8, 3, 16, 6)),
        ("ship", (0, 0, 0, 0)),
    ]
    assert sample.turns[0].answer == "<bbox>"


def test_reads_trl_parts_and_parquet_of_others(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    data = picture(tmp_path / "a.png").read_bytes()
    content = [{"type": "image", "text": None}, {"type": "text", "text": "What?"}]
    said = [{"role": "user", "content": content}, {"role": "assistant", "content": [{"type": "text", "text": "This."}]}]
    table = arrow.Table.from_pylist([{"images": [{"bytes": data, "path": None}], "messages": said, "n": 4}])
    parquet.write_table(table, tmp_path / "t.parquet")
    (sample,) = read(tmp_path / "t.parquet")
    assert sample.turns == (Turn(question="What?", answer="This."),) and sample.meta == {"n": 4, "row_keys": ["n"]}
    assert sample.images == (Image(path="", data=data),)
    talk = [{"from": "human", "value": "<image>\nQ"}, {"from": "gpt", "value": "A"}]
    rows = [{"id": "7", "image": {"bytes": data, "path": "a.png"}, "conversations": talk}]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "l.parquet")
    (sample,) = read(tmp_path / "l.parquet")
    assert (sample.id, sample.turns[0].question, sample.images[0].data) == ("7", "Q", data)


def test_reads_tars_of_img2dataset_and_llava(tmp_path):
    data = picture(tmp_path / "a.jpg").read_bytes()
    talk = {"id": "q", "conversations": [{"from": "human", "value": "<image>\nQ"}, {"from": "gpt", "value": "A"}]}
    members = [
        ("part/000.jpg", data), ("part/000.txt", b"a port\n"), ("part/000.json", b'{"url": "u", "width": 16}'),
        ("001.jpg", data), ("001.json", json.dumps(talk).encode()),
    ]  # fmt: skip
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    caption, dialogue = read(tmp_path / "x.tar")
    assert caption.turns == (Turn(task="caption", question="", answer="a port"),) and caption.meta["url"] == "u"
    assert caption.id == "part/000" and caption.images[0].data == data
    assert dialogue.turns == (Turn(question="Q", answer="A"),) and dialogue.images[0].data == data


# ---- bad input ----


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("x.json", "[{", "not valid JSON"),
        ("x.json", "[1]", "entry 1 is int"),
        ("x.json", '[{"id": 1}]', "entry 1 is not a LLaVA"),
        ("x.json", '[{"conversations": [{"from": "robot", "value": ""}]}]', "unknown speaker 'robot'"),
        ("x.json", '[{"conversations": [{"from": "gpt", "value": 3}]}]', "is int, not text"),
        ("x.jsonl", '{"messages": 3}', "line 1 is not a row"),
        ("x.jsonl", '{"messages": [], "images": [], "objects": {"bbox": [[1, 2, 3]]}}', "bbox of 3 numbers"),
        (
            "x.jsonl",
            '{"messages": [], "images": ["q.jpg"], "objects": {"bbox": [[1, 2]], "bbox_type": "norm1"}}',
            "size",
        ),
        ("x.jsonl", '{"messages": [], "rsvlm": "{"}', "line 1"),
        ("x.parquet", "nothing", "not a Parquet"),
        ("x.tar", "nothing" * 100, "not a tar"),
        ("x.csv", "a,b", "names no format"),
    ],
)
def test_broken_files_are_one_sentence(file, content, says, tmp_path):
    (tmp_path / file).write_text(content)
    with pytest.raises(BadInput, match=says) as caught:
        list(read(tmp_path / file))
    assert "\n" not in str(caught.value)


def test_nothing_half_written(samples, tmp_path):
    path = tmp_path / "out.parquet"
    write(samples[:1], path)
    before = path.read_bytes()
    gone = Sample(id="gone", images=(Image(path=str(tmp_path / "gone.jpg")),))
    for name in FORMATS:
        target = path.with_suffix(FORMATS[name].suffix)
        with pytest.raises(BadInput, match=r"gone\.jpg cannot be read"):
            write([samples[0], gone], target, embed_images=True)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["in", "out.parquet"]
    assert path.read_bytes() == before
    with pytest.raises(BadInput, match="cannot be written"):
        write(samples, path / "inside" / "out.json")


def test_bad_calls(tmp_path):
    with pytest.raises(BadInput, match="Did you mean 'llava'"):
        format_of("x.json", "lava")
    with pytest.raises(BadInput, match="There is no file"):
        read(tmp_path / "gone.json")
    with pytest.raises(BadInput, match="cannot be written as JSON"):
        write([Sample(id="x", images=(), meta={"a": object()})], tmp_path / "x.json")
