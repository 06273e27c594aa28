"""Losses, each over plain tensors and returned as a scalar."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def next_token(logits: Tensor, labels: Tensor, *, normaliser: Tensor | None = None) -> Tensor:
    """Cross-entropy of logits (N, V) against labels (N,), in fp32.

    Divided by `normaliser` where given (the labels of the whole global batch divided by the number of parts it was cut
    into, so that the mean over parts is the mean over all labels), else by N.
    """
    total = F.cross_entropy(logits.float(), labels, reduction="sum")
    return total / (normaliser if normaliser is not None else max(len(labels), 1))


def multi_label(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of logits (B, T) against soft targets (B, T) in [0, 1]; negative targets are not known.

    Summed over the tags of an image, averaged over images: a rare tag counts as much as a common one.
    """
    known = targets >= 0
    each = F.binary_cross_entropy_with_logits(logits.float(), targets.clamp(min=0), reduction="none")
    return torch.where(known, each, 0).sum(1).mean()


def contrastive(logits: Tensor, positive: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE of scaled similarities (B, B), row i and column i being a pair (arXiv:2103.00020, fig. 3).

    `positive` (B, B), bool, marks all that fit, which share the probability evenly (UniCL, arXiv:2204.03610).
    """
    logits = logits.float()
    pairs = torch.arange(len(logits), device=logits.device)
    if positive is None:
        return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2
    fits = positive.to(logits.dtype)
    rows, columns = fits / fits.sum(1, keepdim=True), fits.T / fits.T.sum(1, keepdim=True)
    return (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, columns)) / 2


def pairwise_sigmoid(logits: Tensor, positive: Tensor | None = None) -> Tensor:
    """Each pair judged alone: log-sigmoid of logits (B, B), negated off the diagonal (arXiv:2303.15343, alg. 1).

    Summed over the texts of a picture, averaged over pictures. `positive` as of `contrastive`.
    """
    fits = torch.eye(len(logits), dtype=torch.bool, device=logits.device) if positive is None else positive
    return -F.logsigmoid(torch.where(fits, logits, -logits).float()).sum() / len(logits)


LABELS = ("text_key", "image_key", "text_class", "image_class")  # of a batch, read by `fitting`


def fitting(batch: Mapping[str, Any]) -> Tensor | None:
    """(B, B), bool: which texts (columns) fit which pictures (rows) by the labels of a batch; None where it has none.

    A pair fits, and so do equal texts, equal pictures, and a text that names a class with all pictures of it.
    """
    if "text_key" not in batch:
        return None
    text, image, named = batch["text_key"], batch["image_key"], batch["text_class"]
    same = (text[:, None] == text) | (image[:, None] == image)
    return same | ((batch["image_class"][:, None] == named) & (named >= 0))
