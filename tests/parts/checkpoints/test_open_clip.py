"""CLIP's published names: every one of both layouts has its place, and the shapes tell which CLIP it is."""

from functools import cache

import pytest
import torch

from fake.clip_release import SIZES, open_clip_shapes, write_transformers
from fake.lhrs_release import filled
from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints import open_clip
from rsvlm.parts.checkpoints.weights import adopt
from rsvlm.recipe import read_recipe
from rsvlm.systems.build import build

PUBLISHED = {
    "georsclip/paper": "CLIP ViT-B/32 at 224 px", "georsclip/vit_l14": "CLIP ViT-L/14 at 224 px",
    "georsclip/vit_l14_336": "CLIP ViT-L/14 at 336 px", "georsclip/vit_h14": "CLIP ViT-H/14 at 224 px",
}  # fmt: skip


@cache
def meta(name):
    with torch.device("meta"):
        return build(read_recipe(name), for_training=False).state_dict()


def published(**sizes):
    return {n: torch.empty(shape, device="meta") for n, shape in open_clip_shapes(**{**SIZES, **sizes}).items()}


def as_published(found):
    sizes = {name: getattr(found, name) for name in SIZES}
    return published(**sizes)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_names_and_shapes_fit_the_recipe(name):
    own = meta(name)
    sizes = open_clip.sizes_of(own)
    tensors = as_published(sizes)
    assert sizes.name == PUBLISHED[name] and open_clip.sizes_of(tensors) == sizes
    pieces = open_clip.split_attention(tensors)
    state, account = adopt(pieces, own, open_clip.published_table(own), source="CLIP")
    assert set(account.loaded) == set(pieces) and state.keys() == own.keys() and not account.ignored
    assert len(tensors) == 14 + 12 * (sizes.depth + sizes.text_depth)
    open_clip.check_sizes(tensors, own, source="CLIP", wanted="")


def test_another_size_is_named():
    for name, other in ((a, b) for a in PUBLISHED for b in PUBLISHED if a != b):
        tensors = as_published(open_clip.sizes_of(meta(name)))
        said = f"x.pt looks like {PUBLISHED[name]}, expected {PUBLISHED[other]}; give another"
        with pytest.raises(BadInput, match=said.replace(".", r"\.")):
            open_clip.check_sizes(tensors, meta(other), source="x.pt", wanted="give another")
    odd = open_clip.sizes_of(published())
    assert odd.name == (
        "a CLIP of 16 x 3 (width x layers) with patches of 8 at 32 px, text 12 x 2 over 514 ids, vectors of 10"
    )
    assert (
        open_clip.sizes_of(published(width=768, depth=12, text_width=512, text_depth=12, dim=512)).name[:5] == "a CLI"
    )


def test_what_is_no_clip_of_two_transformers_has_no_layout():
    assert open_clip.layout_of(open_clip_shapes(**SIZES)) == "open_clip"
    assert open_clip.layout_of({**open_clip_shapes(**SIZES), "extra": 1}) == "open_clip"
    for lost in ("visual.conv1.weight", "logit_scale"):
        assert open_clip.layout_of(set(open_clip_shapes(**SIZES)) - {lost}) == ""
    assert open_clip.layout_of(["visual.layer1.0.conv1.weight", "logit_scale"]) == ""
    assert open_clip.sizes_of({}) is None and open_clip.sizes_of({"visual.conv1.weight": torch.ones(1)}) is None


def test_queries_keys_and_values_are_the_thirds_of_one_matrix():
    tensors = filled(open_clip_shapes(**SIZES), 1)
    pieces, name = open_clip.split_attention(tensors), "visual.transformer.resblocks.1.attn.in_proj_"
    for leaf in ("weight", "bias"):
        parts = [pieces[f"{name}{leaf}.{part}"] for part in "qkv"]
        assert torch.equal(torch.cat(parts), tensors[name + leaf]) and f"{name}{leaf}" not in pieces
    odd = {name + "bias": torch.ones(7), name + "weight": torch.tensor(1.0)}
    assert open_clip.split_attention(odd) == odd


def test_both_layouts_say_the_same(tmp_path):
    theirs = write_transformers(tmp_path / "clip")
    assert open_clip.layout_of(theirs) == "transformers"
    assert open_clip.sizes_of(theirs) == open_clip.sizes_of(published())
