"""Recipes to systems: the one place where a recipe's numbers become parts, and where saved weights come back."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rsvlm import assets
from rsvlm.data.resize import RESIZE_MODES
from rsvlm.data.semantic_maps import PALETTE
from rsvlm.errors import BadInput, MissingPart
from rsvlm.files import is_folder
from rsvlm.parts.budget import measured
from rsvlm.parts.checkpoints.shards import read_config
from rsvlm.parts.heads.boxes import BoxHead
from rsvlm.parts.heads.change import ChangeHead
from rsvlm.parts.heads.match import MatchHead
from rsvlm.parts.heads.semantic_maps import SemanticMapHead
from rsvlm.parts.heads.tags import TagHead
from rsvlm.parts.language import model as language_models
from rsvlm.parts.language.local_files import offline
from rsvlm.parts.precision import Precision, dtype_of, precision_of
from rsvlm.parts.system import System, objectives_of
from rsvlm.parts.text.byte_tokenizer import byte_tokenizer
from rsvlm.parts.text.clip_tokenizer import clip_tokenizer
from rsvlm.parts.text.sentence import SentenceEncoder, sentence_encoder
from rsvlm.parts.vision.tower import Tower
from rsvlm.recipe import Recipe
from rsvlm.registry import unknown
from rsvlm.systems.model_dir import OTHER_KIND, unfinished
from rsvlm.systems.registry import SYSTEMS
from rsvlm.systems.towers import TOWERS, tower_state

MOST_SIDE = 4096  # of the square that a tower or a head sees, which is made for every picture
HEADS = {
    "num_tags": "tags",
    "boxes": "boxes",
    "match": "contrastive",
    "change": "change",
    "semantic_maps": "semantic_maps",
}  # numbers of a recipe's model -> objective of the head that they are of

# Language models that whoever uses them has to fetch, because their licences say so: our name -> where they are.
GATED = {
    "llama-2-7b": "meta-llama/Llama-2-7b-hf",
    "llama-2-7b-chat": "meta-llama/Llama-2-7b-chat-hf",
    "llama-3-8b-instruct": "meta-llama/Meta-Llama-3-8B-Instruct",
    "vicuna-7b-v1.5": "lmsys/vicuna-7b-v1.5",
    "opt-2.7b": "facebook/opt-2.7b",
    "opt-6.7b": "facebook/opt-6.7b",
}


def build(recipe: Recipe, *, for_training: bool = True, precision: Precision | None = None) -> System:
    """The recipe's system with the language model and, for training, the tower's published weights in place.

    Any system with feature levels may have heads (`num_tags`, `boxes`). Without `for_training` the tower starts random,
    because a finished model brings its own. `precision` is that of a language model which others published; by default
    what the recipe's comes to here. Raises BadInput for what this machine has no memory for.
    """
    precision = precision or precision_of(recipe.precision)
    check_sides(recipe.model)
    if torch.empty(0).device.type != "meta":
        with measured(f"The recipe {recipe.system}/{recipe.size}"[:100]):
            _build(recipe, _Measured(for_training=False, precision=precision))
    return _build(recipe, _Parts(for_training=for_training, precision=precision))


def check_sides(numbers: Mapping[str, Any], name: str = "model") -> None:
    """Raises BadInput for a picture or a grid, at any depth of a recipe's model, whose side has over `MOST_SIDE`."""
    for key, value in numbers.items():
        if isinstance(value, Mapping):
            check_sides(value, f"{name}.{key}")
        sides = value if isinstance(value, (list, tuple)) else [value]
        large = [side for side in sides if isinstance(side, (int, float)) and not side <= MOST_SIDE]
        if key in ("size", "sizes", "grid", "grids") and large:
            raise BadInput(f"{name}.{key} is {str(large[0])[:40]}; expected at most {MOST_SIDE} a side.")


def _build(recipe: Recipe, parts: "_Parts") -> System:
    numbers = {name: value for name, value in recipe.model.items() if name not in ("frame", *HEADS)}
    system = SYSTEMS[recipe.system].build(numbers, parts)
    if tags := recipe.model.get("num_tags"):
        system.attach(TagHead(level_dims=system.vision.dims, num_tags=tags))
    if boxes := recipe.model.get("boxes"):
        language: Any = system.language
        system.attach(BoxHead(level_dims=system.vision.dims, phrase_dim=language.dim, **boxes))
    if change := recipe.model.get("change"):
        system.attach(ChangeHead(level_dims=system.vision.dims, **change))
    if maps := recipe.model.get("semantic_maps"):
        system.attach(SemanticMapHead(level_dims=system.vision.dims, num_classes=len(PALETTE), **maps))
    if match := recipe.model.get("match"):
        numbers = {name: value for name, value in match.items() if name != "text"}
        system.attach(MatchHead(level_dims=system.vision.dims, text=parts.text(**match["text"]), **numbers))
    return system


def check_objectives(recipe: Recipe) -> None:
    """Raises BadInput for a stage whose objective the recipe's system, with the recipe's heads, cannot learn."""
    for index, stage in enumerate(recipe.stages):
        model = recipe.in_stage(index).model
        known = objectives_of(SYSTEMS[recipe.system], [head for key, head in HEADS.items() if model.get(key)])
        if stage.objective not in known:
            raise BadInput(
                f"Stage {stage.name!r} has the objective {stage.objective!r}, which {recipe.system} with these numbers "
                f"cannot learn; it can: {', '.join(known)}."
            )


def build_tokenizer(recipe: Recipe, objective: str = "", model_dir: Path | None = None) -> Any:
    """The tokenizer of the recipe's language model, or `text.tokenizer` where it has none; None where nothing reads.

    For "contrastive" that of the match head's text encoder, where the recipe has one. A byte tokenizer for random
    models, and where it is called "bytes"; where it is called "clip", the one in the model's folder `model_dir`, else
    CLIP's.
    """
    if not {"language", "text"} & recipe.model.keys():
        return None
    language, match = recipe.model.get("language"), recipe.model.get("match")
    if match and objective == "contrastive":
        base, folder = match["text"]["base"], _text_folder
    else:
        base, folder = language["base"] if language else recipe.model["text"]["tokenizer"], _folder
    if base in ("bert", "bytes", *language_models.RANDOM):
        return byte_tokenizer()
    if base == "clip":
        return clip_tokenizer(recipe.model["text"]["vocabulary"], model_dir)
    from transformers import AutoTokenizer

    with offline():
        return AutoTokenizer.from_pretrained(folder(base), local_files_only=True, trust_remote_code=False)


def own_tensors(recipe: Recipe, model: nn.Module) -> set[str]:
    """Names of the tensors that a finished model brings: all but a language model that others published."""
    match = recipe.model.get("match") or {}
    parts = {
        "language.model.": recipe.model.get("language", {}).get("base", "llama") not in language_models.RANDOM,
        "contrastive.text.model.": match.get("text", {}).get("base", "bert") != "bert",
    }
    others = tuple(prefix for prefix, published in parts.items() if published)
    return {
        name
        for name in model.state_dict()
        if not name.startswith(others) or "lora_" in name
        if not name.endswith("num_batches_tracked")
    }


def load_weights(model: nn.Module, state: Mapping[str, Tensor], *, source: str, needed: Collection[str] = ()) -> None:
    """Copy saved tensors into `model`, in its own dtypes; BadInput where one does not fit or a `needed` one lacks."""
    own = model.state_dict()
    check_weights(state, own, source=source, needed=needed)
    for name, value in state.items():
        own[name].copy_(value)


def check_weights(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], *, source: str, needed: Collection[str] = ()
) -> None:
    """Raises BadInput for tensors that are not those of `own`, our state dict (a meta one will do).

    One that is missing of `needed`, is not ours, has another shape, is of another kind (whole or complex numbers where
    ours has floats, or the reverse), or is not finite.
    """
    faults = (
        (sorted(set(needed) - set(state)), "are missing"),
        (sorted(set(state) - set(own)), "are not of its recipe"),
        ([n for n in state if n in own and state[n].shape != own[n].shape], "have another shape"),
        ([n for n in state if n in own and _kind(state[n]) != _kind(own[n])], OTHER_KIND),
        ([n for n in state if state[n].is_floating_point() and not _finite(state[n])], "are not finite"),
    )
    for names, what in faults:
        if names:
            raise unfinished(source, names, what)


def _kind(tensor: Tensor) -> str:
    return "floats" if tensor.is_floating_point() else "complex numbers" if tensor.is_complex() else "whole numbers"


def _finite(tensor: Tensor) -> bool:
    return bool(
        tensor.isfinite().all() if tensor.itemsize > 1 else tensor.float().isfinite().all()
    )  # 8 bit: no isfinite


class _Parts:
    """The `rsvlm.parts.system.PartBuilder` of this package."""

    def __init__(self, *, for_training: bool, precision: Precision) -> None:
        self.for_training, self.dtype = for_training, str(dtype_of(precision)).removeprefix("torch.")

    def vision(self, *, tower: str, weights: str = "random", fit: str = "squash", **numbers: Any) -> Tower:
        """The tower called `tower`; `weights` are "random", "imagenet", a published file or a finished model's name."""
        for kind, name, known in (("vision tower", tower, list(TOWERS)), ("fit", fit, RESIZE_MODES)):
            if name not in known:
                raise BadInput(unknown(kind, name, known))
        model: Tower = TOWERS[tower](**numbers)
        model.fit = fit
        if self.for_training and weights != "random":
            state, source, needed = tower_state(model, weights)
            load_weights(model, state, source=source, needed=needed)
        return model

    def language(
        self, *, base: str, lora: Mapping[str, Any] | None = None, **numbers: Any
    ) -> language_models.LanguageModel:
        """A language model by its name or folder, or with `base` "llama" or "opt" a random one of the numbers given."""
        if base in language_models.RANDOM:
            return language_models.RANDOM[base](lora=lora, **numbers)
        _check_published(numbers)
        return language_models.pretrained(_folder(base), lora=lora, dtype=numbers.get("dtype", self.dtype))

    def text(self, *, base: str, lora: Mapping[str, Any] | None = None, **numbers: Any) -> SentenceEncoder:
        """A text encoder by its name or folder, or with `base` "bert" a random one of the numbers given."""
        if base != "bert" and numbers:
            raise BadInput(f"match.text has the key {min(numbers)!r}; beside base and lora it takes none.")
        return sentence_encoder(None if base == "bert" else _text_folder(base), lora=lora, **numbers)


class _Measured(_Parts):
    """Parts to be measured: of a language model that others published, whose files bound it, one layer."""

    def language(
        self, *, base: str, lora: Mapping[str, Any] | None = None, **numbers: Any
    ) -> language_models.LanguageModel:
        """A language model of the numbers given, or one layer of the one that is published."""
        if base in language_models.RANDOM:
            return super().language(base=base, lora=lora, **numbers)
        _check_published(numbers)
        config = read_config(_folder(base))
        config = config.get("text_config", config)
        names = ("vocab_size", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
        numbers = {name: config[name] for name in names if name in config} | {"num_hidden_layers": 1}
        return language_models.llama(lora=lora, **numbers)


def _check_published(numbers: Mapping[str, Any]) -> None:
    if strange := sorted(set(numbers) - {"dtype"}):
        raise BadInput(f"model.language has the key {strange[0]!r}; beside base and lora it takes dtype.")


def _text_folder(base: str) -> Path:
    if base == "all-minilm-l6-v2":
        return assets.text_encoder()
    if is_folder(Path(base)):
        return Path(base)
    raise BadInput(unknown("text encoder", base, ["all-minilm-l6-v2", "bert", "<a folder>"]))


def _folder(base: str) -> Path:
    if base == "smollm2-135m-instruct":
        return assets.language_model()
    if base in GATED:
        raise MissingPart(
            f"{GATED[base].rpartition('/')[2]} is not part of this model; fetch {GATED[base]} from Hugging Face and "
            "give its folder as language.base in the recipe (or --language-model when converting)."
        )
    if is_folder(Path(base)):
        return Path(base)
    raise BadInput(
        unknown("language model", base, ["smollm2-135m-instruct", *GATED, *language_models.RANDOM, "<a folder>"])
    )
