"""Labels -> instruction conversations, in the manner of RS-GPT4V (arXiv:2406.12479): no teacher, only what labels say.

Captions, scene names, boxes and questions about one image become the turns of one conversation with varied wordings;
some turns reason from the label, some ask what no picture can tell and are refused. Every choice is drawn from a seed
made of the sample's id and its visit, so a run can be repeated and resumed.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rsvlm.data.prompt import REFUSAL, TASK_QUESTIONS
from rsvlm.data.synth.claims import absent_labels, exhaustive_labels
from rsvlm.data.synth.referring import pluralize
from rsvlm.data.synth.refusals import UNANSWERABLE_QUESTIONS
from rsvlm.errors import BadInput
from rsvlm.sample import Sample, Turn


def _word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_URBAN = _word_set(
    """airplane airport baseball baseballfield bridge buildings center church commercial dense denseresidential freeway
    harbor highway industrial intersection mediumresidential mobilehomepark overpass parking parkinglot playground port
    railwaystation residential resort runway school sparseresidential square stadium storagetanks tenniscourt viaduct"""
)
_LAND_COVER = frozenset(("eurosat",))
# What a scene name says for certain about what can be seen; used for yes/no turns of sets that publish no questions.
_SCENES_WITH = {
    "water": _word_set("beach river sealake pond port harbor lake sea"),
    "trees": _word_set("forest park"),
    "buildings": _word_set(
        """residential denseresidential mediumresidential sparseresidential buildings commercial industrial center
        church school railwaystation mobilehomepark"""
    ),
    "farmland": _word_set("agricultural annualcrop permanentcrop farmland"),
}
_SCENES_WITHOUT = {
    "water": _word_set("desert denseresidential mobilehomepark parkinglot parking runway annualcrop forest"),
    "trees": _word_set("desert sealake beach runway"),
    "buildings": _word_set("desert forest sealake beach meadow bareland mountain annualcrop pasture chaparral"),
    "farmland": _word_set("sealake desert denseresidential harbor parking stadium beach industrial forest"),
}

# Words of captions that say a thing is there. What none of an image's captions mentions is taken as absent for these
# things only: people who describe an image leave out trees and cars, but hardly a lake or an aeroplane.
_MENTION_WORDS = {
    "water": _word_set("water river lake sea ocean pond ponds pool pools port harbor wave waves beach boats ships"),
    "any buildings": _word_set(
        """building buildings house houses residential church school station stadium industrial commercial factory
        factories homes home resort hotel center square villa villas storage terminal hall roof roofs bungalow"""
    ),
    "any airplanes": _word_set("plane planes airplane airplanes aircraft airport"),
    "any boats": _word_set("boat boats ship ships harbor port yacht yachts"),
    "a road": _word_set(
        """road roads highway freeway street streets viaduct overpass intersection crossroads path lane lanes runway
        runways parking airport cars car traffic bridge railway"""
    ),
}

# Things of the air view that a picture may be asked for though it has none, where its set is known not to show them.
_ABSENCE_LABELS = ("airplane", "storage tank", "tennis court", "baseball field")
_MAX_LABEL_WORDS = 3  # a label of more words is a sentence about one region, not the name of a kind
_MAX_TURNS_BY_TASK = {"ground": 4}  # turns of a task that one conversation draws from


def to_sentence(text: str) -> str:
    """A published caption as a sentence: blanks squeezed, first letter up, one full stop without a blank before it."""
    words = " ".join(text.replace(" ,", ",").split()).rstrip(" .")
    return words[:1].upper() + words[1:] + "." if words else ""


def merge_by_image(groups: Iterable[Sequence[Sample]]) -> list[Sample]:
    """Samples of several sets about the same pictures become one Sample, turns and regions joined in order.

    The same pictures are the same files and windows (`Image.key`), all of them and in order: a pair of two dates joins
    no single picture of one of them. Samples of a turned view (`meta["view"]`) join only those of the same view,
    samples without a picture none.
    """
    by_image: dict[object, Sample] = {}
    for samples in groups:
        for sample in samples:
            shown = tuple(image.key for image in sample.images)
            key = (shown, sample.meta.get("view")) if shown else (sample.source, sample.id, "")
            seen = by_image.get(key)
            by_image[key] = sample if seen is None else replace(
                seen, turns=(*seen.turns, *sample.turns), regions=(*seen.regions, *sample.regions)
            )  # fmt: skip
    return list(by_image.values())


def make_conversation(
    sample: Sample, visit: int, *, seed: int = 0, max_turns: int = 3, refusal_probability: float = 0.06
) -> tuple[Turn, ...]:
    """One conversation of up to `max_turns` turns about a labelled image; another `visit` gives another conversation.

    Each turn has a question and one answer. With probability `refusal_probability`, and where there are no labels, one
    more turn asks what cannot be seen and is refused.
    """
    rng = random.Random(f"{seed}/{sample.id}/{visit}")
    pool = [turn for label in _label_turns(sample, rng) for turn in _make_turns(sample, label, rng)]
    rng.shuffle(pool)
    # Captions carry most words, so an image that has them is captioned in most of its visits.
    pool.sort(key=lambda turn: turn.task == "caption" and rng.random() < 0.6, reverse=True)
    chosen = pool[: rng.randint(min(2, max_turns), max_turns)]
    rng.shuffle(chosen)
    if rng.random() < refusal_probability or not chosen:
        place = rng.randint(0, len(chosen))
        chosen.insert(place, _turn("refuse", rng.choice(UNANSWERABLE_QUESTIONS), REFUSAL))
    return tuple(chosen)


def _label_turns(sample: Sample, rng: random.Random) -> list[Turn]:
    """The sample's own turns, few of a task, so that long lists do not drown the rest, and the count of its boxes."""
    by_task: dict[str, list[Turn]] = {}
    for turn in sample.turns:
        by_task.setdefault(turn.task, []).append(turn)
    few = [
        turn
        for turns in by_task.values()
        for turn in rng.sample(turns, min(_MAX_TURNS_BY_TASK.get(turns[0].task, 2), len(turns)))
    ]
    captions = [caption for turn in sample.turns if turn.task == "caption" for caption in turn.accepted]
    if captions and rng.random() < 0.6:
        few.append(_mention_turn(captions, rng))
    if (not sample.turns or sample.regions) and "view" not in sample.meta:
        few.extend(_box_turns(sample, rng))
    return few


def _mention_turn(captions: Sequence[str], rng: random.Random) -> Turn:
    """A yes/no turn from what the captions mention; both answers are drawn equally often where both are possible."""
    caption_words = [set(caption.lower().replace(".", " ").split()) for caption in captions]
    count = {thing: sum(bool(words & one) for one in caption_words) for thing, words in _MENTION_WORDS.items()}
    absent = [thing for thing, times in count.items() if times == 0]
    present = [thing for thing, times in count.items() if times >= min(2, len(captions))]
    wanted = present if present and (not absent or rng.random() < 0.5) else absent or present or ["water"]
    thing = rng.choice(wanted)
    return Turn(question=thing, answer="Yes" if count[thing] else "No", task="presence")


def _box_turns(sample: Sample, rng: random.Random) -> list[Turn]:
    """Counts and yes/no turns from the boxes, of no more than they prove (`rsvlm.data.synth.claims`).

    A set that does not label a class in full is asked for what has a box only: it is there, nobody knows how many.
    """
    labels = [region.label for region in sample.regions]
    turns: list[Turn] = []
    if kinds := [
        kind for kind in exhaustive_labels(sample) if not kind.startswith("other ")
    ]:  # other than what, nobody can say
        for label in rng.sample(kinds, min(2, len(kinds))):
            thing = pluralize(label)
            turns.append(Turn(question=thing, answer=str(labels.count(label)), task="count"))
            turns.append(Turn(question=f"any {thing}", answer="Yes" if label in labels else "No", task="presence"))
    elif len(sample.images) == 1:  # of two dates, one may have it and one not
        named = sorted({label for label in labels if 0 < len(label.split()) <= _MAX_LABEL_WORDS})
        for label in rng.sample(named, min(2, len(named))):
            turns.append(Turn(question=f"any {pluralize(label)}", answer="Yes", task="presence"))
    gone = absent_labels(sample)
    if unseen := [kind for kind in _ABSENCE_LABELS if kind in gone]:
        turns.append(Turn(question=f"any {pluralize(rng.choice(unseen))}", answer="No", task="presence"))
    return turns


def _make_turns(sample: Sample, label: Turn, rng: random.Random) -> list[Turn]:
    task = label.task
    if task in ("caption", "change_caption"):
        two = rng.sample(label.accepted, min(2, len(label.accepted)))
        return [_turn(task, rng.choice(TASK_QUESTIONS[task]), to_sentence(caption)) for caption in two]
    if task == "scene":
        return _scene_turns(sample, label, rng)
    if task == "ground":
        words = TASK_QUESTIONS[task]
        asked = words[0] if rng.random() < 0.5 else rng.choice(words)
        return [_turn(task, asked.format(phrase=label.question), label.answer)]
    if task == "count":
        return [_turn(task, rng.choice(TASK_QUESTIONS[task]).format(things=label.question), label.answer)]
    if task == "presence":
        return [_turn(task, _presence_question(label.question, rng), label.answer)]
    if not label.question.strip():
        raise BadInput(
            f"{sample.source or 'A set'}, sample {sample.id}, has a turn of the task {task!r} without a question, and "
            "there is no wording for that task; give the turn a question."
        )
    answer = label.answer.strip()
    return [_turn(task, label.question.strip(), answer[:1].upper() + answer[1:])]


def _scene_turns(sample: Sample, label: Turn, rng: random.Random) -> list[Turn]:
    key = "".join(label.answer.lower().split())
    words = TASK_QUESTIONS["landcover" if sample.source in _LAND_COVER else "scene"]
    # The benchmark's wording gets half of the draws: free generation is measured with it.
    turns = [_turn("scene", words[0] if rng.random() < 0.5 else rng.choice(words), to_sentence(label.answer))]
    certain = [(thing, "Yes") for thing, scenes in _SCENES_WITH.items() if key in scenes]
    certain += [(thing, "No") for thing, scenes in _SCENES_WITHOUT.items() if key in scenes]
    if certain and rng.random() < 0.35:
        thing, answer = rng.choice(certain)
        turns.append(
            _turn("presence", _presence_question(f"any {thing}" if rng.random() < 0.3 else thing, rng), answer)
        )
    if rng.random() < 0.12:
        kind = "urban" if key in _URBAN else "rural"
        answer = f"It is {kind}, because the scene shows {label.answer}."
        turns.append(_turn("reason", TASK_QUESTIONS["reason"][0], answer))
    return turns


def _presence_question(thing: str, rng: random.Random) -> str:
    asked = rng.choice(TASK_QUESTIONS["presence"]).format(thing=thing)
    return asked.replace("Is there", "Are there") if thing.endswith(("s", "people")) else asked


def _turn(task: str, question: str, answer: str) -> Turn:
    return Turn(question=question, answer=answer, task=task)
