"""Recipes to systems: the one place where a recipe's numbers become parts, and where saved weights come back."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rsvlm import assets
from rsvlm.data.resize import FITS
from rsvlm.errors import BadInput, MissingPart
from rsvlm.parts.checkpoints import clip as clip_weights
from rsvlm.parts.checkpoints.weights import read_state
from rsvlm.parts.language import model as languages
from rsvlm.parts.vision import eva
from rsvlm.parts.vision import tower as towers
from rsvlm.parts.vision.siglip import SigLIPLevels
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.recipe import Recipe
from rsvlm.registry import unknown
from rsvlm.systems.abilities import SYSTEMS
from rsvlm.systems.lhrs_bot import model as lhrs_bot  # noqa: F401  (they register themselves)
from rsvlm.systems.lhrs_bot_nova import model as lhrs_bot_nova  # noqa: F401  (they register themselves)
from rsvlm.systems.load import model_folder
from rsvlm.systems.rs_gpt4v import model as rs_gpt4v  # noqa: F401  (they register themselves)
from rsvlm.systems.rs_moe import model as rs_moe  # noqa: F401  (they register themselves)
from rsvlm.systems.skyeyegpt import model as skyeyegpt  # noqa: F401  (they register themselves)

_TOWERS = {
    "efficientnet_lite0": towers.EfficientNetLite0,
    "clip": towers.CLIPLevels,
    "siglip": SigLIPLevels,
    "eva_clip": eva.EVACLIP,
}

# Language models that whoever uses them has to fetch, because their licences say so: our name -> where they are.
GATED = {
    "llama-2-7b-chat": "meta-llama/Llama-2-7b-chat-hf",
    "llama-3-8b-instruct": "meta-llama/Meta-Llama-3-8B-Instruct",
    "vicuna-7b-v1.5": "lmsys/vicuna-7b-v1.5",
}


def build(recipe: Recipe, *, for_training: bool = True) -> VisionLanguageModel:
    """The recipe's system with the language model and, for training, the tower's published weights in place.

    Without `for_training` the tower starts random, because a finished model brings its own.
    """
    system, numbers = SYSTEMS[recipe.system], dict(recipe.model)
    numbers.pop("frame", None)
    tower = dict(numbers.pop("vision"))
    if not for_training:
        tower["weights"] = "random"
    return system(
        vision=_vision(**tower), language=_language(**numbers.pop("language")),
        bridge=numbers.pop("bridge"), **numbers,
    )  # fmt: skip


def build_tokenizer(recipe: Recipe) -> Any:
    """The tokenizer of the recipe's language model; a byte tokenizer for random LLaMAs."""
    base = recipe.model["language"]["base"]
    if base == "llama":
        return byte_tokenizer()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(_folder(base), local_files_only=True)


def byte_tokenizer() -> Any:
    """Bytes as tokens (ids 6..261) and the special tokens of our frames (0..5): for random models in tests."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*specials, *letters])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(specials)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<|endoftext|>"
    )


def own_tensors(recipe: Recipe, model: nn.Module) -> set[str]:
    """Names of the tensors that a finished model brings: all but a language model that others published."""
    random_language = recipe.model["language"]["base"] == "llama"
    return {
        name
        for name in model.state_dict()
        if random_language or not name.startswith("language.model.") or "lora_" in name
        if not name.endswith("num_batches_tracked")
    }


def load_weights(model: nn.Module, state: Mapping[str, Tensor], *, source: str, needed: Collection[str] = ()) -> None:
    """Copy saved tensors into `model`, in its own dtypes; BadInput where one does not fit or a `needed` one lacks."""
    own = model.state_dict()
    if missing := sorted(set(needed) - set(state)):
        raise BadInput(
            f"{source} is not a finished model of this recipe: {len(missing)} tensors are missing, the first is "
            f"{missing[0]}; run rsvlm train to its end."
        )
    strange = sorted(set(state) - set(own))
    wrong = [name for name in state if name in own and state[name].shape != own[name].shape]
    if strange or wrong:
        first = (strange or wrong)[0]
        raise BadInput(
            f"{source} is not a checkpoint of this recipe: {len(strange) + len(wrong)} tensors do not fit, the first "
            f"is {first}; load it with the recipe it was trained with."
        )
    for name, value in state.items():
        own[name].copy_(value)


def _vision(*, tower: str, weights: str = "random", fit: str = "squash", **numbers: Any) -> nn.Module:
    for kind, name, known in (("vision tower", tower, list(_TOWERS)), ("fit", fit, FITS)):
        if name not in known:
            raise BadInput(unknown(kind, name, known))
    model = _TOWERS[tower](**numbers)
    model.fit = fit
    if weights == "imagenet":
        load_weights(model, towers.lite0_state(read_state(assets.vision_weights())), source="EfficientNet-Lite0")
    elif weights != "random" and isinstance(model, eva.EVACLIP):  # a published file, which this package does not fetch
        load_weights(model, eva.read_published(Path(weights), model)[0], source=weights)
    elif weights != "random" and isinstance(model, towers.CLIPLevels):
        load_weights(model, clip_weights.read_published(Path(weights), model)[0], source=weights)
    elif weights != "random":  # the tower of a finished model
        path = model_folder(weights) / "model.safetensors"
        state = {n.removeprefix("vision."): t for n, t in read_state(path).items() if n.startswith("vision.")}
        load_weights(model, state, source=str(path), needed=dict(model.named_parameters()))
    return model


def _language(*, base: str, lora: Mapping[str, Any] | None = None, **numbers: Any) -> languages.LanguageModel:
    if base == "llama":
        return languages.llama(lora=lora, **numbers)
    return languages.pretrained(_folder(base), lora=lora, **numbers)


def _folder(base: str) -> Path:
    if base == "smollm2-135m-instruct":
        return assets.language_model()
    if base in GATED:
        raise MissingPart(
            f"{GATED[base].rpartition('/')[2]} is not part of this model; fetch {GATED[base]} from Hugging Face and "
            "give its folder as language.base in the recipe (or --language-model when converting)."
        )
    if Path(base).is_dir():
        return Path(base)
    raise BadInput(unknown("language model", base, ["smollm2-135m-instruct", *GATED, "llama", "<a folder>"]))
