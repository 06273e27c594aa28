"""Questions of water, vegetation, snow, burnt and built-up land, answered from spectral indices."""

from rsvlm.geo.cover_rules import COVER_WORDS
from rsvlm.geo.indices import Cover, CoverPatch
from rsvlm.serve.aggregate import Evidence, SceneAnswer
from rsvlm.serve.georeference import format_area
from rsvlm.serve.nouns import singulars
from rsvlm.serve.question_type import QuestionType

_CLEAR, _DIGITAL, _UNCLEAR = 0.95, 0.9, 0.5
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
    words = [singulars(word)[0] for word in thing.lower().replace("built-up", "builtup").replace("-", " ").split()]
    words = [word for word in words if word not in ("the", "any", "open", "surface", "land", "area", "body", "all")]
    return _NAMED.get(words[0], "") if len(words) == 1 else ""


def cover_evidence(found: Cover) -> tuple[Evidence, ...]:
    """The largest patches as evidence; the score is that of the answer, since they are measured."""
    sure = cover_confidence(found)
    return tuple(
        Evidence(label=found.cover, score=sure, windows=(), shape=patch.shape, properties={"index": found.index})
        for patch in found.patches
    )


def cover_confidence(found: Cover) -> float:
    """How far the border of an index is to be trusted: a rule of ours, no probability that was measured."""
    return (_DIGITAL if "digital numbers" in " ".join(found.notes) else _CLEAR) if found.border.clear else _UNCLEAR


def cover_answer(kind: QuestionType, thing: str, found: Cover) -> SceneAnswer:
    """The answer to a question of presence, area, number or place of a cover, in words that its index bears out."""
    evidence, amount = cover_evidence(found), cover_amount(found)
    there = found.share >= PRESENT and bool(evidence)
    name = COVER_WORDS.get(found.cover, found.cover)
    if kind is QuestionType.PRESENCE:
        text = f"Yes: {name} covers {amount}." if there else f"No: {name} covers {amount}."
        special = [word for word in _KINDS_OF_WATER if word in thing.lower()]
        if there and special:
            text = f"There is water: {amount}. Whether it is a {special[0]} the bands do not tell."
    elif kind is QuestionType.AREA:
        text = f"{name.capitalize()} covers {amount}."
    else:
        sizes = f"; the largest has {cover_size(found.patches[0])}" if evidence else ""
        text = f"{found.patch_count} separate patches of {name}{sizes}."
    if not found.border.clear:
        text = f"Unsure: {text[:1].lower()}{text[1:]} The values of the index fall into no two clear groups."
    return SceneAnswer(
        answer=text, confidence=cover_confidence(found), evidence=evidence if there else (),
        rule=f"{found.formula}; {found.source}",
        about=f"by rule: {_CLEAR} where the index parts two groups, {_DIGITAL} of 8-bit numbers, else {_UNCLEAR}",
    )  # fmt: skip


def cover_amount(found: Cover) -> str:
    """ "12 % of the scene (3.4 km2)"."""
    area = f" ({format_area(found.area_m2, 'area_m2')})" if found.area_m2 is not None else ""
    return f"{format_share(found.share)} of {'the scene' if found.valid_share == 1 else 'what has data'}{area}"


def cover_size(patch: CoverPatch) -> str:
    """The area of a patch with its unit."""
    return format_area(patch.area_px, "area_px") if patch.area_m2 is None else format_area(patch.area_m2, "area_m2")


def format_share(share: float) -> str:
    """A share as a percentage that hides no little: "12 %", "0.4 %", "less than 0.1 %", "0 %"."""
    percent = 100 * share
    if percent == 0:
        return "0 %"
    return "less than 0.1 %" if percent < 0.1 else f"{percent:.1f} %" if percent < 2 else f"{percent:.0f} %"
