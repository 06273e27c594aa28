"""RSICCformer (DOI 10.1109/TGRS.2022.3218921): two dates attend to their difference; one sentence says what changed.

two dates -> ResNet -> 14 x 14 -> attention to their difference, layer by layer -> fusion of the layers -> decoder
"""

from collections.abc import Mapping
from typing import Any, Self

from torch import Tensor

from rsvlm.parts.change_captioner import ChangeCaptioner, normalised_numbers, pooled_grid, stemmed
from rsvlm.parts.change_captioning import DifferenceEncoder
from rsvlm.parts.system import PartBuilder
from rsvlm.parts.vision.tower import StemmedTower
from rsvlm.sample import Batch
from rsvlm.systems.registry import SYSTEMS


@SYSTEMS("rsiccformer")
class RSICCformer(ChangeCaptioner):
    """A tower for both dates, an encoder of their difference, a decoder."""

    @classmethod
    def build(cls, numbers: Mapping[str, Any], parts: PartBuilder) -> Self:
        """The system from the `model` numbers of a recipe."""
        rest = {name: value for name, value in numbers.items() if name not in ("vision", "normalise")}
        vision = parts.vision(**normalised_numbers(numbers["vision"], numbers.get("normalise", "imagenet")))
        return cls(stemmed(vision, "RSICCformer"), **rest)

    def __init__(self, vision: StemmedTower, *, bridge: Mapping[str, Any], **rest: Any) -> None:
        super().__init__(vision, DifferenceEncoder(vision.dims[-1], **bridge), gated=False, **rest)

    def memories(self, batch: Batch) -> list[Tensor]:
        """One, of both dates' channels."""
        return self.bridge(pooled_grid(self.see(batch)[-1], self.bridge.grid))
