"""`rsvlm train`: a recipe's stages one after another, each from checkpoint to checkpoint, until the model is whole."""

import hashlib
import json
import multiprocessing
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, set_seed
from safetensors.torch import save_file
from torch.distributed.fsdp import FSDPModule
from torch.utils.data import DataLoader, Subset

from rsvlm.data.catalogue import load
from rsvlm.data.ingredients import Made, parse
from rsvlm.data.loader import Schedule, StageBatches, check_pictures, encoder
from rsvlm.data.packing import first_fit
from rsvlm.data.prompt import FRAMES, encode
from rsvlm.data.resize import PartOf, box_part
from rsvlm.data.synth.box_targets import locator
from rsvlm.data.synth.conversations import merge
from rsvlm.data.synth.referring import ingredient
from rsvlm.data.synth.tag_targets import vocabulary
from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints.weights import read_state
from rsvlm.parts.experts import upcycle
from rsvlm.recipe import Recipe, Stage, differing, read_recipe
from rsvlm.sample import Batch, Sample
from rsvlm.systems.build import build, build_tokenizer, load_weights, own_tensors
from rsvlm.systems.load import model_folder
from rsvlm.train import checkpoint
from rsvlm.train.features import FeatureCache
from rsvlm.train.log import Log
from rsvlm.train.loop import distribute, fit
from rsvlm.train.stages import freeze, optimizer
from rsvlm.train.start import fitting_state, inherit_model


def train(
    recipe_path: str | Path, data_root: str | Path, out: str | Path, *,
    resume: bool = True, only_stage: str | None = None, max_steps: int | None = None,
) -> Path:  # fmt: skip
    """Run a recipe's stages over data sets below `data_root`; gives the folder of the finished model.

    `out` receives `checkpoint/` (the last one), `log.jsonl` (a line a step), `tensorboard/`, `loss.png` and, at the
    end, `model/` (weights, recipe, data list). A killed run goes on with `resume`. `max_steps` caps every stage, for
    trials. Raises BadInput for a stage, data or checkpoint that is not what the recipe needs, NotFinite for a loss.
    """
    recipe, out = read_recipe(recipe_path), Path(out)
    if recipe.start:
        recipe = inherit_model(recipe, read_recipe(model_folder(recipe.start) / "recipe.yaml"))
    stages = [s for s in recipe.stages if only_stage in (None, s.name)]
    if not stages:
        raise BadInput(f"{recipe_path} has no stage {only_stage!r}; it has {', '.join(s.name for s in recipe.stages)}.")
    half = "bf16" if recipe.precision == "bf16" else "no"
    # Blocks of a tower behind its last tap move with no loss: plain data-parallel training would wait for them.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=half, kwargs_handlers=[unused])
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
    def __init__(
        self, recipe: Recipe, root: Path, out: Path, accelerator: Accelerator, found: dict[str, Any] | None,
        max_steps: int | None,
    ) -> None:  # fmt: skip
        self.recipe, self.root, self.out, self.accelerator, self.found = recipe, root, out, accelerator, found
        self.max_steps, self.moved, self.data = max_steps, set[str](), dict[str, str]()
        self.folder = out / "checkpoint"
        self.form: Recipe | None = None  # with the numbers that the model has now
        if self.found:
            if self.found["recipe"] != recipe.hash_up_to(self.found["stage"] + 1):
                raise BadInput(
                    f"{out} holds a run of another recipe: up to its stage {self.found['stage'] + 1} the numbers "
                    "differ; give another --out, or --no-resume to start again."
                )
            self._build(self.found["stage"])
            checkpoint.load_model(self.folder, self.model)
            self.moved, self.data = set(self.found["moved"]), dict(self.found["data"])

    def _build(self, index: int) -> None:
        """The model as stage `index` has it, with its first weights, or those of the finished model it starts from."""
        set_seed(self.recipe.seed)
        first, self.form = self.form is None, self.recipe.in_stage(index)
        self.model = build(self.form)
        if self.recipe.start:
            path = model_folder(self.recipe.start) / "model.safetensors"
            state, left_out = fitting_state(read_state(path), self.model.state_dict(), source=str(path))
            load_weights(self.model, state, source=str(path))
            if left_out and first:
                say = f"{path}: left out {', '.join(left_out)}, which this recipe does not build."
                self.accelerator.print(say, file=sys.stderr)

    def _go_on(self, path: Path) -> dict[str, Any]:
        """Give the model the weights in `path`, of this form or of the one before its MLPs became experts."""
        state = upcycle(read_state(path), self.model.state_dict(), source=str(path))
        load_weights(self.model, state, source=str(path))
        return state

    def _enter(self, index: int) -> None:
        """The model as stage `index` has it; where that is another than before, MLPs become experts (`upcycle`)."""
        form = self.recipe.in_stage(index)
        if self.form is None:
            self._build(index)
        elif {**form.model, "frame": ""} == {**self.form.model, "frame": ""}:
            self.form = form
        else:
            before = set(self.model.state_dict())
            del self.model  # one at a time: the last checkpoint has all that moved
            self._build(index)
            state = self._go_on(self.folder / "weights.safetensors")
            self.moved = set(state) | (self.model.state_dict().keys() - before)

    def stage(self, index: int, stage: Stage) -> None:
        """Run one stage, or what is left of it."""
        done = self.found["stage"] if self.found else -1
        if index < done or (index == done and self.found and self.found["step"] >= self._steps(stage)):
            return
        start = self.found["step"] if self.found and index == done else 0
        self._enter(index)
        freeze(self.model, stage.trainable)
        self.moved |= {name for name, p in self.model.named_parameters() if p.requires_grad}
        batches = self._batches(index, stage)
        self.model.train()
        model = distribute(self.accelerator, self.model, sharded=self.recipe.fsdp)
        moving = optimizer(stage, freeze(self.model, stage.trainable))
        if start:
            checkpoint.load_optimizer(self.folder, self.model, moving)
        main = self.accelerator.is_main_process
        with Log(self.out, stage, start, self._steps(stage), main=main) as log:

            def report(step: int, numbers: Any) -> None:
                log.step(step, numbers)
                if (step + 1) % self.recipe.save_every == 0 or step + 1 == self._steps(stage):
                    log.flush()
                    checkpoint.save(
                        self.folder, self.model, moving, self.moved, self._position(index, step + 1), main=main
                    )

            steps = _ahead(Subset(batches, range(start, self._steps(stage))))
            fit(self.accelerator, model, moving, stage, steps, start=start, report=report, seed=self._seed(index))
        self.accelerator.wait_for_everyone()
        self.accelerator.free_memory()
        self.model = self.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
        self.found = None
        if isinstance(model, FSDPModule):  # what moves is fixed when a model is cut up: put it together from its end
            self._build(index)
            checkpoint.load_model(self.folder, self.model)

    def finish(self) -> Path:
        """Write the finished model: weights (halved as the run was), the resolved recipe, what it was trained on."""
        folder, aside = self.out / "model", self.out / "model.part"
        half = torch.bfloat16 if self.recipe.precision == "bf16" else None
        recipe = self.form or self.recipe
        state = checkpoint.weights(self.model, self.moved | own_tensors(recipe, self.model), half)
        if self.accelerator.is_main_process:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            save_file(state, aside / "model.safetensors")
            plain = yaml.safe_dump(self._history(recipe).model_dump(mode="json"), sort_keys=False)
            (aside / "recipe.yaml").write_text(plain, encoding="utf-8")
            checkpoint.write_json(aside / "data.json", self._earlier_data() | self.data)
            checkpoint.replace_folder(aside, folder)
        return folder

    def _history(self, recipe: Recipe) -> Recipe:
        """The recipe as if all had been one run: the stages of the model that it started from come first."""
        if not self.recipe.start:
            return recipe
        first = read_recipe(model_folder(self.recipe.start) / "recipe.yaml")
        before = [
            stage.model_copy(update={"model": differing(first.in_stage(index).model, recipe.model)})
            for index, stage in enumerate(first.stages)
        ]
        return recipe.model_copy(update={"start": "", "stages": (*before, *recipe.stages)})

    def _earlier_data(self) -> dict[str, str]:
        path = model_folder(self.recipe.start) / "data.json" if self.recipe.start else None
        return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else {}

    def _steps(self, stage: Stage) -> int:
        return min(stage.steps, self.max_steps or stage.steps)

    def _seed(self, index: int) -> str:
        return f"{self.recipe.seed}/{index}"

    def _position(self, index: int, step: int) -> dict[str, Any]:
        return {
            "recipe": self.recipe.hash_up_to(index + 1), "stage": index, "step": step, "rng": self._seed(index),
            "moved": sorted(self.moved), "data": self.data, "resolved": self.recipe.model_dump(mode="json"),
        }  # fmt: skip

    def _batches(self, index: int, stage: Stage) -> StageBatches:
        groups = [self._ingredient(part.set) for part in stage.data]
        samples = [sample for group in groups for sample in group]
        check_pictures(samples, self.model.num_images)
        if stage.objective != "language":
            _only_pictures(stage, samples)
        weights = [part.weight for part in stage.data]
        positions = stage.steps * stage.batch
        seed = self.recipe.seed
        schedule = Schedule.draw([len(g) for g in groups], weights, positions, [seed, index])
        size, tokenizer = stage.size or self.model.tower(stage.objective).size, build_tokenizer(self.recipe)
        shared: dict[str, Any] = {
            "batch": stage.batch, "size": size, "fit": self.model.vision.fit, "views": self.recipe.views,
            "pad": tokenizer.pad_token_id, "accumulate": stage.accumulate, "rank": self.accelerator.process_index,
            "world": self.accelerator.num_processes, "seed": seed, "num_images": self.model.num_images,
        }  # fmt: skip
        if stage.objective == "tags":
            return StageBatches(samples, schedule, tags=vocabulary(samples, self.recipe.model["num_tags"]), **shared)
        frozen = not any(p.requires_grad for p in self.model.vision.parameters())
        pictures = any(sample.images for sample in samples)
        cached = self._cache(stage.objective) if frozen and self.recipe.cache and pictures else None
        if stage.objective == "boxes":
            return StageBatches(
                samples, schedule, locate=locator(tokenizer, samples, seed=seed, part=self._part("shown")),
                levels=cached, **shared,
            )  # fmt: skip
        frame = FRAMES[self.recipe.in_stage(index).model["frame"]]
        encoded = getattr(self.model, "encoder", encoder)(
            tokenizer, frame, image_tokens=self.model.image_tokens, seed=seed, most=stage.turns,
            max_tokens=stage.max_tokens,
        )  # fmt: skip
        if stage.pack is not None:  # the longest that may come is refused now, not when it comes
            head = encode(tokenizer, frame, (), image_tokens=self.model.image_tokens).prompt
            first_fit([len(head) + stage.max_tokens], stage.pack)
        return StageBatches(samples, schedule, encode=encoded, levels=cached, pack=stage.pack, **shared)

    def _ingredient(self, names: str) -> list[Sample]:
        """The train splits of an ingredient (`rsvlm.data.ingredients`), as one list."""
        group = merge([self._built(made) for made in parse(names)])
        digest = _data_hash(group)
        if self.data.setdefault(names, digest) != digest:
            say = f"{names} is not what this run began with: its losses will not be those of an unbroken run."
            self.accelerator.print(say, file=sys.stderr)
            self.data[names] = digest
        return group

    def _built(self, made: Made) -> list[Sample]:
        samples = load(made.dataset, self.root, "train")
        if not made.builder:
            return samples
        part = self._part(self.model.box_sides)
        return ingredient(samples, dialect=self.model.box_dialect, views=self.recipe.views, part=part)

    def _part(self, sides: str) -> PartOf:
        return box_part(self.model.vision.size, self.model.vision.fit, sides)

    def _cache(self, objective: str) -> Any:
        """Levels of every picture that any stage of this objective asks about, so that they are made once."""
        sets = dict.fromkeys(part.set for s in self.recipe.stages if s.objective == objective for part in s.data)
        pictures = {image.key: image for names in sets for s in self._ingredient(names) for image in s.images}
        cache = FeatureCache(
            self.out / "features", self.model.tower(objective), [*pictures.values()], views=self.recipe.views,
            bf16=self.recipe.precision == "bf16",
        )  # fmt: skip
        with self.accelerator.main_process_first(), Log.counting("features", self.accelerator.is_main_process) as say:
            cache.fill(say)
        return cache.levels


def _ahead(steps: Subset[list[Batch]]) -> DataLoader[list[Batch]]:
    """The steps in order, the next ones made by a second process while one is trained on.

    The process is forked: it shares the samples and cached levels instead of getting a copy.
    """
    fork = len(steps) > 8 and "fork" in multiprocessing.get_all_start_methods()
    return DataLoader(
        steps, batch_size=None, num_workers=int(fork), multiprocessing_context="fork" if fork else None
    )  # fmt: skip


def _only_pictures(stage: Stage, samples: Sequence[Sample]) -> None:
    """Raises BadInput for a stage without conversations that has samples without a picture, or packs them."""
    if stage.pack is not None:
        raise BadInput(f"Stage {stage.name!r} learns {stage.objective} and has no conversations to pack; remove pack.")
    if blind := sum(not sample.images for sample in samples):
        raise BadInput(
            f"Stage {stage.name!r} learns {stage.objective} from pictures, and {blind} of its {len(samples)} samples "
            "have none; give it sets of pictures only."
        )


def _data_hash(samples: Sequence[Sample]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(repr((sample.id, sample.turns, sample.regions)).encode())
    return digest.hexdigest()[:16]
