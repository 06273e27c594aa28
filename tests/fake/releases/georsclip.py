"""GeoRSCLIP: one flat state dict of open_clip."""

from functools import partial

import torch

from fake import clip_release
from fake.published import Release
from rsvlm.recipe import Recipe

FILE = "RS5M_ViT-B-32.pt"
AT = "visual.transformer.resblocks."


def model(activation):
    """The numbers of a CLIP of the size of these files."""
    size = clip_release.SIZES
    return {
        "activation": activation,
        "vision": {"tower": "clip", **{name: size[name] for name in clip_release.CLIP}, "heads": 2, "fit": "crop"},
        "text": {"tokenizer": "clip", "vocabulary": 514, "width": 12, "depth": 2, "heads": 2, "context": 20},
        "dim": size["dim"],
    }  # fmt: skip


def cut(tensors):
    """Queries, keys and values apart, as an account names them."""
    out = {}
    for name, tensor in tensors.items():
        if "in_proj" in name:
            wide = len(tensor) // 3
            out |= {f"{name}.{part}": tensor[at * wide : (at + 1) * wide] for at, part in enumerate("qkv")}
        else:
            out[name] = tensor
    return out


def write(folder, file=FILE, constants=False, **form):
    tensors = clip_release.write_state(folder / file, **form)
    if constants:  # as OpenAI's own files
        tensors |= {"input_resolution": torch.tensor(32), "context_length": torch.tensor(20),
                    "vocab_size": torch.tensor(514), "attn_mask": torch.zeros(20, 20)}  # fmt: skip
        torch.save(tensors, folder / file)
    return cut(tensors)


def release(system, activation, file, **more):
    """What holds for every CLIP in open_clip's layout."""
    return Release(
        recipe=Recipe(system=system, size="small", model=model(activation)),
        variants={
            "flat": partial(write, file=file), "of the trainer": partial(write, file=file, wrapped=True),
            "with OpenAI's numbers": partial(write, file=file, constants=True), **more,
        },
        checkpoint=file, given=file, sources=frozenset({file}), written=("tokenizer.json",),
        missing=((file, f"{AT}2.mlp.c_proj.bias"), (file, "ln_final.weight"), (file, "visual.proj")),
        strange={
            (file, "visual.attnpool.weight"): "holds visual.attnpool.weight, which this system does not have",
            (file, f"{AT}0.attn.in_proj.weight"): "which this system does not have",
        },
        reshaped={
            (file, "visual.ln_post.weight"): r"visual.ln_post.weight has shape \(7,\), expected \(16,\)",
            (file, "transformer.resblocks.1.attn.in_proj_bias"): "in_proj_bias, which this system does not have",
        },
        other_sizes=(
            ({"size": 48}, r"looks like a CLIP of 16 x 3 .* at 32 px.*expected a CLIP of 16 x 3 .* at 48 px"),
            ({"depth": 2}, r"looks like a CLIP of 16 x 3 .*expected a CLIP of 16 x 2"),
            ({"width": 32}, r"looks like a CLIP of 16 x 3 .*expected a CLIP of 32 x 3.*give the recipe of its sizes"),
        ),
        sized="vision", ignored=r"^(input_resolution|context_length|vocab_size|attn_mask)$",
        transposed=r"^(visual\.proj|text_projection)$", box_dialect="",
    )  # fmt: skip


RELEASE = release("georsclip", "quick_gelu", FILE)
