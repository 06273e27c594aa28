"""Experts in a language model: each row is spoken by its own, alone, mixed, cached; over one base or apart."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from transformers import DynamicCache

from rsvlm.parts.language.expert_language import ALL, ExpertLanguage
from rsvlm.parts.language.model import llama
from rsvlm.parts.language.text_moe import TextMoE

NUMBERS = {
    "vocab_size": 30, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 64,
    "lora": {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0, "target_modules": ["q_proj", "v_proj", "down_proj"]},
}  # fmt: skip
IDS = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [1, 2, 3, 4, 5], [11, 12, 13, 14, 15]])
MASK = torch.tensor([[True] * 5, [False, False, True, True, True], [True] * 5, [True] * 5])


def base():
    torch.manual_seed(0)
    model = llama(**NUMBERS)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def speakers(*, apart=True, **more):
    """Two experts; with `apart` they differ, as after training."""
    model = ExpertLanguage(base(), experts=["theme", "object"], **more)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if apart and ".experts." in f".{name}" and "lora_" in name:
            parameter.data += torch.randn_like(parameter) * 0.3
    return model.eval()


def logits(model, rows, expert, cache=None):
    hidden, _ = model(model.embed(IDS[rows]), MASK[rows], cache, expert=expert)
    return model.head(hidden)[:, -3:]  # never padding


@pytest.mark.parametrize("separate", [False, True])
@torch.no_grad()
def test_experts_start_as_the_model_that_they_come_from(separate):
    model, plain = speakers(apart=False, separate=separate), base().eval()
    wanted = plain.head(plain(plain.embed(IDS), MASK)[0])[:, -3:]
    for expert in (torch.tensor([0, 1, 2, ALL]), None):
        assert torch.allclose(logits(model, slice(None), expert), wanted, atol=1e-5)


@pytest.mark.parametrize("separate", [False, True])
@torch.no_grad()
def test_each_row_is_spoken_by_its_expert(separate):
    model, experts = speakers(separate=separate), torch.tensor([1, 0, 2, ALL])
    together = logits(model, slice(None), experts)
    for row in range(4):
        alone = logits(model, [row], experts[row : row + 1])
        assert torch.allclose(together[row], alone[0], atol=1e-5)
    same = logits(model, [0, 2, 0], torch.tensor([0, 1, 2]))  # one text by three speakers
    assert len({tuple(row.flatten().tolist()) for row in same}) == 3
    mixed = logits(model, [0], torch.tensor([ALL]))[0]
    assert torch.allclose(mixed, same[:2].mean(0), atol=1e-5)  # the experts, not the model of stage 1
    assert torch.allclose(logits(model, [0], None)[0], mixed, atol=1e-6)


@torch.no_grad()
def test_separate_experts_say_what_adapters_over_one_base_say():
    shared, separate = speakers(), speakers(separate=True)
    state = separate.state_dict()
    for name, tensor in shared.state_dict().items():
        place, _, rest = name.partition(".experts.")
        if rest and "lora_" in name:  # model.x.experts.theme.lora_A -> experts.theme.model.x.lora_A
            expert, _, tail = rest.partition(".")
            state[f"experts.{expert}.{place}.{tail}"].copy_(tensor)
    experts = torch.tensor([0, 1, 2, ALL])
    assert torch.allclose(logits(shared, slice(None), experts), logits(separate, slice(None), experts), atol=1e-5)
    before = logits(separate, slice(None), experts)
    assert torch.allclose(logits(separate.merge(), slice(None), experts), before, atol=1e-5)
    assert any("lora_" in name for name in shared.merge().state_dict())


@pytest.mark.parametrize("separate", [False, True])
@torch.no_grad()
def test_word_by_word_is_all_at_once(separate):
    model, experts = speakers(separate=separate), torch.tensor([1, 0, 2, ALL])
    wanted = model.head(model(model.embed(IDS), MASK, expert=experts)[0])
    x, cache, said = model.embed(IDS), DynamicCache(), []
    for start, end in ((0, 3), (3, 4), (4, 5)):
        hidden, cache = model(x[:, start:end], MASK[:, :end], cache, expert=experts)
        said.append(model.head(hidden))
    assert torch.allclose(torch.cat(said, 1)[:, -3:], wanted[:, -3:], atol=1e-5)


@pytest.mark.parametrize("separate", [False, True])
def test_only_the_one_who_speaks_learns(separate):
    model = speakers(separate=separate).train()
    logits(model, [0, 1], torch.tensor([1, 1])).sum().backward()
    taught = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert taught and not any("experts.theme" in name for name in taught)
    assert {name for name in taught if "lora_" in name} == {
        n for n, p in model.named_parameters() if "experts.object" in n and "lora_" in n
    }


@torch.no_grad()
def test_generated_words_go_through_the_text_moe_unless_as_released():
    moe = TextMoE(16, dropout=0.0, residual=False)
    ours, released = (ExpertLanguage(base(), text_moe=moe, raw_generated=raw).eval() for raw in (False, True))
    prompt, word = IDS[:, :4], IDS[:, 4:]
    assert torch.equal(ours.embed(prompt), released.embed(prompt))
    assert torch.allclose(ours.embed(word), ours.embed(IDS)[:, 4:], atol=1e-6)
    assert torch.equal(released.embed(word), released.model.get_input_embeddings()(word))
    assert torch.equal(released.train().embed(word), ours.embed(word).detach())  # while training all words do


def test_experts_over_one_base_need_adapters():
    with pytest.raises(ValueError, match="need its `lora`"):
        ExpertLanguage(llama(**{k: v for k, v in NUMBERS.items() if k != "lora"}), experts=["theme"])


def test_threads_do_not_hear_one_another():
    model = speakers()
    rows = [torch.tensor([0, 1]), torch.tensor([2, 3])]
    experts = [torch.tensor([0, 0]), torch.tensor([1, 1])]

    def run(at):
        with torch.inference_mode():
            return logits(model, rows[at], experts[at])

    alone = [run(0), run(1)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(run, [0, 1] * 40))
    assert all(torch.allclose(one, alone[at % 2], atol=1e-6) for at, one in enumerate(found))
