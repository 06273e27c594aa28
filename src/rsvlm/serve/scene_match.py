"""What matching a scene with texts gives: scores of the whole and of its tiles, what they amount to, and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.geo.place import Place
from rsvlm.geo.tiles import Window
from rsvlm.serve.aggregate import Evidence
from rsvlm.serve.class_answers import UNSURE
from rsvlm.serve.georeference import features


@dataclass(frozen=True, kw_only=True)
class ViewMatch:
    """One view: a score a text, `valid` is the share of the window's pixels that is data.

    `strange`: it is unlike all that the model was trained on.
    """

    window: Window
    valid: float
    scores: tuple[float, ...]
    strange: bool = False

    @property
    def pixels(self) -> float:
        """Pixels with data."""
        return self.valid * self.window[2] * self.window[3]


@dataclass(frozen=True, kw_only=True)
class SceneMatch:
    """How well each of `texts` fits a scene: the `whole` and its `tiles` (none for a small scene).

    `measure` is "probability" or "cosine similarity"; `shared`: probabilities sum to 1 over the texts. A view is unsure
    where no text has the probability `least`, where the likeliest is one of `unseen` (things that a pixel cannot show),
    where it is strange, and everywhere if the model is `doubted` here. `notes` are sentences about what not to believe;
    `trace` says how it came about.
    """

    texts: tuple[str, ...]
    measure: str
    whole: ViewMatch
    tiles: tuple[ViewMatch, ...]
    shared: bool
    least: float
    doubted: bool
    unseen: frozenset[str]
    place: Place | None = field(repr=False)
    notes: tuple[str, ...]
    trace: Mapping[str, Any] = field(repr=False)

    @property
    def views(self) -> tuple[ViewMatch, ...]:
        """The tiles, or the whole where there are none."""
        return self.tiles or (self.whole,)

    @property
    def scores(self) -> dict[str, float]:
        """The score of each text for the whole scene."""
        return dict(zip(self.texts, self.whole.scores, strict=True))

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        return np.array([view.scores for view in self.views])

    @cached_property
    def _area(self) -> NDArray[np.float64]:
        area = np.array([view.pixels for view in self.views])
        return area / area.sum()

    @property
    def means(self) -> dict[str, float]:
        """The mean score of each text over the views, by valid area."""
        return dict(zip(self.texts, (self._area @ self._table).tolist(), strict=True))

    @property
    def shares(self) -> dict[str, float]:
        """The share of the valid area where each text is the likeliest, and `UNSURE` where none is likely enough."""
        labels = np.array([self.label(view) for view in self.views])
        return {name: float(self._area[labels == name].sum()) for name in (*self.texts, UNSURE)}

    def unsure(self, view: ViewMatch) -> bool:
        """Whether no text should be believed to be that of a view."""
        unlikely = self.measure == "probability" and max(view.scores) < self.least
        return self.doubted or view.strange or unlikely or self._likeliest(view) in self.unseen

    def label(self, view: ViewMatch) -> str:
        """The likeliest text of a view, or `UNSURE`."""
        return UNSURE if self.unsure(view) else self._likeliest(view)

    def _likeliest(self, view: ViewMatch) -> str:
        return self.texts[int(np.argmax(view.scores))]

    def best(self, text: str) -> ViewMatch:
        """The view that a text fits best."""
        return self.views[int(self._table[:, self.texts.index(text)].argmax())]

    def values(self, text: str) -> list[tuple[Window, float]]:
        """(window, score) of a text for every view."""
        at = self.texts.index(text)
        return [(view.window, view.scores[at]) for view in self.views]

    @property
    def limits(self) -> tuple[float, float]:
        """(low, high) of a scale for all texts: 0 to 1 for shared probabilities, else what the views span."""
        if self.shared:
            return 0.0, 1.0
        return float(self._table.min()), float(self._table.max())

    @property
    def regions(self) -> tuple[dict[str, Any], ...]:
        """A GeoJSON feature a view: `label`, `score`, `valid`, `unsure`, and "score <text>" for each text."""
        evidence = [
            Evidence(label=self.label(view), score=max(view.scores), windows=(view.window,), properties={
                "measure": self.measure, "valid": round(view.valid, 4), "unsure": self.unsure(view),
                **{f"score {text}": one for text, one in zip(self.texts, view.scores, strict=True)},
            })
            for view in self.views
        ]  # fmt: skip
        return features(evidence, self.place)

    def as_dict(self, heat_maps: Sequence[str] = ()) -> dict[str, Any]:
        """The match as the object that `--json` prints; `heat_maps` are the files of the texts, where there are."""
        listed = {"texts": list(self.texts), "measure": self.measure}
        if heat_maps:
            listed["heat_maps"] = dict(zip(self.texts, heat_maps, strict=True))
        return {
            "scene": self.trace["scene"], **listed, "scores": self.scores, "means": self.means,
            "shares": self.shares if self.measure == "probability" else None,
            "tiles": [
                {
                    "window": list(view.window), "valid": round(view.valid, 4), "scores": list(view.scores),
                    "label": self.label(view), "unsure": self.unsure(view),
                }
                for view in self.tiles
            ],
            "notes": list(self.notes), "trace": dict(self.trace),
        }  # fmt: skip
