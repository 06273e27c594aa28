"""Which kind a question is of, of what it asks, how compound ones are split; measured on 200 questions."""

import csv
from pathlib import Path

import pytest

from rsvlm.errors import BadInput
from rsvlm.serve.question_router import route
from rsvlm.serve.question_type import QuestionType

QUESTIONS = Path(__file__).parent / "questions.tsv"


def rows() -> list[dict[str, str]]:
    with QUESTIONS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_two_hundred_questions_are_understood():
    asked = rows()
    wrong = [
        (row["question"], kinds, row["type"])
        for row in asked
        if (kinds := "+".join(part.kind for part in route(row["question"]))) != row["type"]
    ]
    assert len(asked) >= 200 and len({row["question"] for row in asked}) == len(asked)
    assert len(wrong) <= 0.02 * len(asked), wrong
    things = [row for row in asked if row["thing"]]
    missed = [(row["question"], route(row["question"])[0].thing) for row in things]
    missed = [(question, thing) for (question, thing), row in zip(missed, things, strict=True) if thing != row["thing"]]
    assert len(missed) <= 0.05 * len(things), missed


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("Is there water, and how much?", [("presence", "water"), ("area", "water")]),
        ("How many boats are there and where are they?", [("count", "boats"), ("find", "boats")]),
        ("Are there cars and trucks?", [("presence", "cars and trucks")]),
        ("Is there a river or a lake?", [("presence", "river or a lake")]),
        ("Describe the image; what is its resolution?", [("caption", ""), ("resolution", "")]),
    ],
)
def test_compound_questions_are_split_and_each_part_is_whole(question, parts):
    assert [(part.kind, part.thing) for part in route(question)] == parts


def test_a_part_that_leaves_its_thing_out_is_asked_in_full():
    _, area = route("Is there water, and how much?")
    assert area.text == "How much water is there?" and "of what came before" in area.rule


@pytest.mark.parametrize("word", ["country", "counted", "coast", "cover crops", "boast", "scenery"])
def test_a_real_word_is_no_typo(word):
    assert route(f"Is {word} here?")[0].kind is QuestionType.PRESENCE


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Wie viele Boote sind auf dem Bild?", "German"),
        ("这里有水吗？", "Chinese"),
        ("Где лодки?", "Cyrillic"),
        ("?!", "words"),
    ],
)
def test_another_language_is_named(text, language):
    (part,) = route(text)
    assert part.kind is QuestionType.UNKNOWN and language in part.rule


def test_a_task_is_forced_and_an_unknown_one_refused():
    (part,) = route("Is there water, and how much?", "caption")
    assert part.kind is QuestionType.CAPTION and part.rule == "forced by the task"
    with pytest.raises(BadInput, match="no task 'poem'; give one of caption, scene"):
        route("What?", "poem")


@pytest.mark.parametrize("pump", ["how many ", "is there ", "a and how much ", "the ", "?", "where is this ", "wher "])
def test_long_questions_are_routed(pump):
    assert route((pump * 2000)[:2000])
