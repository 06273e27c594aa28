"""What a model is asked about a scene, kind by kind, and how its replies become an answer.

Classes are chosen by likelihood from a vocabulary that follows the resolution, presence by that of yes and no. A model
is not believed under the confidence that its limits say, nor about pictures unlike those that it was trained on.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rsvlm.data.referring_parser import parse_phrase
from rsvlm.geo.scene import Scene
from rsvlm.serve.aggregate import SceneAnswer, ViewReply, aggregate
from rsvlm.serve.class_answers import (
    LEAST_STRANGE,
    YES_NO,
    mostly_strange,
    presence_answer,
    strange_note,
    unsure,
    yes_probabilities,
)  # fmt: skip
from rsvlm.serve.description import contradictions, describe
from rsvlm.serve.grounding import ModelQuestion, aggregate_boxes, model_question
from rsvlm.serve.question_type import QuestionType, RoutedQuestion, is_refusal, native_question
from rsvlm.serve.situation import Situation
from rsvlm.systems.abilities import Answers, Detects

_WORD = re.compile(r"[^\W_]+")
UNSURE = 0.5  # an answer outside of what a model was taught is no surer than this
Views = Sequence[Sequence[ViewReply]]  # of each model question: the tiles that were shown, and, last, the whole


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


def by_model(question: RoutedQuestion, at: Situation) -> Part:
    """What the model is asked where no other rule decides, by the kind of the question."""
    own = {
        QuestionType.SCENE: _classes, QuestionType.PRESENCE: _presence, QuestionType.COUNT: _count,
        QuestionType.FIND: _find, QuestionType.CAPTION: _caption,
    }  # fmt: skip
    return own.get(question.kind, _words)(question, at)


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

    return Part(
        question=RoutedQuestion(text=question, kind=ask.kind, thing=thing, rule="raw"), asks=(ask,), finish=finish
    )


def asked(question: RoutedQuestion, at: Situation, *, tiled: bool) -> ModelQuestion:
    """How the model is asked a question in words, or for boxes."""
    return model_question(at.model, question.text, tiled=tiled, kind=question.kind, thing=question.thing)


def class_question(question: RoutedQuestion, at: Situation) -> ModelQuestion | None:
    """How the model is asked to choose a class of the vocabulary; None where it does not tell likelihoods."""
    if not at.scores:
        return None
    words = "What land cover is this?" if at.vocabulary.land_cover else "What is the scene category of this image?"
    return ModelQuestion(
        question=question.text, kind=QuestionType.SCENE, words=native_question(at.model, words),
        choices=at.classes or at.vocabulary.classes,
    )  # fmt: skip


def vocabulary_rule(at: Situation) -> tuple[str, ...]:
    """Which vocabulary was offered, for the trace."""
    if at.classes:
        return (f"classes: {len(at.classes)} given by the user",)
    return (f"classes: {len(at.vocabulary.classes)} of {at.vocabulary.name}",)


def _classes(question: RoutedQuestion, at: Situation) -> Part:
    ask = class_question(question, at)
    if ask is None:
        return _classes_in_words(question, at)
    return Part(
        question=question, asks=(ask,), finish=lambda views: at.classes_of(views[0], ask.choices),
        rules=vocabulary_rule(at),
    )  # fmt: skip


def _classes_in_words(question: RoutedQuestion, at: Situation) -> Part:
    """A model that tells no likelihoods is given the classes in words; a reply that names none of them is unsure."""
    classes = at.classes or at.vocabulary.classes
    words = f"{question.text} Answer with one of: {', '.join(classes)}."
    part = raw_part(at.model, at.scene, words, tiled=at.tiled, kind=QuestionType.SCENE)

    def finish(views: Views) -> SceneAnswer:
        rows = [_with_class(row, classes) for row in views[0]]
        return unsure(
            aggregate(QuestionType.SCENE, question.text, rows[:-1], rows[-1]), "scene", at.limits.unsure_below
        )

    return replace(part, question=question, finish=finish, rules=vocabulary_rule(at))


def _as_words(text: str) -> str:
    """Its words in lower case, each with a blank on both sides."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def _with_class(row: ViewReply, classes: Sequence[str]) -> ViewReply:
    """The reply as the longest class that it names, else "Unsure", of which the model is not sure; refusals stay."""
    said = _as_words(row.reply.text)
    if not said.strip() or is_refusal(row.reply.text):
        return row
    named = [name for name in classes if _as_words(name) in said]
    best = max(named, key=len, default="unsure")
    sure = row.reply.confidence if named else min(row.reply.confidence, UNSURE)
    return replace(row, reply=replace(row.reply, text=best[:1].upper() + best[1:], confidence=sure))


def yes_or_no(question: RoutedQuestion, at: Situation) -> ModelQuestion | None:
    """How the model is asked to choose yes or no; None for another question, and where it tells no likelihoods."""
    if not at.scores or question.kind is not QuestionType.PRESENCE:
        return None
    asked = native_question(at.model, question.text)
    return ModelQuestion(question=question.text, kind=question.kind, words=asked, choices=YES_NO)


def _presence(question: RoutedQuestion, at: Situation) -> Part:
    ask = yes_or_no(question, at)
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
    """Boxes are counted of what the detector was trained to find; of other things the numbers that the model says.

    A box counts only in a picture where the model, asked, would rather say that there is such a thing.
    """
    part = _words(question, at)
    if not at.finds(question.thing):
        return part
    phrase = parse_phrase(question.thing)
    boxes = ModelQuestion(
        question=question.text, kind=question.kind, words=phrase.plural_phrase or phrase.words, phrase=phrase
    )
    there = ModelQuestion(
        question=question.text, kind=question.kind, words=f"Are there any {question.thing}?", choices=YES_NO
    )

    def finish(views: Views) -> SceneAnswer:
        rows = _where_there(views[0], views[2]) if at.scores else views[0]
        found = aggregate_boxes(phrase, rows, (at.scene.width, at.scene.height))
        count, strange = len(found.evidence), mostly_strange(rows)
        counted = replace(
            found, answer=str(count), rule=f"boxes counted: {found.rule}{strange_note(rows)}",
            second_opinion=part.finish(views[1:2]).answer,
            confidence=min(found.confidence or LEAST_STRANGE, LEAST_STRANGE) if strange else found.confidence,
        )  # fmt: skip
        least = 1.0 if strange else at.limits.unsure_below.get("find", 0.0)
        return unsure(counted, "count", {"count": least}) if count or strange else counted

    asks = (boxes, *part.asks, *([there] if at.scores else []))
    return replace(part, asks=asks, finish=finish, rules=("count: boxes of the detector",))


def _where_there(rows: Sequence[ViewReply], there: Sequence[ViewReply]) -> list[ViewReply]:
    """The views with their boxes, without those of views where no is likelier than yes."""
    sure = yes_probabilities(there)
    return [row if yes >= 0.5 else replace(row, found=()) for row, yes in zip(rows, sure, strict=True)]


def _find(question: RoutedQuestion, at: Situation) -> Part:
    part = _words(question, at)
    name = at.model.name
    if isinstance(at.model, Detects) and at.limits.finds and not at.finds(question.thing):
        finds = ", ".join(at.limits.finds)
        note = f"{name} was trained to find {finds} alone"

        def finish(views: Views) -> SceneAnswer:
            found = part.finish(views)
            answer = f"{note}: unsure. It marks {len(found.evidence)} for {question.thing!r}."
            return replace(found, answer=answer, confidence=min(found.confidence, UNSURE))

        return replace(part, finish=finish, rules=(f"limits: {note}",))
    return part


def _words(question: RoutedQuestion, at: Situation) -> Part:
    """The model's words, put together by the kind of the question."""
    part = raw_part(at.model, at.scene, question.text, tiled=at.tiled, kind=question.kind, thing=question.thing)

    def finish(views: Views) -> SceneAnswer:
        found = part.finish(views)
        none_found = part.asks[0].phrase is not None and not found.evidence
        if mostly_strange(views[0]) and none_found:
            text = f"{found.answer}; unsure, since the pictures are unlike those that the model was trained on."
            return replace(found, answer=text, rule=found.rule + strange_note(views[0]))
        if mostly_strange(views[0]):
            sure = min(found.confidence or LEAST_STRANGE, LEAST_STRANGE)
            found = replace(found, confidence=sure, rule=found.rule + strange_note(views[0]))
            return unsure(found, question.kind, {question.kind: 1.0})
        return found if none_found else unsure(found, question.kind, at.limits.unsure_below)

    return replace(part, question=question, finish=finish)


def _caption(question: RoutedQuestion, at: Situation) -> Part:
    """A small scene gets the model's caption; what is large or strange to it is composed of what was found."""
    why = at.beyond(QuestionType.CAPTION)
    words = replace(asked(question, at, tiled=at.tiled), tiles=False)
    classes = None if at.beyond(QuestionType.SCENE) else class_question(question, at)

    def finish(views: Views) -> SceneAnswer:
        whole = views[0][-1]
        if whole.reply.error and not at.covers and not classes:
            return aggregate(QuestionType.CAPTION, question.text, (), whole)
        doubts = [why] if why else contradictions(whole.reply.text, at.gsd, at.covers)
        doubts += ["the picture is unlike those that the model was trained on"] if whole.strange else []
        least = at.limits.unsure_below.get("caption", 0.0)
        if not doubts and 0 < whole.reply.confidence < least:
            doubts = [f"a confidence of {whole.reply.confidence:.2f}, under {least:.2f}"]
        found = at.classes_of(views[1], classes.choices) if classes else None
        if found is not None and not found.evidence and not at.tiled:
            doubts.append("the model is unsure of its class")
        if not at.tiled and not doubts and not at.covers:
            return aggregate(QuestionType.CAPTION, question.text, (), whole)
        return describe(at.scene, at.covers, found, whole, doubts)

    rules = (f"limits: {why}",) if why else ()
    return Part(question=question, asks=(words, *([classes] if classes else [])), finish=finish, rules=rules)
