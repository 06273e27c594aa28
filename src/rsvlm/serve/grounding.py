"""Boxes for a phrase: from a model that detects, or read from the words of one that writes boxes in a dialect.

Each view is asked; boxes of tiles get the tile's offset, doubles where tiles overlap are dropped by IoU and the parts
of what a seam cuts are joined (`rsvlm.geo.merge`). The view of the whole adds what is larger than a tile. Georeferenced
alike whoever found them.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from rsvlm.data.prompt import TASK_QUESTIONS
from rsvlm.data.referring_parser import ParsedPhrase, parse_phrase
from rsvlm.errors import BadInput
from rsvlm.geo.merge import merge_regions
from rsvlm.geo.vector import region_polygon
from rsvlm.sample import Region, Reply
from rsvlm.serve.aggregate import Evidence, SceneAnswer, ViewReply
from rsvlm.serve.question_type import QuestionType, classify_question, grounding_phrase, is_refusal, native_question
from rsvlm.systems import text_boxes
from rsvlm.systems.abilities import Answers, Detects, HasNativePrompts, Pixels, WritesBoxes

BOX_TOKENS = 256  # at least, for a reply of boxes: one box takes some 20 tokens
SEAM = 0.02  # of a tile's side: a box that ends so near to the edge may go on in the next tile
SAME = 0.5  # IoU from which boxes of two views are one object

# How a model is asked for boxes, by its dialect: as MiniGPT-v2 and InternVL publish it; those of Qwen are ours.
_JSON = "Locate {phrase} in the image and give the boxes as a JSON list with the key bbox_2d."
WORDINGS = {
    "minigpt": "[refer] give me the location of {phrase}",
    "geochat": "[refer] give me the location of {phrase}",
    "internvl": "Please provide the bounding box coordinate of the region this sentence describes: <ref>{phrase}</ref>",
    "qwen25vl": _JSON,
    "qwen3vl": _JSON,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuestion:
    """One question as a model is asked it: `words` of every view; `phrase` where it has to find something.

    With `choices` it has to choose one of them, by their likelihoods. `tiles`: whether it is asked of every tile, too,
    or of the whole scene alone.
    """

    question: str
    kind: QuestionType
    words: str
    phrase: ParsedPhrase | None = None
    choices: tuple[str, ...] = ()
    tiles: bool = True


def model_question(
    model: Answers, question: str, *, tiled: bool, kind: QuestionType | None = None, thing: str = ""
) -> ModelQuestion:
    """How `model` is asked: for boxes where the question wants them and the model has them, else the question.

    `kind` and `thing` as a router found them; by default by the words of the question.
    """
    kind = kind or classify_question(question)
    if kind is not QuestionType.FIND or not text_boxes.can_ground(model):
        return ModelQuestion(question=question, kind=kind, words=native_question(model, question))
    phrase = parse_phrase(grounding_phrase(question) or thing)
    return ModelQuestion(
        question=question, kind=kind, words=(phrase.plural_phrase if tiled else "") or phrase.words, phrase=phrase
    )


def grounding_question(model: Answers, phrase: str) -> str:
    """What is put to the model for a phrase: the phrase itself where it detects, else a question, in its own words."""
    if isinstance(model, Detects):
        return phrase
    if isinstance(model, HasNativePrompts) and (own := model.native_prompt("ground", phrase)):
        return own
    dialect = model.box_dialect if isinstance(model, WritesBoxes) else ""
    return WORDINGS.get(dialect, TASK_QUESTIONS["ground"][0]).format(phrase=phrase)


def ground(
    model: Answers, images: Sequence[Pixels], phrases: Sequence[str], *, max_new_tokens: int
) -> list[tuple[Reply, tuple[Region, ...]]]:
    """What the model says and the regions that it means, in pixels of the image, for each (image, phrase).

    Scores are the detector's, or the confidence of the reply that the box stands in. Regions without area are left out.
    """
    questions = [grounding_question(model, phrase) for phrase in phrases]
    sizes = [(image.shape[1], image.shape[0]) for image in images]
    answered = text_boxes.ground(
        model, images, phrases, questions, sizes, max_new_tokens=max(max_new_tokens, BOX_TOKENS)
    )
    return [_scored(one) for one in answered]


def _scored(found: text_boxes.Grounding) -> tuple[Reply, tuple[Region, ...]]:
    if found.reply is None:
        regions = _with_area(found.regions)
        return Reply(text=box_count_text(len(regions)), confidence=_best_score(regions)), regions
    sure = found.reply.confidence
    return found.reply, _with_area([replace(region, score=sure) for region in found.regions])


def aggregate_boxes(phrase: ParsedPhrase, seen: Sequence[ViewReply], size: tuple[int, int]) -> SceneAnswer:
    """Aggregate the boxes found for a phrase in a scene of (width, height); `seen`: the tiles and, last, the whole."""
    tiles, whole = seen[:-1], seen[-1]
    label = re.sub(r"^(?:all|every)\s+(?:the\s+)?", "", phrase.words, flags=re.IGNORECASE)
    rule = "boxes of the one view of the whole scene"
    if not tiles:
        kept = list(whole.found)
    elif phrase.plural_phrase:
        rule = f"boxes of {len(tiles)} tiles, joined over the seams, and those of the whole that are larger than a tile"
        kept = _merge_views(tiles, whole, size)
        if phrase.select:
            rule = f"{rule}; chosen by its size or place among all {phrase.plural_phrase} ({len(kept)})"
            chosen = phrase.select(kept, size)
            kept = [chosen] if chosen else []
    else:
        rule = f"the surest box of {len(tiles)} tiles and the whole"
        every = [region for one in seen for region in _in_scene(one)]
        kept = sorted(every, key=_score, reverse=True)[:1]
    if failed := sum(bool(one.reply.error) for one in seen):
        rule = f"{rule}; {failed} views got no reply and are left out"
    evidence = tuple(
        Evidence(label=label, score=_score(region), windows=(), region=replace(region, label=label)) for region in kept
    )
    if kept:
        answer = f"{len(kept)} found: {label}"
    elif failed == len(seen):
        answer = ""  # nobody said that there is none
    else:
        answer = whole.reply.text if is_refusal(whole.reply.text) else f"None found: {label}"
    mean = sum(map(_score, kept)) / len(kept) if kept else 0.0
    return SceneAnswer(
        answer=answer, confidence=mean, evidence=evidence, rule=rule,
        about="mean over the scores of what was found, 0 where nothing was",
    )  # fmt: skip


def box_count_text(number: int) -> str:
    """ "no box", "1 box", "2 boxes"."""
    return {0: "no box", 1: "1 box"}.get(number, f"{number} boxes")


def _merge_views(tiles: Sequence[ViewReply], whole: ViewReply, size: tuple[int, int]) -> list[Region]:
    side = max(max(tile.window[2:]) for tile in tiles)
    large = tuple(r for r in whole.found if max(r.box[2] - r.box[0], r.box[3] - r.box[1]) > side)
    views = [(one.window, one.found) for one in tiles] + [(whole.window, large)]
    return merge_regions(views, size, iou=SAME, edge_tolerance=max(1.0, SEAM * side))


def _in_scene(one: ViewReply) -> list[Region]:
    return merge_regions([(one.window, one.found)], (one.window[0] + one.window[2], one.window[1] + one.window[3]))


def _with_area(regions: Sequence[Region]) -> tuple[Region, ...]:
    kept = []
    for region in regions:
        with suppress(BadInput):  # without area
            region_polygon(region)
            kept.append(region)
    return tuple(kept)


def _score(region: Region) -> float:
    return region.score or 0.0


def _best_score(regions: Sequence[Region]) -> float:
    return min(max(map(_score, regions), default=0.0), 1.0)
