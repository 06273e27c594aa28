"""CMID: whole checkpoints of its trainer, with a ResNet or a Swin, by MoCo or BYOL, and backbones alone."""

from functools import partial

import torch

from fake.lhrs_release import filled
from fake.published import Release
from rsvlm.recipe import Recipe
from rsvlm.systems.build import build

FILE = "epoch_200.pth"
RESNET = {"tower": "resnet", "block": "basic", "depths": [1, 1, 1, 1], "widths": [4, 4, 6, 8], "stem": 6, "size": 64}
SWIN = {"tower": "swin", "width": 6, "depths": [1, 1, 1, 1], "heads": [1, 1, 2, 2], "window": 2, "size": 64}
HEADS = {"hidden": 10, "width": 4, "queue": 16, "matches": 3, "predictor": 6,
         "local": {"prototypes": 12, "hidden": 10, "bottleneck": 5}}  # fmt: skip
PROBE = {"classifier.weight": (7, 8), "classifier.bias": (7,)}


def recipe(vision, **heads):
    """CMID at the size of these files."""
    return Recipe(system="cmid", size="small", model={"vision": vision, "distillation": {**HEADS, **heads}})


def names(ours):
    """Theirs of a tensor of ours, as the original's modules are called."""
    fronts = {
        "teacher.vision.": "branch_encoder.", "teacher.projector.": "branch_projector.layer.0.",
        "teacher.local_head.": "branch_class_projector.", "vision.": "online_encoder.model.",
        "projector.": "online_projector.layer.0.", "local_head.": "class_projector.",
        "predictor.": "predictor.layer.0.", "decoder.proj.": "mim2org.decoder_pred.0.",
    }  # fmt: skip
    single = {"mask_token": "online_encoder.mask_token", "local_loss.centre": "class_loss.center",
              "queue.keys": "queue", "queue.pointer": "queue_ptr"}  # fmt: skip
    front = next((front for front in fronts if ours.startswith(front)), "")
    return single.get(ours) or fronts[front] + ours.removeprefix(front)


def tensors(form):
    """Random values under their names, in their shapes; whole numbers stay as they are."""
    shapes = {names(name): tensor for name, tensor in build(form, for_training=False).state_dict().items()}
    drawn = filled({name: tuple(tensor.shape) for name, tensor in shapes.items()}, 4)
    for name, tensor in shapes.items():
        if not tensor.is_floating_point():
            drawn[name] = tensor
        elif "running_var" in name:
            drawn[name] = drawn[name].abs() + 0.05
        elif ".bn" in name and name.endswith("weight"):
            drawn[name] += 1  # a picture is seen to the end
    return drawn


def write(folder, form, *, probe=False, backbone=False):
    """A file of the trainer, whose token has the shape of its tower's maps; `backbone`: what extract.py keeps."""
    folder.mkdir(parents=True, exist_ok=True)
    state = tensors(form) | filled(PROBE if probe else {}, 5)
    if form.model["vision"]["tower"] == "swin" and not backbone:
        state["online_encoder.mask_token"] = state["online_encoder.mask_token"].reshape(1, 1, -1)
    if backbone:
        front = "online_encoder.model."
        state = {name.removeprefix(front): tensor for name, tensor in state.items() if name.startswith(front)}
    around = {"epoch": 200, "num_gpus": 4, "model": state, "optimizer": {"state": {}}}
    torch.save(state if backbone else around, folder / FILE)
    return state


RELEASE = Release(
    recipe=recipe(RESNET),
    variants={
        "whole": partial(write, form=recipe(RESNET)), "with a probe": partial(write, form=recipe(RESNET), probe=True),
        "BYOL": partial(write, form=recipe(RESNET, variant="byol")),
        "backbone": partial(write, form=recipe(RESNET), backbone=True),
    },
    checkpoint=FILE, given=FILE, sources=frozenset({FILE}),
    missing=(
        (FILE, "model", "online_encoder.model.layer4.0.bn2.bias"), (FILE, "model", "queue"),
        (FILE, "model", "branch_class_projector.last_layer.weight_g"),
    ),
    strange={(FILE, "model", name): "which this system does not have" for name in (
        "online_encoder.model.layer5.0.conv1.weight", "online_projector.layer.1.0.weight", "class_loss.temperature")},
    reshaped={(FILE, "model", "class_projector.mlp.0.weight"):
              r"class_projector.mlp.0.weight has shape \(7,\), expected \(10, 8, 1\)"},
    other_sizes=(({"widths": [4, 4, 6, 10]}, r"has shape \(8,.*expected \(10"),
                 ({"tower": "swin"}, "holds a resnet, the recipe has a swin; give cmid/paper, or none")),
    sized="vision", ignored=r"^classifier\.", box_dialect="",
)  # fmt: skip
