"""A whole run on a generated data set with a model of colours: numbers, baselines, files, kill and resume, refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake import annotations
from fake.model import Answerer, ColourModel, Killed, colour_of
from rsvlm.data.catalogue import load
from rsvlm.data.sources.layout import hashed_split
from rsvlm.errors import BadInput
from rsvlm.evaluate.items import items_of
from rsvlm.evaluate.reply_log import ReplyLog
from rsvlm.evaluate.report.text import report
from rsvlm.evaluate.result import read_answers
from rsvlm.evaluate.run import evaluate
from rsvlm.sample import Image as Picture
from rsvlm.sample import Sample, Turn
from rsvlm.systems.abilities import Answers, Embeds

CLASSES = {"AnnualCrop": (200, 180, 60), "Forest": (20, 90, 20), "SeaLake": (10, 20, 200)}
NAMES = ("annual crop", "forest", "sea lake")
SAID = {colour_of(np.full((8, 8, 3), rgb)): name for rgb, name in zip(CLASSES.values(), NAMES, strict=True)}
PER_CLASS = 25


@pytest.fixture
def eurosat(tmp_path: Path) -> Path:
    """Plain pictures in three classes; the split is that of their names."""
    root = tmp_path / "data"
    for name, rgb in CLASSES.items():
        for number in range(PER_CLASS):
            path = root / "EuroSAT_RGB" / name / f"{name}_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), rgb).save(path)
    return root


FILES = {"result.json", "answers.jsonl", "report.html", "report.md", "replies.jsonl", "replies.blind.jsonl"}


def val_count() -> int:
    return sum(hashed_split(f"{name}_{n}.png") == "val" for name in CLASSES for n in range(PER_CLASS))


def test_the_fake_satisfies_the_abilities():
    assert isinstance(ColourModel(), Answers)
    assert isinstance(ColourModel(), Embeds)
    assert not isinstance(Answerer(), Embeds)


def test_a_model_that_knows_is_right_and_its_files_say_so(eurosat, tmp_path, capsys):
    model, out = ColourModel(SAID), tmp_path / "out"
    result = evaluate("eurosat", eurosat, model, out=out, batch=4)
    assert result["n"] == len(model.asked) == val_count() > 3
    assert result["protocol"] == "eurosat/free-generation@1"
    sure = {"value": 1.0, "stderr": 0.0, "low": 1.0, "high": 1.0, "n": result["n"]}
    assert result["metrics"]["accuracy"] == sure
    assert set(result["baselines"]) == {"most_frequent", "nearest_image", "blind"}
    assert model.blind == ["What land cover is this?"]  # one question, however many pictures
    assert result["baselines"]["blind"]["accuracy"] == 0.0
    assert result["leak"]["against"] == ["eurosat"]
    assert result["leak"]["flat"] == val_count()  # plain pictures: the hash says nothing about them
    assert result["baselines"]["nearest_image"]["accuracy"] == 1.0
    assert 0 < result["baselines"]["most_frequent"]["accuracy"] < 1  # it does not know the class beforehand
    assert {question for _, question in model.asked} == {"What land cover is this?"}
    assert json.loads((out / "result.json").read_text()) == result
    rows = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert len(rows) == result["n"]
    keys = "id images kind question references answer confidence parsed score wrong"
    assert set(rows[0]) == set(keys.split())
    assert rows[0]["images"][0].startswith("EuroSAT_RGB/")  # relative: the file says nothing about the machine
    page = (out / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == result["n"]
    assert "http" not in page.replace("http-equiv", "")  # self-contained
    assert {path.name for path in out.iterdir()} == FILES
    captured = capsys.readouterr()
    assert captured.out == ""  # stdout is for the result
    assert "eurosat" in captured.err


@pytest.mark.parametrize(
    ("trained_on", "against"),
    [("ships/referring", ["ships"]), ("gone/odd eurosat+ships/referring", ["eurosat", "ships"]), ("gone", ["eurosat"])],
)
def test_pictures_are_looked_for_in_all_sets_that_a_trace_names(eurosat, trained_on, against):
    """What a builder makes of a set shows the pictures of the set."""
    annotations.make("ships", eurosat, "Ships")
    model = ColourModel(SAID)
    model.trace["trained_on"] = trained_on
    leak = evaluate("eurosat", eurosat, model)["leak"]
    shown = {image.path for name in against for one in load(name, eurosat) for image in one.images}
    assert leak["against"] == against and leak["train"] == len(shown) > 0


def test_the_result_is_the_object_that_the_command_prints(eurosat):
    result = evaluate("eurosat", eurosat, ColourModel(SAID))
    assert list(result)[:5] == ["protocol", "model", "n", "metrics", "baselines"]
    for key in (
        "split",
        "seed",
        "commit",
        "data_hash",
        "protocol_hash",
        "prompt_hash",
        "parse_failures",
        "versions",
        "seconds",
    ):
        assert key in result
    assert json.loads(json.dumps(result)) == result


def test_a_wrong_class_and_a_reply_without_one(eurosat, tmp_path):
    said = dict(SAID) | {key: "This is a Sea_Lake, I think." for key, name in SAID.items() if name == "sea lake"}
    said |= {key: "no idea" for key, name in SAID.items() if name == "forest"}
    result = evaluate("eurosat", eurosat, ColourModel(said), out=tmp_path / "out")
    forests = sum(hashed_split(f"Forest_{n}.png") == "val" for n in range(PER_CLASS))
    assert result["parse_failures"] == forests > 0
    assert result["metrics"]["accuracy"]["value"] == pytest.approx(1 - forests / result["n"])
    assert result["metrics"]["balanced_accuracy"]["value"] == pytest.approx(2 / 3)
    share = 1 - forests / result["n"]
    closed = (share * (1 - share) / result["n"]) ** 0.5
    assert result["metrics"]["accuracy"]["stderr"] == pytest.approx(closed, rel=0.1)
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('class="wrong unread"') == forests
    assert page.count("(not read)") == forests


@pytest.mark.parametrize("cut", [False, True])
def test_a_killed_run_asks_nothing_twice(eurosat, tmp_path, cut):
    whole = evaluate("eurosat", eurosat, ColourModel(SAID), batch=2)
    out, first = tmp_path / "out", ColourModel(SAID, dies_after=4)
    with pytest.raises(Killed):
        evaluate("eurosat", eurosat, first, out=out, batch=2)
    partial = out / "replies.jsonl"
    assert len(partial.read_text().splitlines()) == 1 + 4
    assert not (out / "result.json").exists()
    if cut:  # killed in the middle of a line
        partial.write_bytes(partial.read_bytes()[:-7])
    second = ColourModel(SAID)
    resumed = evaluate("eurosat", eurosat, second, out=out, batch=2)
    assert len(second.asked) == resumed["asked"] == whole["n"] - 4 + cut
    assert {**resumed, "seconds": 0, "asked": 0} == {**whole, "seconds": 0, "asked": 0}


def test_answers_of_another_model_are_not_taken_over(eurosat, tmp_path):
    with pytest.raises(Killed):
        evaluate("eurosat", eurosat, ColourModel(SAID, dies_after=4), out=tmp_path / "out", batch=2)
    with pytest.raises(BadInput, match=r"another run .*model"):
        evaluate("eurosat", eurosat, ColourModel(SAID, name="other"), out=tmp_path / "out")


@pytest.mark.parametrize("head", ["1", "null", '"x"', "[]", "{"])
def test_replies_that_begin_with_anything_but_a_run_are_damaged(tmp_path, head):
    (tmp_path / "replies.jsonl").write_text(f'{head}\n{{"id": "1", "answer": "yes"}}\n')
    with pytest.raises(BadInput, match=r"replies\.jsonl is damaged; delete it"):
        ReplyLog(tmp_path / "replies.jsonl", {"model": "x"})


def test_a_model_without_features_has_one_baseline(eurosat):
    result = evaluate("eurosat", eurosat, Answerer(SAID))
    assert set(result["baselines"]) == {"most_frequent", "blind"}
    assert any("nearest_image" in note for note in result["notes"])


def test_limit_takes_the_first_samples(eurosat):
    model = ColourModel(SAID)
    assert evaluate("eurosat", eurosat, model, limit=3)["n"] == len(model.asked) == 3


def test_captions_that_repeat_a_reference_win(tmp_path):
    annotations.make("ucm_captions", tmp_path, "UCM_captions")
    result = evaluate("ucm_captions", tmp_path, ColourModel(otherwise="caption 0 of 100.tif ."), split="val")
    assert result["metrics"]["bleu_1"]["value"] == pytest.approx(1.0, abs=1e-6)
    assert {"bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d"} <= set(result["metrics"])
    assert "meteor" in result["metrics"] or any("meteor is missing" in note for note in result["notes"])


def rsivqa(root: Path) -> Path:
    folder = annotations.make("rsivqa", root, "RSIVQA")
    lines = [
        "1.tif:How many boats in the picture?twelve", "100.tif:How many boats in the picture?twenty-one",
        "100.tif:Does this picture contain trees?no", "100.tif:Does this picture contain cars?yes",
        "100.tif:How many cars in the picture?several",
    ]  # fmt: skip
    (folder / "ucm_res.txt").write_text("\n".join(lines) + "\n")
    (folder / "ucm_vqa.txt").write_text("")
    return root


def test_questions_are_scored_by_type_after_normalisation(tmp_path):
    said = {
        "How many boats in the picture?": "There are 21 boats.",
        "Does this picture contain trees?": "No, there are none.",
        "Does this picture contain cars?": "perhaps",
        "How many cars in the picture?": "Several",
    }
    metrics = (result := evaluate("rsivqa", rsivqa(tmp_path), ColourModel(said)))["metrics"]
    values = {name: metric["value"] for name, metric in metrics.items()}
    assert values == {
        "overall": 0.75, "average": 0.75, "yes_no": 0.5, "accuracy_count": 1.0, "accuracy_presence": 0.5,
    }  # fmt: skip
    assert result["parse_failures"] == 1
    assert metrics["overall"]["stderr"] == 0.0  # one picture: nothing to resample
    assert result["baselines"]["most_frequent"]["accuracy_count"] == 0.0


def test_the_class_is_not_the_type_of_a_scene_question():
    turn = Turn(question="", answer="annual crop", task="scene", kind="AnnualCrop")
    (item,) = items_of([Sample(id="a", images=(Picture(path="a"),), turns=(turn,))], "scene", "What?")
    assert item.kind == ""


def test_refusals_count_any_plain_refusal(tmp_path):
    annotations.make("ucm_captions", tmp_path, "UCM_captions")
    knows = evaluate("refusals", tmp_path, ColourModel(otherwise="I cannot tell that from this image."))
    assert (knows["n"], knows["metrics"]["refusal_rate"]["value"]) == (50, 1.0)
    invents = evaluate("refusals", tmp_path, ColourModel(otherwise="It is red."))
    assert invents["metrics"]["refusal_rate"]["value"] == 0.0


def test_a_table_from_result_files(eurosat, tmp_path):
    evaluate("eurosat", eurosat, ColourModel(SAID), out=tmp_path / "runs" / "a")
    evaluate("eurosat", eurosat, ColourModel(name="b|c"), out=tmp_path / "runs" / "b")
    title, _, *table = report([tmp_path / "runs"]).splitlines()
    assert "free-generation@1" in title
    assert len(table) == 2 + 2 * 2
    assert all(name in table[0] for name in ("most frequent", "nearest image", "blind"))
    assert "| eurosat/free-generation@1 | val | colour |" in table[2]
    assert "1.000" in table[2]
    assert "b\\|c" in table[4]


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("eurosta", {}, "did you mean 'eurosat'"),
        ("eurosat", {"split": "test"}, "no test samples"),
        ("eurosat", {"limit": 0}, "at least 1"),
        ("eurosat", {"batch": 0}, "at least 1"),
    ],
)
def test_bad_input_is_one_sentence(eurosat, name, options, sentence):
    with pytest.raises(BadInput, match=sentence):
        evaluate(name, eurosat, ColourModel(), **options)


def test_a_hostile_reply_breaks_no_file(eurosat, tmp_path):
    """Line separators that are none in JSON, and half a character."""
    model = ColourModel(otherwise="forest\u2028<script>\ud800")
    result = evaluate("eurosat", eurosat, model, out=tmp_path / "out")
    items, _, lines = read_answers(tmp_path / "out")
    assert len(items) == len(lines) == result["n"]
    assert lines[0]["answer"] == "forest\u2028<script>\ud800"
    assert evaluate("eurosat", eurosat, model, out=tmp_path / "out")["asked"] == 0
    assert "<script>\ud800" not in (tmp_path / "out" / "report.html").read_text(errors="surrogatepass")


def test_an_out_that_cannot_be_written(eurosat, tmp_path):
    (tmp_path / "file").write_text("")
    model = ColourModel(SAID)
    with pytest.raises(BadInput, match="cannot be written"):
        evaluate("eurosat", eurosat, model, out=tmp_path / "file")
    assert model.asked == []


def test_a_folder_without_results(tmp_path):
    with pytest.raises(BadInput, match=r"result\.json"):
        report([tmp_path])
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(BadInput, match="lacks"):
        report([tmp_path])
