"""The vision towers by name, and where their weights come from."""

from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor

from rsvlm import assets
from rsvlm.files import is_file
from rsvlm.parts.checkpoints import clip as clip_checkpoint
from rsvlm.parts.checkpoints.backbones import read_backbone
from rsvlm.parts.checkpoints.weights import read_state
from rsvlm.parts.vision import eva
from rsvlm.parts.vision.clip import CLIPLevels
from rsvlm.parts.vision.efficientnet import EfficientNetLite0, lite0_state
from rsvlm.parts.vision.resnet import ResNet
from rsvlm.parts.vision.siglip import SigLIPLevels
from rsvlm.parts.vision.swin import Swin
from rsvlm.parts.vision.tower import StemmedTower, Tower
from rsvlm.systems.model_dir import model_folder

TOWERS: Mapping[str, type[Tower]] = {
    "efficientnet_lite0": EfficientNetLite0,
    "clip": CLIPLevels,
    "siglip": SigLIPLevels,
    "eva_clip": eva.EVACLIP,
    "resnet": ResNet,
    "swin": Swin,
}


def tower_state(tower: Tower, weights: str) -> tuple[Mapping[str, Tensor], str, Collection[str]]:
    """Weights for a tower, under its names: themselves, what they are called, and which must be among them.

    `weights` is "imagenet", a published file, or a finished model's name. Raises BadInput where there is none.
    """
    if weights == "imagenet":
        return lite0_state(read_state(assets.vision_weights())), "EfficientNet-Lite0", ()
    path = Path(weights)
    if isinstance(tower, eva.EVACLIP):  # a published file, which this package does not fetch
        return eva.read_published(path, tower)[0], weights, ()
    if isinstance(tower, CLIPLevels):
        return clip_checkpoint.read_published(path, tower)[0], weights, ()
    if isinstance(tower, StemmedTower) and is_file(path):
        return read_backbone(path, tower)[0], weights, ()
    path = model_folder(weights) / "model.safetensors"  # the tower of a finished model
    state = {n.removeprefix("vision."): t for n, t in read_state(path).items() if n.startswith("vision.")}
    return state, str(path), dict(tower.named_parameters())
