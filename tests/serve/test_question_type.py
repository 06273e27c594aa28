"""The kind of a question and the meaning of a reply, from words alone."""

import pytest

from rsvlm.data.prompt import REFUSAL, TASK_QUESTIONS
from rsvlm.data.synth.refusals import UNANSWERABLE_QUESTIONS
from rsvlm.serve.question_type import (
    QuestionType,
    classify_question,
    is_refusal,
    native_question,
    object_of,
    parse_number,
    parse_yes_no,
)

KINDS = {
    "caption": QuestionType.CAPTION, "scene": QuestionType.SCENE, "landcover": QuestionType.SCENE,
    "presence": QuestionType.PRESENCE, "count": QuestionType.COUNT, "reason": QuestionType.OTHER,
    "hint": QuestionType.OTHER, "ground": QuestionType.FIND,
}  # fmt: skip


TWO_DATES = {"change_caption"}  # not asked of one scene


@pytest.mark.parametrize("task", sorted(TASK_QUESTIONS.keys() - TWO_DATES))
def test_every_wording_of_a_task_has_the_kind_of_the_task(task):
    for words in TASK_QUESTIONS[task]:
        question = words.format(thing="any boats", things="boats", phrase="all boats")
        assert classify_question(question) is KINDS[task], question


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("describe  this image", QuestionType.CAPTION),
        ("What can be seen from above?", QuestionType.CAPTION),
        ("What is in this picture?", QuestionType.CAPTION),
        ("What does the text on the roof say?", QuestionType.OTHER),
        ("What land use dominates?", QuestionType.SCENE),
        ("What land cover is most common?", QuestionType.SCENE),
        ("Are there boats in the harbour?", QuestionType.PRESENCE),
        ("Is a river visible in this image?", QuestionType.PRESENCE),
        ("Does the scene contain storage tanks?", QuestionType.PRESENCE),
        ("Are there more cars than trucks?", QuestionType.OTHER),
        ("Is the number of roads equal to 3?", QuestionType.OTHER),
        ("How many cars are there at least?", QuestionType.OTHER),
        ("Is this area urban or rural?", QuestionType.OTHER),
        ("Is it a rural or an urban area", QuestionType.OTHER),
        ("What number of boats is there?", QuestionType.COUNT),
        ("Where is the school?", QuestionType.OTHER),
    ],
)
def test_kinds(question, kind):
    assert classify_question(question) is kind


def test_what_a_picture_cannot_tell_is_not_counted_or_looked_for_in_tiles():
    odd = [question for question in UNANSWERABLE_QUESTIONS if classify_question(question) is QuestionType.CAPTION]
    assert odd == []


@pytest.mark.parametrize(
    ("question", "thing"),
    [
        ("Is there water?", "water"),
        ("Are there any boats in this image?", "boats"),
        ("Does this image contain storage tanks?", "storage tanks"),
        ("Can you see a river in this image?", "river"),
        ("How many boats are there?", "boats"),
        ("How many tennis courts are in this image?", "tennis courts"),
        ("Count the cars.", "cars"),
        ("What is the number of boats?", "boats"),
        ("Why?", "Why"),
    ],
)
def test_what_is_asked_for(question, thing):
    assert object_of(question) == thing


def test_replies():
    assert [parse_yes_no(text) for text in ("Yes", "yes, two.", "No.", "None", "", "Not sure")] == [
        True, True, False, None, None, None,
    ]  # fmt: skip
    replies = ("3", "There are twelve boats.", "1,234", "12 34", "None.", "no boats", "many", "")
    assert [parse_number(text) for text in replies] == [
        3, 12, 1234, 12, 0, 0, None, None,
    ]  # fmt: skip
    assert is_refusal(REFUSAL) and is_refusal(" i cannot tell that from this image") and not is_refusal("No")


class Tagged:
    """Has words of its own for two tasks."""

    def native_prompt(self, task, words):
        return {"vqa": f"[vqa] {words}", "caption": "[caption] briefly"}.get(task)


@pytest.mark.parametrize(("question", "wanted"), [
    ("How many boats are there?", "[vqa] How many boats are there?"),
    ("Is there a road?", "[vqa] Is there a road?"),
    ("What land cover is this?", "[vqa] What land cover is this?"),
    ("Describe this image.", "[caption] briefly"),
    ("Describe this image in detail.", "Describe this image in detail."),  # it has no words for that
    ("[refer] describe the ship", "[refer] describe the ship"),  # the user's own tag
    ("Where is the ship?", "Where is the ship?"),  # of no known kind
])  # fmt: skip
def test_a_model_with_words_of_its_own_is_asked_in_them(question, wanted):
    assert native_question(Tagged(), question) == wanted
    assert native_question(object(), question) == question
