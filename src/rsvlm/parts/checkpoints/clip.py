"""CLIP's published vision transformer under the names of `CLIPLevels`, its positions on the grid that the tower has."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from rsvlm.errors import BadInput
from rsvlm.files import is_file, is_folder
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.shards import read_shards, read_tensors
from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.parts.vision.clip import CLIPLevels
from rsvlm.parts.vision.positions import resized

_POSITIONS = "embeddings.position_embedding.weight"


def published_table(own: Iterable[str]) -> WeightTable:
    """Names of transformers' CLIP, of the vision transformer alone or of both towers -> names of ours, `own`."""
    ours = "model." + weights.clip_prefix(own, "model.")
    return WeightTable(
        {r"(?:vision_model\.)?((?:embeddings|pre_layrnorm|encoder|post_layernorm)\..+)": rf"{ours}\1"},
        {
            r"(?:vision_model\.)?embeddings\.position_ids": "a constant that transformers before 4.31 saved",
            r"(?:text_model|text_projection|visual_projection)\..+|logit_scale": "CLIP's text tower, and projections",
        },
    )


def read_published(path: Path, tower: CLIPLevels) -> tuple[dict[str, Tensor], Account, list[Path]]:
    """A published CLIP (its folder, or the file of its weights) under the names of `tower`, and the files read.

    Raises BadInput for a damaged file, a path without weights and any tensor without a counterpart.
    """
    if not is_file(path) and not is_folder(path):
        raise BadInput(f"There is no CLIP at {path}; give the folder of openai/clip-vit-large-patch14-336.")
    published, files = read_shards(path) if path.is_dir() else (read_tensors(path), [path])
    own = tower.state_dict()
    return *weights.adopt(regridded(published, tower), own, published_table(own), source=str(path)), files


def regridded(published: Mapping[str, Tensor], tower: CLIPLevels) -> dict[str, Tensor]:
    """`published` with its table of positions, (1 + g * g, D), on the finer grid of `tower`.

    By the tower's `align_corners`. A table that is finer than the tower's is left, so that it is refused.
    """
    out, places = dict(published), tower.tokens[0] + (not tower.keeps_class_token)
    for name, table in published.items():
        if name.endswith(_POSITIONS) and table.ndim == 2 and len(table) < places:
            out[name] = resized(table[None], places, align_corners=tower.align_corners)[0]
    return out
