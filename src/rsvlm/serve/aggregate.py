"""Aggregate the replies about a scene's tiles into one answer, by the type of the question. No pixels, no model.

Every answer says in words by which rule it came about and what its confidence is.

- refusal: what the model refuses for the whole scene stays refused; tiles that refuse are left out of the rules below.
- caption: the whole scene's; evidence = the tiles whose captions share most words with those of all tiles.
- scene: the class with the largest valid area over tiles, with the share of each class; evidence = the tiles of each.
- presence: yes where a view says yes with a confidence of at least `SURE`, or one that is not known; evidence = the
  tiles that do, or the whole.
- count: the sum of the tiles' numbers; evidence = the tiles with a number above zero.
- find: boxes, see `rsvlm.serve.grounding`; of a model that has none, as other.
- other: the whole scene's; evidence = the tiles that say the same, or the whole.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rsvlm.geo.tiles import Window
from rsvlm.sample import Region, Reply
from rsvlm.serve.question_type import QuestionType, is_refusal, normalise, object_of, parse_number, parse_yes_no

SURE = 0.5  # a greedy yes under this was not the likeliest reply in the model's own eyes
TYPICAL = 5  # captions of tiles that go along as evidence


@dataclass(frozen=True, kw_only=True)
class ViewReply:
    """What the model replied about one view: `valid` is the share of the window's pixels that is data.

    `found` are the regions that it marked where it was asked to find something, in pixels counted from the window.
    `logs` are the log-likelihoods of the choices where it was asked to choose; the reply is then the likeliest.
    `strange`: the picture is unlike all that the model was trained on.
    """

    window: Window
    valid: float
    reply: Reply
    found: tuple[Region, ...] = ()
    logs: tuple[float, ...] = ()
    strange: bool = False

    @property
    def pixels(self) -> float:
        """Pixels with data."""
        return self.valid * self.window[2] * self.window[3]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A part of the scene that supports an answer: windows under one label; `properties` go into the GeoJSON.

    An object that was found is a `region` in scene pixels instead, what was measured a shapely `shape`; these have no
    windows.
    """

    label: str
    score: float
    windows: tuple[Window, ...]
    properties: Mapping[str, Any] = field(default_factory=dict)
    region: Region | None = None
    shape: Any = None


@dataclass(frozen=True, kw_only=True)
class SceneAnswer:
    """One answer about a scene, before it gets a place on Earth.

    `shares` are (class, share of the valid area in (0, 1]), largest first, for land cover over tiles; else empty.
    `rule` and `about` say how the answer and its confidence came about; `rules` are those of the scene that acted, a
    sentence each; `second_opinion` is what the model says where the answer is computed.
    """

    answer: str
    confidence: float
    evidence: tuple[Evidence, ...]
    rule: str
    about: str = "the model's own, for its reply about the whole scene"
    shares: tuple[tuple[str, float], ...] = ()
    rules: tuple[str, ...] = ()
    second_opinion: str = ""


def aggregate(kind: QuestionType, question: str, tiles: Sequence[ViewReply], whole: ViewReply) -> SceneAnswer:
    """Aggregate the replies to one question; `tiles` is empty for a scene that was seen in one piece."""
    if is_refusal(whole.reply.text):
        rule = "the model refused for the whole scene" + (", which decides over its tiles" if tiles else "")
        return SceneAnswer(answer=whole.reply.text, confidence=whole.reply.confidence, evidence=(), rule=rule)
    telling = [tile for tile in tiles if tile.reply.text and not is_refusal(tile.reply.text)]
    made: SceneAnswer | None = None
    if kind is QuestionType.PRESENCE and telling:
        made = _presence(object_of(question), telling, whole)
    elif kind is QuestionType.COUNT and telling:
        made = _count(object_of(question), telling)
    elif kind is QuestionType.SCENE and telling:
        made = _scene(telling)
    made = made or _whole(kind, question, telling, whole)
    failed = sum(bool(tile.reply.error) for tile in tiles)
    return replace(made, rule=f"{made.rule}; {failed} tiles got no reply and are left out") if failed else made


def _whole(kind: QuestionType, question: str, tiles: Sequence[ViewReply], whole: ViewReply) -> SceneAnswer:
    """The reply about the whole scene as it is."""
    rule = "reply about the whole scene" if tiles else "one view of the whole scene"
    evidence: tuple[Evidence, ...] = ()
    if kind is QuestionType.CAPTION and tiles:
        evidence = _typical(tiles)
        rule += "; regions: the tiles whose captions share most words with those of all tiles"
    elif tiles:
        same = [tile for tile in tiles if normalise(tile.reply.text) == normalise(whole.reply.text)]
        evidence = tuple(_evidence(tile, whole.reply.text) for tile in same if _supports(kind, tile.reply.text))
    if not evidence and _supports(kind, whole.reply.text):
        evidence = (_evidence(whole, _label(kind, question, whole.reply.text)),)
    return SceneAnswer(answer=whole.reply.text, confidence=whole.reply.confidence, evidence=evidence, rule=rule)


def _supports(kind: QuestionType, reply: str) -> bool:
    """Whether a reply points at a place: "no" and 0 do not."""
    if kind is QuestionType.COUNT:
        return parse_number(reply) != 0
    return bool(reply) and parse_yes_no(reply) is not False


def _label(kind: QuestionType, question: str, reply: str) -> str:
    return object_of(question) if kind in (QuestionType.PRESENCE, QuestionType.COUNT) else reply.rstrip(".")


def _evidence(seen: ViewReply, label: str, **properties: Any) -> Evidence:
    properties = {"reply": seen.reply.text, **properties}
    return Evidence(label=label.rstrip("."), score=seen.reply.confidence, windows=(seen.window,), properties=properties)


def _typical(tiles: Sequence[ViewReply]) -> tuple[Evidence, ...]:
    """The captions nearest to the sum of all, by the cosine of their words; one tile for captions of the same words."""
    bags = [Counter(normalise(tile.reply.text).replace(",", "").split()) for tile in tiles]
    total: Counter[str] = sum(bags, Counter())

    def nearness(index: int) -> float:
        bag = bags[index]
        return sum(n * total[word] for word, n in bag.items()) / math.sqrt(sum(n * n for n in bag.values()) or 1)

    chosen: dict[str, int] = {}
    for index in sorted(range(len(tiles)), key=lambda i: (-nearness(i), -tiles[i].reply.confidence, i)):
        chosen.setdefault(normalise(tiles[index].reply.text), index)
    found = [tiles[index] for index in list(chosen.values())[:TYPICAL]]
    return tuple(_evidence(tile, tile.reply.text, caption=tile.reply.text) for tile in found)


def _presence(thing: str, tiles: Sequence[ViewReply], whole: ViewReply) -> SceneAnswer | None:
    """Yes where one tile says so, since a part is in the whole; for what is larger than a tile, the whole counts."""
    said = [(parse_yes_no(tile.reply.text), tile) for tile in tiles]
    if all(one is None for one, _ in said):
        return None
    sure = [tile for one, tile in said if one and _sure(tile)]
    rule = f"yes where a tile says yes with a confidence of {SURE} or more: {len(sure)} of {len(tiles)} tiles do"
    if not sure and parse_yes_no(whole.reply.text) and _sure(whole):
        sure, rule = [whole], rule + ", but the view of the whole scene does"
    if sure:
        best = max(tile.reply.confidence for tile in sure)
        evidence = tuple(_evidence(tile, thing) for tile in sure)
        return SceneAnswer(
            answer="Yes", confidence=best, evidence=evidence, rule=rule, about="the surest yes of a view"
        )
    noes = [tile.reply.confidence for one, tile in said if one is False]
    if not noes:  # only a doubtful yes anywhere
        doubt = 1 - max(tile.reply.confidence for one, tile in said if one)
        return SceneAnswer(answer="No", confidence=doubt, evidence=(), rule=rule, about="1 - the surest yes of a tile")
    mean = sum(noes) / len(noes)
    return SceneAnswer(answer="No", confidence=mean, evidence=(), rule=rule, about="mean over the tiles that say no")


def _sure(seen: ViewReply) -> bool:
    return seen.reply.confidence >= SURE or not seen.reply.confidence  # 0: the model does not tell


def _count(thing: str, tiles: Sequence[ViewReply]) -> SceneAnswer | None:
    numbers = [(parse_number(tile.reply.text), tile) for tile in tiles]
    known = [(number, tile) for number, tile in numbers if number is not None]
    if not known:
        return None
    rule = (
        f"sum of the numbers that the model generated for {len(known)} tiles without overlap; "
        "a thing on a seam may be counted twice or not at all"
    )
    if len(known) < len(tiles):
        rule += f"; {len(tiles) - len(known)} tiles gave no number and are left out"
    evidence = tuple(_evidence(tile, f"{thing}: {number}", count=number) for number, tile in known if number)
    mean = sum(tile.reply.confidence for _, tile in known) / len(known)
    return SceneAnswer(
        answer=str(sum(number for number, _ in known)),
        confidence=mean,
        evidence=evidence,
        rule=rule,
        about="mean over the tiles that gave a number",
    )


def _scene(tiles: Sequence[ViewReply]) -> SceneAnswer:
    by_class: dict[str, list[ViewReply]] = {}
    for tile in tiles:
        by_class.setdefault(normalise(tile.reply.text), []).append(tile)
    total = sum(tile.pixels for tile in tiles)
    area = {name: sum(tile.pixels for tile in same) for name, same in by_class.items()}
    order = sorted(by_class, key=lambda name: (-area[name], name))
    evidence = tuple(_of_class(by_class[name], area[name], total) for name in order)
    names = tuple(one.label for one in evidence)
    best = sum(tile.pixels * tile.reply.confidence for tile in by_class[order[0]]) / total
    return SceneAnswer(
        answer=names[0],
        confidence=best,
        evidence=evidence,
        rule=f"class with the largest valid area over {len(tiles)} tiles, each counted under the class it was given",
        about="share of the class times the model's mean confidence in it, by valid area",
        shares=tuple((name, area[key] / total) for name, key in zip(names, order, strict=True)),
    )


def _of_class(tiles: Sequence[ViewReply], area: float, total: float) -> Evidence:
    window_pixels = sum(tile.window[2] * tile.window[3] for tile in tiles)
    return Evidence(
        label=tiles[0].reply.text.rstrip("."),
        score=sum(tile.pixels * tile.reply.confidence for tile in tiles) / area,
        windows=tuple(tile.window for tile in tiles),
        properties={"share": area / total, "tiles": len(tiles), "valid": area / window_pixels},
    )
