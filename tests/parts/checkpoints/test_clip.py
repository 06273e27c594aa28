"""CLIP's published file in a tower of another grid, in both conventions of corners."""

import pytest
import torch
from torch.nn import functional as F

from fake import llava_release as release
from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints.clip import read_published, regridded
from rsvlm.parts.vision.clip import CLIPLevels
from rsvlm.parts.vision.positions import resized

SIZES = {"width": 16, "depth": 2, "patch": 8}
POSITIONS = "embeddings.position_embedding.weight"


def tower(size, align_corners=False):
    return CLIPLevels(heads=2, taps=(1,), size=size, align_corners=align_corners, **SIZES)


def geochats(table, new):
    """`clip_interpolate_embeddings` of geochat/model/multimodal_encoder/clip_encoder.py, statement by statement."""
    embedding = table.unsqueeze(0)
    token, grid = embedding[:, :1, :], embedding[:, 1:, :]
    side = int((embedding.shape[1] - 1) ** 0.5)
    grid = grid.permute(0, 2, 1).reshape(1, table.shape[1], side, side)
    grid = F.interpolate(grid, size=new, mode="bicubic", align_corners=True)
    return torch.cat([token, grid.reshape(1, table.shape[1], new**2).permute(0, 2, 1)], dim=1)[0]


def test_577_positions_become_1297_as_geochats():
    table = torch.randn(577, 8)
    ours = resized(table[None], 1297, align_corners=True)[0]
    assert torch.equal(ours, geochats(table, 36))
    at = [1, 36, 1297 - 36, 1296]  # the corners stay what they were
    assert torch.allclose(ours[at], table[[1, 24, 577 - 24, 576]], atol=1e-6)


@torch.inference_mode()
def test_577_positions_become_1297_as_transformers():
    clip = tower(32)
    inner = next(module for module in clip.model.modules() if hasattr(module, "interpolate_pos_encoding"))
    patches = torch.zeros(1, 1 + 36, 16)
    theirs = inner.interpolate_pos_encoding(patches, 48, 48)
    table = clip.model.state_dict()[next(n for n in clip.model.state_dict() if n.endswith(POSITIONS))]
    assert torch.allclose(resized(table[None], 37), theirs, atol=1e-6)
    assert not torch.allclose(resized(table[None], 37, align_corners=True), theirs, atol=1e-3)


@pytest.mark.parametrize("align_corners", [True, False])
def test_both_towers_of_clip_in_one_file(tmp_path, align_corners):
    folder = release.write_clip(tmp_path / "clip", size=32, **SIZES)
    state, account, files = read_published(folder, tower(48, align_corners))
    assert files == [folder / "model.safetensors"] == [read_published(files[0], tower(48))[2][0]]
    assert set(account.ignored) == {"text_model.final_layer_norm.weight", "logit_scale", "visual_projection.weight"}
    model = tower(48, align_corners)
    model.load_state_dict(state)
    held = release.filled(release.clip_shapes(size=32, **SIZES), 7)[f"encoder.vision_model.{POSITIONS}"]
    found = next(t for n, t in state.items() if n.endswith(POSITIONS))
    assert torch.equal(found, resized(held[None], 37, align_corners=align_corners)[0])


def test_a_finer_table_is_not_made_coarser():
    fine = {POSITIONS: torch.randn(37, 16)}
    assert regridded(fine, tower(32))[POSITIONS] is fine[POSITIONS]
    with pytest.raises(BadInput, match="38 position embeddings cannot become 65"):
        regridded({POSITIONS: torch.randn(38, 16)}, tower(64))
