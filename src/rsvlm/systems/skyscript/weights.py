"""The published weights of the SkyScript paper, in open_clip's layout; each is an archive that unzips to one file.

opendatasharing.s3.us-west-2.amazonaws.com/SkyScript/ckpt/<name>.zip. What the file in it is called is unknown to us:
keep it in a folder of the archive's name. A checkpoint of the training has the state dict under "state_dict", with
"module." before its names; both are taken off.
"""

from pathlib import Path

from rsvlm.parts.checkpoints.weights import Account
from rsvlm.recipe import Recipe
from rsvlm.systems.convert.clip import convert_clip, recipe_size
from rsvlm.systems.convert.published_files import PublishedFile


def _vit_l14(name: str, good_for: str) -> PublishedFile:
    return PublishedFile(
        name=name, recipe="paper", activation="quick_gelu", size="unknown (428 M parameters)",
        start="OpenAI's ViT-L/14", good_for=good_for,
    )  # fmt: skip


PUBLISHED = (
    _vit_l14(
        "SkyCLIP_ViT_L14_top50pct",
        "fine-grained things that OpenStreetMap tags, zero-shot scenes: mean of seven sets 59.93, roof shapes 46.83",
    ),
    _vit_l14("SkyCLIP_ViT_L14_top30pct", "the same from less data: mean of seven sets 59.91"),
    _vit_l14(
        "SkyCLIP_ViT_L14_top30pct_filtered_by_CLIP_laion_RS", "the best of these at scenes: mean of seven sets 60.69"
    ),
    _vit_l14(
        "SkyCLIP_ViT_L14_top30pct_multi_objects",
        "retrieval, trained on captions of several objects: UCM 72.22 / 59.33, RSICD 23.70 / 19.97 mean recall, by "
        "picture / by text, captions merged",
    ),
    PublishedFile(
        name="SkyCLIP_ViT_B32_top50pct",
        recipe="vit_b32",
        activation="gelu",
        size="unknown (151 M parameters)",
        start="LAION-2B's ViT-B/32",
        good_for="little hardware: mean of seven sets 53.02",
    ),
    _vit_l14(
        "CLIP_ViT_L14_LAION_RS", "comparison: the same recipe on 726 K pairs of LAION-2B: mean of seven sets 57.87"
    ),
)


def size_of(path: Path) -> str:
    """The recipe of a published file that keeps its name. Raises BadInput for another one."""
    return recipe_size(path, "skyscript")


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
    lora: bool = True,
) -> Account:  # fmt: skip
    """As `rsvlm.systems.convert.clip.convert_clip`; there are no adapters to leave out."""
    return convert_clip(path, out, recipe=recipe, language_model=language_model, vision=vision)
