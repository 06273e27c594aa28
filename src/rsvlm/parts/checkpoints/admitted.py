"""What a torch checkpoint held, looked over before anything walks through it: tensors that are no larger than the file.

A tensor is a view of stored numbers, and a dict may hold one thing many times: both can stand for far more than lies in
the file, which only shows when they are copied.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsvlm.errors import BadInput

MOST_VALUES, MOST_DEPTH = 1_000_000, 64  # of dicts and lists, each counted as often as it is reached
_TIMES, _SLACK = 4, 64 << 20  # bytes of tensors for a byte of the file (tied ones are reached twice), and beyond that

Size = tuple[int, int]  # values, bytes of tensors


def check_tree(tree: Any, path: Path) -> Any:
    """`tree`, which was read from `path`. Raises BadInput for more values or bytes than such a file can hold."""
    stored = path.stat().st_size
    values, size = _grown(tree, path, stored, {}, 0)
    if values > MOST_VALUES or size > _TIMES * stored + _SLACK:
        raise BadInput(
            f"{path} stands for {_number(values)} values and {_number(size)} bytes of tensors in {stored:,} bytes; "
            "expected each tensor once: save it anew."
        )
    return tree


def _grown(value: Any, path: Path, stored: int, known: dict[int, Size], depth: int) -> Size:
    """How many values and bytes `value` stands for; no end for what holds itself."""
    if isinstance(value, Tensor):
        if id(value) not in known:
            known[id(value)] = (1, _bytes(value, path, stored))
        return known[id(value)]
    inner = list(value.values()) if isinstance(value, Mapping) else value
    if not isinstance(inner, (list, tuple, set)):
        return 1, 0
    if depth > MOST_DEPTH:
        raise BadInput(f"{path} holds dicts in dicts over {MOST_DEPTH} deep; expected tensors by name.")
    if id(value) not in known:
        known[id(value)] = (1 << 62, 0)
        sizes = [_grown(one, path, stored, known, depth + 1) for one in inner]
        known[id(value)] = (1 + sum(one for one, _ in sizes), sum(size for _, size in sizes))
    return known[id(value)]


def _bytes(tensor: Tensor, path: Path, stored: int) -> int:
    """Bytes of a tensor as a whole. Raises BadInput for one that is larger than what was stored of it."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise BadInput(f"{path} holds a {tensor.layout} tensor on {tensor.device.type}; expected plain numbers.")
    size, held = tensor.numel() * tensor.itemsize, tensor.untyped_storage().nbytes()
    if size > held or held > stored:
        raise BadInput(
            f"{path} holds a tensor {str(tuple(tensor.shape))[:60]} of {size:,} bytes, of which {min(held, stored):,} "
            "are stored; expected all of its numbers: save it anew."
        )
    return size


def _number(value: int) -> str:
    return f"{value:,}" if value < 1 << 60 else "endless"
