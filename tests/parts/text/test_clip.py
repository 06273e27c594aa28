"""The text towers of CLIP and SigLIP: their vectors by hand and by the library's whole models; padding is not seen."""

import pytest
import torch
from transformers import SiglipConfig, SiglipModel

from rsvlm.parts.text.clip import CLIPText, SigLIPText

SIZES = {"vocabulary": 40, "width": 16, "depth": 3, "heads": 2, "context": 12}


@pytest.fixture
def text():
    torch.manual_seed(0)
    return CLIPText(activation="gelu", **SIZES).eval()


def words(length, end=39):
    ids = torch.randint(1, 38, (3, length), generator=torch.Generator().manual_seed(length))
    ids[:, -1] = end
    return ids


def by_hand(tower, ids, activation):
    """Embedding, then block after block, each token seeing those before it; the norm behind the last."""
    state = {name.removeprefix("text_model."): tensor for name, tensor in tower.model.state_dict().items()}

    def norm(x, name):
        return torch.nn.functional.layer_norm(x, (16,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-5)

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    x = state["embeddings.token_embedding.weight"][ids]
    x = x + state["embeddings.position_embedding.weight"][: ids.shape[1]]
    hidden = torch.full((ids.shape[1], ids.shape[1]), float("-inf")).triu(1)
    for layer in range(3):
        at = f"encoder.layers.{layer}."
        y = norm(x, f"{at}layer_norm1")
        q, k, v = (linear(y, f"{at}self_attn.{n}_proj").unflatten(2, (2, 8)).transpose(1, 2) for n in "qkv")
        mixed = ((q @ k.transpose(2, 3)) / 8**0.5 + hidden).softmax(-1) @ v
        x = x + linear(mixed.transpose(1, 2).flatten(2), f"{at}self_attn.out_proj")
        y = linear(norm(x, f"{at}layer_norm2"), f"{at}mlp.fc1")
        y = y * torch.sigmoid(1.702 * y) if activation == "quick_gelu" else torch.nn.functional.gelu(y)
        x = x + linear(y, f"{at}mlp.fc2")
    return norm(x, "final_layer_norm")[torch.arange(len(ids)), ids.argmax(1)]


@torch.no_grad()
@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_the_state_at_the_end_by_hand(activation):
    torch.manual_seed(1)
    tower = CLIPText(activation=activation, **SIZES).eval()
    for parameter in tower.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ids, other = words(9), {"gelu": "quick_gelu", "quick_gelu": "gelu"}[activation]
    found = tower(ids, torch.ones_like(ids, dtype=torch.bool))
    assert found.shape == (3, 16) and torch.allclose(found, by_hand(tower, ids, activation), atol=1e-5)
    assert not torch.allclose(found, by_hand(tower, ids, other), atol=1e-4)


@torch.no_grad()
def test_what_is_behind_the_end_changes_nothing(text):
    ids = words(7)
    padded = torch.nn.functional.pad(ids, (0, 5))
    mask = torch.arange(12) < 7
    assert torch.allclose(text(ids, ids > 0), text(padded, mask.expand(3, -1)), atol=1e-6)
    padded[:, 7:] = 5
    assert torch.allclose(text(ids, ids > 0), text(padded, mask.expand(3, -1)), atol=1e-6)
    ids[:, 2] = 39  # written in the text itself: the first end is meant
    assert torch.allclose(text(ids, ids > 0), text(ids[:, :3], ids[:, :3] > 0), atol=1e-6)


@torch.no_grad()
def test_siglips_text_is_filled_up_to_its_context():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = SiglipConfig(
        text_config={**sizes, "vocab_size": 40, "max_position_embeddings": 12, "projection_size": 16,
                     "bos_token_id": None, "eos_token_id": None},
        vision_config={**sizes, "image_size": 16, "patch_size": 8},
    )  # fmt: skip
    whole = SiglipModel(config).eval()
    ours = SigLIPText(vocabulary=40, width=16, depth=2, heads=2, hidden=40, context=12).eval()
    front = "text_model."
    ours.model.load_state_dict(
        {n.removeprefix(front): tensor for n, tensor in whole.state_dict().items() if n.startswith(front)}
    )
    ids = words(7)
    wanted = whole.get_text_features(torch.nn.functional.pad(ids, (0, 5), value=1))
    wanted = wanted if torch.is_tensor(wanted) else wanted.pooler_output
    mask = torch.ones_like(ids, dtype=torch.bool)
    assert torch.allclose(ours(ids, mask), wanted, atol=1e-6)
    junk = torch.nn.functional.pad(ids, (0, 2), value=7)
    assert torch.allclose(ours(junk, torch.arange(9).expand(3, -1) < 7), wanted, atol=1e-6)
