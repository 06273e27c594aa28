"""The Q-Former bridge: it reads the picture and the question, and neither padding nor neighbours."""

import pytest
import torch

from rsvlm.parts.bridges.qformer import QFormerBridge, last_words


@pytest.fixture(scope="module")
def bridge():
    torch.manual_seed(0)
    numbers = {"num_queries": 3, "width": 16, "depth": 3, "heads": 2, "most_words": 4}
    bridge = QFormerBridge(vision_dim=6, output_dim=10, vocabulary=20, **numbers).eval()
    for parameter in bridge.parameters():  # transformers start too small to be told from noise
        torch.nn.init.normal_(parameter, std=0.3)
    return bridge


def test_the_last_words_come_first():
    ids = torch.tensor([[-1, 5, -200, 6, 7], [1, 2, 3, 4, 5], [-1, -1, -1, -1, -1]])
    assert last_words(ids, 3).tolist() == [[5, 6, 7], [3, 4, 5], [-1, -1, -1]]
    assert last_words(ids[:1], 9).tolist() == [[5, 6, 7]] and last_words(ids[2:], 3).tolist() == [[-1]]


@torch.no_grad()
def test_picture_and_question_are_read(bridge):
    levels, question = [torch.randn(2, 1, 6), torch.randn(2, 5, 6)], torch.tensor([[3, 4], [5, -1]])
    out = bridge(levels, question)
    assert out.shape == (2, 3, 10)
    assert torch.equal(bridge([levels[0] + 1, levels[1]], question), out)  # the last level only
    other = bridge([levels[0], levels[1] + torch.tensor([[[1.0]], [[0.0]]])], question)
    assert not torch.allclose(other[0], out[0], atol=1e-3) and torch.allclose(other[1], out[1], atol=1e-5)
    asked = bridge(levels, torch.tensor([[3, 4], [6, -1]]))
    assert torch.allclose(asked[0], out[0], atol=1e-5) and not torch.allclose(asked[1], out[1], atol=1e-3)
    turned = bridge(levels, torch.tensor([[4, 3], [5, -1]]))
    assert not torch.allclose(turned[0], out[0], atol=1e-4)  # words have an order


@torch.no_grad()
def test_padding_on_either_side_changes_nothing(bridge):
    levels = [torch.randn(1, 5, 6)]
    out = bridge(levels, torch.tensor([[3, 4]]))
    for padded in ([[3, 4, -1, -1]], [[-1, -1, 3, 4]], [[3, -200, -200, 4]]):
        assert torch.allclose(bridge(levels, torch.tensor(padded)), out, atol=1e-5)
    cut = bridge(levels, torch.tensor([[9, 9, 1, 2, 3, 4]]))
    assert torch.allclose(cut, bridge(levels, torch.tensor([[1, 2, 3, 4]])), atol=1e-5)


def test_adapters_alone_can_move():
    lora = {"r": 2, "lora_alpha": 4, "target_modules": ".*attention.attention.(query|value)"}
    bridge = QFormerBridge(
        vision_dim=6, output_dim=10, vocabulary=20, num_queries=3, width=16, depth=2, heads=2, lora=lora
    )
    assert any("lora_A" in name for name, _ in bridge.named_parameters())
    assert all(name.startswith("qformer.") for name, _ in bridge.named_parameters() if "lora_" in name)
