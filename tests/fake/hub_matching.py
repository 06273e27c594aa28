"""Hugging Face models that match pictures and texts, of random weights, saved as their authors save theirs."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
from transformers.utils import logging

KINDS = ("clip", "siglip", "siglip2")
CONTEXT = {"clip": 40, "siglip": 24, "siglip2": 24}  # tokens; a letter is one
_SIDE, _PATCH, _DIM = 16, 8, 12
_TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def tokenizer(kind: str) -> Any:
    """CLIP's, or SigLIP 2's, of letters alone; SigLIP's own needs a package that is not asked for here."""
    letters = [chr(code) for code in range(33, 127)]
    if kind == "siglip2":
        marks = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581")
        return transformers.Siglip2Tokenizer(vocab={word: at for at, word in enumerate([*marks, *letters])}, merges=[])
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer(vocab={word: at for at, word in enumerate(words)}, merges=[])


def save(kind: str, folder: Path, seed: int = 0) -> Path:
    """A model folder of `kind`, the same for the same seed: config, safetensors, image processor, tokenizer."""
    torch.manual_seed(seed)
    logging.disable_progress_bar()
    words = tokenizer(kind)
    model, pictures = {"clip": _clip, "siglip": _siglip, "siglip2": _siglip2}[kind](words)
    for name, parameter in model.named_parameters():
        if "norm" not in name and "logit" not in name:  # spread out, so that pictures and texts are told apart
            torch.nn.init.normal_(parameter, std=0.3)
    for part in (model, pictures, words):
        part.save_pretrained(folder)
    return folder


def _text(words: Any, kind: str) -> dict[str, Any]:
    ids = {name: getattr(words, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    return {
        **_TOWER, "vocab_size": len(words), "max_position_embeddings": CONTEXT[kind],
        **{f"{name}_token_id": number for name, number in ids.items()},
    }  # fmt: skip


def _clip(words: Any) -> tuple[Any, Any]:
    config = transformers.CLIPConfig(
        text_config={**_text(words, "clip"), "projection_dim": _DIM}, projection_dim=_DIM,
        vision_config={**_TOWER, "image_size": _SIDE, "patch_size": _PATCH, "projection_dim": _DIM},
    )  # fmt: skip
    size = {"height": _SIDE, "width": _SIDE}
    return transformers.CLIPModel(config), CLIPImageProcessorPil(size={"shortest_edge": _SIDE}, crop_size=size)


def _siglip(words: Any) -> tuple[Any, Any]:
    config = transformers.SiglipConfig(
        text_config=_text(words, "siglip"), vision_config={**_TOWER, "image_size": _SIDE, "patch_size": _PATCH}
    )
    model = transformers.SiglipModel(config)
    model.logit_scale.data.fill_(2.0)
    model.logit_bias.data.fill_(-1.5)
    return model, SiglipImageProcessorPil(size={"height": _SIDE, "width": _SIDE})


def _siglip2(words: Any) -> tuple[Any, Any]:
    config = transformers.Siglip2Config(
        text_config=_text(words, "siglip2"), vision_config={**_TOWER, "patch_size": _PATCH, "num_patches": 16}
    )
    model = transformers.Siglip2Model(config)
    model.logit_scale.data.fill_(2.0)
    model.logit_bias.data.fill_(-1.5)
    return model, Siglip2ImageProcessorPil(patch_size=_PATCH, max_num_patches=16)
