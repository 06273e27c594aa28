"""Two runs side by side: differences and how sure they are, where they differ, and what may be compared."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fake.results import picture
from rsvlm.errors import BadInput
from rsvlm.evaluate.benchmarks import find
from rsvlm.evaluate.items import Item
from rsvlm.evaluate.report.compare import compare
from rsvlm.evaluate.report.comparison import Pair, bootstrap_p, comparison, differences, mcnemar
from rsvlm.evaluate.result import RunOutput, score_run
from rsvlm.evaluate.task import Task
from rsvlm.metrics.score import mean_score, resample
from rsvlm.sample import Image

ITEMS = 40


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for number in range(ITEMS // 2):
        picture(root / "set" / f"{number}.png", (8, 8), (5 * number, 90, 40))
    return root


def run(
    data: Path, folder: Path, name: str, right: int, *, start: int = 0, protocol: str = "rsivqa",
    truth: str = "yes", **more,
) -> Path:  # fmt: skip
    """A run that answers the `right` questions from `start` on rightly; two questions are about one picture."""
    items = [
        Item(
            id=f"q{n}", question="Is it?", references=(truth.format(n),), kind=("presence", "comp")[n % 2],
            images=(Image(path=str(data.resolve() / "set" / f"{n // 2}.png")),),
        )
        for n in range(ITEMS)
    ]  # fmt: skip
    task = Task(protocol=find(protocol), data=data, split="val", items=items)
    rows = [
        {"answer": truth.format(n) if start <= n < start + right else "no", "confidence": 0.5} for n in range(ITEMS)
    ]
    score_run(task, RunOutput(model=name, trace={}, rows=rows, **more), folder)
    return folder


def test_a_difference_has_an_interval_and_a_p_value(data, tmp_path):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "second", 36)
    found = comparison(one, other)
    overall = next(metric for metric in found.metrics if metric.name == "overall")
    assert (overall.first, overall.second) == pytest.approx((0.5, 0.9))
    assert 0 < overall.spread.low < 0.4 < overall.spread.high < 0.7
    assert overall.p == pytest.approx(2 / 1001)  # as small as a thousand resamples can say
    assert found.tally == (16, 0, 24)
    text = compare(one, other)
    assert "| overall | 0.500 | 0.900 | +0.400 |" in text
    assert "overall: second is better on 16 items, first on 0, equal on 24" in text
    assert "McNemar's exact test over these 16: p = 3e-05" in text


def test_the_other_way_round_is_the_mirror_image(data, tmp_path):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "second", 24, start=2)
    there, back = (comparison(*runs).metrics[0] for runs in ((one, other), (other, one)))
    assert (back.first, back.second, back.p) == (there.second, there.first, there.p)
    assert (back.spread.low, back.spread.high) == pytest.approx((-there.spread.high, -there.spread.low))


def test_what_is_hard_for_both_does_not_widen_the_difference(data, tmp_path):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "second", 22)
    (paired,) = [metric for metric in comparison(one, other).metrics if metric.name == "overall"]
    alone = json.loads((one / "result.json").read_text())["metrics"]["overall"]
    assert paired.spread.high - paired.spread.low < 0.6 * (alone["high"] - alone["low"])


def test_a_run_does_not_differ_from_itself(data, tmp_path):
    one, same = run(data, tmp_path / "a", "model", 20), run(data, tmp_path / "b", "model", 20)
    found = comparison(one, same)
    assert found.names == (str(one), str(same))  # one model twice: the folders
    assert all((m.spread.low, m.spread.high, m.p) == (0.0, 0.0, 1.0) for m in found.metrics)
    assert "McNemar's exact test over these 0: p = 1.000" in compare(one, same, tmp_path / "out")
    assert "0 of 40 items were answered differently" in (tmp_path / "out" / "compare.html").read_text()


def test_differences_are_drawn_alike_and_by_pictures():
    rng = np.random.default_rng(1)
    one, other = (mean_score("accuracy", rng.integers(0, 2, 60).astype(float)) for _ in range(2))
    groups = [n // 3 for n in range(60)]
    (found,) = differences({"accuracy": one}, {"accuracy": other}, groups, ["accuracy"])
    drawn = resample({"a": one, "b": other}, groups=groups)
    gains = drawn["b"] - drawn["a"]
    assert found.p == bootstrap_p(gains)
    assert (found.spread.low, found.spread.high) == pytest.approx(tuple(np.percentile(gains, (2.5, 97.5))))
    assert differences({"accuracy": one}, {}, groups, ["accuracy"]) == []


def test_the_smaller_error_is_the_better_one(data, tmp_path, monkeypatch):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "second", 36)

    def error(items, parsed):
        return {"mae": mean_score("mae", [float(said != "yes") for said in parsed])}

    wanted = replace(find("rsivqa"), measure=error, headline=("mae",), per_item="mae")
    monkeypatch.setattr("rsvlm.evaluate.report.comparison.find", lambda _: wanted)
    found = comparison(one, other)
    assert (found.metrics[0].first, found.metrics[0].second) == pytest.approx((0.5, 0.1))
    assert found.tally == (16, 0, 24) and {pair.gain for pair in found.pairs} == {0.0, 1.0}
    text = compare(one, other, tmp_path / "out")
    assert "| mae (lower is better) | 0.500 | 0.100 | -0.400 |" in text
    assert "second is better on 16 items, first on 0, equal on 24" in text


@pytest.mark.parametrize("pair", [(0, 0), (3, 3), (0, 5), (12, 4), (1, 9), (700, 600)])
def test_mcnemar_is_the_binomial_test(pair):
    binomtest = pytest.importorskip("scipy.stats").binomtest
    expected = binomtest(pair[0], sum(pair), 0.5).pvalue if sum(pair) else 1.0
    assert mcnemar(*pair) == mcnemar(*reversed(pair)) == pytest.approx(expected, rel=1e-9)


def test_p_of_resamples():
    assert bootstrap_p(np.zeros(99)) == 1.0
    assert bootstrap_p(np.ones(99)) == pytest.approx(0.02)
    assert bootstrap_p(np.array([-1.0] * 10 + [1.0] * 89)) == pytest.approx(0.22)


class Page(HTMLParser):
    """Rows of samples: their class and text; and the number of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.scripts = 0
        self._in_row = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        self._in_row = self._in_row or (tag == "tr" and "data-gain" in dict(attributes))
        if tag == "tr" and "data-gain" in dict(attributes):
            self.rows.append([dict(attributes)["class"], ""])

    def handle_endtag(self, tag):
        self._in_row = self._in_row and tag != "tr"

    def handle_data(self, data):
        if self._in_row:
            self.rows[-1][1] += data


def test_the_page_shows_where_they_differ_and_nothing_else(data, tmp_path):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "sec<b>ond", 25, start=5)
    compare(one, other, tmp_path / "out", data=data)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"compare.html", "compare.md"}
    text = (tmp_path / "out" / "compare.html").read_text()
    found = Page(text)
    assert len(found.rows) == 15
    assert sorted(row[0] for row in found.rows) == ["better right"] * 10 + ["worse wrong"] * 5
    assert all("yes" in row[1] and "no" in row[1] and "score 1.00" in row[1] for row in found.rows)
    assert text.count("data:image/jpeg") == len({n // 2 for n in [*range(5), *range(20, 30)]})
    assert "http" not in text.replace("http-equiv", "")
    assert "<b>ond" not in text
    assert found.scripts == 1


def test_vectors_that_differ_are_no_other_answer():
    one, other = ({"parsed": vector, "vector": vector} for vector in ("AAAA", "AAAB"))
    assert not Pair(item=Item(id="q", question=""), first=one, second=other, gain=0.0).differs
    assert Pair(item=Item(id="q", question=""), first=one, second=other, gain=-0.1).differs


def test_without_the_data_the_page_has_no_pictures(data, tmp_path):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "second", 25)
    compare(one, other, tmp_path / "out")
    text = (tmp_path / "out" / "compare.html").read_text()
    assert "data:image" not in text
    assert text.count("no picture") == 5
    compare(one, other, tmp_path / "out", data=tmp_path / "elsewhere")
    assert "pictures cannot be shown" in (tmp_path / "out" / "compare.html").read_text()


def test_the_largest_difference_comes_first(data, tmp_path):
    captions = {"protocol": "ucm_captions", "truth": "a river near house {} in a green field"}
    one, other = run(data, tmp_path / "a", "first", 20, **captions), run(data, tmp_path / "b", "second", 30, **captions)
    lines = [json.loads(line) for line in (other / "answers.jsonl").read_text().splitlines()]
    lines[3] |= dict.fromkeys(("answer", "parsed"), "a river near house 3 in a green")
    (other / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = comparison(one, other)
    assert not found.graded
    gains = [abs(pair.gain) for pair in found.pairs if pair.differs]
    assert len(gains) == 11
    text = compare(one, other, tmp_path / "out", every=True)
    page = (tmp_path / "out" / "compare.html").read_text()
    sizes = [float(size) for size in re.findall(r'data-size="([^"]*)"', page)]
    assert sizes == sorted(sizes, reverse=True) != [sizes[0]] * 11
    assert "McNemar" not in text
    assert "| bleu_1 |" in text


def cut(folder: Path, keep: slice) -> None:
    lines = (folder / "answers.jsonl").read_text().splitlines(keepends=True)
    (folder / "answers.jsonl").write_text("".join(lines[keep]))


def test_items_that_one_run_lacks_are_named_and_left_out(data, tmp_path):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "second", 36)
    cut(other, slice(0, 25))
    cut(one, slice(2, None))
    text = compare(one, other)
    assert "first lacks 2 items, which are left out of both: q0, q1" in text
    assert "second lacks 15 items, which are left out of both: q25, " in text
    assert "q34 and 5 more" in text
    assert comparison(one, other).tally == (5, 0, 18)


def test_a_value_that_is_not_the_result_files_is_said(data, tmp_path):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "second", 36)
    assert "scored again" not in compare(one, other)
    result = json.loads((one / "result.json").read_text())
    result["metrics"]["overall"]["value"] = 0.75
    (one / "result.json").write_text(json.dumps(result))
    assert "first: overall is 0.5000 when scored again, its result file has 0.7500" in compare(one, other)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"protocol": "rsivqa/other@1"}, r"differ in protocol \(rsivqa/evalai-numbers@1 and rsivqa/other@1\)"),
        ({"split": "train", "data_hash": "0"}, r"differ in split \(val and train\), data hash"),
    ],
)
def test_other_items_or_rules_do_not_compare(data, tmp_path, change, sentence):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "second", 36)
    result = json.loads((other / "result.json").read_text())
    (other / "result.json").write_text(json.dumps(result | change))
    with pytest.raises(BadInput, match=sentence):
        compare(one, other)


def test_broken_runs_are_one_sentence(data, tmp_path):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "second", 36)
    with pytest.raises(BadInput, match="cannot be read as a result"):
        compare(one, tmp_path / "nowhere")
    cut(other, slice(0, 0))
    with pytest.raises(BadInput, match="no item in common"):
        compare(one, other)
    (other / "answers.jsonl").write_text('{"id": "q0"')
    with pytest.raises(BadInput, match="cannot be read as answers"):
        compare(one, other)
    (other / "answers.jsonl").unlink()
    with pytest.raises(BadInput, match="cannot be read as answers"):
        compare(one, other)
    for folder in (one, other):
        result = json.loads((folder / "result.json").read_text()) | {"protocol": "rsivqa/gone@1"}
        (folder / "result.json").write_text(json.dumps(result))
    with pytest.raises(BadInput, match="rsivqa/gone@1"):
        compare(one, other)


def test_other_words_in_the_prompt_are_said(data, tmp_path):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "second", 36)
    result = json.loads((other / "result.json").read_text()) | {"prompt_hash": "other"}
    (other / "result.json").write_text(json.dumps(result))
    assert "asked in different words" in compare(one, other)


def test_a_protocol_that_measures_pictures_asks_for_the_data(data, tmp_path):
    one, other = run(data, tmp_path / "a", "first", 20), run(data, tmp_path / "b", "second", 36)
    region = {"label": "x", "box": [0, 0, 4, 4]}
    for folder in (one, other):
        result = json.loads((folder / "result.json").read_text()) | {"protocol": "rsvg/minigpt-legacy@1"}
        (folder / "result.json").write_text(json.dumps(result))
        lines = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
        text = "".join(json.dumps(line | {"regions": [region]}) + "\n" for line in lines)
        (folder / "answers.jsonl").write_text(text)
    with pytest.raises(BadInput, match=r"cannot be scored again without its pictures .*; give the data root too"):
        compare(one, other)
    assert "| acc@0.5 |" in compare(one, other, data=data)
