"""Two towers as one model: the vectors of the library's CLIP and SigLIP, and an activation that has to be said."""

import copy

import pytest
import torch
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

from fake import batches, runs
from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints.open_clip import published_table
from rsvlm.parts.checkpoints.weights import adopt
from rsvlm.parts.vision.siglip import SigLIPLevels
from rsvlm.recipe import read_recipe
from rsvlm.systems.build import build

TINY = read_recipe(runs.tiny("georsclip"))


def system(**numbers):
    torch.manual_seed(0)
    return build(TINY.model_copy(update={"model": {**TINY.model, **numbers}})).eval()


def features(out):
    return out if torch.is_tensor(out) else out.pooler_output


@torch.no_grad()
@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_vectors_are_those_of_the_librarys_clip(activation):
    ours = system(activation=activation)
    config = CLIPConfig(
        vision_config={"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2,
                       "patch_size": 8, "image_size": 32, "hidden_act": activation},
        text_config={"vocab_size": 514, "hidden_size": 24, "intermediate_size": 96, "num_hidden_layers": 2,
                     "num_attention_heads": 2, "max_position_embeddings": 48, "hidden_act": activation,
                     "bos_token_id": 512, "eos_token_id": 513},
        projection_dim=16,
    )  # fmt: skip
    theirs = CLIPModel(config).eval()
    for parameter in theirs.parameters():
        if parameter.ndim:
            torch.nn.init.normal_(parameter, std=0.2)
    published = {name: tensor for name, tensor in theirs.state_dict().items() if "position_ids" not in name}
    state, account = adopt(published, ours.state_dict(), published_table(ours.state_dict()), source="CLIP")
    assert len(account.loaded) == len(published)
    ours.load_state_dict(state)
    batch = batches.pairs(ours, batches.build_tokenizer(TINY))
    pixels = (batch["image"] - ours.vision.mean) / ours.vision.std
    wanted = theirs.get_image_features(pixel_values=pixels), theirs.get_text_features(input_ids=batch["text"])
    found = ours.image_features(ours.see(batch)), ours.text_features(batch["text"], batch["text_mask"])
    for one, other in zip(found, map(features, wanted), strict=True):
        assert one.shape == (4, 16) and torch.allclose(one, other, atol=1e-5) and other.abs().max() > 0.1
    assert ours.vision.tokens == (17,) and ours.vision.dims == (32,)


def test_an_activation_that_nobody_told_is_not_guessed():
    for activation in (None, "relu", "gelu_new"):
        with pytest.raises(BadInput, match=r"model\.activation is .*expected 'quick_gelu' or 'gelu'.*do not tell"):
            system(activation=activation)
    one, other = system(activation="gelu"), system(activation="quick_gelu")
    other.load_state_dict(one.state_dict())
    batch = batches.pairs(one, batches.build_tokenizer(TINY))
    with torch.no_grad():
        for embed in ("embed_image", "embed_text"):
            assert not torch.equal(getattr(one, embed)(batch), getattr(other, embed)(batch))


@torch.no_grad()
def test_vectors_are_those_of_the_librarys_siglip():
    sizes = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = SiglipConfig(
        text_config={**sizes, "vocab_size": 514, "max_position_embeddings": 40, "projection_size": 32,
                     "bos_token_id": None, "eos_token_id": None},
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
    )  # fmt: skip
    torch.manual_seed(2)
    theirs = SiglipModel(config).eval()
    towers = {"width": 32, "depth": 2, "heads": 2, "hidden": 40}
    ours = system(
        activation=None, dim=None, vision={"tower": "siglip", **towers, "patch": 8, "size": 32},
        text={"tower": "siglip", "tokenizer": "bytes", "vocabulary": 514, **towers, "context": 40},
    )  # fmt: skip
    for model, front in ((ours.vision.model, "vision_model."), (ours.text.model, "text_model.")):
        model.load_state_dict(
            {name.removeprefix(front): t for name, t in theirs.state_dict().items() if name.startswith(front)}
        )
    batch = batches.pairs(ours, batches.build_tokenizer(TINY))
    ids = torch.nn.functional.pad(batch["text"].where(batch["text_mask"], 1), (0, 40 - batch["text"].shape[1]), value=1)
    wanted = theirs.get_image_features(pixel_values=batch["image"] * 2 - 1), theirs.get_text_features(input_ids=ids)
    found = ours.image_features(ours.see(batch)), ours.text_features(batch["text"], batch["text_mask"])
    for one, other in zip(found, map(features, wanted), strict=True):
        assert one.shape == (4, 32) and torch.allclose(one, other, atol=1e-5)
    assert ours.max_text == 40 and ours.state_dict().keys() - {"logit_scale"} == {
        f"{tower}.model.{name}" for tower in ("vision", "text") for name in getattr(ours, tower).model.state_dict()
    }


def test_a_siglip_tower_that_pools_has_levels_like_one_that_does_not():
    torch.manual_seed(0)
    sizes = {"width": 16, "depth": 3, "heads": 2, "hidden": 40, "patch": 8, "size": 32, "taps": [3]}
    pools, plain = SigLIPLevels(**sizes, pools=True).eval(), SigLIPLevels(**sizes).eval()
    plain.load_state_dict({name: t for name, t in pools.state_dict().items() if name in plain.state_dict()})
    image = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(pools(image)[0], plain(image)[0]) and pools.pool(pools(image)).shape == (2, 16)


def test_a_copy_is_whole():
    model = system(adapters={"prefix": {"length": 2, "hidden": 4}, "bottleneck": {"reduction": 4}})
    batch = batches.pairs(model, batches.build_tokenizer(TINY))
    with torch.no_grad():
        wanted = model.embed_image(batch)
        twin = copy.deepcopy(model)
        for parameter in model.parameters():
            parameter.zero_()
        assert torch.equal(twin.embed_image(batch), wanted)
