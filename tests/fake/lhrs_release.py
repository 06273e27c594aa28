"""The published layout of LHRS-Bot at any size: FINAL.pt and TextLoRA/, under the original key names."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

LINEARS = {"self_attn": ("q_proj", "k_proj", "v_proj", "o_proj"), "mlp": ("gate_proj", "up_proj", "down_proj")}


def clip_shapes(*, width, depth, patch, size, **_):
    """`rgb_ckpt`: name -> shape."""
    front, wide = "encoder.vision_model.", 4 * width
    shapes = {
        f"{front}embeddings.class_embedding": (width,),
        f"{front}embeddings.patch_embedding.weight": (width, 3, patch, patch),
        f"{front}embeddings.position_embedding.weight": ((size // patch) ** 2 + 1, width),
    }
    for norm in ("pre_layrnorm", "post_layernorm"):
        shapes |= {f"{front}{norm}.{leaf}": (width,) for leaf in ("weight", "bias")}
    for layer in range(depth):
        at = f"{front}encoder.layers.{layer}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= {f"{at}self_attn.{name}.weight": (width, width), f"{at}self_attn.{name}.bias": (width,)}
        for name in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{at}{name}.weight": (width,), f"{at}{name}.bias": (width,)}
        shapes |= {f"{at}mlp.fc1.weight": (wide, width), f"{at}mlp.fc1.bias": (wide,)}
        shapes |= {f"{at}mlp.fc2.weight": (width, wide), f"{at}mlp.fc2.bias": (width,)}
    return shapes


def pooler_shapes(*, queries, width, depth, output):
    """`other_ckpt["rgb_pooler"]`: name -> shape."""
    shapes = {"query": (1, queries, width), "out_proj.weight": (output, width), "out_proj.bias": (output,)}
    for layer in range(depth):
        at, wide = f"layers.{layer}.", 4 * width
        for norm in ("ln_1", "ln_1_kv", "ln_2"):
            shapes |= {f"{at}{norm}.weight": (width,), f"{at}{norm}.bias": (width,)}
        shapes |= {f"{at}attn.in_proj_weight": (3 * width, width), f"{at}attn.in_proj_bias": (3 * width,)}
        shapes |= {f"{at}attn.out_proj.weight": (width, width), f"{at}attn.out_proj.bias": (width,)}
        shapes |= {f"{at}mlp.c_fc.weight": (wide, width), f"{at}mlp.c_fc.bias": (wide,)}
        shapes |= {f"{at}mlp.c_proj.weight": (width, wide), f"{at}mlp.c_proj.bias": (width,)}
    return shapes


def lora_shapes(*, r, layers, hidden, wide):
    """`TextLoRA/adapter_model`: name -> shape (as many key and value heads as query heads)."""
    shapes = {}
    for layer in range(layers):
        for part, names in LINEARS.items():
            for name in names:
                at = f"base_model.model.model.layers.{layer}.{part}.{name}."
                read = wide if name == "down_proj" else hidden
                write = wide if name in ("gate_proj", "up_proj") else hidden
                shapes |= {f"{at}lora_A.weight": (r, read), f"{at}lora_B.weight": (write, r)}
    return shapes


def filled(shapes, seed):
    """Every tensor random, so that a swapped one shows."""
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=rng) * 0.1 for name, shape in shapes.items()}


def adapter_config(*, r, layers, alpha):
    """What peft 0.7.1 writes; the targets are the full names of the linear maps."""
    targets = [
        f"model.layers.{i}.{part}.{name}" for i in range(layers) for part, names in LINEARS.items() for name in names
    ]
    return {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": r, "lora_alpha": alpha, "lora_dropout": 0.05,
            "bias": "none", "fan_in_fan_out": False, "inference_mode": True, "modules_to_save": None,
            "rank_pattern": {}, "alpha_pattern": {}, "target_modules": targets,
            "base_model_name_or_path": None}  # fmt: skip


def write_release(folder: Path, *, clip, pooler, lora, alpha, outer=False, binary=False):
    """Write FINAL.pt (inside an outer "model" where asked) and TextLoRA/ (.bin where asked); the path of FINAL.pt."""
    folder.mkdir(parents=True)
    other = {"rgb_pooler": filled(pooler_shapes(**pooler), 2), "text_proj": {}, "lm_head": {},
             "embed_tokens": {"weight": torch.zeros(5, 4)}}  # fmt: skip
    tree = {"rgb_ckpt": filled(clip_shapes(**clip), 1), "other_ckpt": other}
    torch.save({"model": tree} if outer else tree, folder / "FINAL.pt")
    text = folder / "TextLoRA"
    text.mkdir()
    config = adapter_config(r=lora["r"], layers=lora["layers"], alpha=alpha)
    (text / "adapter_config.json").write_text(json.dumps(config))
    tensors = filled(lora_shapes(**lora), 3)
    if binary:
        torch.save(tensors, text / "adapter_model.bin")
    else:
        save_file(tensors, text / "adapter_model.safetensors")
    return folder / "FINAL.pt"
