"""The published weights of GeoRSCLIP (huggingface.co/Zilun/GeoRSCLIP, ckpt/), in open_clip's layout.

The files are flat state dicts. In the original they are loaded leniently into a model that was made with OpenAI's
weights, whose MLPs have QuickGELU; into one that was not, the same tensors fit without a word and answer worse.
"""

from pathlib import Path

from rsvlm.parts.checkpoints.weights import Account
from rsvlm.recipe import Recipe
from rsvlm.systems.convert.clip import convert_clip, recipe_size
from rsvlm.systems.convert.published_files import PublishedFile

PUBLISHED = (
    PublishedFile(
        name="RS5M_ViT-B-32",
        recipe="paper",
        activation="quick_gelu",
        size="605 MB",
        start="OpenAI's ViT-B/32",
        good_for="zero-shot classes and retrieval on little hardware: AID 74.42, RESISC45 72.74, EuroSAT 61.40; RSICD "
        "26.06 mean recall",
    ),
    PublishedFile(
        name="RS5M_ViT-B-32_RET-2",
        recipe="ret2",
        activation="quick_gelu",
        size="605 MB",
        start="RS5M_ViT-B-32",
        good_for="retrieval of captions like RSICD's and RSITMD's, whose training pictures it has seen: 38.87 and "
        "51.81 mean recall",
    ),
    PublishedFile(
        name="RS5M_ViT-B-32_RSICD",
        recipe="paper",
        activation="quick_gelu",
        size="605 MB",
        start="RS5M_ViT-B-32",
        good_for="retrieval on RSICD alone, whose training pictures it has seen: 38.00 mean recall",
    ),
    PublishedFile(
        name="RS5M_ViT-L-14",
        recipe="vit_l14",
        activation="quick_gelu",
        size="1.71 GB",
        start="OpenAI's ViT-L/14",
        good_for="between B/32 and H/14; its figures are only drawn (the paper's figure 9)",
    ),
    PublishedFile(
        name="RS5M_ViT-L-14-336",
        recipe="vit_l14_336",
        activation="quick_gelu",
        size="1.71 GB",
        start="OpenAI's ViT-L/14 at 336 px",
        good_for="the same with finer pictures",
    ),
    PublishedFile(
        name="RS5M_ViT-H-14",
        recipe="vit_h14",
        activation="gelu",
        size="3.94 GB",
        start="LAION-2B's ViT-H/14",
        good_for="the best of these at zero-shot classes and retrieval: AID 76.33, RESISC45 73.83, EuroSAT 67.47; "
        "RSICD 28.48 mean recall",
    ),
)


def size_of(path: Path) -> str:
    """The recipe of a published file that keeps its name. Raises BadInput for another one."""
    return recipe_size(path, "georsclip")


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
    lora: bool = True,
) -> Account:  # fmt: skip
    """As `rsvlm.systems.convert.clip.convert_clip`; there are no adapters to leave out."""
    return convert_clip(path, out, recipe=recipe, language_model=language_model, vision=vision)
