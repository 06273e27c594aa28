"""The state dicts of a released change captioner at a small size, and the WORDMAP beside them."""

import json

import torch

from fake.lhrs_release import filled
from rsvlm.recipe import Recipe
from rsvlm.systems.build import build

VISION = {"tower": "resnet", "depths": [1, 1, 1], "widths": [2, 3, 4], "stem": 4, "size": 64, "taps": [2]}
WORDS = ("the", "scene", "is", "same", "houses", "appear")
SPECIAL = {"<unk>": 7, "<start>": 8, "<end>": 9, "<pad>": 0}
WORD_FILE, FILE = "WORDMAP_SET_5_cap_per_img_10_min_word_freq.json", "states.pth"
CNN = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6"}
BRIDGE = {"position.column.": "w_embedding.", "position.row.": "h_embedding.", "norms.": "LN.",
          "semantic_projection.": "projection2."}  # fmt: skip


def recipe(system, **more):
    """The system at the size of these files."""
    model = {
        "vision": VISION, "bridge": {"width": 8, "heads": 2, "layers": 2, "grid": 3}, "decoder": {"heads": 2},
        "words": {"size": 10}, "beams": 2, **more,
    }  # fmt: skip
    return Recipe(system=system, size="small", model=model)


def encoder_name(ours, layer):
    """Theirs of a tensor of the bridge; `layer` has the names in its layers."""
    name = ours.removeprefix("fusion.")
    if name.startswith("convs."):
        return name.replace("convs.", "resblock.", 1).replace(".convs.", ".left.")
    if name.startswith("layers."):
        _, at, part, rest = name.split(".", 3)
        return f"transformer.{at}.{layer[part]}.{rest}"
    front = next((front for front in BRIDGE if name.startswith(front)), "")
    return BRIDGE.get(front, "") + name.removeprefix(front)


def decoder_name(ours, layer):
    """Theirs of a tensor of the decoder."""
    if ours.startswith("layers."):
        _, at, part, rest = ours.split(".", 3)
        return f"transformer.layers.{at}.{layer[part]}.{rest}"
    return ours.replace("embedding.", "vocab_embedding.", 1).replace("head.", "wdc.", 1)


def tensors(form, towers, bridge_layer, decoder_layer, dead):
    """Random values under the original's names; `dead` are shapes of what it never uses."""
    names = {}
    for name, tensor in build(form, for_training=False).state_dict().items():
        top, rest = name.split(".", 1)
        if top in towers:
            part, inner = rest.split(".", 1)
            names[f"{towers[top]}.net.{CNN[part]}.{inner}"] = tensor
        elif top == "bridge":
            names[f"encoder_feat.{encoder_name(rest, bridge_layer)}"] = tensor
        elif top == "language":
            names[f"decoder.{decoder_name(rest, decoder_layer)}"] = tensor
    drawn = filled({name: tuple(tensor.shape) for name, tensor in names.items()} | dead, 6)
    for name, tensor in names.items():
        if not tensor.is_floating_point():
            drawn[name] = tensor
        elif "running_var" in name:
            drawn[name] = drawn[name].abs() + 0.05
        elif name.startswith("encoder_image") and tensor.ndim == 1 and name.endswith("weight"):
            drawn[name] += 1  # a picture is seen to the end
    return drawn


def write(folder, state, around=None):
    """One dict of state dicts, as the one-off saves it, and the words."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = {}
    for name, tensor in state.items():
        top, rest = name.split(".", 1)
        tree.setdefault(top, {})[rest] = tensor
    torch.save({**tree, **(around or {})}, folder / FILE)
    words = {word: at for at, word in enumerate(WORDS, 1)}
    (folder / WORD_FILE).write_text(json.dumps(words | SPECIAL))
    return state
