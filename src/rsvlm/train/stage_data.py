"""What a stage trains on: the train splits of its ingredients, mixed by weight, as the batches of its objective."""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from rsvlm.data.catalogue import load
from rsvlm.data.ingredients import IngredientSet, parse_ingredient
from rsvlm.data.loader import ImageCollator, Levels, Schedule, StageBatches, check_image_counts
from rsvlm.data.resize import box_window
from rsvlm.data.synth.conversations import merge_by_image
from rsvlm.data.synth.referring import training_samples
from rsvlm.recipe import Recipe, Stage
from rsvlm.sample import Sample
from rsvlm.systems.build import build_tokenizer
from rsvlm.train.features import FeatureCache
from rsvlm.train.log import Log
from rsvlm.train.objectives.base import Setting, augmentation_of, check_samples, load_objective


class StageData:
    """Data sets below `root`, as the stages of `recipe` see them; cached features lie in `out`.

    `hashes` is what the run has read so far, ingredient -> hash of its samples; a set that has changed since is named.
    """

    def __init__(self, recipe: Recipe, root: Path, out: Path, accelerator: Accelerator, hashes: dict[str, str]) -> None:
        self.recipe, self.root, self.out, self.accelerator, self.hashes = recipe, root, out, accelerator, hashes

    def batches(self, index: int, model: Any) -> StageBatches:
        """The batches of stage `index` for this process; `model` is the system as the stage has it, frozen as it is.

        Raises BadInput for samples that the system or the objective cannot learn.
        """
        stage, seed = self.recipe.stages[index], self.recipe.seed
        objective = load_objective(stage.objective)
        groups = [self.samples(part.set, model) for part in stage.data]
        samples = [sample for group in groups for sample in group]
        check_image_counts(samples, model.images_of(stage.objective))
        check_samples(stage, objective, samples)
        weights = [part.weight for part in stage.data]
        schedule = Schedule.draw([len(group) for group in groups], weights, stage.steps * stage.batch, [seed, index])
        pictures = ImageCollator(
            size=stage.size or model.tower(stage.objective).size, fit=model.vision.fit, views=self.recipe.views,
            seed=seed, first=next((image for sample in samples for image in sample.images), None),
            levels=self._levels(stage, model, samples) if objective.CACHED else None,
            augment=augmentation_of(stage),
        )  # fmt: skip
        setting = Setting(
            recipe=self.recipe.in_stage(index), stage=stage, samples=samples, model=model,
            tokenizer=build_tokenizer(self.recipe, stage.objective), pictures=pictures,
            other_split=lambda split: [sample for part in stage.data for sample in self._split(part.set, split)],
        )  # fmt: skip
        return StageBatches(
            samples, schedule, objective.collate(setting), batch=stage.batch, accumulate=stage.accumulate,
            rank=self.accelerator.process_index, world=self.accelerator.num_processes,
        )  # fmt: skip

    def samples(self, names: str, model: Any) -> list[Sample]:
        """The train splits of an ingredient (`rsvlm.data.ingredients`), as one list."""
        group = merge_by_image([self._built(made, model) for made in parse_ingredient(names)])
        digest = hash_of(group)
        if self.hashes.setdefault(names, digest) != digest:
            say = f"{names} is not what this run began with: its losses will not be those of an unbroken run."
            self.accelerator.print(say, file=sys.stderr)
            self.hashes[names] = digest
        return group

    def _split(self, names: str, split: str) -> list[Sample]:
        """The samples of an ingredient's sets in another split, as they are published."""
        return [sample for made in parse_ingredient(names) for sample in load(made.dataset, self.root, split)]

    def _built(self, made: IngredientSet, model: Any) -> list[Sample]:
        samples = load(made.dataset, self.root, "train")
        if not made.builder:
            return samples
        part = box_window(model.vision.size, model.vision.fit, model.box_sides)
        return training_samples(samples, dialect=model.box_dialect, views=self.recipe.views, window_of=part)

    def _levels(self, stage: Stage, model: Any, samples: Sequence[Sample]) -> Levels | None:
        """Cached levels of every picture that any stage of this objective asks about, so that they are made once.

        None where the tower moves, pictures are wanted afresh or augmented, or there are none.
        """
        moves = any(parameter.requires_grad for parameter in model.vision.parameters())
        if moves or stage.augment or not self.recipe.cache or not any(sample.images for sample in samples):
            return None
        same = [other for other in self.recipe.stages if other.objective == stage.objective]
        sets = dict.fromkeys(part.set for other in same for part in other.data)
        pictures = {image.key: image for names in sets for s in self.samples(names, model) for image in s.images}
        cache = FeatureCache(
            self.out / "features", model.tower(stage.objective), [*pictures.values()], views=self.recipe.views,
            bf16=self.accelerator.mixed_precision == "bf16",
        )  # fmt: skip
        with self.accelerator.main_process_first(), Log.counting("features", self.accelerator.is_main_process) as say:
            cache.fill(say)
        return cache.levels


def hash_of(samples: Sequence[Sample]) -> str:
    """First 16 hex digits of the SHA-256 over ids, turns and regions."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(repr((sample.id, sample.turns, sample.regions)).encode())
    return digest.hexdigest()[:16]
