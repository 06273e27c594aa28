"""VisionTextDualEncoder: a vision transformer and a text transformer of CLIP or SigLIP, side by side."""

from collections.abc import Mapping
from typing import Any, Self

from torch import Tensor, nn

from rsvlm.errors import BadInput
from rsvlm.parts import lora
from rsvlm.parts.adapters import adapt
from rsvlm.parts.dual import DualEncoder
from rsvlm.parts.system import PartBuilder
from rsvlm.parts.text.clip import CLIPText, SigLIPText

ACTIVATIONS = {"quick_gelu": "QuickGELU, as OpenAI's", "gelu": "GELU, as LAION's"}  # whose weights have which


class VisionTextDualEncoder(DualEncoder):
    """image -> tower -> pool -> linear | linear <- last state <- text tower <- text (arXiv:2103.00020).

    `vision` and `text` are the towers, `dim` the length of the vectors; without it the towers' own vectors are compared
    as they are, as SigLIP's (arXiv:2303.15343). `adapters` are the numbers of `rsvlm.parts.adapters.adapt`, put into
    both towers. Other numbers are those of `DualEncoder`.
    """

    vision: Any  # a tower with `pool`
    text: CLIPText | SigLIPText

    def __init__(
        self, vision: nn.Module, text: CLIPText | SigLIPText, *, dim: int | None = None,
        adapters: Mapping[str, Any] | None = None, **numbers: Any,
    ) -> None:  # fmt: skip
        super().__init__(vision, **numbers)  # pyright: ignore[reportArgumentType]
        self.text, self.max_text = text, text.max_text
        self.image_projection = nn.Linear(self.vision.dims[-1], dim, bias=False) if dim else nn.Identity()
        self.text_projection = nn.Linear(text.dim, dim, bias=False) if dim else nn.Identity()
        for tower in (self.vision.model, text.model) if adapters else ():
            adapt(tower, **(adapters or {}))

    @classmethod
    def build(cls, numbers: Mapping[str, Any], parts: PartBuilder) -> Self:
        """The towers of `vision` and `text` (of whose numbers `tokenizer` is none), both with the one `activation`.

        Raises BadInput for a CLIP without `activation`: its weights do not tell, and the wrong one costs accuracy
        without a word.
        """
        own = {**numbers}
        seen, read, activation = {**own.pop("vision")}, {**own.pop("text")}, own.pop("activation", None)
        read.pop("tokenizer", None)
        last = {"taps": [seen["depth"]], **seen}
        if read.pop("tower", "clip") == "siglip":
            return cls(parts.vision(**last, pools=True), SigLIPText(**read), **own)
        if activation not in ACTIVATIONS:
            raise BadInput(
                f"model.activation is {str(activation)[:40]!r}; expected {' or '.join(map(repr, ACTIVATIONS))}: the "
                "weights of a CLIP do not tell which of them its MLPs have, so the recipe has to."
            )
        vision = parts.vision(**last, class_token=True, activation=activation)
        return cls(vision, CLIPText(**read, activation=activation), **own)

    def image_features(self, levels: list[Tensor]) -> Tensor:
        """Feature levels [(B, N_l, D_l)] -> vectors (B, dim) of any length."""
        return self.image_projection(self.vision.pool(levels))

    def text_features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids (B, T) and their mask -> vectors (B, dim) of any length."""
        return self.text_projection(self.text(ids, mask))

    def merge_adapters(self) -> None:
        """LoRA becomes part of the weights; prefixes, bottlenecks and gated adapters stay what they are. Not undone."""
        for tower in (self.vision.model, self.text.model):
            lora.merge(tower)
