"""CMID (arXiv:2304.09670): a tower learns from pictures alone, by three losses between two views of each.

two views, hidden in blocks -> tower + mask token -> decoder | projector | local head; whole -> teacher

The decoder rebuilds the view, the projector is to agree with the teacher's of the other view (contrast with a queue),
the local head with the teacher's at the same place. The teacher is a moving average of tower, projector and local head.
"""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.errors import BadInput
from rsvlm.parts import self_distillation as distil
from rsvlm.parts.masked_reconstruction import PixelDecoder, masked_map, mean_filled, reconstruction_loss
from rsvlm.parts.system import PartBuilder, System
from rsvlm.parts.vision.tower import StemmedTower, Tower
from rsvlm.sample import Batch
from rsvlm.systems.registry import SYSTEMS

Pair = Sequence[Tensor]  # of the first view and of the second


def _mean(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).mean()


@SYSTEMS("cmid")
class CMID(System):
    """A tower with what trains it; without the numbers of `distillation` a tower alone, which only sees."""

    objectives = ("views",)
    runtime = "rsvlm.systems.runtime.embedding"

    @classmethod
    def build(cls, numbers: Mapping[str, Any], parts: PartBuilder) -> Self:
        """The system from the `model` numbers of a recipe."""
        return cls(parts.vision(**numbers["vision"]), **(numbers.get("distillation") or {}))

    def __init__(self, vision: Tower, **distillation: Any) -> None:
        super().__init__()
        if not isinstance(vision, StemmedTower):
            raise BadInput(
                f"{type(vision).__name__} has no stem behind which a mask token could be added; give CMID a tower "
                "that has: resnet, swin or efficientnet_lite0."
            )
        self.vision = vision
        self.learns = bool(distillation)
        if self.learns:
            self._add_pretext(**distillation)

    def _add_pretext(
        self, *, local: Mapping[str, Any], variant: str = "moco", hidden: int = 2048, width: int = 256,
        predictor: int = 512, queue: int = 65536, queue_init: distil.Init = "unit", temperature: float = 0.2,
        match_coords: distil.Coordinates = "pixel", matches: int = 20, block: int = 32, mask_ratio: float = 0.6,
        momentum: tuple[float, float] = (0.996, 1.0), teacher_warmup: float = 0.0,
    ) -> None:  # fmt: skip
        if variant not in ("moco", "byol"):
            raise BadInput(f"model.distillation.variant is {variant!r}; expected moco or byol.")
        dim, byol = self.backbone.dims[-1], variant == "byol"
        self.temperature, self.matches = temperature, matches
        self.match_coords: distil.Coordinates = match_coords
        self.block, self.mask_ratio, self.step = block, mask_ratio, (0, 1)
        self.mask_token = nn.Parameter(torch.zeros(1, self.backbone.stem_dim, 1, 1))
        self.decoder = PixelDecoder(dim, self.backbone.stride)
        self.projector = distil.projector(dim, hidden, width, batch_norm=byol)
        self.predictor = distil.projector(width, predictor, width, batch_norm=True) if byol else None
        self.queue = None if byol else distil.KeyQueue(width, queue, queue_init)
        self.local_head = distil.LocalHead(dim, **local)
        prototypes = self.local_head.last_layer.weight_g.shape[0]
        self.local_loss = distil.LocalDistillation(prototypes, warmup=teacher_warmup)
        self.teacher = distil.MomentumTeacher(self._followed(), base=momentum[0], final=momentum[1])

    @property
    def backbone(self) -> StemmedTower:
        """The tower, as one that can be seen through in two parts."""
        assert isinstance(self.vision, StemmedTower)
        return self.vision

    def _followed(self) -> dict[str, nn.Module]:
        return {"vision": self.vision, "projector": self.projector, "local_head": self.local_head}

    @property
    def state_without_gradient(self) -> set[str]:
        """The teacher, the queue, the centre and the statistics of batch norms: they move without gradients."""
        moving = {name for name, _ in self.named_buffers() if not name.endswith("num_batches_tracked")}
        moving |= {name for name, _ in self.named_parameters() if name.startswith("teacher.")}
        return moving & self.state_dict().keys()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """ "reconstruction", "contrastive" and "local", to be added up; the queue and the centre move on."""
        if not self.learns:
            raise BadInput("This recipe builds CMID's tower alone; give model.distillation what trains it.")
        self.step = int(batch["step"][0]), int(batch["step"][1])
        image, mask, window = batch["image"], batch["hidden"], batch["window"]
        pixels = self.backbone.normalised(image)
        extent = (image.shape[-2], image.shape[-1])
        centres = distil.cell_centres(window, extent[0] // self.backbone.stride, extent, self.match_coords)
        views = [[x[::2], x[1::2]] for x in (pixels, mean_filled(pixels, mask), mask, centres)]
        return self.compare(*views)

    def compare(self, views: Pair, shown: Pair, masks: Pair, centres: Pair) -> dict[str, Tensor]:
        """As `loss`, of normalised views (B, 3, H, H), what the student is shown of them, masks and cells' centres."""
        pairs = zip(shown, masks, strict=True)
        maps = [masked_map(self.backbone, pixels, mask, self.mask_token) for pixels, mask in pairs]
        rebuilt = zip(map(self.decoder, maps), views, masks, strict=True)
        losses = {"reconstruction": _mean(reconstruction_loss(*one) for one in rebuilt)}
        tower: Any = self.teacher["vision"]
        with torch.no_grad():  # in training mode, as released: batch norms of the teacher have their own statistics
            wanted = [tower.deep_maps(tower.stem_map(view))[-1] for view in reversed(views)]
        losses["contrastive"] = self._contrast(maps, wanted)
        losses["local"] = self._local(maps, wanted, centres)
        return losses

    def _contrast(self, maps: Pair, wanted: Pair) -> Tensor:
        """Each view's vector against the teacher's of the other; `wanted` are the teacher's maps of the other views."""
        own = [self.projector(one.mean((2, 3))) for one in maps]
        with torch.no_grad():
            other = [self.teacher["projector"](one.mean((2, 3))) for one in wanted]
        if self.queue is None:
            assert self.predictor is not None
            pairs = zip([self.predictor(one) for one in own], other, strict=True)
            return _mean(distil.regression(*pair) for pair in pairs)
        own, other = ([F.normalize(one.float(), dim=1) for one in some] for some in (own, other))
        negatives = self.queue.keys.clone()
        losses = [distil.queue_contrast(q, k, negatives, self.temperature) for q, k in zip(own, other, strict=True)]
        for keys in other:
            self.queue.enqueue(keys)
        return _mean(losses)

    def _local(self, maps: Pair, wanted: Pair, centres: Pair) -> Tensor:
        """Each view's places against the teacher's of the other view that lie nearest in the picture."""
        swapped = zip(maps, wanted, centres, reversed(centres), strict=True)
        pairs = [distil.matched(*one, self.matches) for one in swapped]
        own = [self.local_head(here) for here, _ in pairs]
        with torch.no_grad():
            other = [self.teacher["local_head"](there) for _, there in pairs]
        step, steps = self.step
        return _mean(self.local_loss(*pair, step / steps) for pair in zip(own, other, strict=True))

    def after_step(self) -> None:
        """The teacher follows."""
        if self.learns:
            self.teacher.follow(self._followed(), *self.step)
