"""`rsvlm train`: a recipe's stages one after another, each from checkpoint to checkpoint, until the model is whole."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import FullyShardedDataParallelPlugin, set_seed
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader, Subset

from rsvlm.data.build.rs_gpt4v import merge
from rsvlm.data.build.tags import vocabulary
from rsvlm.data.catalogue import load
from rsvlm.data.loader import Schedule, StageBatches, encoder
from rsvlm.data.prompt import FRAMES
from rsvlm.errors import BadInput
from rsvlm.recipe import Recipe, Stage, read_recipe
from rsvlm.sample import Sample
from rsvlm.systems.build import build, build_tokenizer, load_weights, read_state
from rsvlm.train import checkpoint
from rsvlm.train.features import FeatureCache
from rsvlm.train.log import Log
from rsvlm.train.loop import fit
from rsvlm.train.stages import freeze, optimizer


def train(
    recipe_path: str | Path, data_root: str | Path, out: str | Path, *,
    resume: bool = True, only_stage: str | None = None, max_steps: int | None = None,
) -> Path:  # fmt: skip
    """Run a recipe's stages over data sets below `data_root`; gives the folder of the finished model.

    `out` receives `checkpoint/` (the last one), `log.jsonl` (a line a step), `tensorboard/`, `loss.png` and, at the end,
    `model/` (weights, recipe, data list). A killed run goes on with `resume`. `max_steps` caps every stage, for trials.
    """
    recipe, out = read_recipe(recipe_path), Path(out)
    stages = [s for s in recipe.stages if only_stage in (None, s.name)]
    if not stages:
        raise BadInput(f"{recipe_path} has no stage {only_stage!r}; it has {', '.join(s.name for s in recipe.stages)}.")
    if not resume:
        for own in ("checkpoint", "checkpoint.old", "model", "features", "tensorboard"):  # never the folder itself
            shutil.rmtree(out / own, ignore_errors=True)
        (out / "log.jsonl").unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    accelerator = _accelerator(recipe)
    set_seed(recipe.seed)
    model = build(recipe)
    run = _Run(recipe, Path(data_root), out, accelerator, model, max_steps)
    for index, stage in enumerate(recipe.stages):
        if stage in stages:
            run.stage(index, stage)
    return run.finish()


def _accelerator(recipe: Recipe) -> Accelerator:
    sharded = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap")
    return Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision="bf16" if recipe.precision == "bf16" else "no",
        fsdp_plugin=sharded if recipe.fsdp else None,
    )


class _Run:
    def __init__(
        self, recipe: Recipe, root: Path, out: Path, accelerator: Accelerator, model: nn.Module, max_steps: int | None
    ) -> None:
        self.recipe, self.root, self.out, self.accelerator, self.model = recipe, root, out, accelerator, model
        self.max_steps, self.moved, self.data = max_steps, set[str](), dict[str, str]()
        self.folder = out / "checkpoint"
        self.found = checkpoint.find(self.folder)
        if self.found:
            if self.found["recipe"] != recipe.hash_up_to(self.found["stage"] + 1):
                raise BadInput(
                    f"{out} holds a run of another recipe: up to its stage {self.found['stage'] + 1} the numbers differ; "
                    "give another --out, or --no-resume to start again."
                )
            checkpoint.load_model(self.folder, model)
            self.moved, self.data = set(self.found["moved"]), dict(self.found["data"])

    def stage(self, index: int, stage: Stage) -> None:
        """Run one stage, or what is left of it."""
        done = self.found["stage"] if self.found else -1
        if index < done or (index == done and self.found and self.found["step"] >= self._steps(stage)):
            return
        start = self.found["step"] if self.found and index == done else 0
        groups = freeze(self.model, stage.trainable)
        self.moved |= {name for name, p in self.model.named_parameters() if p.requires_grad}
        batches = self._batches(index, stage)
        self.model.train()
        model = self.accelerator.prepare_model(self.model)
        if self.recipe.fsdp:
            groups = freeze(model, stage.trainable)
        moving = optimizer(stage, groups)
        torch.manual_seed(self.recipe.seed + 1000 * index)
        if start and self.found:
            checkpoint.load_optimizer(self.folder, model, moving, self.found["optimizer"])
        main = self.accelerator.is_main_process
        with Log(self.out, stage, start, self._steps(stage), main=main) as log:

            def report(step: int, numbers: Any) -> None:
                log.step(step, numbers)
                if (step + 1) % self.recipe.save_every == 0 or step + 1 == self._steps(stage):
                    log.flush()
                    checkpoint.save(self.folder, model, moving, self.moved, self._position(index, step + 1), main=main)

            steps = Subset(batches, range(start, self._steps(stage)))
            loader = DataLoader(steps, batch_size=None, num_workers=1 if len(steps) > 8 else 0, prefetch_factor=None)
            fit(self.accelerator, model, moving, stage, loader, start=start, report=report)
        self.accelerator.wait_for_everyone()
        self.model, self.found = self.accelerator.unwrap_model(model), None

    def finish(self) -> Path:
        """Write the finished model: weights in half precision, the resolved recipe, what it was trained on."""
        folder, aside = self.out / "model", self.out / "model.part"
        state = checkpoint.weights(self.model, self.moved, torch.bfloat16)
        if self.accelerator.is_main_process:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            save_file(state, aside / "model.safetensors")
            plain = yaml.safe_dump(self.recipe.model_dump(mode="json"), sort_keys=False)
            (aside / "recipe.yaml").write_text(plain, encoding="utf-8")
            checkpoint.write_json(aside / "data.json", self.data)
            checkpoint.replace_folder(aside, folder)
        return folder

    def _steps(self, stage: Stage) -> int:
        return min(stage.steps, self.max_steps or stage.steps)

    def _position(self, index: int, step: int) -> dict[str, Any]:
        return {
            "recipe": self.recipe.hash_up_to(index + 1), "stage": index, "step": step, "moved": sorted(self.moved), "data": self.data,
            "resolved": self.recipe.model_dump(mode="json"),
        }  # fmt: skip

    def _batches(self, index: int, stage: Stage) -> StageBatches:
        groups = [self._ingredient(part.set) for part in stage.data]
        samples = [sample for group in groups for sample in group]
        weights = [part.weight for part in stage.data]
        positions = stage.steps * stage.batch
        seed = self.recipe.seed
        schedule = Schedule.draw([len(g) for g in groups], weights, positions, [seed, index])
        size, tokenizer = stage.size or self.model.vision.size, build_tokenizer(self.recipe)
        shared: dict[str, Any] = {
            "batch": stage.batch, "size": size, "views": self.recipe.views, "pad": tokenizer.pad_token_id,
            "accumulate": stage.accumulate, "rank": self.accelerator.process_index,
            "world": self.accelerator.num_processes, "seed": seed,
        }  # fmt: skip
        if stage.objective == "tags":
            return StageBatches(samples, schedule, tags=vocabulary(samples, self.recipe.model["num_tags"]), **shared)
        frame = FRAMES[self.recipe.model["frame"]]
        encode = encoder(
            tokenizer, frame, image_tokens=self.model.image_tokens, seed=seed, most=stage.turns,
            max_tokens=stage.max_tokens,
        )  # fmt: skip
        frozen = not any(p.requires_grad for p in self.model.vision.parameters())
        cached = self._cache() if frozen and self.recipe.cache else None
        return StageBatches(samples, schedule, encode=encode, levels=cached, **shared)

    def _ingredient(self, names: str) -> list[Sample]:
        """The train split of a set, or of several sets about the same pictures joined by "+"."""
        group = merge([load(name, self.root, "train") for name in names.split("+")])
        self.data[names] = _data_hash(group)
        return group

    def _cache(self) -> Any:
        """Levels of every picture that any stage asks about, so that they are made once."""
        sets = dict.fromkeys(part.set for s in self.recipe.stages if s.objective == "language" for part in s.data)
        pictures = {s.images[0].path: s.images[0] for names in sets for s in self._ingredient(names)}
        size, views = self.model.vision.size, self.recipe.views
        cache = FeatureCache(self.out / "features", self.model.vision, [*pictures.values()], size=size, views=views)
        with self.accelerator.main_process_first(), Log.counting("features", self.accelerator.is_main_process) as say:
            cache.fill(say)
        return cache.levels


def _data_hash(samples: Sequence[Sample]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(repr((sample.id, sample.turns, sample.regions)).encode())
    return digest.hexdigest()[:16]
