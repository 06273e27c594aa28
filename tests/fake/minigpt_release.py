"""MiniGPT-v2's checkpoints at any size, under the original key names, and the EVA-CLIP file that lies beside them."""

from pathlib import Path

import torch

from fake.lhrs_release import filled


def eva_shapes(*, width, depth, patch, size, hidden, **_):
    """`eva_vit_g.pth`: name -> shape."""
    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, (size // patch) ** 2 + 1, width),
              "patch_embed.proj.weight": (width, 3, patch, patch), "patch_embed.proj.bias": (width,)}  # fmt: skip
    for block in range(depth):
        at = f"blocks.{block}."
        for norm in ("norm1", "norm2"):
            shapes |= {f"{at}{norm}.{leaf}": (width,) for leaf in ("weight", "bias")}
        shapes |= {f"{at}attn.q_bias": (width,), f"{at}attn.v_bias": (width,)}
        shapes |= {f"{at}attn.qkv.weight": (3 * width, width)}
        shapes |= {f"{at}attn.proj.weight": (width, width), f"{at}attn.proj.bias": (width,)}
        shapes |= {f"{at}mlp.fc1.weight": (hidden, width), f"{at}mlp.fc1.bias": (hidden,)}
        shapes |= {f"{at}mlp.fc2.weight": (width, hidden), f"{at}mlp.fc2.bias": (width,)}
    return shapes


def runner_shapes(*, merged, layers, hidden, r, adapter="", bridge_r=0):
    """What is saved under "model": the alignment layer and the adapters of q_proj and v_proj.

    `adapter` is "" as peft 0.2 names them or ".default" as later ones; `bridge_r` > 0 puts adapters on `llama_proj`.
    """
    shapes = {"llama_proj.weight": (hidden, merged), "llama_proj.bias": (hidden,)}
    if bridge_r:
        shapes |= {f"llama_proj.lora_A{adapter}.weight": (bridge_r, merged)}
        shapes |= {f"llama_proj.lora_B{adapter}.weight": (hidden, bridge_r)}
    for layer in range(layers):
        for name in ("q_proj", "v_proj"):
            at = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{name}."
            shapes |= {f"{at}lora_A{adapter}.weight": (r, hidden), f"{at}lora_B{adapter}.weight": (hidden, r)}
    return shapes


def write_checkpoint(path: Path, model: dict) -> Path:
    """As the runner writes it: the tensors of the model beside what only a resumed run wants."""
    path.parent.mkdir(parents=True, exist_ok=True)
    optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-5, "betas": (0.9, 0.999)}]}
    torch.save({"model": model, "optimizer": optimizer, "config": {"run": {"seed": 42}},
                "scaler": {"scale": 65536.0}, "epoch": 49}, path)  # fmt: skip
    return path


def write_eva(path: Path, *, seed=5, **sizes) -> Path:
    """A published tower in half precision, with one block and a norm more than is read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = eva_shapes(**{**sizes, "depth": sizes["depth"] + 1})
    shapes |= {"norm.weight": (sizes["width"],), "norm.bias": (sizes["width"],)}
    torch.save({name: tensor.half() for name, tensor in filled(shapes, seed).items()}, path)
    return path
