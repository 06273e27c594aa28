"""Markdown out of result files: what may stand in one table, what must be said beside it, and broken files."""

import json

import pytest

from fake.results import result
from rsvlm.errors import BadInput
from rsvlm.evaluate.report.text import read_result, report, summary


def written(root, *results) -> list:
    for number, one in enumerate(results):
        folder = root / f"run{number}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(one))
    return [root]


def tables(text: str) -> dict[str, list[str]]:
    """Heading -> the lines of the table under it."""
    parts = [part.strip().splitlines() for part in text.split("### ")[1:]]
    return {head: [line for line in rest if line.startswith("|")] for head, *rest in parts}


def test_a_row_a_metric_with_interval_and_baselines(tmp_path):
    (rows,) = tables(report(written(tmp_path, result()))).values()
    assert rows[0].endswith("| n | metric | value | 95 % interval | most frequent | blind |")
    assert (
        rows[2] == "| rsivqa/evalai-numbers@1 | val | a model | 10 | overall | 0.700 | 0.430 to 0.930 | 0.400 | 0.500 |"
    )
    assert len(rows) == 3
    (rows,) = tables(report([tmp_path], every=True)).values()
    assert len(rows) == 4


def test_what_was_measured_differently_never_shares_a_table(tmp_path):
    grouped = result(protocol="rsicd_retrieval/grouped-captions@1", dialect="grouped")
    merged = result(protocol="rsicd_retrieval/merged-texts@1", dialect="merged")
    legacy = result(protocol="aid_scenes/lhrs-legacy@1", dialect="", legacy="It never fails to read.")
    other = result(protocol="ucm_retrieval/grouped-captions@1", dialect="grouped")
    text = report(written(tmp_path, legacy, merged, grouped, other))
    found = tables(text)
    assert list(found) == ["grouped-captions@1 (grouped)", "merged-texts@1 (merged)", "lhrs-legacy@1: legacy"]
    assert [len(rows) - 2 for rows in found.values()] == [2, 1, 1]
    assert "**Not a fair figure.** It never fails to read." in text.partition("lhrs-legacy")[2]
    assert "Not a fair" not in text.partition("lhrs-legacy")[0]


def test_runs_over_other_items_are_told_apart(tmp_path):
    text = report(written(tmp_path, result(model="a"), result(model="b", data_hash="f" * 16, limit=5)))
    assert "different items and do not compare (data hash a: dddddddddddddddd, b: ffffffffffffffff)" in text
    assert "10 (first 5 samples)" in text
    assert "different items" not in report(written(tmp_path / "same", result(model="a"), result(model="b")))


def test_a_summary_says_what_must_be_known():
    leak = {"against": ["rsivqa"], "test": 8, "train": 90, "flat": 1, "leaked": 2, "share": 0.25, "alike": 0}
    problems = {"unknown_id": {"count": 4, "examples": ["line 1: x", "line 2: y", "line 3: z", "line 4: w"]}}
    text = summary(
        result(legacy="It adds 1.", leak=leak, problems=problems, failed=3, notes=["METEOR is missing"],
               baselines={"blind": {"overall": 0.5}, "most_frequent": {"overall": 0.1}})
    )  # fmt: skip
    for sentence in (
        "Not a fair figure: It adds 1.",
        "overall cannot be distinguished from blind: in its 95 % interval.",
        "2 of 8 scored pictures (25.0%) lie among the training pictures.",
        "3 of 10 questions got no reply; they count as wrong.",
        "not read: 1 (10.0%); refused: 2 (20.0%); without a reply: 3 (30.0%)",
        "answers: 4 unknown id (line 1: x; line 2: y; line 3: z; ...)",
        "leak check: 2 of 8 scored pictures are among the 90 training pictures of rsivqa; 1 too plain to tell",
        "average: over two types", "METEOR is missing", "data hash dddddddddddddddd",
    ):  # fmt: skip
        assert sentence in text
    assert (
        text.index("| overall |".replace("| ", "| ", 1).strip())
        < text.index("## All metrics")
        < text.index("| average |")
    )


def test_a_baseline_that_is_better_is_said_whichever_way_is_better():
    metric = {"value": 0.5, "stderr": 0.1, "low": 0.4, "high": 0.6}
    beside = {"below": dict.fromkeys(("f1", "mae_road"), 0.1), "above": dict.fromkeys(("f1", "mae_road"), 0.9)}
    text = summary(result(metrics={"f1": metric, "mae_road": metric}, headline=["f1", "mae_road"], baselines=beside))
    assert "f1 is worse than above, beyond its 95 % interval." in text
    assert "mae_road is worse than below, beyond its 95 % interval." in text
    assert text.count("is worse than") == 2


def test_nothing_to_warn_of():
    text = summary(result(baselines={}))
    assert "Not a fair" not in text
    assert "distinguished" not in text
    assert "leak check: not made" in text


def test_names_cannot_leave_their_cell(tmp_path):
    text = report(written(tmp_path, result(model="a|b\n<img src=x>")))
    assert "| a\\|b &lt;img src=x> |" in text


def test_files_from_before_there_were_intervals(tmp_path):
    old = result(metrics={"overall": {"value": 0.7, "stderr": 0.1}})
    for key in ("dialect", "legacy", "leak", "problems", "data_hash", "limit", "calibration"):
        del old[key]
    assert "| 0.700 | ± 0.100 s.e. |" in report(written(tmp_path, old))
    assert "distinguished" not in summary(old)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"holds no result\.json"),
        ("{", "cannot be read as a result"),
        (b"\xff\xfe\x00", "cannot be read as a result"),
        ("[]", "lacks protocol, split"),
        ("{}", "lacks protocol, split"),
        (json.dumps(result(metrics={"overall": 0.7})), "no value with its spread for overall"),
        (json.dumps(result(metrics=[])), "no value with its spread for metrics, overall"),
        (json.dumps(result(headline=["bleu"])), "no value with its spread for bleu"),
    ],
)
def test_a_broken_result_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "result.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput, match=sentence):
        report([tmp_path])


def test_a_missing_result_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="cannot be read as a result"):
        read_result(tmp_path / "result.json")
