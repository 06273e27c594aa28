"""A training step of our loop (`rsvlm.train.loop.fit`, with its log) beside a bare PyTorch loop over the same batches.

Same model, same optimiser, turns taken step by step in one run. With the language model in the cache the model is
rsvlm-mini's in its last stage, else the tiny one.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from harness import run
from rsvlm import assets
from rsvlm.cli import keep_freed_memory
from rsvlm.errors import MissingPart
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.recipe import Recipe, read_recipe, shipped
from rsvlm.sample import IMAGE_TOKEN, Batch
from rsvlm.systems.build import build
from rsvlm.train.log import Log
from rsvlm.train.loop import fit
from rsvlm.train.stages import freeze, optimizer

BATCH, REPLY = 8, 64


def recipe(smallest: bool) -> Recipe:
    try:
        assets.language_model(), assets.vision_weights()
    except MissingPart:
        smallest = True
    return read_recipe(shipped("lhrs_bot", "tiny" if smallest else "mini"))


def batch(model: VisionLanguageModel) -> Batch:
    ids = torch.randint(6, 262, (BATCH, REPLY))
    real = torch.ones(BATCH, REPLY, dtype=torch.bool)
    shape = (BATCH, 3, model.vision.size, model.vision.size)
    prompt = torch.full((BATCH, model.image_tokens), IMAGE_TOKEN)
    return {
        "image": torch.rand(shape), "prompt": prompt, "prompt_mask": torch.ones_like(prompt, dtype=torch.bool),
        "reply": ids, "reply_mask": real, "labels": ids, "turn": torch.zeros_like(ids),
        "normaliser": torch.tensor(float(ids.numel())),
    }  # fmt: skip


def main(seconds: float = 40.0, *, smallest: bool) -> dict[str, Any]:
    keep_freed_memory()
    torch.manual_seed(0)
    numbers, ours, bare = recipe(smallest), [], []
    seconds = 0 if smallest else seconds
    model, stage = build(numbers).train(), numbers.stages[-1]
    moving = optimizer(stage, freeze(model, stage.trainable))
    half = numbers.precision == "bf16"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16" if half else "no")
    steps = [[batch(model)] for _ in range(4)]
    model.to(device)

    def bare_step(made: Batch) -> None:
        start = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss = model({key: value.to(device) for key, value in made.items()})["language"]
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), stage.clip)
        moving.step()
        moving.zero_grad()
        loss.item()
        bare.append(time.perf_counter() - start)

    def turns() -> Iterator[list[Batch]]:
        """Before each step of ours one of the bare loop; ours is timed from the moment its batch is handed over."""
        end, count = time.perf_counter() + seconds, 0
        while time.perf_counter() < end or count < 3:
            bare_step(steps[count % len(steps)][0])
            clock.append(time.perf_counter())
            yield steps[count % len(steps)]
            ours.append(time.perf_counter() - clock[-1])
            count += 1

    clock: list[float] = []
    with tempfile.TemporaryDirectory() as folder, Log(Path(folder), stage, 0, stage.steps, main=True) as log:
        fit(accelerator, accelerator.prepare_model(model), moving, stage, turns(), report=log.step)
    a, b = median(ours[1:]), median(bare[1:])
    figures = {"model": numbers.size, "steps": len(ours), "ours_s": round(a, 4), "bare_s": round(b, 4)}
    return {"target": 0.95, **figures, "ratio": round(b / a, 3)}


if __name__ == "__main__":
    run(main)
