"""MModalCC (arXiv:2501.10075): pictures and semantic maps of two dates; one sentence says what changed.

two dates and their maps -> a ResNet each -> 14 x 14 -> CMCA, UDCA -> fusion of the layers -> decoder with gates (MGCA)

CMCA: pictures and maps attend to each other; UDCA: each to its own difference; MGCA: words attend to both.
"""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from rsvlm.data.semantic_maps import input_colours
from rsvlm.errors import BadInput
from rsvlm.parts.change_captioner import ChangeCaptioner, normalised_numbers, pooled_grid, stemmed
from rsvlm.parts.change_captioning import CrossModalEncoder
from rsvlm.parts.heads.semantic_maps import SemanticMapHead
from rsvlm.parts.system import PartBuilder
from rsvlm.parts.vision.tower import StemmedTower
from rsvlm.sample import Batch
from rsvlm.systems.registry import SYSTEMS


@SYSTEMS("mmodal_cc")
class MModalCC(ChangeCaptioner):
    """A tower for pictures and one for their maps, an encoder that crosses both, a decoder.

    A map is what the batch brings, or what the head `semantic_maps` predicts of the pictures.
    """

    reads_maps = True

    @classmethod
    def build(cls, numbers: Mapping[str, Any], parts: PartBuilder) -> Self:
        """The system from the `model` numbers of a recipe; the maps' tower has the numbers of the pictures'."""
        rest = {name: value for name, value in numbers.items() if name not in ("vision", "normalise")}
        own = normalised_numbers(numbers["vision"], numbers.get("normalise", "imagenet"))
        vision, semantic = (stemmed(parts.vision(**own), "MModalCC") for _ in range(2))
        return cls(vision, semantic, **rest)

    def __init__(
        self, vision: StemmedTower, semantic_vision: StemmedTower, *, bridge: Mapping[str, Any], **rest: Any
    ) -> None:
        super().__init__(vision, CrossModalEncoder(vision.dims[-1], **bridge), gated=True, **rest)
        self.semantic_vision = semantic_vision
        self.register_buffer("colours", torch.tensor(input_colours()), persistent=False)

    def towers(self) -> Sequence[nn.Module]:
        """Both."""
        return [self.vision, self.semantic_vision]

    def memories(self, batch: Batch) -> list[Tensor]:
        """One of the pictures, one of the maps."""
        levels = self.see(batch)
        maps = batch["semantic"] if "semantic" in batch else self.predicted_maps(levels)
        shown: Any = self.colours
        land = self.semantic_vision(shown[maps].movedim(-1, 1))
        return self.bridge(*(pooled_grid(level, self.bridge.grid) for level in (levels[-1], land[-1])))

    @torch.no_grad()
    def predicted_maps(self, levels: Sequence[Tensor]) -> Tensor:
        """The maps that the head sees in the levels of a pair's pictures: int64 (I, H, W).

        Raises BadInput where there is no such head.
        """
        head = self.heads.get(SemanticMapHead.objective)
        if not isinstance(head, SemanticMapHead):
            raise BadInput(
                "MModalCC needs a semantic map of each picture, none is given, and this model has no head that "
                "predicts them; train one (model.semantic_maps), or measure it with the maps of SECOND-CC "
                "(second_cc/coco-ptb-true-maps@1)."
            )
        return head.classes(levels, self.vision.size)
