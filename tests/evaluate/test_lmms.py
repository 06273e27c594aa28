"""Packs for lmms-eval: its numbers are ours, in a miniature of its interface and in the installed package."""

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image as Pillow

from fake import annotations
from rsvlm.data import box_codecs as boxes
from rsvlm.data.catalogue import DATASETS
from rsvlm.data.images import read_rgb
from rsvlm.errors import BadInput, MissingPart
from rsvlm.evaluate.benchmarks import BENCHMARKS, find
from rsvlm.evaluate.lmms import task_name, write_pack
from rsvlm.evaluate.result import RunOutput, score_run
from rsvlm.evaluate.solvers import read_boxes
from rsvlm.evaluate.task import prepare
from rsvlm.sample import Image

DIALECT = "minigpt"
WORDS = [name for name in BENCHMARKS if BENCHMARKS[name].ability in ("answers", "compares", "grounds")]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return annotations.make_all(
        tmp_path_factory.mktemp("data"), {BENCHMARKS[name].dataset for name in WORDS} & set(annotations.LAYOUTS)
    )


@pytest.fixture(scope="module")
def pack(root, tmp_path_factory):
    """Everything that can be packed, moved away from where it was written."""
    folder = tmp_path_factory.mktemp("pack")
    tasks = write_pack(folder / "here", root, dialect=DIALECT)
    shutil.move(folder / "here", folder / "there")
    return folder / "there", tasks


class Interface(yaml.SafeLoader):
    """Reads a task's YAML as lmms-eval does: `!function module.name` is a function of a file beside it."""


def function_of(loader, node):
    module, _, name = loader.construct_scalar(node).rpartition(".")
    spec = importlib.util.spec_from_file_location(module, Path(loader.name).parent / f"{module}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return getattr(loaded, name)


Interface.add_constructor("!function", function_of)


def config_of(folder, task):
    with (folder / f"{task}.yaml").open(encoding="utf-8") as file:
        return yaml.load(file, Interface)


def docs_of(folder, task):
    lines = (folder / config_of(folder, task)["dataset_kwargs"]["data_files"]["test"]).read_text(encoding="utf-8")
    return [json.loads(line) for line in lines.splitlines()]


def run(folder, task, said, limit=None):
    """What lmms-eval makes of a task: one reply a question, its surrounding blanks cut, each metric aggregated."""
    config, rows = config_of(folder, task), {}
    for doc in docs_of(folder, task)[:limit]:
        assert doc[config["doc_to_text"]] and isinstance(doc[config["doc_to_target"]], str)
        assert all(picture.mode == "RGB" for picture in config["doc_to_visual"](doc))
        for metric, value in config["process_results"](doc, [said[doc["id"]].strip()]).items():
            rows.setdefault(metric, []).append(value)
    found = {entry["metric"]: entry["aggregation"](rows[entry["metric"]]) for entry in config["metric_list"]}
    assert set(rows) == set(found)
    return found


def half_right(prepared):
    """A model that is right twice and then does not answer, and so on."""
    said = {}
    for number, item in enumerate(prepared.items):
        text = next(iter(item.references), "")
        if prepared.protocol.ability == "grounds":
            size = (item.image.width, item.image.height)
            text = boxes.encode([region.box for region in item.regions], DIALECT, size=size)
        said[item.id] = f" {text}\n" if number % 3 < 2 else "no idea"
    return said


def ours(prepared, said):
    rows = []
    for item in prepared.items:
        row = {"answer": said[item.id], "confidence": 0.0}
        if prepared.protocol.ability == "grounds":
            row["boxes"] = read_boxes(row["answer"], DIALECT, (item.image.width, item.image.height))
        rows.append(row)
    result = score_run(prepared, RunOutput(model="parrot", trace={}, rows=rows))
    return {name: metric["value"] for name, metric in result["metrics"].items()}


def protocol_of(task):
    (name,) = [name for name in BENCHMARKS if task_name(BENCHMARKS[name]) == task]
    return BENCHMARKS[name]


def test_every_protocol_in_words_is_packed(pack, root):
    assert len({task_name(BENCHMARKS[name]) for name in BENCHMARKS}) == len(BENCHMARKS)
    there = []
    for name in WORDS:
        try:
            prepare(BENCHMARKS[name], root)
            there.append(task_name(BENCHMARKS[name]))
        except (BadInput, MissingPart):
            continue
    assert len(there) > 30 and sorted(pack[1]) == sorted(there)
    assert {path.stem for path in pack[0].glob("*.yaml")} == set(there)


def test_numbers_are_those_of_our_own_result(pack, root):
    folder, tasks = pack
    above = 0
    for task in tasks:
        prepared = prepare(protocol_of(task), root)
        said = half_right(prepared)
        found, right = run(folder, task, said), ours(prepared, said)
        assert found == right, task
        above += any(value > 0 for value in found.values())
    assert above > 0.9 * len(tasks)  # equal because both are zero would prove little


def test_what_a_task_says(pack, root):
    folder, _ = pack
    config = config_of(folder, "rsvlm_aid_scenes_free-generation")
    protocol = find("aid_scenes")
    assert config["tag"] == "rsvlm" and config["output_type"] == "generate_until" and config["test_split"] == "test"
    assert config["generation_kwargs"] == {
        "max_new_tokens": protocol.max_new_tokens, "do_sample": False, "temperature": 0, "num_beams": 1, "until": []
    }  # fmt: skip
    assert config["metadata"]["version"] == 1
    assert config["metadata"]["rsvlm"]["prompt_hash"] == protocol.prompt_hash
    assert config["metadata"]["rsvlm"]["data_hash"] == prepare(protocol, root).data_hash
    assert not {"task", "doc_id", "repeats", "split"} & set(config["metadata"])  # they would replace lmms-eval's own
    assert config_of(folder, "rsvlm_aid_scenes_lhrs-legacy")["tag"] == "rsvlm_legacy"
    rising = {m["metric"]: m["higher_is_better"] for m in config_of(folder, "rsvlm_dior_rsvg_plain-iou")["metric_list"]}
    assert rising["acc@0.5"] and not rising["parse_failures"]
    (question,) = {doc["question"] for doc in docs_of(folder, "rsvlm_aid_scenes_free-generation")}
    assert question == protocol.wording[0]
    assert all(doc["question"].startswith("Locate in the image: ") for doc in docs_of(folder, "rsvlm_rsvg_plain-iou"))
    assert all(len(doc["pictures"]) == 2 for doc in docs_of(folder, "rsvlm_levir_cc_coco-ptb"))
    written = "".join(p.read_text(encoding="utf-8") for p in folder.iterdir() if p.is_file() and "rsicd" in p.name)
    assert str(root) not in written  # a pack says nothing about the machine


def test_some_of_the_questions(pack, root):
    """With a limit the items that were asked count, and are read as among all."""
    prepared = prepare(find("meter_ml"), root)
    said = {item.id: item.references[0] for item in prepared.items}
    assert len(said) > 1
    assert run(pack[0], "rsvlm_meter_ml_free-generation", said, limit=1)["accuracy"] == 1.0
    found = run(pack[0], "rsvlm_rsvqa_lr_all", {d["id"]: "3" for d in docs_of(pack[0], "rsvlm_rsvqa_lr_all")}, limit=1)
    assert found["accuracy_count"] == 1.0 and math.isnan(found["accuracy_presence"])  # no such question was asked


def test_known_answers_count_as_often_as_they_occur(pack, root):
    """Vocabularies leave rare words out: an answer must be known as often as the training split holds it."""
    sheet = json.loads((pack[0] / "rsvlm_eurosat_free-generation.items.json").read_text())
    kept = [one["references"] for count, one in sheet["known"] for _ in range(count)]
    train = [list(item.references) for item in prepare(find("eurosat"), root).train]
    assert sorted(kept) == sorted(train) and len(sheet["known"]) < len(train)


def test_pictures_are_those_that_we_show(tmp_path):
    """TIFF, EXIF rotation, transparency: every question's picture has the pixels of `read_rgb`."""
    root = tmp_path / "data"
    rng = np.random.default_rng(0)
    folder = root / DATASETS["aid"].folder / "Airport"
    folder.mkdir(parents=True)
    pixels = rng.integers(0, 256, (6, 9, 4), dtype=np.uint8)
    turned = Pillow.Exif()
    turned[0x0112] = 6
    Pillow.fromarray(pixels[..., :3]).save(folder / "airport_1.jpg", exif=turned)
    Pillow.fromarray(pixels).save(folder / "airport_2.png")
    Pillow.fromarray(pixels[..., :3]).save(folder / "airport_3.tif")
    Pillow.fromarray(pixels[..., 0]).save(folder / "airport_4.png")
    write_pack(tmp_path / "pack", root, ["aid_scenes"], split="all")
    visual = config_of(tmp_path / "pack", "rsvlm_aid_scenes_free-generation")["doc_to_visual"]
    docs = docs_of(tmp_path / "pack", "rsvlm_aid_scenes_free-generation")
    assert docs
    for doc in docs:
        (shown,) = visual(doc)
        name = Path(doc["id"].partition("#")[0]).name
        np.testing.assert_array_equal(np.asarray(shown), read_rgb(Image(path=str(folder / name))))
    stored = folder / "airport_1.jpg"
    assert stored.read_bytes() in [path.read_bytes() for path in (tmp_path / "pack" / "pictures").glob("*.jpg")]


@pytest.mark.parametrize(
    ("names", "dialect", "sentence"),
    [
        (["aid_scens"], "", "id you mean 'aid_scenes'"),
        (["air_slt"], "", "not answered in words"),
        (["dior_rsvg"], "", "say in which dialect"),
        (["dior_rsvg"], "minigp", "id you mean 'minigpt'"),
        (["dior_rsvg"], "qwen25vl", "whose size lmms-eval does not tell"),
        (["fmow"], "", "fMoW"),
        (None, "", "holds no data set"),
    ],
)
def test_what_cannot_be_packed_is_said(names, dialect, sentence, tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(BadInput, match=sentence):
        write_pack(tmp_path / "pack", tmp_path / "data", names, dialect=dialect)
    assert not list(tmp_path.glob("pack/*.yaml"))


def test_without_a_dialect_grounding_is_left_out(root, tmp_path):
    left_out = []
    tasks = write_pack(tmp_path / "pack", root, say=left_out.append)
    assert any(
        line.startswith("ucm_scenes/free-generation@1 is left out: ") for line in left_out
    )  # no val in miniature
    assert tasks and not [task for task in tasks if protocol_of(task).ability == "grounds"]


@pytest.mark.skipif(importlib.util.find_spec("lmms_eval") is None, reason="lmms-eval is not installed")
@pytest.mark.parametrize("limit", [0, 1])
def test_the_installed_lmms_eval_finds_the_same_numbers(pack, root, tmp_path, limit):
    folder, tasks = pack
    prepared = {task: prepare(protocol_of(task), root) for task in tasks}
    said = {task: half_right(one) for task, one in prepared.items()}
    (tmp_path / "said.json").write_text(json.dumps(said))
    program = Path(annotations.__file__).with_name("lmms_parrot.py")
    offline = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, program, folder, tmp_path / "said.json", tmp_path / "out.json", str(limit)],
        env=os.environ | offline, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    out = json.loads((tmp_path / "out.json").read_text())
    assert out["tasks"] == sorted(tasks) and out["tags"] == ["rsvlm", "rsvlm_legacy"]
    for task, one in prepared.items():
        expected = ours(one, said[task]) if not limit else run(folder, task, said[task], limit)
        found = {key.removesuffix(",none"): value for key, value in out["results"][task].items() if ",none" in key}
        found = {name: value for name, value in found.items() if name in expected}
        assert found.keys() == expected.keys()
        assert all(found[name] == value or value != value for name, value in expected.items()), task
        assert out["versions"][task] == int(one.protocol.name.rpartition("@")[2])
        asked = out["asked"][task]
        assert len(asked) == (limit or len(one.items))
        for item in one.items[: limit or None]:
            assert asked[item.id]["question"].endswith(item.question)
            assert len(asked[item.id]["sizes"]) == len(item.images)
            assert asked[item.id]["kwargs"]["max_new_tokens"] == one.protocol.max_new_tokens
            assert asked[item.id]["kwargs"]["until"] == []
