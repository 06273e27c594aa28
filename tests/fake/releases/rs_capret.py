"""FROMAGe's checkpoint, the layout of RS-CapRet's bridge: the maps and [RET]; CLIP is published apart."""

import json
from functools import partial

import torch

from fake import llava_release
from fake.lhrs_release import filled
from fake.published import Release, small

FILE, SETTINGS = "pretrained_ckpt.pth.tar", "model_args.json"
CLIP = {"width": 16, "depth": 3, "patch": 8, "size": 32}
HIDDEN, DIM, WORDS = 24, 10, 262
ROW, MATRIX = "ret_input_embeddings.weight", "model.input_embeddings.weight"


def shapes(tokens=1):
    """What is trained: name -> shape."""
    maps = {"model.visual_embeddings": (HIDDEN * tokens, 16), "model.visual_fc": (DIM, 16),
            "model.text_hidden_fcs.0.0": (DIM, HIDDEN)}  # fmt: skip
    found = {f"{name}.{leaf}": shape[: 1 + (leaf == "weight")] for name, shape in maps.items()
             for leaf in ("weight", "bias")}  # fmt: skip
    return found | {"model.logit_scale": (), ROW: (1, HIDDEN)}


def write(folder, *, tokens=1, front="", flat=False, whole=False, matrix=False, **settings):
    """The checkpoint as it is released; its tensors as an account names them.

    `front` is before the names, as prune_model_ckpt.py leaves it, which cuts `flat` the row of [RET]; `whole` is with
    the frozen models, `matrix` with the whole embedding in the place of the row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = filled(shapes(tokens), 1)
    extra = {}
    if whole:
        extra |= {"model.lm.model.decoder.final_layer_norm.bias": torch.ones(3), MATRIX: torch.zeros(5, HIDDEN),
                  "model.visual_model.vision_model.post_layernorm.bias": torch.ones(2)}  # fmt: skip
    tree = {(name if name == ROW else front + name): tensor for name, tensor in (tensors | extra).items()}
    if flat:
        tree[ROW] = tensors[ROW][0]
    if matrix:
        tree[MATRIX] = torch.cat([torch.zeros(4, HIDDEN), tree.pop(ROW)])
    torch.save({"state_dict": tree}, folder / FILE)
    told = {"opt_version": "facebook/opt-6.7b", "n_visual_tokens": tokens, "shared_emb_dim": DIM,
            "text_emb_layers": [-1], "retrieval_token_idx": WORDS}  # fmt: skip
    (folder / SETTINGS).write_text(json.dumps({**told, **settings}))
    return {name.removeprefix("model."): tensor for name, tensor in (tensors | extra).items()}


RELEASE = Release(
    recipe=small(
        "rs_capret", "caption", {"tower": "clip", **CLIP, "heads": 2, "fit": "crop", "activation": "quick_gelu"},
        {"tokens": 1, "dim": DIM}, None, tie_word_embeddings=True,
    ),
    variants={
        "released": write, "four visual tokens": partial(write, tokens=4),
        "of the script": partial(write, front="module.", flat=True, whole=True),
        "with the embedding": partial(write, matrix=True),
    },
    checkpoint=FILE, given=".", sources=frozenset({FILE, SETTINGS}), base="meta-llama/Llama-2-7b-hf", tied=True,
    vision=lambda folder: llava_release.write_clip(folder / "clip", **CLIP),
    tower=r"does not hold the vision tower.*clip-vit-large-patch14",
    missing=((FILE, "state_dict", "model.visual_fc.bias"), (FILE, "state_dict", ROW)),
    strange={
        (FILE, "state_dict", "model.text_hidden_fcs.1.0.weight"): "which this system does not have",
        (FILE, "state_dict", "model.strange.weight"): "holds strange.weight, which this system does not have",
    },
    reshaped={
        (FILE, "state_dict", "model.visual_fc.bias"): r"visual_fc.bias has shape \(7,\), expected \(10,\)",
        (FILE, "state_dict", ROW): r"ret_input_embeddings.weight has shape \(1, 7\), expected \(1, 24\)",
    },
    other_sizes=(({"dim": 12}, "shared_emb_dim is 10, expected 12"),),
    ignored=r"^(lm|visual_model)\.|^input_embeddings", box_dialect="",
)  # fmt: skip
