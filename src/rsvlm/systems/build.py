"""Recipes to systems: the one place where a recipe's numbers become parts, and where saved weights come back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rsvlm import assets
from rsvlm.errors import BadInput
from rsvlm.parts import language as languages
from rsvlm.parts import vision as towers
from rsvlm.recipe import Recipe
from rsvlm.registry import unknown
from rsvlm.systems.base import SYSTEMS

_TOWERS = {"efficientnet_lite0": towers.EfficientNetLite0, "clip": towers.CLIPLevels}


def build(recipe: Recipe, *, for_training: bool = True) -> nn.Module:
    """The recipe's system with the language model and, for training, the tower's published weights in place.

    Without `for_training` the tower starts random, because a finished model brings its own.
    """
    import rsvlm.systems.lhrs_bot  # noqa: F401  (registers itself)

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


def load_weights(model: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Copy saved tensors into `model`, in its own dtypes. Raises BadInput for names or shapes that do not fit."""
    own = model.state_dict()
    strange = sorted(set(state) - set(own))
    wrong = [name for name in state if name in own and state[name].shape != own[name].shape]
    if strange or wrong:
        first = (strange or wrong)[0]
        raise BadInput(
            f"{source} is not a checkpoint of this recipe: {len(strange) + len(wrong)} tensors do not fit, the first is "
            f"{first}; load it with the recipe it was trained with."
        )
    for name, value in state.items():
        own[name].copy_(value)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises BadInput for a damaged one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadInput(
            f"{path} is not a readable safetensors checkpoint ({error}); fetch or train it again."
        ) from error


def _vision(*, tower: str, weights: str = "random", **numbers: Any) -> nn.Module:
    if tower not in _TOWERS:
        raise BadInput(unknown("vision tower", tower, list(_TOWERS)))
    model = _TOWERS[tower](**numbers)
    if weights == "imagenet":
        load_weights(model, towers.lite0_state(read_state(assets.vision_weights())), source="EfficientNet-Lite0")
    return model


def _language(*, base: str, lora: Mapping[str, Any] | None = None, **numbers: Any) -> languages.LanguageModel:
    if base == "llama":
        return languages.llama(lora=lora, **numbers)
    return languages.pretrained(_folder(base), lora=lora, **numbers)


def _folder(base: str) -> Path:
    if base == "smollm2-135m-instruct":
        return assets.language_model()
    raise BadInput(unknown("language model", base, ["smollm2-135m-instruct", "llama"]))
