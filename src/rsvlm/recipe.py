"""Recipes: the numbers of a run, read from YAML and checked. No part ever receives one of these objects."""

import hashlib
import json
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rsvlm.errors import BadInput
from rsvlm.files import is_file
from rsvlm.yaml_text import load_yaml

RECIPES = Path(__file__).parent / "recipes"  # <system>/<size>.yaml, all that come with the package
Share = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ingredient(_Strict):
    """One source of a stage's mixture with its sampling weight: a data set of the catalogue, or a builder over it.

    "a+b" are two sets about the same pictures; "a/referring" is what the builder `rsvlm.data.synth.referring` makes.
    `rsvlm.data.ingredients` reads it.
    """

    set: str
    weight: float = Field(1.0, gt=0)


class Stage(_Strict):
    """One stage of a curriculum: which data, which parameters move, and how."""

    name: str
    data: tuple[Ingredient, ...] = Field(min_length=1)
    trainable: tuple[str, ...] = Field(min_length=1)
    objective: str = Field("language", description="what is learned: a module of rsvlm.train.objectives")
    size: int | None = Field(
        None, gt=0, description="pixels of a picture's side in this stage, where not the tower's own"
    )
    augment: dict[str, Any] = Field(
        {}, description="augmentations of a picture at each visit (rsvlm.data.augment); none = views alone"
    )
    turns: int = Field(3, gt=0, description="most turns asked about one image at once")
    max_tokens: int = Field(512, gt=0, description="most tokens of questions and answers about one image")
    pack: int | None = Field(
        None, gt=0, description="tokens of a row that conversations share, so that less is padding; unset = none do"
    )
    gradient_cache: int | None = Field(
        None, gt=0, description="contrastive: pictures that go through the model at once, for batches beyond memory"
    )
    captions: Literal["one", "all"] = Field("one", description="contrastive: captions of a picture that a visit takes")
    long_texts: Literal["refuse", "cut"] = Field(
        "refuse", description="contrastive: what becomes of a text with more tokens than the model reads"
    )
    class_share: Share = Field(0.0, description="contrastive: share of visits at which a picture's text is its class")
    templates: tuple[str, ...] = Field((), description="contrastive: sentences for a class, {} is its name; none = it")
    positives: Literal["pairs", "labels"] = Field(
        "pairs", description="contrastive: what fits a text; labels = pictures of its class or with its words, too"
    )
    steps: int = Field(gt=0)
    batch: int = Field(gt=0, description="samples per optimiser step, over all processes")
    accumulate: int = Field(1, gt=0)
    optimizer: Literal["adamw", "adan"] = "adamw"
    lr: float | dict[str, float] = Field(description="one rate, or a rate per name in `trainable`")
    betas: tuple[float, float] | tuple[float, float, float] = Field((0.9, 0.95), description="adan has three")
    eps: float = Field(1e-8, gt=0, description="what the optimiser adds to what it divides by")
    weight_decay: float = Field(0.0, ge=0)
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")
    warmup_from: float | None = Field(
        None, ge=0, le=1, description="share of the rate that the first step has; none = 1 / warmup"
    )
    decay: Literal["cosine", "linear"] = Field("cosine", description="the way from the full rate to `floor`")
    floor: Share | dict[str, Share] = Field(
        0.1, description="last learning rate as a share of the first, or a share per name in `trainable`"
    )
    clip: float = Field(1.0, gt=0)
    model: dict[str, Any] = Field({}, description="numbers of the recipe's `model` that are others in this stage")

    @model_validator(mode="after")
    def _betas_of_the_optimizer(self) -> "Stage":
        wanted = 3 if self.optimizer == "adan" else 2
        if len(self.betas) != wanted:
            raise ValueError(f"{self.optimizer} has {wanted} betas, not {len(self.betas)}")
        return self


_LARGEST = 1 << 20  # bytes of a recipe; the longest shipped one has 9,000
_SHORT = Repr()  # of a value in an error: never all of it

# Fields that came after recipes had been hashed: a stage that leaves one at its default hashes as it did without it.
_LATER = (
    *("model", "optimizer", "eps", "warmup_from", "decay", "pack"),
    *("gradient_cache", "captions", "long_texts", "class_share", "templates", "positives", "augment"),
)


class Recipe(_Strict):
    """A system at one size: constructor numbers and stages. `paper` recipes carry the published values."""

    system: str
    size: str
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "fp32", description="of every part; auto = bf16 where the processor has it natively, else fp32"
    )
    fsdp: bool = False
    start: str = Field("", description="a finished model whose weights the run begins with: mini, or a model folder")
    save_every: int = Field(200, gt=0, description="steps between checkpoints")
    cache: bool = Field(True, description="keep the levels of a frozen tower on disk; off = see each picture afresh")
    views: int = Field(1, ge=1, le=8, description="flips and quarter turns of each training image that are seen")
    model: dict[str, Any] = {}
    stages: tuple[Stage, ...] = ()

    @property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 over the resolved values."""
        return self.hash_up_to(len(self.stages))

    def hash_up_to(self, stages: int) -> str:
        """`hash` over the first `stages` stages only: what a checkpoint within them depends on."""
        values = self.model_dump(mode="json", exclude={"save_every"} | ({"start"} if not self.start else set[str]()))
        defaults = Stage.model_construct(**{key: Stage.model_fields[key].default for key in _LATER}).model_dump(
            mode="json", include=set(_LATER)
        )
        values["stages"] = [
            {key: value for key, value in stage.items() if key not in _LATER or value != defaults[key]}
            for stage in values["stages"][:stages]
        ]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    def in_stage(self, index: int) -> "Recipe":
        """The recipe with `model` as the stage `index` (from 0) has it: its own numbers in place of the recipe's."""
        return self.model_copy(update={"model": _replaced(self.model, self.stages[index].model)})


def _replaced(numbers: dict[str, Any], by: dict[str, Any]) -> dict[str, Any]:
    """`numbers` with those of `by`, key by key at every depth."""
    out = dict(numbers)
    for key, value in by.items():
        inner = isinstance(value, dict) and isinstance(numbers.get(key), dict)
        out[key] = _replaced(numbers[key], cast(dict[str, Any], value)) if inner else value
    return out


def differing(numbers: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """What a stage's `model` says where the recipe's is `others`, so that the stage has `numbers`; None = absent."""
    out: dict[str, Any] = {key: None for key in others if key not in numbers}
    for key, value in numbers.items():
        if isinstance(value, dict) and isinstance(others.get(key), dict):
            if inner := differing(cast(dict[str, Any], value), others[key]):
                out[key] = inner
        elif key not in others or value != others[key]:
            out[key] = value
    return out


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe: a file, or the name of one that comes with this package ("lhrs_bot/mini").

    A file that is there goes before a name; "recipes/lhrs_bot/mini.yaml" is a name, too. Raises BadInput naming the
    file and the first value that is off.
    """
    path = Path(path) if is_file(Path(path)) else _named(str(path))
    try:
        if path.stat().st_size > _LARGEST:
            raise BadInput(f"{path} has {path.stat().st_size:,} bytes; expected a recipe, of {_LARGEST:,} at the most.")
        return Recipe.model_validate(load_yaml(path.read_bytes().decode("utf-8-sig")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadInput(f"{path}: {where}: {first['msg']} (found {_SHORT.repr(first['input']):.80}).") from error
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:  # ValueError: no UTF-8, endless numbers
        raise BadInput(f"{path} is not valid YAML: {' '.join(str(error).splitlines()[:1])[:200]}.") from error


def _named(name: str) -> Path:
    """The shipped recipe called <system>/<size>. Raises BadInput where there is none."""
    short = name.replace("\\", "/").removeprefix("src/rsvlm/").removeprefix("recipes/").removesuffix(".yaml")
    known = {f"{file.parent.name}/{file.stem}": file for file in sorted(RECIPES.glob("*/*.yaml"))}
    if short not in known:
        raise BadInput(
            f"There is no recipe at {name}; give a recipe file, or the name of one that comes with rsvlm: "
            f"{', '.join(known)}."
        )
    return known[short]


def shipped(system: str, size: str = "paper") -> Path:
    """The recipe file of a system that comes with this package. Raises BadInput where there is none."""
    path = RECIPES / system / f"{size}.yaml"
    if not path.is_file():
        there = sorted(file.parent.name for file in RECIPES.glob(f"*/{size}.yaml"))
        raise BadInput(f"No recipe of {system!r} at size {size!r} comes with rsvlm; there are: {', '.join(there)}.")
    return path
