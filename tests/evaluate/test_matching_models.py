"""Models that match, measured: a tiny CLIP through the command, classes under a limit, baselines, bad vectors."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from fake import annotations, hub_matching
from fake.matchers import Colours, Plain
from rsvlm import cli
from rsvlm.data.catalogue import DATASETS
from rsvlm.data.images import read_rgb
from rsvlm.errors import BadInput
from rsvlm.evaluate.benchmarks import BENCHMARKS, find
from rsvlm.evaluate.run import evaluate
from rsvlm.evaluate.solvers import read_vector
from rsvlm.evaluate.task import prepare
from rsvlm.systems.load import load

CHANCE = {"chance"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Scenes of EuroSAT and AID, two caption sets, SkyScript's attributes, AIR-SLT."""
    names = ("eurosat", "ucm_captions", "skyscript_roof_shape", "air_slt")
    folder = annotations.make_all(tmp_path_factory.mktemp("data"), names)
    pictures = {f"{name}_{n}.jpg": split for n, split in enumerate(("train", "train", "val", "val", "test") * 2)
                for name in ("airport", "bareland", "pond")}  # fmt: skip
    annotations.karpathy(folder / "RSICD", "RSICD_images", "dataset_rsicd.json", pictures)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return hub_matching.save("clip", tmp_path_factory.mktemp("clip"))


@pytest.mark.parametrize(
    ("name", "split", "baselines"),
    [
        ("aid_scenes/zero-shot-skyscript", "val", {"most_frequent", "chance"}),
        ("aid_scenes/zero-shot-georsclip", "val", {"most_frequent", "chance"}),
        ("eurosat/zero-shot-georsclip", "all", CHANCE),
        ("rsicd_retrieval/grouped-captions", "val", CHANCE),
        ("ucm_retrieval/merged-texts", "test", CHANCE),
        ("skyscript_roof_shape/label-v2", "test", CHANCE),
        ("air_slt/selo", "test", {"uniform_map"}),
    ],
)
def test_a_clip_is_measured_by_the_command(name, split, baselines, root, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: False)
    out = tmp_path / "out"
    words = ["evaluate", name, "--data", root, "--model", f"hf:{clip}", "--split", split, "--out", out, "--json"]
    ran = CliRunner().invoke(cli.app, [*map(str, words)])
    assert ran.exit_code == 0, ran.exception
    result = json.loads(ran.stdout)
    assert set(result["baselines"]) == baselines and result["parse_failures"] == result["failed"] == 0
    assert result["headline"] and all(np.isfinite(result["metrics"][head]["value"]) for head in result["headline"])
    assert result["trace"]["type"] == "clip" and (out / "report.html").is_file()
    again = evaluate(name, root, load(f"hf:{clip}"), split=split, out=out)
    assert again["asked"] == 0 and again["metrics"] == result["metrics"]  # a run that was killed goes on


def test_the_accuracy_is_that_of_the_vectors(root, clip, tmp_path):
    model, name = load(f"hf:{clip}"), "aid_scenes/zero-shot-georsclip"
    result = evaluate(name, root, model, split="val", out=tmp_path / "out")
    task = prepare(find(name), root, "val")
    shown = [item for item in task.items if item.images]
    classes = sorted({item.meta["class"] for item in task.items if not item.images})
    assert classes == ["airport", "bareland", "pond"]
    raw = [model.encode_texts([t.question for t in task.items if t.meta.get("class") == name]) for name in classes]
    weights = np.stack([each.mean(0) for each in raw])  # averaged before they get unit length
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    best = (model.embed_images([read_rgb(item.image) for item in shown]) @ weights.T).argmax(1)
    right = [classes[at] == item.references[0] for at, item in zip(best, shown, strict=True)]
    assert result["metrics"]["acc@1"]["value"] == pytest.approx(np.mean(right))
    rows = [json.loads(line) for line in (tmp_path / "out" / "replies.jsonl").read_text().splitlines()][1:]
    lengths = [np.linalg.norm(read_vector(row["vector"])) for row in rows if "?" in row["id"]]
    assert not np.allclose(lengths, 1, atol=0.05) and len(lengths) == 3 * 105


def test_a_model_without_raw_vectors_is_measured_and_says_so(root):
    result = evaluate("aid_scenes/zero-shot-georsclip", root, Colours(), split="val", leak=False)
    said = "prompts are averaged at unit length: the model gives no other vectors of texts"
    assert said in result["notes"]
    assert said not in evaluate("aid_scenes/zero-shot-skyscript", root, Colours(), split="val", leak=False)["notes"]


def test_texts_that_are_cut_are_counted(root):
    result = evaluate("ucm_retrieval/merged-texts", root, Colours(), split="test", leak=False)
    assert not any("are cut" in note for note in result["notes"])
    short = Colours()
    short.max_text = 6
    result = evaluate("ucm_retrieval/merged-texts", root, short, split="test", leak=False)
    texts = sum(not item.images for item in prepare(find("ucm_retrieval/merged-texts"), root, "test").items)
    assert f"{texts} of {texts} texts are longer than the model's 6 tokens and are cut" in result["notes"]


@pytest.mark.parametrize("family", ["skyscript", "georsclip"])
def test_a_limit_leaves_all_classes_to_choose_from(root, family):
    """EuroSAT's pictures come class by class: the first few are of one."""
    protocol = find(f"eurosat/zero-shot-{family}")
    few, whole = (prepare(protocol, root, "all", limit) for limit in (2, None))
    texts = [[item.id for item in task.items if not item.images] for task in (few, whole)]
    assert texts[0] == texts[1] and len([item for item in few.items if item.images]) == 2
    assert {item.references for item in few.items if item.images} < {item.references for item in whole.items}
    grouped = prepare(find("rsicd_retrieval/grouped-captions"), root, "val", 2)
    assert len(grouped.items) == 2 + 10  # of retrieval the texts are those of the pictures


def test_the_most_frequent_class_is_that_of_training(tmp_path):
    pictures = {**{f"pond_{n}.jpg": "train" for n in range(5)}, "airport_7.jpg": "train", "beach_7.jpg": "train"}
    pictures |= {"pond_8.jpg": "val", "pond_9.jpg": "val", "airport_9.jpg": "val", "beach_9.jpg": "val"}
    annotations.karpathy(tmp_path / "RSICD", "RSICD_images", "dataset_rsicd.json", pictures)
    found = evaluate("aid_scenes/zero-shot-skyscript", tmp_path, Colours(), split="val", leak=False)["baselines"]
    assert found["most_frequent"]["acc@1"] == 0.5 and found["most_frequent"]["balanced_accuracy"] == pytest.approx(
        1 / 3
    )


def test_a_choice_of_one_class_is_refused(tmp_path):
    pictures = {"pond_8.jpg": "val", "pond_9.jpg": "val"}
    annotations.karpathy(tmp_path / "RSICD", "RSICD_images", "dataset_rsicd.json", pictures)
    with pytest.raises(BadInput, match="aid here has 1 class; a choice needs two or more"):
        evaluate("aid_scenes/zero-shot-skyscript", tmp_path, Colours(), split="val")


@pytest.mark.parametrize("name", ["ucm_retrieval/merged-texts", "air_slt/selo"])
def test_vectors_that_are_no_numbers_are_no_figure(name, root):
    with pytest.raises(BadInput, match="plain gave vectors that hold NaN or infinity"):
        evaluate(name, root, Plain(lambda rows: rows * np.nan), leak=False)


def test_vectors_of_other_widths_are_no_figure(root):
    with pytest.raises(BadInput, match=r"plain gave vectors of 3 \(\d+\) and 2 \(\d+\) numbers"):
        evaluate("ucm_retrieval/merged-texts", root, Plain(lambda rows: rows[:, :2]), leak=False)
    with pytest.raises(BadInput, match="vectors of 2 numbers for a picture where 3 were expected"):
        evaluate("air_slt/selo", root, Plain(lambda rows: rows[:, :2]), leak=False)


def test_the_windows_of_a_picture_are_embedded_once_for_all_texts(root):
    model = Colours()
    evaluate("air_slt/selo", root, model, batch=16, leak=False)
    together, model.seen = sum(model.seen), []
    evaluate("air_slt/selo", root, model, batch=1, leak=False)
    assert sum(model.seen) == together * 3 // 2  # three texts about two pictures of one size


def test_the_two_retrieval_protocols_never_share_a_table(root, tmp_path):
    for name in ("grouped-captions", "merged-texts"):
        evaluate(f"rsicd_retrieval/{name}", root, Colours(), split="val", out=tmp_path / name, leak=False)
    ran = CliRunner().invoke(cli.app, ["report", str(tmp_path)])
    heads = [part.partition("\n")[0] for part in ran.stdout.split("### ")[1:]]
    assert len(heads) == 2 and heads[0].startswith("grouped-captions@1") and heads[1].startswith("merged-texts@1")
    assert {"matches", "localises"} <= {BENCHMARKS[name].ability for name in BENCHMARKS}
    assert DATASETS["aid"].also == ("RSICD",)


@pytest.mark.parametrize("protocol", ["merged-texts", "grouped-captions"])
def test_a_leaked_picture_takes_the_texts_of_it_alone_along(root, protocol):
    task = prepare(find(f"rsicd_retrieval/{protocol}"), root, "val")
    kept = task.items[1:]
    vectors = np.random.default_rng(0).normal(size=(len(kept), 4)).tolist()
    scores = task.protocol.measure(kept, vectors)
    assert 0 <= scores[task.protocol.headline[0]].value <= 1
