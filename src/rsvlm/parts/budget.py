"""Memory budgets of models: what a recipe or a config.json asks for is counted before any of it is allocated."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from rsvlm.errors import BadInput

MOST_TENSORS = 50_000  # of one model; LLaMA-3-405B has 1,140, a mixture of 128 experts in 94 layers some 37,000
MOST_ELEMENTS = 2**40  # of one model that is only measured, on the meta device
_PER_BYTE, _SLACK = 8, 2**27  # elements of a model for a byte of its files (1 bit each), and what no file holds
_BY_SIZE = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full}
_NEW = {torch.Tensor.new_empty, torch.Tensor.new_zeros, torch.Tensor.new_ones, torch.Tensor.new_full}
_COPIES = {torch.Tensor.repeat}


class TensorBudget(TorchFunctionMode):
    """Within it, tensors that are made count: their bytes, on the meta device only if `measuring`, and their elements.

    Raises BadInput, which begins with `what`, before the tensor that is too much is allocated.
    """

    def __init__(
        self, what: str, *, most_bytes: float = math.inf, most_elements: float = MOST_ELEMENTS, measuring: bool = False
    ) -> None:
        super().__init__()
        self.what, self.most_bytes, self.most_elements, self.measuring = what, most_bytes, most_elements, measuring
        self._bytes, self._elements, self._tensors = 0, 0, 0
        self._meta = torch.empty(0).device.type == "meta"

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count what `func` makes, then let it."""
        kwargs = kwargs or {}
        if func in _BY_SIZE:
            self._count(_elements(args, kwargs), kwargs.get("dtype"), kwargs.get("device"))
        elif func in _NEW or func in _COPIES:
            size = _elements(args[1:], kwargs) * (args[0].numel() if func in _COPIES else 1)
            self._count(size, kwargs.get("dtype") or args[0].dtype, kwargs.get("device") or args[0].device)
        return func(*args, **kwargs)

    def _count(self, elements: int, dtype: torch.dtype | None, device: Any) -> None:
        meta = not self.measuring and (self._meta if device is None else torch.device(device).type == "meta")
        self._elements, self._tensors = self._elements + elements, self._tensors + 1
        self._bytes += 0 if meta else elements * (dtype or torch.get_default_dtype()).itemsize
        if self._bytes > self.most_bytes:
            raise BadInput(
                f"{self.what} asks for more than {self._bytes / 1e9:,.1f} GB of memory, and there are "
                f"{self.most_bytes / 1e9:,.1f} GB; give smaller numbers."
            )
        if self._elements > self.most_elements or self._tensors > MOST_TENSORS:
            raise BadInput(
                f"{self.what} asks for {self._tensors:,} tensors with {self._elements:.1e} elements or more, over the "
                f"budget of {MOST_TENSORS:,} and {self.most_elements:.1e}; give the numbers of a model that exists."
            )


def _elements(args: Any, kwargs: Any) -> int:
    """How many elements a tensor has, from the sizes that a function of torch is given: in one sequence, or each."""
    sizes = kwargs.get("size", args[0] if args and not isinstance(args[0], int) else args)
    whole = [size for size in sizes if isinstance(size, int)] if isinstance(sizes, (tuple, list)) else []
    return math.prod(whole)


@contextmanager
def measured(what: str) -> Iterator[None]:
    """A block that builds a model on the meta device to see that this machine has the memory for it."""
    with (
        torch.random.fork_rng(devices=[]),  # what is drawn afterwards is as if nothing had been measured
        torch.device("meta"),
        TensorBudget(what, most_bytes=memory(), measuring=True),
    ):
        yield


@contextmanager
def file_budget(folder: Path) -> Iterator[None]:
    """A budget for opening the model in `folder`: what is not in its safetensors files is not made up here."""
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    with TensorBudget(f"{folder}/config.json", most_bytes=memory(), most_elements=_PER_BYTE * size + _SLACK):
        yield


def memory() -> int:
    """Bytes of memory that this process may have: the machine's, or its control group's where that is less."""
    found = [2**63]
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            found.append(int(Path(path).read_text(encoding="ascii")))
    return min(size for size in found if size > 0)
