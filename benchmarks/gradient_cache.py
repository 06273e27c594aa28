"""A contrastive step with gradient caching beside one without, and the largest batch of each in 4 GiB.

One CLIP of random weights, float32, AdamW, the same batch on both sides, turns taken in one run. Memory is the peak of
a process that does one step and nothing else (VmHWM). The largest batch is read off a line through two batches; one of
at most VERIFIED pairs is tried, and made smaller until it fits.
"""

import multiprocessing
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from harness import medians, ratio, run, take_turns
from rsvlm.cli import keep_freed_memory
from rsvlm.recipe import Recipe
from rsvlm.sample import Batch
from rsvlm.systems.build import build
from rsvlm.train.gradient_cache import backward

PART, ROUNDS, LIMIT, VERIFIED = 16, 3, 4 << 30, 256
SMALL = {"width": 32, "depth": 1, "patch": 16, "size": 32, "text": 32}
FULL = {"width": 384, "depth": 12, "patch": 32, "size": 224, "text": 384}


def clip(sizes: dict[str, int]) -> Any:
    """A CLIP with towers of the same width and depth."""
    shape = {"width": sizes["width"], "depth": sizes["depth"], "heads": sizes["width"] // 32}
    torch.manual_seed(0)
    return build(Recipe(system="georsclip", size="bench", model={
        "activation": "quick_gelu", "dim": sizes["width"],
        "vision": {"tower": "clip", **shape, "patch": sizes["patch"], "size": sizes["size"], "fit": "crop"},
        "text": {"tokenizer": "clip", "vocabulary": 514, **shape, "context": 77},
    })).train()  # fmt: skip


def batch_of(count: int, size: int) -> Batch:
    """Pictures and texts of full length, all random."""
    text = torch.randint(1, 512, (count, 77))
    text[:, -1] = 513  # CLIP reads a text at its end
    return {"image": torch.rand(count, 3, size, size), "text": text, "text_mask": torch.ones_like(text) > 0}


def step(model: nn.Module, moving: torch.optim.Optimizer, batch: Batch, part: int) -> Tensor:
    """One step of training, `part` pictures at once; 0 = all of them, without a cache. Gives the loss."""
    if part:
        losses = backward(
            Accelerator(cpu=True), model, batch, part=part, share=1.0, check=lambda loss: None,
            sync=lambda last: nullcontext(),
        )  # fmt: skip
    else:
        losses = model(batch)
        losses["contrastive"].backward()
    moving.step()
    moving.zero_grad()
    return losses["contrastive"].detach()


def peak(sizes: dict[str, int], count: int, part: int, threads: int) -> int:
    """Bytes that a process had at its most while it made one step of `count` pairs."""
    torch.set_num_threads(threads)
    model = clip(sizes)
    step(model, torch.optim.AdamW(model.parameters()), batch_of(count, sizes["size"]), part)
    status = Path(f"/proc/{os.getpid()}/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def largest(sizes: dict[str, int], part: int, pair: tuple[int, int]) -> dict[str, Any]:
    """The largest batch, a multiple of PART, whose step fits LIMIT; and the GiB of a step with it, if tried."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:

        def measured(count: int) -> int:
            return pool.apply(peak, (sizes, count, part, torch.get_num_threads()))

        low, high = (measured(count) for count in pair)
        count = (pair[0] + (LIMIT - low) * (pair[1] - pair[0]) // (high - low)) // PART * PART
        if count > VERIFIED:
            return {"batch": count, "peak_gib": None}
        found = measured(count)
        while found > LIMIT and count > PART:  # the line was a little too low
            count -= max(PART, count // 32 // PART * PART)
            found = measured(count)
    return {"batch": count, "peak_gib": round(found / 2**30, 2)}


def main(pairs: int = 64, *, smallest: bool) -> dict[str, Any]:
    keep_freed_memory()
    sizes, count = (SMALL, 2 * PART) if smallest else (FULL, pairs)
    batch = batch_of(count, sizes["size"])

    def side(part: int) -> Any:
        model = clip(sizes)
        moving = torch.optim.AdamW(model.parameters(), lr=1e-5)
        return lambda: step(model, moving, batch, part)

    seconds, losses = take_turns({"cached_s": side(PART), "whole_s": side(0)}, ROUNDS, smallest=smallest)
    figures = {
        "pairs": count, "part": PART, **medians(seconds), "ratio": ratio(seconds, "cached_s", "whole_s"),
        "difference_of_losses": float(f"{abs(float(losses['cached_s'] - losses['whole_s'])):.1e}"),
        "threads": torch.get_num_threads(),
    }  # fmt: skip
    if smallest:
        return figures
    batches = {"whole": largest(sizes, 0, (PART, 2 * PART)), "cached": largest(sizes, PART, (8 * PART, 16 * PART))}
    return {**figures, "limit_gib": LIMIT >> 30, **batches}


if __name__ == "__main__":
    run(main)
