"""A description composed of what was found in a scene: sentences that are true by construction, each with its region.

The model's caption stands among them only where nothing speaks against it.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import shapely

from rsvlm.geo.indices import Cover
from rsvlm.geo.scene import Scene
from rsvlm.serve.aggregate import Evidence, SceneAnswer, ViewReply
from rsvlm.serve.class_answers import UNSURE, class_shares
from rsvlm.serve.cover import PRESENT, cover_amount, cover_evidence, cover_size, format_share
from rsvlm.serve.georeference import evidence_shape
from rsvlm.serve.nouns import singulars
from rsvlm.serve.object_sizes import visibility
from rsvlm.serve.scene_facts import format_gsd, ground_size, usable_gsd

_CLASSES = 3  # named in a description
_LEAST_SHARE = 0.05  # of the area: smaller classes are not named
_MIDDLE = 0.3  # half the width of the middle, as a share of half the scene
_WATER = {"water", "river", "lake", "pond", "sea", "ocean", "harbor", "harbour", "boat", "ship", "beach", "port"}
_GREEN = {"tree", "forest", "grass", "meadow", "lawn", "vegetation", "plant"}


def describe(
    scene: Scene, covers: Sequence[Cover], classes: SceneAnswer | None, whole: ViewReply, doubts: Sequence[str]
) -> SceneAnswer:
    """The description of a scene from its file, its covers, and the classes of its tiles where they were asked for.

    `whole` is the model's caption of the scene; where there are `doubts` it is left out.
    """
    sentences: list[tuple[str, tuple[Evidence, ...]]] = [(_frame(scene), (_sure("the scene", scene),))]
    for found in covers:
        if found.share >= PRESENT and found.patches:
            sentences.append((_cover_sentence(found, scene), cover_evidence(found)))
    if classes is not None:
        sentences += _class_sentences(classes, scene)
    caption = whole.reply.text.strip()
    if caption and not doubts:
        sentences.append((f'The model says: "{caption}"', ()))
    elif not covers and classes is None:
        sentences.append(("More is not sure.", ()))
    evidence = tuple(
        replace(one, properties={**one.properties, "sentence": text}) for text, regions in sentences for one in regions
    )
    rule = "composed of what was found in the file, the bands and the tiles"
    if doubts:
        rule += f"; the model's caption is left out: {'; '.join(doubts)}"
    sure = classes.confidence if classes is not None and not classes.evidence else 0.9
    return SceneAnswer(
        answer=" ".join(text for text, _ in sentences), confidence=max(sure, 0.5), evidence=evidence, rule=rule,
        about="fixed by rule: what is said is computed; 0.9, or less where the model is unsure of the tiles",
        second_opinion=f"{caption} ({whole.reply.confidence:.2f})" if doubts and caption else "",
    )  # fmt: skip


def contradictions(caption: str, gsd: float | None, covers: Sequence[Cover]) -> list[str]:
    """Why a caption cannot be true: it names what is too small to be seen, or what the bands say is not there."""
    plain = dict.fromkeys(re.findall(r"[a-z]+", caption.lower())[:100])
    words = [one for word in plain for one in singulars(word)]
    found = [
        f"{word} cannot be seen at {format_gsd(gsd)}"
        for word in plain
        if gsd and visibility(word, gsd).verdict == "too small"
    ]
    for cover in covers:
        named = {"water": _WATER, "vegetation": _GREEN}.get(cover.cover, set()) & set(words)
        if named and cover.border.clear and cover.share < PRESENT:
            found.append(f"it names {', '.join(sorted(named))}, and the bands show no {cover.cover}")
    return found


def place_words(geometry: Any, scene: Scene) -> str:
    """Where a shape in scene pixels lies: "in the north-east", "in the middle"; "at the top right" without a place."""
    x, y = shapely.centroid(geometry).coords[0]
    east, south = 2 * x / scene.width - 1, 2 * y / scene.height - 1
    if scene.transform is not None and scene.transform[4] > 0:
        south = -south  # rows run from south to north
    across = "" if abs(east) < _MIDDLE else "east" if east > 0 else "west"
    along = "" if abs(south) < _MIDDLE else "south" if south > 0 else "north"
    if scene.transform is None:
        across, along = (
            {"east": "right", "west": "left"}.get(across, ""),
            {"south": "bottom", "north": "top"}.get(along, ""),
        )
        return f"at the {' '.join(filter(None, (along, across)))}" if across or along else "in the middle"
    return f"in the {'-'.join(filter(None, (along, across)))}" if across or along else "in the middle"


def _frame(scene: Scene) -> str:
    gsd = usable_gsd(scene)
    fine = f" at {format_gsd(gsd)} per pixel" if gsd else ", of unknown resolution"
    return f"The scene shows {ground_size(scene)}{fine}, in {scene.composite}."


def _sure(label: str, scene: Scene) -> Evidence:
    return Evidence(label=label, score=1.0, windows=(scene.window,))


def _cover_sentence(found: Cover, scene: Scene) -> str:
    first = found.patches[0]
    largest = f"the largest patch, {cover_size(first)}, lies {place_words(first.shape, scene)}"
    if not found.border.clear:
        return f"{found.cover.capitalize()} may cover {cover_amount(found)}, which its index does not tell for sure."
    return f"{found.cover.capitalize()} covers {cover_amount(found)}; {largest}."


def _class_sentences(classes: SceneAnswer, scene: Scene) -> list[tuple[str, tuple[Evidence, ...]]]:
    """The largest classes with their shares and places; and of how much the model is unsure."""
    shares = class_shares(classes)
    named = [one for one in classes.evidence if shares.get(one.label, 0) >= _LEAST_SHARE][:_CLASSES]
    sentences = []
    for one in named:
        where = "" if shares[one.label] > 0.6 else f", mostly {place_words(evidence_shape(one), scene)}"
        sentences.append((f"{format_share(shares[one.label])} of it looks like {one.label}{where}.", (one,)))
    unknown = shares.get(UNSURE, 0.0)
    if unknown >= _LEAST_SHARE:
        rest = "the rest" if named else "it"
        sentences.append((f"What {rest} shows the model is unsure of ({format_share(unknown)} of the area).", ()))
    return sentences
