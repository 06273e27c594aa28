"""The kind of a question and the meaning of a reply, from words alone."""

import pytest

from rsvlm.data.prompt import REFUSAL, TASK_QUESTIONS
from rsvlm.data.synth.refusals import QUESTIONS
from rsvlm.serve.question_type import Kind, is_refusal, kind_of, number_in, phrased, says_yes, thing_of

KINDS = {
    "caption": Kind.CAPTION, "scene": Kind.SCENE, "landcover": Kind.SCENE, "presence": Kind.PRESENCE,
    "count": Kind.COUNT, "reason": Kind.OTHER, "hint": Kind.OTHER, "ground": Kind.FIND,
}  # fmt: skip


TWO_DATES = {"change_caption"}  # not asked of one scene


@pytest.mark.parametrize("task", sorted(TASK_QUESTIONS.keys() - TWO_DATES))
def test_every_wording_of_a_task_has_the_kind_of_the_task(task):
    for words in TASK_QUESTIONS[task]:
        question = words.format(thing="any boats", things="boats", phrase="all boats")
        assert kind_of(question) is KINDS[task], question


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("describe  this image", Kind.CAPTION),
        ("What can be seen from above?", Kind.CAPTION),
        ("What is in this picture?", Kind.CAPTION),
        ("What does the text on the roof say?", Kind.OTHER),
        ("What land use dominates?", Kind.SCENE),
        ("What land cover is most common?", Kind.SCENE),
        ("Are there boats in the harbour?", Kind.PRESENCE),
        ("Is a river visible in this image?", Kind.PRESENCE),
        ("Does the scene contain storage tanks?", Kind.PRESENCE),
        ("Are there more cars than trucks?", Kind.OTHER),
        ("Is the number of roads equal to 3?", Kind.OTHER),
        ("How many cars are there at least?", Kind.OTHER),
        ("Is this area urban or rural?", Kind.OTHER),
        ("Is it a rural or an urban area", Kind.OTHER),
        ("What number of boats is there?", Kind.COUNT),
        ("Where is the school?", Kind.OTHER),
    ],
)
def test_kinds(question, kind):
    assert kind_of(question) is kind


def test_what_a_picture_cannot_tell_is_not_counted_or_looked_for_in_tiles():
    odd = [question for question in QUESTIONS if kind_of(question) is Kind.CAPTION]
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
    assert thing_of(question) == thing


def test_replies():
    assert [says_yes(text) for text in ("Yes", "yes, two.", "No.", "None", "", "Not sure")] == [
        True, True, False, None, None, None,
    ]  # fmt: skip
    replies = ("3", "There are twelve boats.", "1,234", "12 34", "None.", "no boats", "many", "")
    assert [number_in(text) for text in replies] == [
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
    assert phrased(Tagged(), question) == wanted
    assert phrased(object(), question) == question
