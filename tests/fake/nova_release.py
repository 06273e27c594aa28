"""The published layouts of LHRS-Bot-Nova at any size: FINAL.pt and TextLoRA/, under the original key names."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from fake.lhrs_release import adapter_config, clip_shapes, filled, lora_shapes, pooler_shapes


def siglip_shapes(*, width, hidden, depth, patch, size, **_):
    """`rgb_ckpt`: name -> shape. One layer is off, the pooling head and the norm before it are still there."""
    front = "encoder.vision_model."
    shapes = {
        name: shape
        for name, shape in clip_shapes(width=width, depth=depth, patch=patch, size=size).items()
        if "class_embedding" not in name and "pre_layrnorm" not in name
    }
    shapes |= {
        f"{front}embeddings.patch_embedding.bias": (width,),
        f"{front}embeddings.position_embedding.weight": ((size // patch) ** 2, width),
        f"{front}head.probe": (1, 1, width),
        f"{front}head.attention.in_proj_weight": (3 * width, width),
        f"{front}head.attention.in_proj_bias": (3 * width,),
        f"{front}head.attention.out_proj.weight": (width, width),
        f"{front}head.attention.out_proj.bias": (width,),
        f"{front}head.layernorm.weight": (width,),
        f"{front}head.layernorm.bias": (width,),
    }
    for at in [*(f"{front}encoder.layers.{layer}." for layer in range(depth)), f"{front}head."]:
        shapes |= {f"{at}mlp.fc1.weight": (hidden, width), f"{at}mlp.fc1.bias": (hidden,)}
        shapes |= {f"{at}mlp.fc2.weight": (width, hidden), f"{at}mlp.fc2.bias": (width,)}
    return shapes


def nova_pooler_shapes(*, queries, width, depth, output, experts):
    """`other_ckpt["rgb_pooler"]`: name -> shape; dense, as stage 1 leaves it, where `experts` is 0."""
    shapes = pooler_shapes(queries=queries, width=width, depth=depth, output=output)
    for norm in ("query", "kv", "post"):
        shapes |= {f"layernorm_{norm}.{leaf}": (width,) for leaf in ("weight", "bias")}
    if not experts:
        return shapes
    shapes = {name: shape for name, shape in shapes.items() if ".mlp." not in name}
    for layer in range(depth):
        at, wide = f"layers.{layer}.mlp.", 4 * width
        shapes |= {f"{at}gate.gate_network.0.weight": (experts, width)}
        shapes |= {f"{at}gate.gate_network.2.weight": (experts, experts)}
        shapes |= {f"{at}gate.weight_noise.weight": (experts, width)}
        for expert in range(experts):
            for what, bias in (("up", wide), ("down", width)):
                shapes |= {f"{at}calculator.experts.weight_{what}.{expert}": (wide, width)}
                shapes |= {f"{at}calculator.experts.bias_{what}.{expert}": (bias,)}
    return shapes


def write_release(folder: Path, *, siglip, pooler, lora=None, alpha=0, fronts=("", "", "base_model.model.")):
    """Write FINAL.pt, and TextLoRA/ where `lora` is given; the path of FINAL.pt.

    `fronts` is what stands before the names of tower, perceiver and adapters, as other ports of the model save them.
    """
    folder.mkdir(parents=True)
    tower, bridge, text = fronts
    tree = {
        "rgb_ckpt": {tower + name: tensor for name, tensor in filled(siglip_shapes(**siglip), 1).items()},
        "other_ckpt": {
            "rgb_pooler": {bridge + name: tensor for name, tensor in filled(nova_pooler_shapes(**pooler), 2).items()},
            "text_proj": {}, "embed_tokens": {}, "lm_head": {},
        },
    }  # fmt: skip
    torch.save(tree, folder / "FINAL.pt")
    if lora:
        config = adapter_config(r=lora["r"], layers=lora["layers"], alpha=alpha)
        (folder / "TextLoRA").mkdir()
        (folder / "TextLoRA" / "adapter_config.json").write_text(json.dumps(config))
        tensors = filled(lora_shapes(**lora), 3)
        tensors = {text + name.removeprefix("base_model.model."): tensor for name, tensor in tensors.items()}
        save_file(tensors, folder / "TextLoRA" / "adapter_model.safetensors")
    return folder / "FINAL.pt"
