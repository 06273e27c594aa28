"""Answer parsers, and the baselines' choice."""

import numpy as np
import pytest

from rsvlm.data.prompt import REFUSAL
from rsvlm.data.synth.refusals import UNANSWERABLE_QUESTIONS as TRAINED
from rsvlm.evaluate.baselines import most_frequent, nearest_image
from rsvlm.evaluate.items import Item
from rsvlm.evaluate.parsers import free_text, number, plain, refusal, scene_name, yes_no
from rsvlm.evaluate.refusals import QUESTIONS
from rsvlm.sample import Image

CLASSES = ["park", "parking lot", "residential", "dense residential", "storage tanks"]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("parking lot", "parking lot"),
        (" Parking_Lot.", "parking lot"),
        ("This is a dense residential area", "dense residential"),
        ("a park beside a parking lot", "parking lot"),
        ("parking", None),
        ("parks", None),
        ("", None),
        ("storage-tanks", "storage tanks"),
    ],
)
def test_scene_names(said, name):
    assert scene_name(CLASSES)(said) == name


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Yes.", "yes"), ("no, there is not", "no"), ("I would say yes", "yes"), ("yes or no", "yes"), ("maybe", None),
        ("either yes or no", None), ("", None), ("nothing", None), ("NO", "no"),
    ],
)  # fmt: skip
def test_yes_no(said, answer):
    assert yes_no(said) == answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("3", "3"), ("three", "3"), ("The thirty-one trees", "31"), ("1,200", "1200"), ("none", "0"), ("some", None),
        ("2 or 3", None), ("twenty", "20"), ("twenty two", "22"), ("", None), ("one hundred", None),
        ("i don't know", None), ("two dozen", None),
    ],
)  # fmt: skip
def test_numbers(said, answer):
    assert number(said) == answer


def test_refusal_and_free_text():
    assert refusal(REFUSAL) == refusal("Sorry, I can't say.") == REFUSAL
    assert refusal("The owner cannot be seen") == "The owner cannot be seen"
    assert refusal(" ") is free_text("  ") is None


def test_the_fifty_questions_are_not_among_those_trained_on():
    trained = {plain(question) for question in TRAINED}
    assert len({plain(question) for question in QUESTIONS}) == len(QUESTIONS) == 50
    assert not trained & {plain(question) for question in QUESTIONS}


def item(number, question, answer, kind=""):
    return Item(
        id=f"{number}", images=(Image(path=f"{number}.png"),), question=question, references=(answer,), kind=kind
    )


def test_most_frequent_by_type_ties_by_alphabet():
    train = [item(1, "q", "b", "x"), item(2, "q", "a", "x"), item(3, "q", "c", "y"), item(4, "q", "c", "y")]
    asked = [item(5, "q", "?", "x"), item(6, "q", "?", "y"), item(7, "q", "?", "new")]
    assert most_frequent(train, asked) == ["a", "c", "c"]


def test_the_nearest_picture_with_the_same_question_answers():
    train = [
        item(0, "trees?", "yes", "presence"),
        item(1, "cars?", "no", "presence"),
        item(2, "how many?", "two", "count"),
    ]
    asked = [
        item(10, "cars?", "?", "presence"),
        item(10, "boats?", "?", "presence"),
        item(10, "where?", "?", "location"),
    ]
    at = {"0.png": 0.0, "1.png": 0.5, "2.png": 1.0, "10.png": 0.1}

    def embed(images):
        return np.array([[np.cos(at[i.path]), np.sin(at[i.path])] for i in images], dtype=np.float32)

    assert nearest_image(train, asked, embed) == ["no", "yes", "no"]


def test_a_picture_is_not_its_own_neighbour():
    train = [item(0, "q", "own"), item(1, "q", "other")]
    same = np.ones((2, 1), dtype=np.float32)
    assert nearest_image(train, train, lambda images: same[: len(images)]) == ["other", "own"]
