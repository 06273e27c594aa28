"""How a question about a scene is answered: computed where the file tells, else by the model within what it was taught.

Rules in this order, each named in the trace:

1. a question that is not understood is said to be so; place, date and resolution are read from the file;
2. water, vegetation and the like are computed from spectral indices where the bands allow (`rsvlm.serve.cover`);
3. what is smaller than three pixels is not looked for (`rsvlm.serve.object_sizes`);
4. outside the resolution or the bands that the model was trained for, its words are what an unsure answer leans to;
5. classes are chosen by likelihood from a vocabulary that follows the resolution; presence by that of yes and no;
6. a model is not believed under the confidence that its limits say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rsvlm.data.referring_parser import parse_phrase
from rsvlm.geo.scene import Scene
from rsvlm.serve import scene_facts
from rsvlm.serve.aggregate import SceneAnswer, ViewReply, aggregate
from rsvlm.serve.class_answers import LEAST_STRANGE, YES_NO, presence_answer, strange_note, unsure
from rsvlm.serve.cover import cover_answer, cover_named
from rsvlm.serve.description import contradictions, describe
from rsvlm.serve.grounding import ModelQuestion, aggregate_boxes, model_question
from rsvlm.serve.object_sizes import visibility
from rsvlm.serve.question_router import RoutedQuestion
from rsvlm.serve.question_type import QuestionType, native_question
from rsvlm.serve.scene_classes import covered_by
from rsvlm.serve.situation import Situation
from rsvlm.systems.abilities import Answers, Detects

Views = Sequence[Sequence[ViewReply]]  # of each model question: the tiles that were shown, and, last, the whole
_UNSURE = 0.5  # an answer outside of what a model was taught is no surer than this
_LOOKED_FOR = (QuestionType.PRESENCE, QuestionType.COUNT, QuestionType.FIND, QuestionType.AREA)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A question, or a part of a compound one: what is put to the model, and how its replies become an answer.

    `finish` gets the replies to each of `asks`; an answer that needs no model has none. `rules`: those that acted.
    `computed`: the answer stands, whether the model replies or not.
    """

    question: RoutedQuestion
    finish: Callable[[Views], SceneAnswer]
    asks: tuple[ModelQuestion, ...] = ()
    rules: tuple[str, ...] = ()
    computed: bool = False


def plan(question: RoutedQuestion, at: Situation) -> Part:
    """What is done about one question. The first rule that decides it, in the order of this module."""
    for rule in (_from_file, _by_index, _too_small, _beyond_limits, _area):
        if (part := rule(question, at)) is not None:
            return part
    if question.kind is QuestionType.CAPTION:
        return _caption(question, at)
    return {
        QuestionType.SCENE: _classes, QuestionType.PRESENCE: _presence, QuestionType.COUNT: _count,
        QuestionType.FIND: _find,
    }.get(question.kind, _words)(question, at)  # fmt: skip


def raw_part(
    model: Answers, scene: Scene, question: str, *, tiled: bool, kind: QuestionType | None = None, thing: str = ""
) -> Part:
    """The model's words put together by the kind of the question: no other rule acts."""
    ask = model_question(model, question, tiled=tiled, kind=kind, thing=thing)

    def finish(views: Views) -> SceneAnswer:
        rows = views[0]
        if ask.phrase is not None:
            return aggregate_boxes(ask.phrase, rows, (scene.width, scene.height))
        result = aggregate(ask.kind, question, rows[:-1], rows[-1])
        if ask.kind is QuestionType.FIND:
            result = replace(result, rule=f"{result.rule}; the model has no boxes, so it answered in words")
        return result

    return Part(question=RoutedQuestion(text=question, kind=ask.kind), asks=(ask,), finish=finish)


def _asked(question: RoutedQuestion, at: Situation, *, tiled: bool) -> ModelQuestion:
    return model_question(at.model, question.text, tiled=tiled, kind=question.kind, thing=question.thing)


def _told(question: RoutedQuestion, answer: SceneAnswer, *rules: str) -> Part:
    return Part(question=question, finish=lambda _: answer, rules=rules, computed=True)


def _from_file(question: RoutedQuestion, at: Situation) -> Part | None:
    facts = {
        QuestionType.PLACE: scene_facts.place_answer, QuestionType.DATE: scene_facts.date_answer,
        QuestionType.RESOLUTION: scene_facts.resolution_answer,
    }  # fmt: skip
    if question.kind in facts:
        return _told(question, facts[question.kind](at.scene), "file: read from the file, no model was asked")
    if question.kind is QuestionType.UNKNOWN:
        text = "This question is not understood; ask in English, in words, what is in the scene, where, or how much."
        answer = SceneAnswer(answer=text, confidence=0.0, evidence=(), rule=question.rule, about="nothing was answered")
        return _told(question, answer, f"language: {question.rule}")
    return None


def _by_index(question: RoutedQuestion, at: Situation) -> Part | None:
    """Computed from bands; the model is asked of the whole scene alone, as the second opinion."""
    cover = cover_named(question.thing) if question.kind in _LOOKED_FOR else ""
    if not cover:
        return None
    found = at.cover(cover)
    if found.problem:
        return None
    ask = replace(_yes_or_no(question, at) or _asked(question, at, tiled=False), tiles=False)

    def finish(views: Views) -> SceneAnswer:
        said = views[0][-1].reply
        answer = cover_answer(question.kind, question.thing, found, at.scene)
        return replace(answer, second_opinion=f"{said.text} ({said.confidence:.2f})")

    return Part(question=question, asks=(ask,), finish=finish, rules=(f"index: {found.how}",), computed=True)


def _too_small(question: RoutedQuestion, at: Situation) -> Part | None:
    seen = visibility(question.thing, at.gsd) if question.kind in _LOOKED_FOR and question.thing else None
    if seen is None or seen.verdict != "too small":
        return None
    answer = SceneAnswer(
        answer=seen.sentence, confidence=1.0, evidence=(), rule="smaller than three pixels", about="size and resolution"
    )
    return _told(question, answer, f"resolution: {seen.sentence}")


def _beyond_limits(question: RoutedQuestion, at: Situation) -> Part | None:
    """Outside of what the model was taught it is asked of the whole scene alone, and not believed."""
    why = at.beyond(question.kind)
    if not why or question.kind is QuestionType.CAPTION:
        return None
    scored = question.kind in (QuestionType.PRESENCE, QuestionType.SCENE) and at.scores
    ask = (_class_question if question.kind is QuestionType.SCENE else _yes_or_no)(question, at) if scored else None
    ask = replace(ask or _asked(question, at, tiled=False), tiles=False)

    def finish(views: Views) -> SceneAnswer:
        whole = views[0][-1]
        if ask.phrase is not None:
            lean = aggregate_boxes(ask.phrase, [whole], (at.scene.width, at.scene.height)).answer
        else:
            lean = whole.reply.text
        said = f'; it leans to "{lean.rstrip(".")}"' if lean else ""
        return SceneAnswer(
            answer=f"{why}: unsure{said}.", confidence=min(whole.reply.confidence, _UNSURE), evidence=(),
            rule="reply about the whole scene, outside of what the model was trained for",
            about=f"the model's own, at most {_UNSURE}",
        )  # fmt: skip

    return Part(question=question, asks=(ask,), finish=finish, rules=(f"limits: {why}",))


def _area(question: RoutedQuestion, at: Situation) -> Part | None:
    """The share of the ground that a thing covers, by the classes of the tiles that are such a thing."""
    if question.kind is not QuestionType.AREA:
        return None
    ask = _class_question(question, at)
    classes = covered_by(question.thing, ask.choices) if ask else ()
    if ask is None or not classes:
        text = f"How much {question.thing or 'of it'} there is cannot be measured here: no band and no class tells it."
        return _told(
            question, SceneAnswer(answer=text, confidence=0.0, evidence=(), rule="no measure", about="not measured"),
            "area: neither an index nor a class of the vocabulary stands for it",
        )  # fmt: skip

    def finish(views: Views) -> SceneAnswer:
        found = at.classes_of(views[0], ask.choices)
        share = sum(part for name, part in found.shares if name in classes)
        unknown = sum(part for name, part in found.shares if name == "unsure")
        doubt = f"; the model is unsure of {100 * unknown:.0f} %" if unknown else ""
        return replace(
            found, answer=f"About {100 * share:.0f} % ({', '.join(classes)}, by tiles{doubt}).", shares=(),
            evidence=tuple(one for one in found.evidence if one.label in classes), confidence=1 - unknown,
            about="share of the area whose class is sure",
        )  # fmt: skip

    return Part(question=question, asks=(ask,), finish=finish, rules=_vocabulary_rule(at))


def _class_question(question: RoutedQuestion, at: Situation) -> ModelQuestion | None:
    if not at.scores:
        return None
    words = "What land cover is this?" if at.vocabulary.land_cover else "What is the scene category of this image?"
    return ModelQuestion(
        question=question.text, kind=QuestionType.SCENE, words=native_question(at.model, words),
        choices=at.classes or at.vocabulary.classes,
    )  # fmt: skip


def _vocabulary_rule(at: Situation) -> tuple[str, ...]:
    if at.classes:
        return (f"classes: {len(at.classes)} given by the user",)
    return (f"classes: {len(at.vocabulary.classes)} of {at.vocabulary.name}",)


def _classes(question: RoutedQuestion, at: Situation) -> Part:
    ask = _class_question(question, at)
    if ask is None:
        return _words(question, at)
    return Part(
        question=question, asks=(ask,), finish=lambda views: at.classes_of(views[0], ask.choices),
        rules=_vocabulary_rule(at),
    )  # fmt: skip


def _yes_or_no(question: RoutedQuestion, at: Situation) -> ModelQuestion | None:
    if not at.scores or question.kind is not QuestionType.PRESENCE:
        return None
    asked = native_question(at.model, question.text)
    return ModelQuestion(question=question.text, kind=question.kind, words=asked, choices=YES_NO)


def _presence(question: RoutedQuestion, at: Situation) -> Part:
    ask = _yes_or_no(question, at)
    if ask is None:
        return _words(question, at)

    def finish(views: Views) -> SceneAnswer:
        return presence_answer(
            question.thing or question.text, views[0][:-1], views[0][-1],
            temperature=at.limits.temperature.get("presence", 1.0),
            least=at.limits.unsure_below.get("presence", 0.5),
        )  # fmt: skip

    return Part(question=question, asks=(ask,), finish=finish)


def _count(question: RoutedQuestion, at: Situation) -> Part:
    """Boxes are counted of what the detector was trained to find; of other things the numbers that the model says."""
    part = _words(question, at)
    if not at.finds(question.thing):
        return part
    phrase = parse_phrase(question.thing)
    boxes = ModelQuestion(
        question=question.text, kind=question.kind, words=phrase.plural_phrase or phrase.words, phrase=phrase
    )

    def finish(views: Views) -> SceneAnswer:
        found = aggregate_boxes(phrase, views[0], (at.scene.width, at.scene.height))
        count, said = len(found.evidence), part.finish(views[1:]).answer
        strange = sum(view.strange for view in views[0]) / len(views[0])
        counted = replace(
            found, answer=str(count), rule=f"boxes counted: {found.rule}{strange_note(views[0])}", second_opinion=said,
            confidence=min(found.confidence, LEAST_STRANGE) if strange > 0.5 else found.confidence,
        )  # fmt: skip
        least = {"count": 1.0} if strange > 0.5 else {"count": at.limits.unsure_below.get("find", 0.0)}
        return unsure(counted, "count", least) if count else counted

    return replace(part, asks=(boxes, *part.asks), finish=finish, rules=("count: boxes of the detector",))


def _find(question: RoutedQuestion, at: Situation) -> Part:
    part = _words(question, at)
    name = at.model.name
    if isinstance(at.model, Detects) and at.limits.finds and not at.finds(question.thing):
        finds = ", ".join(at.limits.finds)
        note = f"{name} was trained to find {finds} alone"

        def finish(views: Views) -> SceneAnswer:
            found = part.finish(views)
            answer = f"{note}: unsure. It marks {len(found.evidence)} for {question.thing!r}."
            return replace(found, answer=answer, confidence=min(found.confidence, _UNSURE))

        return replace(part, finish=finish, rules=(f"limits: {note}",))
    return part


def _words(question: RoutedQuestion, at: Situation) -> Part:
    """The model's words, put together by the kind of the question."""
    part = raw_part(at.model, at.scene, question.text, tiled=at.tiled, kind=question.kind, thing=question.thing)

    def finish(views: Views) -> SceneAnswer:
        found = part.finish(views)
        if all(view.strange for view in views[0]):
            sure = min(found.confidence or LEAST_STRANGE, LEAST_STRANGE)
            found = replace(found, confidence=sure, rule=found.rule + strange_note(views[0]))
            return unsure(found, question.kind, {question.kind: 1.0})
        none_found = part.asks[0].phrase is not None and not found.evidence
        return found if none_found else unsure(found, question.kind, at.limits.unsure_below)

    return replace(part, question=question, finish=finish)


def _caption(question: RoutedQuestion, at: Situation) -> Part:
    """A small scene gets the model's caption; what is large or strange to it is composed of what was found."""
    why = at.beyond(QuestionType.CAPTION)
    words = replace(_asked(question, at, tiled=at.tiled), tiles=False)
    classes = _class_question(question, at) if at.tiled and not at.beyond(QuestionType.SCENE) else None

    def finish(views: Views) -> SceneAnswer:
        whole = views[0][-1]
        doubts = [why] if why else contradictions(whole.reply.text, at.gsd, at.covers)
        doubts += ["the picture is unlike those that the model was trained on"] if whole.strange else []
        least = at.limits.unsure_below.get("caption", 0.0)
        if not doubts and 0 < whole.reply.confidence < least:
            doubts = [f"a confidence of {whole.reply.confidence:.2f}, under {least:.2f}"]
        found = at.classes_of(views[1], classes.choices) if classes else None
        if not at.tiled and not doubts and not at.covers:
            return aggregate(QuestionType.CAPTION, question.text, (), whole)
        return describe(at.scene, at.covers, found, whole, doubts)

    rules = (f"limits: {why}",) if why else ()
    return Part(question=question, asks=(words, *([classes] if classes else [])), finish=finish, rules=rules)
