"""What a phrase asks to be found, from its words alone."""

import pytest

from rsvlm.data.prompt import TASK_QUESTIONS
from rsvlm.data.referring_parser import parse_phrase
from rsvlm.sample import Region
from rsvlm.serve.question_type import QuestionType, classify_question, grounding_phrase

SIZE = (100, 100)
BOXES = {"a": (0, 0, 10, 10), "b": (40, 45, 70, 60), "c": (80, 70, 90, 75), "d": (20, 80, 30, 90)}
REGIONS = [Region(label=name, box=box) for name, box in BOXES.items()]


@pytest.mark.parametrize("words", TASK_QUESTIONS["ground"])
def test_the_wordings_of_the_task_give_their_phrase(words):
    assert grounding_phrase(words.format(phrase="the largest boat")) == "the largest boat"


@pytest.mark.parametrize(
    ("question", "phrase"),
    [
        ("Find the ships", "the ships"),
        ("find all boats in this image.", "all boats"),
        ("Please locate the car at the top left in the aerial image", "the car at the top left"),
        ("Draw boxes around all storage tanks", "all storage tanks"),
        ("the largest ship", "the largest ship"),
        ("all boats", "all boats"),
        ("The image shows a ship.", ""),
        ("the ship is red", ""),
        ("Is there a ship?", ""),
        ("Where is the school?", ""),
        ("Finding things is fun", ""),
    ],
)
def test_phrases(question, phrase):
    assert grounding_phrase(question) == phrase
    assert (classify_question(question) is QuestionType.FIND) == bool(phrase)


def test_a_number_is_counted_and_not_looked_for():
    assert (
        classify_question("Find the number of boats.") is QuestionType.COUNT
        and classify_question("Count the boats.") is QuestionType.COUNT
    )


@pytest.mark.parametrize(
    ("words", "asked", "one", "several"),
    [
        ("the ships", "ships", False, "ships"),
        ("all ships", "all ships", False, "all ships"),
        ("a ship", "ships", False, "ships"),
        ("any people", "people", False, "people"),
        ("a person", "people", False, "people"),
        ("the ships on the left", "ships on the left", False, "ships on the left"),
        ("the ship", "the ship", True, ""),
        ("the bus by the pool", "the bus by the pool", True, ""),
        ("the largest ship", "the largest ship", True, "ships"),
        ("the second tennis court from the left", "the second tennis court from the left", True, "tennis courts"),
        ("the ship in the river", "the ship in the river", True, ""),
    ],
)
def test_one_or_several(words, asked, one, several):
    read = parse_phrase(words)
    assert (read.words, read.is_single, read.plural_phrase, read.select is not None) == (
        asked,
        one,
        several,
        one and several != "",
    )


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("the largest ship", "b"), ("the smallest ship", "c"), ("the leftmost ship", "a"), ("the rightmost ship", "c"),
        ("the topmost ship", "a"), ("the lowest ship", "d"), ("the ship at the top left", "a"),
        ("the ship in the middle", "b"), ("the ship at the bottom right", "c"), ("the second ship from the left", "d"),
        ("the third ship from the top", "c"), ("the ship on the right", "c"), ("the ship at the bottom", "d"),
    ],
)  # fmt: skip
def test_which_one_of_several(words, name):
    choose = parse_phrase(words).select
    assert choose(REGIONS, SIZE).label == name and choose([], SIZE) is None


def test_a_rank_that_is_not_there_is_none():
    assert parse_phrase("the third ship from the left").select(REGIONS[:2], SIZE) is None
