"""`rsvlm train`: a recipe's stages one after another, each from checkpoint to checkpoint, until the model is whole."""

import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch.distributed.fsdp import FSDPModule

from rsvlm.errors import BadInput
from rsvlm.parts.precision import described, precision_of
from rsvlm.recipe import Recipe, Stage, read_recipe
from rsvlm.systems.build import check_objectives, own_tensors
from rsvlm.systems.model_dir import model_folder
from rsvlm.train import checkpoint
from rsvlm.train.finished import write_finished
from rsvlm.train.forms import ModelForms
from rsvlm.train.interrupt import Interrupt
from rsvlm.train.log import Log
from rsvlm.train.loop import ahead, distribute, fit
from rsvlm.train.objectives.base import augmentation_of
from rsvlm.train.stage_data import StageData
from rsvlm.train.stages import freeze, optimizer
from rsvlm.train.start import inherit_model


def train(
    recipe_path: str | Path, data_root: str | Path, out: str | Path, *,
    resume: bool = True, only_stage: str | None = None, max_steps: int | None = None,
) -> Path:  # fmt: skip
    """Run a recipe's stages over data sets below `data_root`; gives the folder of the finished model.

    `out` receives `checkpoint/` (the last one), `log.jsonl` (a line a step), `tensorboard/`, `loss.png` and, at the
    end, `model/` (weights, recipe, data list). A killed run goes on with `resume`; SIGTERM and SIGINT leave a
    checkpoint of the step they came in. `max_steps` caps every stage, for
    trials. Raises BadInput for a stage, data or checkpoint that is not what the recipe needs, NotFinite for a loss.
    """
    recipe, out = read_recipe(recipe_path), Path(out)
    if recipe.start:
        recipe = inherit_model(recipe, read_recipe(model_folder(recipe.start) / "recipe.yaml"))
    stages = [s for s in recipe.stages if only_stage in (None, s.name)]
    if not stages:
        raise BadInput(f"{recipe_path} has no stage {only_stage!r}; it has {', '.join(s.name for s in recipe.stages)}.")
    check_objectives(recipe)
    for stage in recipe.stages:
        augmentation_of(stage)  # refused now, not when its turn comes
    # Blocks of a tower behind its last tap move with no loss: plain data-parallel training would wait for them.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    precision = precision_of(recipe.precision)
    half = "bf16" if precision == "bf16" else "no"
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=half, kwargs_handlers=[unused])
    accelerator.print(f"precision: {described(precision)}", file=sys.stderr)
    with accelerator.main_process_first():
        _prepare(out, fresh=not resume and accelerator.is_main_process)
        found = checkpoint.find(out / "checkpoint")
    run = _Run(recipe, Path(data_root), out, accelerator, found, max_steps)
    for index, stage in enumerate(recipe.stages):
        if stage in stages:
            run.stage(index, stage)
    return run.finish()


def _prepare(out: Path, *, fresh: bool) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "log.jsonl").open("a").close()
    except OSError as error:
        raise BadInput(f"{out} is not a folder to write in ({error.strerror}); give another --out.") from error
    if fresh:
        for own in ("checkpoint", "checkpoint.old", "model", "features", "tensorboard"):  # never the folder itself
            shutil.rmtree(out / own, ignore_errors=True)
        (out / "log.jsonl").unlink()


class _Run:
    """A run between its stages: the system in its present form, and the position of the last checkpoint."""

    def __init__(
        self, recipe: Recipe, root: Path, out: Path, accelerator: Accelerator, found: dict[str, Any] | None,
        max_steps: int | None,
    ) -> None:  # fmt: skip
        self.recipe, self.out, self.accelerator, self.found = recipe, out, accelerator, found
        self.max_steps, self.folder = max_steps, out / "checkpoint"
        self.forms = ModelForms(recipe, say=lambda text: accelerator.print(text, file=sys.stderr))
        if found and found["recipe"] != recipe.hash_up_to(found["stage"] + 1):
            raise BadInput(
                f"{out} holds a run of another recipe: up to its stage {found['stage'] + 1} the numbers "
                "differ; give another --out, or --no-resume to start again."
            )
        if found:
            self.forms.resume(found["stage"], self.folder, set(found["moved"]))
        self.data = StageData(recipe, root, out, accelerator, dict(found["data"]) if found else {})

    @property
    def model(self) -> Any:
        """The system as the present stage has it."""
        return self.forms.model

    def stage(self, index: int, stage: Stage) -> None:
        """Run one stage, or what is left of it."""
        done = self.found["stage"] if self.found else -1
        if index < done or (index == done and self.found and self.found["step"] >= self._steps(stage)):
            return
        start = self.found["step"] if self.found and index == done else 0
        self.forms.enter(index, self.folder)
        freeze(self.model, stage.trainable)
        self.forms.moved |= {name for name, p in self.model.named_parameters() if p.requires_grad}
        self.forms.moved |= self.model.state_without_gradient
        batches = self.data.batches(index, self.model)
        self.model.train()
        model = distribute(self.accelerator, self.model, sharded=self.recipe.fsdp)
        moving = optimizer(stage, freeze(self.model, stage.trainable))
        if start:
            checkpoint.load_optimizer(self.folder, self.model, moving)
        main = self.accelerator.is_main_process
        with Interrupt() as interrupt, Log(self.out, stage, start, self._steps(stage), main=main) as log:

            def report(step: int, numbers: Any) -> None:
                log.step(step, numbers)
                stopped = interrupt.anywhere(self.accelerator)
                if stopped or (step + 1) % self.recipe.save_every == 0 or step + 1 == self._steps(stage):
                    position = self._position(index, step + 1)
                    checkpoint.save(self.folder, self.model, moving, self.forms.moved, position, main=main)
                if stopped:
                    self.accelerator.print(
                        f"stopped after step {step} of stage {stage.name!r}; the same command goes on from here",
                        file=sys.stderr,
                    )
                    interrupt.end(stopped)

            steps = ahead(batches, range(start, self._steps(stage)))
            fit(self.accelerator, model, moving, stage, steps, start=start, report=report, seed=self._seed(index))
        self.accelerator.wait_for_everyone()
        self.accelerator.free_memory()
        self.forms.model = self.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
        self.found = None
        if isinstance(model, FSDPModule):  # what moves is fixed when a model is cut up: put it together from its end
            self.forms.resume(index, self.folder, self.forms.moved)

    def finish(self) -> Path:
        """Write the finished model: weights (halved as the run was), the resolved recipe, what it was trained on."""
        recipe = self.forms.form or self.recipe
        half = torch.bfloat16 if self.accelerator.mixed_precision == "bf16" else None
        state = checkpoint.weights(self.model, self.forms.moved | own_tensors(recipe, self.model), half)
        if self.accelerator.is_main_process:
            write_finished(self.out / "model", state, recipe, self.data.hashes)
        return self.out / "model"

    def _steps(self, stage: Stage) -> int:
        return min(stage.steps, self.max_steps or stage.steps)

    def _seed(self, index: int) -> str:
        return f"{self.recipe.seed}/{index}"

    def _position(self, index: int, step: int) -> dict[str, Any]:
        return {
            "recipe": self.recipe.hash_up_to(index + 1), "stage": index, "step": step, "rng": self._seed(index),
            "moved": sorted(self.forms.moved), "data": self.data.hashes,
            "resolved": self.recipe.model_dump(mode="json"),
        }  # fmt: skip
