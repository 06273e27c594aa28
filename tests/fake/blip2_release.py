"""BLIP-2 of transformers at a small size: the library's own model with random weights, its folder, parts of it."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rsvlm.systems.build import byte_tokenizer

VISION = {"hidden_size": 32, "intermediate_size": 139, "num_hidden_layers": 2, "num_attention_heads": 4,
          "image_size": 32, "patch_size": 8}  # fmt: skip
QFORMER = {"hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2,
           "encoder_hidden_size": 32}  # fmt: skip
OPT = {"model_type": "opt", "vocab_size": 266, "hidden_size": 24, "ffn_dim": 40, "num_hidden_layers": 2,
       "num_attention_heads": 2, "max_position_embeddings": 128, "bos_token_id": 4, "eos_token_id": 4,
       "pad_token_id": 0}  # fmt: skip
IMAGE_ID, QUERIES = 265, 3


def model(seed: int = 0, **text: Any) -> nn.Module:
    """The library's model, every parameter random and none small."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    config = Blip2Config(
        vision_config=VISION, qformer_config=QFORMER, text_config={**OPT, **text}, num_query_tokens=QUERIES,
        image_token_index=IMAGE_ID,
    )  # fmt: skip
    made = Blip2ForConditionalGeneration(config).eval()
    torch.manual_seed(seed)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def write_whole(folder: Path, made: Any) -> Path:
    """As the library saves it, with a tokenizer."""
    made.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def beside_language(made: nn.Module) -> dict[str, Tensor]:
    """The tensors of what is not the language model."""
    return {n: t.detach().clone() for n, t in made.state_dict().items() if not n.startswith("language_model.")}
