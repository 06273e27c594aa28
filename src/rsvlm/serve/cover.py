"""Questions of water, vegetation, snow, burnt and built-up land, answered from spectral indices."""

from typing import Any

from rsvlm.geo.indices import Cover
from rsvlm.geo.scene import Scene
from rsvlm.serve.aggregate import Evidence, SceneAnswer
from rsvlm.serve.georeference import format_area
from rsvlm.serve.object_sizes import singular
from rsvlm.serve.question_type import QuestionType

PRESENT = 0.002  # of the valid area: what covers less is not said to be there
_WORDS = {
    "water": "water waters waterbody lake river pond reservoir sea ocean",
    "vegetation": "vegetation plant greenery green",
    "snow": "snow ice glacier",
    "burnt": "burnt burned burn fire wildfire scar",
    "built-up": "builtup urban",
}
_NAMED = {word: cover for cover, words in _WORDS.items() for word in words.split()}
_KINDS_OF_WATER = ("lake", "river", "pond", "reservoir", "sea", "ocean")


def cover_named(thing: str) -> str:
    """The cover of `rsvlm.geo.indices` that a phrase speaks of ("water bodies" -> "water"), or "".

    A phrase of several things, or of one with a purpose ("water tower", "boats on the water"), is none.
    """
    words = [singular(word) for word in thing.lower().replace("built-up", "builtup").replace("-", " ").split()]
    words = [word for word in words if word not in ("the", "any", "open", "surface", "land", "area", "body", "all")]
    return _NAMED.get(words[0], "") if len(words) == 1 else ""


def cover_evidence(found: Cover, label: str = "") -> tuple[Evidence, ...]:
    """The largest patches as evidence; the score is 1, since they are measured."""
    name = label or found.name
    return tuple(Evidence(label=name, score=1.0, windows=(), shape=patch) for patch in found.patches)


def cover_answer(kind: QuestionType, thing: str, found: Cover, scene: Scene) -> SceneAnswer:
    """The answer to a question of presence, area, number or place of a cover, in words that its index bears out."""
    share, evidence = found.share, cover_evidence(found)
    there = share >= PRESENT and bool(evidence)
    amount = cover_amount(found, scene)
    if kind is QuestionType.PRESENCE:
        text = f"Yes: {found.name} covers {amount}." if there else f"No: {found.name} covers {amount}."
        special = [word for word in _KINDS_OF_WATER if word in singular(thing.lower())]
        if there and special:
            text = f"There is water: {amount}. Whether it is a {special[0]} the bands do not tell."
    elif kind is QuestionType.AREA:
        text = f"{found.name.capitalize()} covers {amount}."
    else:
        most = "" if len(evidence) < 50 else "at least "
        sizes = f"; the largest has {cover_size(found.areas[0], scene)}" if evidence else ""
        text = f"{most}{len(evidence)} separate patches of {found.name}{sizes}.".capitalize()
    if found.at_least:
        text += " It may be more: the values fall into no two clear parts."
    return SceneAnswer(
        answer=text, confidence=0.6 if found.at_least else 0.9 if found.digital else 0.95,
        evidence=evidence if there else (), rule=found.how,
        about="fixed by rule: 0.95 of reflectances, 0.9 of 8-bit numbers, 0.6 where the histogram has no two parts",
    )  # fmt: skip


def cover_amount(found: Cover, scene: Scene) -> str:
    """ "at least 12 % of the scene (3.4 km2)"."""
    least = "at least " if found.at_least and found.share >= PRESENT else ""
    area = f" ({format_area(found.area_m2, 'area_m2')})" if found.area_m2 is not None else ""
    return f"{least}{format_share(found.share)} of the scene{area}"


def cover_size(area: float, scene: Scene) -> str:
    """The area of a patch with its unit."""
    return format_area(area, "area_px" if scene.place is None else "area_m2")


def format_share(share: float) -> str:
    """A share as a percentage that hides no little: "12 %", "0.4 %", "less than 0.1 %", "0 %"."""
    percent: Any = 100 * share
    if percent == 0:
        return "0 %"
    return "less than 0.1 %" if percent < 0.1 else f"{percent:.1f} %" if percent < 2 else f"{percent:.0f} %"
