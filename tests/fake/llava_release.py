"""What LLaVA-1.5 and GeoChat publish, at any size and under the original names: a whole model, an adapter, a tower."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from fake.lhrs_release import LINEARS, clip_shapes, filled, lora_shapes
from rsvlm.systems.build import byte_tokenizer

TOWER = "model.vision_tower.vision_tower.vision_model."


def language_shapes(*, layers, hidden, wide, vocabulary):
    """Vicuna: name -> shape."""
    shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "lm_head.weight": (vocabulary, hidden),
              "model.norm.weight": (hidden,)}  # fmt: skip
    for layer in range(layers):
        at = f"model.layers.{layer}."
        shapes |= {f"{at}{norm}.weight": (hidden,) for norm in ("input_layernorm", "post_attention_layernorm")}
        for part, names in LINEARS.items():
            for name in names:
                read = wide if name == "down_proj" else hidden
                write = wide if name in ("gate_proj", "up_proj") else hidden
                shapes |= {f"{at}{part}.{name}.weight": (write, read)}
    return shapes


def projector_shapes(*, width, hidden, front="model."):
    """`mm_projector`: name -> shape."""
    at = f"{front}mm_projector."
    return {f"{at}0.weight": (hidden, width), f"{at}0.bias": (hidden,),
            f"{at}2.weight": (hidden, hidden), f"{at}2.bias": (hidden,)}  # fmt: skip


def tower_shapes(**clip):
    """The tower as a whole model holds it."""
    front = "encoder.vision_model."
    return {TOWER + name.removeprefix(front): shape for name, shape in clip_shapes(**clip).items()}


def config(kind="llava", **more):
    """config.json as the trainers write it."""
    return {"model_type": kind, "mm_vision_select_layer": -2, "mm_vision_select_feature": "patch", "rms_norm_eps": 1e-5,
            "mm_use_im_start_end": False, "image_aspect_ratio": "pad", "bos_token_id": 3, "eos_token_id": 4,
            **more}  # fmt: skip


def write_whole(folder: Path, tensors: dict, *, kind="llava", binary=False, shards=2, words=True) -> Path:
    """A whole model in `shards` files and an index, with its tokenizer."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config(kind)))
    if words:
        byte_tokenizer().save_pretrained(folder)
    names, end = sorted(tensors), "bin" if binary else "safetensors"
    whole = f"{'pytorch_model' if binary else 'model'}.{end}"
    parts = {f"{whole.partition('.')[0]}-{k + 1:05d}-of-{shards:05d}.{end}": names[k::shards] for k in range(shards)}
    for file, held in parts.items():
        held = {name: tensors[name] for name in held}
        torch.save(held, folder / file) if binary else save_file(held, folder / file)
    index = {"metadata": {}, "weight_map": {name: file for file, held in parts.items() for name in held}}
    (folder / f"{whole}.index.json").write_text(json.dumps(index))
    return folder


def write_adapter(folder: Path, *, width, hidden, wide, layers, r, alpha, base="lmsys/vicuna-7b-v1.5") -> Path:
    """An adapter's folder: adapter_model, its config, and non_lora_trainables.bin with the projector."""
    folder.mkdir(parents=True)
    numbers = {"peft_type": "LORA", "r": r, "lora_alpha": alpha, "lora_dropout": 0.05, "bias": "none",
               "target_modules": [n for names in LINEARS.values() for n in names],
               "base_model_name_or_path": base}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(numbers))
    (folder / "config.json").write_text(json.dumps(config("llava_llama")))
    torch.save(filled(lora_shapes(r=r, layers=layers, hidden=hidden, wide=wide), 3), folder / "adapter_model.bin")
    beside = projector_shapes(width=width, hidden=hidden, front="base_model.model.model.")
    torch.save(filled(beside, 2), folder / "non_lora_trainables.bin")
    return folder


def write_clip(folder: Path, *, text=True, seed=7, **clip) -> Path:
    """openai/clip-vit-large-patch14-336: both towers in one safetensors file."""
    folder.mkdir(parents=True)
    tensors = {n.removeprefix("encoder."): t for n, t in filled(clip_shapes(**clip), seed).items()}
    if text:
        tensors |= {"text_model.final_layer_norm.weight": torch.ones(3), "logit_scale": torch.ones(1),
                    "visual_projection.weight": torch.ones(3, 4)}  # fmt: skip
    save_file(tensors, folder / "model.safetensors")
    return folder
