"""A malformed record is named by its file and its place, whichever reader meets it."""

import copy
import json
import pickle
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fake import annotations
from rsvlm.data.catalogue import DATASETS, load
from rsvlm.data.sources.records import check_sample, forget, last_read, placed
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Region, Sample, Turn

MISSING = object()
BAD = {"number": 7, "null": None, "list": [1, "x"], "string": "zz", "object": {"q": 1}, "missing": MISSING}
# What readers say in their own words: of a link that fails, a foreign class, the entry of a conversation, a picture.
OWN_WORDS = {
    "coco": r"of image_id|stand there twice", "hit_uav": r"of image_id|stand there twice|its classes are",
    "llava": r"entry 1 ", "levir_mci": r"no label picture",
}  # fmt: skip


def read_values(file: Path):
    """The value of a file, and what makes text of it: some sets are published as JSON, others as a value a line."""
    text = file.read_text()
    if file.suffix == ".jsonl" or "}\n{" in text:
        return [json.loads(line) for line in text.splitlines()], lambda value: "\n".join(map(json.dumps, value))
    return json.loads(text), json.dumps


def first_records(value, keys=()) -> Iterator[tuple]:
    """The place of the first record of every list (or dict) of records."""
    if isinstance(value, list):
        yield (*keys, 0)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, list):
                yield from first_records(inner, (*keys, key))
            elif isinstance(inner, dict):
                yield (*keys, key)


def spoilt(value, keys) -> Iterator[tuple[str, object]]:
    """The value with the record at `keys`, and each of its fields, as something else."""
    record = value
    for key in keys:
        record = record[key]
    for field in [(), *((name,) for name in (record if isinstance(record, dict) else ()))]:
        for kind, bad in BAD.items():
            changed = holder = copy.deepcopy(value)
            *above, last = (*keys, *field)
            for key in above:
                holder = holder[key]
            if bad is not MISSING:
                holder[last] = bad
            elif field:
                del holder[last]
            yield f"{field} is {kind}", changed


def place(keys) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


def json_files(folder: Path) -> list[Path]:
    """The first of the files that differ in no more than their numbers and splits."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".jsonl", ".geojson"))
    found = [path for path in found if path.name not in ("dataset_dict.json", "dataset_info.json", "state.json")]
    kinds = {re.sub(r"train|val|test|\d+|Tr|Valid", "", path.name): path for path in reversed(found)}
    return sorted(kinds.values())


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_malformed_record_is_named(name, tmp_path):
    folder = annotations.make(name, tmp_path)
    files, refused = json_files(folder), 0
    if not files:
        pytest.skip(f"{name} has no JSON file")
    for file in files:
        value, text_of = read_values(file)
        for keys in first_records(value):
            for what, changed in spoilt(value, keys):
                file.write_text(text_of(changed))
                try:
                    load(name, folder, "all", skip_missing=True)
                except BadInput as error:
                    said, refused = str(error), refused + 1
                    assert "\n" not in said
                    named = f"what was read last: {place(keys)}" in said and f" of {file} is " in said
                    link = "KeyError" in said and re.search(r"what was read last: \S+ of ", said)  # the one that refers
                    own = name in OWN_WORDS and re.search(OWN_WORDS[name], said)
                    assert named or link or own, f"{file.name} {place(keys)} {what}: {said}"
        file.write_text(text_of(value))
    assert refused


def test_lines_xml_and_pickles_name_the_record_too(tmp_path):
    for name, pattern, text, says in (
        ("dota", "*/*/*.txt", "1 2 3 4 5 6 7 x ship 0\n", r"\.txt line 1 reads '1 2 3"),
        (
            "voc",
            "Annotations/*.xml",
            "<annotation><object><name>a</name></object></annotation>",
            r"\.xml .*bndbox/xmin",
        ),
    ):
        folder = annotations.make(name, tmp_path)
        file = sorted(folder.glob(pattern))[0]
        file.write_text(text)
        with pytest.raises(BadInput, match=f"{re.escape(file.name[:3])}.*{says}"):
            load(name, folder, "all")
    folder = annotations.make("rrsis_d", tmp_path)
    (file,) = folder.rglob("refs*.p")
    refs = pickle.loads(file.read_bytes())
    refs[1]["sentences"] = None
    file.write_bytes(pickle.dumps(refs))
    with pytest.raises(BadInput, match=r"what was read last: \[1\]\.\w+ of .*refs\(unc\)\.p is "):
        load("rrsis_d", folder, "all")


def test_what_was_read_last(tmp_path):
    file = tmp_path / "a.json"
    data = placed({"images": [{"id": 1}, None, {"id": "x" * 99}], "info": {"year": 3}}, file)
    forget()
    assert last_read() == ""
    assert data == {"images": [{"id": 1}, None, {"id": "x" * 99}], "info": {"year": 3}}
    assert data["info"].get("year") == 3 and last_read() == f"info.year of {file} is 3"
    images = iter(data["images"])
    assert next(images)["id"] == 1 and last_read() == f"images[0].id of {file} is 1"
    assert next(images) is None and last_read() == f"images[1] of {file} is None"
    assert next(images).get("file") is None and last_read() == f"images[2].file of {file} is missing"
    assert dict(data["images"][2].items()) and last_read() == f"images[2].id of {file} is '{'x' * 59}..."
    assert json.loads(json.dumps(data)) == data == pickle.loads(pickle.dumps(data)) and type(data).__name__ == "dict"


def test_parts_of_a_sample_have_the_types_of_the_nouns(tmp_path):
    folder = annotations.make("geopix_instruct", tmp_path)
    file = sorted(folder.glob("train*.jsonl"))[0]
    record = json.loads(file.read_text().splitlines()[0])
    record["instances"][0]["category"] = ["tank"]
    file.write_text(json.dumps(record))
    with pytest.raises(BadInput, match=r"found \['tank'\], expected text\); what was read last: \[0\]\.instances of"):
        load("geopix_instruct", folder, "all")
    good = Sample(id="a", images=(Image(path="a.png"),), regions=(Region(label="x", box=(0, 0, 1, 1)),))
    check_sample(good)
    for bad in (
        replace(good, id=None), replace(good, images=(Image(path=3),)), replace(good, split=1),
        replace(good, turns=(Turn(question=1, answer="a"),)), replace(good, turns=(Turn(question="", answer=None),)),
        replace(good, turns=(Turn(question="", answer="", references=("a", 2)),)),
        replace(good, regions=(Region(label="x", box=(0, 0, float("nan"), 1)),)),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match="expected"):
            check_sample(bad)
