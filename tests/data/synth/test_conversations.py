"""Labels to conversations and tags: repeatable, true to the labels, and refusing only what is meant to be refused."""

import hashlib

import numpy as np
import pytest

from rsvlm.data.prompt import CHAT_TEMPLATES, REFUSAL, TASK_QUESTIONS, encode
from rsvlm.data.synth.conversations import make_conversation, merge_by_image, to_sentence
from rsvlm.data.synth.refusals import UNANSWERABLE_QUESTIONS
from rsvlm.data.synth.tag_targets import tag_targets, tag_vocabulary
from rsvlm.evaluate.refusals import QUESTIONS as MEASURED
from rsvlm.sample import IGNORE, Image, Region, Sample, Turn
from rsvlm.systems.build import byte_tokenizer


def sample(*turns, source="ucm", regions=(), name="a"):
    return Sample(
        id=f"{source}/{name}", images=(Image(path=f"{name}.tif"),), turns=turns, regions=regions, source=source
    )


CAPTIONED = sample(
    Turn(
        question="", answer="there are many trees .", task="caption", references=tuple(f"{n} trees ." for n in range(5))
    ),
    Turn(question="", answer="forest", task="scene"),
    *(Turn(question=f"question {n}?", answer="yes", task="vqa") for n in range(6)),
)
BOATS = sample(source="ships", regions=tuple(Region(label="boat", box=(0, 0, 4, 4)) for _ in range(3)))


def talks(one, count=300, **more):
    return [make_conversation(one, visit, **more) for visit in range(count)]


def test_the_same_visit_is_the_same_conversation():
    assert talks(CAPTIONED, 50) == talks(CAPTIONED, 50)
    assert len({str(talk) for talk in talks(CAPTIONED, 50)}) > 40
    assert make_conversation(CAPTIONED, 0, seed=1) != make_conversation(CAPTIONED, 0, seed=2)


def test_turns_are_few_whole_and_varied():
    for max_turns in (1, 3, 5):
        for talk in talks(CAPTIONED, max_turns=max_turns):
            asked = [turn for turn in talk if turn.task != "refuse"]
            assert 1 <= len(asked) <= max_turns and len(talk) - len(asked) <= 1
            assert all(turn.question and turn.answer for turn in talk)
    every = [turn for talk in talks(CAPTIONED) for turn in talk]
    assert {turn.task for turn in every} == {"caption", "scene", "vqa", "presence", "reason", "refuse"}
    assert {turn.question for turn in every if turn.task == "caption"} == set(TASK_QUESTIONS["caption"])
    assert {turn.answer for turn in every if turn.task == "caption"} == {f"{n} trees." for n in range(5)}
    assert {turn.answer for turn in every if turn.task == "scene"} == {"Forest."}


def test_what_a_scene_name_says_for_certain():
    desert = sample(Turn(question="", answer="desert", task="scene"))
    for one, thing, answer in ((CAPTIONED, "trees", "Yes"), (desert, "water", "No")):
        said = {
            turn.answer for talk in talks(one) for turn in talk if turn.task == "presence" and thing in turn.question
        }
        assert said == {answer}
    church = sample(Turn(question="", answer="church", task="scene"))
    assert not [
        turn for talk in talks(church, refusal_probability=0) for turn in talk if "water" in turn.question
    ]  # nobody knows


def test_boxes_are_counted():
    every = [turn for talk in talks(BOATS) for turn in talk]
    assert {turn.answer for turn in every if turn.task == "count"} == {"3"}
    assert {turn.answer for turn in every if turn.task == "presence" and "boats" in turn.question} == {"Yes"}
    none = {turn.answer for talk in talks(sample(source="ships")) for turn in talk if "boats" in turn.question}
    assert none == {"0", "No"}
    assert all("any" not in turn.question or not turn.question.startswith("Is there") for turn in every)


def boxed(source, *labels, name="a"):
    return sample(source=source, name=name, regions=tuple(Region(label=one, box=(0, 0, 4, 4)) for one in labels))


@pytest.mark.parametrize("source", ["dota", "coco", "a set of the user's"])
def test_a_set_that_labels_some_classes_proves_neither_absence_nor_a_count(source):
    """DOTA's planes are not "no airplanes", and an unlabelled car is not "no cars"."""
    one = boxed(source, "plane", "plane", "the large white ship at the very top", "")
    every = [turn for talk in talks(one, refusal_probability=0.0) for turn in talk if turn.answer != REFUSAL]
    assert every and {turn.task for turn in every} == {"presence"} and {turn.answer for turn in every} == {"Yes"}
    assert all("planes" in turn.question for turn in every)
    assert {turn.answer for talk in talks(boxed(source)) for turn in talk} == {REFUSAL}


def test_what_has_a_box_is_not_taken_as_absent():
    every = [turn for talk in talks(boxed("ships", "boat", "airplane"), max_turns=4) for turn in talk]
    assert not [turn for turn in every if "airplane" in turn.question]
    assert [turn for turn in every if "tennis courts" in turn.question and turn.answer == "No"]


def test_the_draws_that_mini_was_trained_with_stay():
    """Recorded before the cards said what is absent."""
    ones = [boxed("ships", *["boat"] * n, name=n) for n in range(3)]
    ones += [boxed("hit_uav", *["person"] * n, *["car"] * (2 - n), "other vehicle", name=n) for n in range(3)]
    said = [
        (t.task, t.question, t.answer) for one in ones for talk in talks(one, 20, seed=7, max_turns=4) for t in talk
    ]
    assert len(said) == 354 and hashlib.sha256(repr(said).encode()).hexdigest()[:16] == "e3b0377bd1ed530b"
    assert [(turn.question, turn.answer) for turn in make_conversation(ones[4], 3, seed=7, max_turns=4)] == [
        ("Does this image contain any baseball fields?", "No"), ("How many people are in this image?", "1"),
        ("How many bicycles are there?", "0"), ("Does this image contain any bicycles?", "No"),
    ]  # fmt: skip


def test_refusals_come_as_often_as_asked():
    share = np.mean(
        [any(turn.answer == REFUSAL for turn in talk) for talk in talks(CAPTIONED, 2000, refusal_probability=0.2)]
    )
    assert share == pytest.approx(0.2, abs=0.03)
    assert not [turn for talk in talks(CAPTIONED, refusal_probability=0.0) for turn in talk if turn.answer == REFUSAL]
    bare = make_conversation(sample(source="ucm", regions=()), 0, refusal_probability=0.0)
    assert bare and all(turn.answer for turn in bare)


def test_no_question_of_a_task_is_refused():
    assert len(UNANSWERABLE_QUESTIONS) == len(set(UNANSWERABLE_QUESTIONS)) >= 100
    asked = {question for questions in TASK_QUESTIONS.values() for question in questions}
    assert not asked & set(UNANSWERABLE_QUESTIONS)


def test_trained_refusals_are_not_the_measured_ones():
    assert len(MEASURED) == 50 and not {q.lower() for q in MEASURED} & {q.lower() for q in UNANSWERABLE_QUESTIONS}


def test_captions_become_sentences():
    assert to_sentence("there are  two planes , parked .") == "There are two planes, parked."
    assert to_sentence("") == to_sentence(" . ") == ""


def test_sets_about_one_picture_become_one_sample():
    other = sample(Turn(question="", answer="port", task="scene"), source="aid")
    joined = merge_by_image([[CAPTIONED, BOATS], [other]])
    assert len(joined) == 1 and joined[0].turns == (*CAPTIONED.turns, *other.turns) and len(joined[0].regions) == 3
    assert len(merge_by_image([[CAPTIONED], [sample(name="b")]])) == 2


def test_a_pair_joins_only_the_same_pair_and_a_window_only_the_same_window():
    """A system that sees one picture would otherwise learn from the first date what was said about both."""
    a, b, part = Image(path="a.tif"), Image(path="b.tif"), Image(path="a.tif", window=(0, 0, 8, 8))
    told = Turn(question="", answer="a road is built", task="change_caption")
    shown = ((a,), (a, b), (b, a), (part,), (Image(path="a.tif", window=(8, 0, 8, 8)),))
    group = [Sample(id=f"s/{n}", images=images, turns=(told,), source="s") for n, images in enumerate(shown)]
    assert merge_by_image([group[:1], group[1:]]) == group
    joined = merge_by_image([group, group])
    assert [one.images for one in joined] == [*shown] and all(one.turns == (told, told) for one in joined)


def test_tags_say_what_is_known():
    aid = sample(Turn(question="", answer="port", task="scene"), source="aid", name="b")
    names = tag_vocabulary([CAPTIONED, aid], 5)
    assert names == ["aid:port", "ucm:forest", "trees", "", ""]
    assert tag_targets(CAPTIONED, names).tolist() == [-1, 1, 1, -1, -1]
    assert tag_targets(aid, names).tolist() == [1, -1, -1, -1, -1]
    assert tag_vocabulary([CAPTIONED, aid], 1) == ["aid:port"]


@pytest.mark.parametrize("frame", [CHAT_TEMPLATES[name] for name in CHAT_TEMPLATES], ids=list(CHAT_TEMPLATES))
def test_labels_are_the_answers_and_their_close(frame):
    tokenizer = byte_tokenizer()
    turns = [Turn(question="Is it é?", answer="Ja, es ist é."), Turn(question="And?", answer="Nö")]
    chained = encode(tokenizer, frame, [turns], image_tokens=3)
    learned = [token for token in chained.labels if token != IGNORE]
    wanted = "".join(f"{frame.answer_prefix}{turn.answer}{frame.answer_end}" for turn in turns)
    assert tokenizer.decode(learned, clean_up_tokenization_spaces=False) == wanted
    assert all(label in (IGNORE, token) for label, token in zip(chained.labels, chained.reply, strict=True))
    apart = encode(tokenizer, frame, [[turn] for turn in turns], image_tokens=3)
    assert [token for token in apart.labels if token != IGNORE] == learned
    assert set(apart.turn) == {0, 1} and set(chained.turn) == {0} and apart.prompt == chained.prompt
    one = encode(tokenizer, frame, [turns[:1]], image_tokens=3)
    short = encode(tokenizer, frame, [[turn] for turn in turns], image_tokens=3, max_tokens=len(one.reply) + 1)
    assert short == one  # a branch that does not fit is left out
    cut = encode(tokenizer, frame, [turns[:1]], image_tokens=3, max_tokens=5)
    assert cut.reply == one.reply[:5] and len(cut.labels) == len(cut.turn) == 5
