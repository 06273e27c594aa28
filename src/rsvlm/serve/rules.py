"""How a question about a scene is answered: computed where the file tells, else by the model within what it was taught.

Rules in this order, each named in the trace:

1. a question that is not understood is said to be so; place, date and resolution are read from the file;
2. water, vegetation and the like are computed from spectral indices where the bands allow (`rsvlm.serve.cover`);
3. what is smaller than three pixels is not looked for (`rsvlm.serve.object_sizes`);
4. outside the resolution or the bands that the model was trained for, its words are what an unsure answer leans to;
5. classes are chosen by likelihood from a vocabulary that follows the resolution; presence by that of yes and no;
6. a model is not believed under the confidence that its limits say.
"""

from dataclasses import replace

from rsvlm.serve import scene_facts
from rsvlm.serve.aggregate import SceneAnswer, aggregate
from rsvlm.serve.class_answers import UNSURE as UNSURE_CLASS
from rsvlm.serve.class_answers import class_shares
from rsvlm.serve.cover import cover_answer, cover_named
from rsvlm.serve.grounding import aggregate_boxes
from rsvlm.serve.model_parts import UNSURE, Part, Views, asked, by_model, class_question, vocabulary_rule, yes_or_no
from rsvlm.serve.object_sizes import visibility
from rsvlm.serve.question_type import QuestionType, RoutedQuestion
from rsvlm.serve.scene_classes import covered_by
from rsvlm.serve.situation import Situation

_LOOKED_FOR = (QuestionType.PRESENCE, QuestionType.COUNT, QuestionType.FIND, QuestionType.AREA)


def plan(question: RoutedQuestion, at: Situation) -> Part:
    """What is done about one question. The first rule that decides it, in the order of this module."""
    for rule in (_from_file, _by_index, _too_small, _beyond_limits, _area):
        if (part := rule(question, at)) is not None:
            return part
    return by_model(question, at)


def _computed(question: RoutedQuestion, answer: SceneAnswer, *rules: str) -> Part:
    return Part(question=question, finish=lambda _: answer, rules=rules, computed=True)


def _from_file(question: RoutedQuestion, at: Situation) -> Part | None:
    facts = {
        QuestionType.PLACE: scene_facts.place_answer, QuestionType.DATE: scene_facts.date_answer,
        QuestionType.RESOLUTION: scene_facts.resolution_answer,
    }  # fmt: skip
    if question.kind in facts:
        return _computed(question, facts[question.kind](at.scene), "file: read from the file, no model was asked")
    if question.kind is QuestionType.UNKNOWN:
        text = "This question is not understood; ask in English, in words, what is in the scene, where, or how much."
        answer = SceneAnswer(answer=text, confidence=0.0, evidence=(), rule=question.rule, about="nothing was answered")
        return _computed(question, answer, f"language: {question.rule}")
    return None


def _by_index(question: RoutedQuestion, at: Situation) -> Part | None:
    """Computed from bands; the model is asked of the whole scene alone, as the second opinion."""
    cover = cover_named(question.thing) if question.kind in _LOOKED_FOR else ""
    if not cover:
        return None
    found = at.cover(cover)
    if isinstance(found, str):
        return None
    ask = replace(yes_or_no(question, at) or asked(question, at, tiled=False), tiles=False)

    def finish(views: Views) -> SceneAnswer:
        said = views[0][-1].reply
        answer = cover_answer(question.kind, question.thing, found)
        return replace(answer, second_opinion=f"{said.text} ({said.confidence:.2f})")

    return Part(
        question=question,
        asks=(ask,),
        finish=finish,
        rules=(f"index: {found.sentence} {' '.join(found.notes)}",),
        computed=True,
    )


def _too_small(question: RoutedQuestion, at: Situation) -> Part | None:
    seen = visibility(question.thing, at.gsd) if question.kind in _LOOKED_FOR and question.thing else None
    if seen is None or seen.verdict != "too small":
        return None
    answer = SceneAnswer(
        answer=seen.sentence, confidence=1.0, evidence=(), rule="smaller than three pixels", about="size and resolution"
    )
    return _computed(question, answer, f"resolution: {seen.sentence}")


def _beyond_limits(question: RoutedQuestion, at: Situation) -> Part | None:
    """Outside of what the model was taught it is asked of the whole scene alone, and not believed."""
    why = at.beyond(QuestionType.SCENE if question.kind is QuestionType.AREA else question.kind)
    if not why or question.kind is QuestionType.CAPTION:
        return None
    if question.kind is QuestionType.AREA:
        return _computed(question, _unmeasured(question, f"{why}: it is not measured by tiles"), f"limits: {why}")
    scored = question.kind in (QuestionType.PRESENCE, QuestionType.SCENE) and at.scores
    ask = (class_question if question.kind is QuestionType.SCENE else yes_or_no)(question, at) if scored else None
    ask = replace(ask or asked(question, at, tiled=False), tiles=False)

    def finish(views: Views) -> SceneAnswer:
        whole = views[0][-1]
        if whole.reply.error:
            return aggregate(question.kind, question.text, (), whole)
        if ask.phrase is not None:
            lean = aggregate_boxes(ask.phrase, [whole], (at.scene.width, at.scene.height)).answer
        else:
            lean = whole.reply.text
        said = f'; it leans to "{lean.rstrip(".")}"' if lean else ""
        return SceneAnswer(
            answer=f"{why}: unsure{said}.", confidence=min(whole.reply.confidence, UNSURE), evidence=(),
            rule="reply about the whole scene, outside of what the model was trained for",
            about=f"the model's own, at most {UNSURE}",
        )  # fmt: skip

    return Part(question=question, asks=(ask,), finish=finish, rules=(f"limits: {why}",))


def _area(question: RoutedQuestion, at: Situation) -> Part | None:
    """The share of the ground that a thing covers, by the classes of the tiles that are such a thing."""
    if question.kind is not QuestionType.AREA:
        return None
    ask = class_question(question, at)
    classes = covered_by(question.thing, ask.choices) if ask else ()
    if ask is None or not classes:
        return _computed(question, _unmeasured(question, "no band and no class tells it"), "area: nothing measures it")

    def finish(views: Views) -> SceneAnswer:
        found = at.classes_of(views[0], ask.choices)
        shares = class_shares(found)
        such = [name for name in shares if name in classes]
        share, unknown = sum(shares[name] for name in such), shares.get(UNSURE_CLASS, 0.0)
        doubt = f"; the model is unsure of {100 * unknown:.0f} %" if unknown else ""
        text = f"About {100 * share:.0f} % ({', '.join(such) or 'no class of it was found'}, by tiles{doubt})."
        return replace(
            found, answer=f"Unsure. {text}" if unknown > 0.5 else text, shares=(),
            evidence=tuple(one for one in found.evidence if one.label in classes), confidence=1 - unknown,
            about="share of the area whose class is sure",
        )  # fmt: skip

    return Part(question=question, asks=(ask,), finish=finish, rules=vocabulary_rule(at))


def _unmeasured(question: RoutedQuestion, why: str) -> SceneAnswer:
    text = f"How much {question.thing or 'of it'} there is cannot be measured here: {why}."
    return SceneAnswer(answer=text, confidence=0.0, evidence=(), rule="no measure", about="not measured")
