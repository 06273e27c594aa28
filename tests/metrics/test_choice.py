"""Multiple choice: replies read, and the released rules as recorded (tests/golden/metrics/vqa.json)."""

from collections import defaultdict

import pytest

from fake.golden import golden
from rsvlm.metrics.accuracy import squad
from rsvlm.metrics.choice import CHOICE_RULES, choice_scores, letter

RECORDED = golden("vqa.json")["multiple_choice"]
ITEMS = RECORDED["items"]
OPTIONS = ("river", "a parking lot", "lot of ships", "No.")


@pytest.mark.parametrize(("reply", "expected"), [
    ("B", "B"), ("b", "B"), ("(B)", "B"), ("(b).", "B"), ("B.", "B"), ("B. a parking lot", "B"), ("B) text", "B"),
    ("B: text", "B"), ("**B**", "B"), ("**B.** text", "B"), ('"B"', "B"), (" B ", "B"), ("\nB\n", "B"),
    ("The answer is B", "B"), ("The answer is B.", "B"), ("The correct answer is: (B)", "B"), ("Answer: B", "B"),
    ("answer is **B**", "B"), ("I think B", "B"), ("option B", "B"),
    ("I would choose option B because of the sea.", "B"),
    ("B<|eot_id|>", "B"), ("B.<|eot_id|>D.", "B"), ("B</s>", "B"), ("<answer>B</answer>", "B"), ("<answer>B", "B"),
    ("<think>maybe A, or the answer is C</think><answer>B</answer>", "B"), ("<think>A</think>B", "B"),
    ("B\nThe picture shows A road.", "B"), ("a parking lot", "B"), ("A parking lot.", "B"),
    ("This is a river.", "A"), ("There is a parking lot here", "B"), ("no", "D"), ("No.", "D"),
    ("", None), (" ", None), ("...", None), ("<|eot_id|>", None), ("<think>B", None), ("None", None),
    ("An airport", None),
    ("A or B", None), ("B, C", None), ("B and C", None), ("BC", None), ("1", None), ("E", None),
    ("The answer is E.", None),
    ("The answer is a river", "A"), ("a river or a parking lot", None), ("A road leads to the sea", None),
    ("I think I see it", None), ("The answer is A or C", None), ("it's B's turn", None),
])  # fmt: skip
def test_letters_are_read_from_replies(reply, expected):
    assert letter(reply, OPTIONS) == expected


def test_without_the_options_any_letter_counts_unless_their_number_is_known():
    assert letter("K") == "K" and letter("K", count=4) is None and letter("D", count=4) == "D"
    assert letter("river") is None


def test_letters_of_the_recorded_replies():
    for item in ITEMS:
        said = letter(item["gen"])
        assert said is None or said in item["gen"].upper()


@pytest.mark.parametrize(("rule", "key"), [("lhrs_first", "lhrs_correct"), ("scorers", "scorers_correct")])
def test_released_rules_equal_the_recording(rule, key):
    for item in ITEMS:
        assert CHOICE_RULES[rule](item["gen"], item["answer"]) == bool(item[key]), item


def test_totals_and_types_equal_the_recording():
    expected = RECORDED["expect"]
    replies, answers = [i["gen"] for i in ITEMS], [i["answer"] for i in ITEMS]
    kinds = [i["types"] for i in ITEMS]
    scores = choice_scores(replies, answers, kinds, CHOICE_RULES["lhrs_first"])
    assert round(100 * scores["accuracy"].value, 2) == expected["lhrs_total"]
    for kind, value in expected["lhrs_per_type"].items():
        assert round(100 * scores[f"accuracy_{kind}"].value, 2) == value
    assert len(scores) == 1 + len(expected["lhrs_per_type"])
    scorers = choice_scores(replies, answers, kinds, CHOICE_RULES["scorers"])["accuracy"]
    assert scorers.value == pytest.approx(expected["scorers_total"], abs=1e-9)


def test_the_first_character_is_what_lhrs_compares():
    for item in ITEMS:
        head = item["gen"].split("<|eot_id|>")[0][:1]
        assert (squad(head) if head else None) == item["lhrs_first"]


def test_our_default_counts_what_was_not_read_as_wrong_and_each_type_by_itself():
    scores = choice_scores(["A", None, "B", "(b)"], ["A.", "A", "A", "B"], [("x",), ("x", "y"), ("y",), ()])
    assert scores["accuracy"].value == 0.5
    assert scores["accuracy_x"].value == 0.5 and scores["accuracy_y"].value == 0
    assert {len(score.sums) for score in scores.values()} == {4}


def test_the_faults_of_the_released_rules_are_not_ours():
    shares = defaultdict(float)
    for rule, right in CHOICE_RULES.items():
        shares[rule] = choice_scores(["", " ", "An airport"], ["B", "A", "A"], (), right)["accuracy"].value
    assert shares["letter"] == 0 and shares["lhrs_first"] > 0 and shares["scorers"] > 0
