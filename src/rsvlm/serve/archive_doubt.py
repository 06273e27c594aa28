"""Which tiles of a search should not be believed, and why: a nearest tile is found for every text, also for what is
nowhere. Like the rules around matches (`rsvlm.serve.matching`): what a pixel cannot show, what the model was not
trained for, and what its own probabilities speak against.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.index.rows import Tile
from rsvlm.serve.matching import LEAST
from rsvlm.serve.object_sizes import visibility
from rsvlm.serve.scene_classes import vocabulary
from rsvlm.serve.scene_facts import format_gsd
from rsvlm.systems import matching
from rsvlm.systems.model_limits import limits_of

ODDS = 10.0  # ours: so many times as likely makes another class speak against a text; under it they may be one thing
_NAMED = 4  # reasons, and classes of one, that a note lists
_FAR_LIKELIER = f" is more than {ODDS:g} times as likely"
Rows = NDArray[np.float64]


def doubts(
    model: Any, text: str, vector: Rows | None, tiles: Sequence[Tile], rows: Rows, without: Sequence[str],
    against: Rows, templates: Sequence[str] = matching.PLAIN,
) -> list[str]:  # fmt: skip
    """For each tile why it should not be believed, or "".

    `vector` (D,) is that of `text`, None without one; `rows` (N, D) are those of the tiles; `against` (N, W) the
    cosines with the unwanted texts `without`; `templates` are those of all texts.
    """
    found = [_beyond(model, text, tile) for tile in tiles]
    if vector is None:
        return found
    cosines = rows @ vector
    for at, reason in enumerate(_likelier(model, vector, tiles, rows, cosines, templates)):
        worst = int(against[at].argmax()) if len(without) else 0
        if len(without) and against[at, worst] > cosines[at]:
            reason = f"the unwanted {without[worst]!r} is likelier"
        found[at] = found[at] or reason
    return found


def notes(text: str, reasons: Sequence[str]) -> list[str]:
    """The reasons of all tiles as one sentence, which says so where no tile is likely; none without a reason."""
    classes = Counter(one.removesuffix(_FAR_LIKELIER) for one in reasons if one.endswith(_FAR_LIKELIER))
    counts = Counter(one for one in reasons if one and not one.endswith(_FAR_LIKELIER))
    if not counts and not classes:
        return []
    listed = [f"{reason} ({count})" if count > 1 else reason for reason, count in counts.most_common(_NAMED)]
    if classes:
        names = [name for name, _ in classes.most_common(_NAMED)]
        listed.append(f"{' or '.join([*names, *['another class'] * (len(classes) > _NAMED)])}{_FAR_LIKELIER}")
    why = "; ".join([*listed, *["and other reasons"] * (len(counts) > _NAMED)])
    if all(reasons):
        return [f"None of the {len(reasons)} tiles is likely to show {text!r}: {why}." if text else f"Unsure: {why}."]
    return [f"{sum(map(bool, reasons))} of {len(reasons)} tiles are unsure: {why}."]


def _beyond(model: Any, text: str, tile: Tile) -> str:
    """Why the resolution of a tile speaks against it, or ""."""
    span = limits_of(model).gsd_range("match")
    if span and tile.gsd is not None and not span[0] <= tile.gsd <= span[1]:
        return f"{model.name} was trained on {span[0]:g} to {span[1]:g} m per pixel, this has {format_gsd(tile.gsd)}"
    seen = visibility(text, tile.gsd) if text else None
    return seen.sentence.rstrip(".").lower() if seen and seen.verdict == "too small" else ""


def _likelier(
    model: Any, vector: Rows, tiles: Sequence[Tile], rows: Rows, cosines: Rows, templates: Sequence[str]
) -> list[str]:
    """For each tile the class that the model finds far likelier than the text there, as a reason; or "".

    The classes are those that `rsvlm ask` chooses from at the tile's resolution. One whose own vector is nearer to that
    of the text than to the mean class is no other thing (a harbor, for "a harbour"), and does not count. Where each
    text has a probability by itself (SigLIP), that decides instead.
    """
    if matching.independent(model):
        least = limits_of(model).unsure_below.get("match", LEAST)
        likely = matching.probabilities(model, cosines[:, None])[:, 0]
        return [f"its probability is under {least:g}" if one < least else "" for one in likely]
    offered = [vocabulary(tile.gsd).classes for tile in tiles]
    names = [*dict.fromkeys(name for classes in offered for name in classes)]
    vectors = matching.text_vectors(model, names, templates=templates, cut=True)
    near = vectors @ vector
    other = near < (1 + near.mean()) / 2
    odds = np.exp(np.clip(getattr(model, "logit_scale", matching.DEFAULT_SCALE) * (rows @ vectors.T - cosines[:, None]),
                          -99, 99))  # fmt: skip
    allowed = np.array([[name in classes for name in names] for classes in offered]) & other
    odds = np.where(allowed, odds, 0.0)
    return [
        f"{names[best]}{_FAR_LIKELIER}" if row[best] > ODDS else ""
        for row, best in zip(odds, odds.argmax(1), strict=True)
    ]
