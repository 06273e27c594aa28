"""CLIP's checkpoints at any size, under the original key names: open_clip's state dicts and transformers' folders."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from fake.lhrs_release import clip_shapes, filled

SIZES = {"width": 16, "depth": 3, "patch": 8, "size": 32, "text_width": 12, "text_depth": 2, "context": 20,
         "vocabulary": 514, "dim": 10}  # fmt: skip


def block_shapes(at, width):
    """One residual block of open_clip: name -> shape."""
    shapes = {f"{at}attn.in_proj_weight": (3 * width, width), f"{at}attn.in_proj_bias": (3 * width,),
              f"{at}attn.out_proj.weight": (width, width), f"{at}attn.out_proj.bias": (width,),
              f"{at}mlp.c_fc.weight": (4 * width, width), f"{at}mlp.c_fc.bias": (4 * width,),
              f"{at}mlp.c_proj.weight": (width, 4 * width), f"{at}mlp.c_proj.bias": (width,)}  # fmt: skip
    return shapes | {f"{at}{norm}.{leaf}": (width,) for norm in ("ln_1", "ln_2") for leaf in ("weight", "bias")}


def open_clip_shapes(*, width, depth, patch, size, text_width, text_depth, context, vocabulary, dim, **_):
    """`CLIP.state_dict()` of open_clip: name -> shape."""
    shapes = {"visual.class_embedding": (width,), "visual.positional_embedding": ((size // patch) ** 2 + 1, width),
              "visual.conv1.weight": (width, 3, patch, patch), "visual.proj": (width, dim),
              "token_embedding.weight": (vocabulary, text_width), "positional_embedding": (context, text_width),
              "text_projection": (text_width, dim), "logit_scale": ()}  # fmt: skip
    for norm, wide in (("visual.ln_pre", width), ("visual.ln_post", width), ("ln_final", text_width)):
        shapes |= {f"{norm}.{leaf}": (wide,) for leaf in ("weight", "bias")}
    for layer in range(depth):
        shapes |= block_shapes(f"visual.transformer.resblocks.{layer}.", width)
    for layer in range(text_depth):
        shapes |= block_shapes(f"transformer.resblocks.{layer}.", text_width)
    return shapes


def write_state(path: Path, *, wrapped=False, seed=1, **sizes) -> dict:
    """The state dict as it is published, or as the trainer of SkyScript saves it; its tensors as they are loaded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = filled(open_clip_shapes(**{**SIZES, **sizes}), seed)
    tree = {f"module.{name}": tensor for name, tensor in tensors.items()}
    optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 3e-9}]}
    whole = {"epoch": 20, "name": "run", "state_dict": tree, "optimizer": optimizer}
    torch.save(whole if wrapped else tensors, path)
    return tensors


def write_transformers(folder: Path, *, activation="quick_gelu", seed=1, **sizes) -> dict:
    """A folder as `CLIPModel.save_pretrained` writes it, with the positions that older versions saved."""
    size = {**SIZES, **sizes}
    front = "encoder."
    shapes = {n.removeprefix(front): s for n, s in clip_shapes(**{k: size[k] for k in SIZES if k in CLIP}).items()}
    text = clip_shapes(width=size["text_width"], depth=size["text_depth"], patch=1, size=1)
    at = "encoder.vision_model."
    shapes |= {n.replace(at, "text_model."): s for n, s in text.items() if ".encoder." in n}
    shapes |= {
        "text_model.embeddings.token_embedding.weight": (size["vocabulary"], size["text_width"]),
        "text_model.embeddings.position_embedding.weight": (size["context"], size["text_width"]),
        "visual_projection.weight": (size["dim"], size["width"]), "logit_scale": (),
        "text_projection.weight": (size["dim"], size["text_width"]),
        **{f"text_model.final_layer_norm.{leaf}": (size["text_width"],) for leaf in ("weight", "bias")},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    tensors = filled(shapes, seed)
    tensors["text_model.embeddings.position_ids"] = torch.arange(size["context"])[None]
    save_file(tensors, folder / "model.safetensors")
    towers = {f"{tower}_config": {"hidden_act": activation} for tower in ("vision", "text")}
    (folder / "config.json").write_text(json.dumps({"model_type": "clip", **towers}))
    return tensors


CLIP = ("width", "depth", "patch", "size")
