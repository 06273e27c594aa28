"""What learns pairs of pictures and texts: a loss over the vectors of all processes, shared by systems and heads."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, distributed, nn

from rsvlm.parts import losses

MAX_SCALE = math.log(100)  # CLIP's limit of the temperature (arXiv:2103.00020, sec. 2.5)


class PairLoss(nn.Module):
    """The contrastive loss of vectors (B, D) of unit length, row by row a pair, with its temperature.

    `logit_scale` is the logarithm of the temperature's inverse, learned, at most `MAX_SCALE`. With `bias` each pair is
    judged alone (SigLIP, arXiv:2303.15343), else against all others (CLIP). A base of modules that have vectors.
    """

    def __init__(self, *, temperature: float = 0.07, bias: float | None = None) -> None:
        super().__init__()
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.logit_bias = None if bias is None else nn.Parameter(torch.tensor(bias))

    def pair_loss(self, images: Tensor, texts: Tensor, batch: Mapping[str, Any]) -> Tensor:
        """The loss over the pairs of all processes, in float32; `batch` may have labels (`losses.fitting`).

        Where it brings `vector_gradients`, their product with the vectors instead: see `rsvlm.train.gradient_cache`.
        """
        if "vector_gradients" in batch:
            of_images, of_texts = batch["vector_gradients"]
            return (images * of_images).sum() + (texts * of_texts).sum()
        labels = {key: gathered(batch[key]) for key in losses.LABELS if key in batch}
        scale = self.logit_scale.clamp(max=MAX_SCALE).exp()
        logits = scale * gathered(images.float()) @ gathered(texts.float()).T
        positive = losses.fitting(labels)
        if self.logit_bias is None:
            return losses.contrastive(logits, positive)
        return losses.pairwise_sigmoid(logits + self.logit_bias, positive)

    def scale_and_bias(self) -> tuple[float, float | None]:
        """How a cosine becomes a logit: the temperature's inverse, and the bias where each pair is judged alone."""
        scale = self.logit_scale.detach().clamp(max=MAX_SCALE).exp()
        return float(scale), None if self.logit_bias is None else float(self.logit_bias.detach())

    def limit_temperature(self) -> None:
        """Bring the learned temperature back within its limit, after a step of the optimiser."""
        with torch.no_grad():
            self.logit_scale.clamp_(max=MAX_SCALE)


class _Gather(torch.autograd.Function):
    """Rows of all processes, in their order; the gradient of a process's rows is the sum of what all make of them."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.start, ctx.count = distributed.get_rank() * len(rows), len(rows)
        parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous()
        distributed.all_reduce(whole)
        return whole[ctx.start : ctx.start + ctx.count]


def gathered(rows: Tensor) -> Tensor:
    """(B, ...) of this process -> those of all processes, one after another; each must have as many.

    Each process then computes the whole loss. Data-parallel training averages the gradients of processes, and every
    row gets those of all their losses: together they are the gradients of one process with the whole batch.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return rows
    found: Any = _Gather.apply(rows)
    return found
