"""Hugging Face vision-language models of random weights, made here and saved as their authors save theirs."""

import json
from pathlib import Path

import torch
import transformers
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.utils import logging

from rsvlm.systems.build import byte_tokenizer

_QWEN_MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<|box_start|>", "<|box_end|>")
_QWEN_PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
_TEXT = {
    "vocab_size": 320, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 2048,
}  # fmt: skip


def template(picture: str) -> str:
    """A chat template that writes `picture` where a picture stands."""
    return (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + picture + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def save(kind: str, folder: Path, seed: int = 0) -> Path:
    """A model folder of `kind`, the same for the same seed: config, safetensors, image processor, tokenizer."""
    torch.manual_seed(seed)
    logging.disable_progress_bar()
    tokenizer = byte_tokenizer()
    tokenizer.padding_side = "right"  # as many are published: whoever generates has to turn it
    model, processor, picture, extra = _MAKERS[kind](tokenizer)
    for name, parameter in model.named_parameters():
        if "norm" not in name:  # spread out, so that pictures and questions are told apart
            torch.nn.init.normal_(parameter, std=0.3)
    tokenizer.chat_template = template(picture)
    for part in (model, processor, tokenizer):
        part.save_pretrained(folder)
    if extra:
        numbers = {"processor_class": type(model).__name__.replace("ForConditionalGeneration", "Processor"), **extra}
        (folder / "processor_config.json").write_text(json.dumps(numbers))
    return folder


def _marked(tokenizer, marks):
    tokenizer.add_special_tokens({"additional_special_tokens": list(marks)})
    return {mark: tokenizer.convert_tokens_to_ids(mark) for mark in marks}


def _ids(tokenizer):
    stop = tokenizer.convert_tokens_to_ids("<|im_end|>")
    return {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": stop, "pad_token_id": tokenizer.pad_token_id}


def _qwen2_vl(tokenizer):
    return _qwen(tokenizer, "Qwen2VL", {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2})


def _qwen2_5_vl(tokenizer):
    numbers = {"hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32, "fullatt_block_indexes": [1],
               "window_size": 56}  # fmt: skip
    return _qwen(tokenizer, "Qwen2_5_VL", numbers)


def _qwen(tokenizer, name, vision):
    ids = _marked(tokenizer, _QWEN_MARKS)
    config = getattr(transformers, f"{name}Config")(
        text_config={**_TEXT, **_ids(tokenizer), "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2],
                                                                     "rope_theta": 1e4}},
        vision_config={"depth": 2, "num_heads": 2, "patch_size": 14, "spatial_merge_size": 2, **vision},
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"], **_ids(tokenizer),
    )  # fmt: skip
    pictures = Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=112 * 112)
    return getattr(transformers, f"{name}ForConditionalGeneration")(config), pictures, _QWEN_PICTURE, {}


def _qwen3_vl(tokenizer):
    numbers = {"hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32, "num_position_embeddings": 64,
               "deepstack_visual_indexes": [0]}  # fmt: skip
    return _qwen(tokenizer, "Qwen3VL", numbers)


_SIGHT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
          "image_size": 28, "patch_size": 14}  # fmt: skip


def _llava_onevision(tokenizer):
    ids = _marked(tokenizer, ("<image>", "<video>"))
    config = transformers.LlavaOnevisionConfig(
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **_SIGHT},
        text_config={"model_type": "qwen2", **_TEXT, **_ids(tokenizer)}, image_token_index=ids["<image>"],
        video_token_index=ids["<video>"], image_grid_pinpoints=[[28, 28], [28, 56], [56, 28], [56, 56]],
    )  # fmt: skip
    processor = LlavaOnevisionImageProcessorPil(
        size={"height": 28, "width": 28}, image_grid_pinpoints=config.image_grid_pinpoints
    )
    extra = {"num_image_tokens": 4, "vision_feature_select_strategy": "full"}
    return transformers.LlavaOnevisionForConditionalGeneration(config), processor, "<image>", extra


def _idefics3(tokenizer):
    marks = ("<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>")
    ids = _marked(tokenizer, [*marks, *(f"<row_{i + 1}_col_{j + 1}>" for i in range(6) for j in range(6))])
    config = transformers.Idefics3Config(
        vision_config={**_SIGHT, "image_size": 56}, text_config={"model_type": "llama", **_TEXT, **_ids(tokenizer)},
        image_token_id=ids["<image>"], scale_factor=2, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    processor = Idefics3ImageProcessorPil(size={"longest_edge": 112}, max_image_size={"longest_edge": 56})
    return transformers.Idefics3ForConditionalGeneration(config), processor, "<image>", {"image_seq_len": 4}


_MAKERS = {
    "qwen2_vl": _qwen2_vl, "qwen2_5_vl": _qwen2_5_vl, "qwen3_vl": _qwen3_vl, "llava_onevision": _llava_onevision,
    "idefics3": _idefics3,
}  # fmt: skip
KINDS = tuple(_MAKERS)
