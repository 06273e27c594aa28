"""RS-MoE, the reconstruction: stages that go on where the last one ended, a router and experts in one path, merges."""

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from fake import batches, runs
from rsvlm.errors import BadInput
from rsvlm.parts.experts import upcycle
from rsvlm.parts.language.instruction_router import TEMPLATES, tagged
from rsvlm.parts.language.model import LanguageModel
from rsvlm.parts.vlm import branches
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.sample import IGNORE, IMAGE_TOKEN, Reply
from rsvlm.systems.build import build
from rsvlm.systems.load import load
from rsvlm.systems.rs_moe.model import FUSE
from rsvlm.train.run import train

TINY = RECIPES / "rs_moe/tiny.yaml"
EXPERTS = ["theme", "object", "relation"]
CAPTION = "Describe this image in detail."
STAGE_1 = {"experts": [], "router": None}


def tiny(**numbers):
    """The tiny recipe with other numbers of the model, and its system with adapters that are not zero."""
    recipe = read_recipe(TINY)
    recipe = recipe.model_copy(update={"model": {**recipe.model, **numbers}})
    torch.manual_seed(0)
    model = build(recipe).eval()
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name and ".experts." not in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return recipe, model


def batch_for(model, experts=None, *, routed=True):
    """Three talks; without `routed` the prompts have no places for the router's words."""
    recipe, kept = read_recipe(TINY), model.image_tokens
    model.image_tokens = kept if routed else model.picture_tokens
    batch = batches.language(recipe, model, batches.build_tokenizer(recipe))
    model.image_tokens = kept
    batch["question"] = torch.tensor([[70, 71, 72], [80, 81, -1], [90, -1, -1]])
    return batch | ({} if experts is None else {"expert": torch.tensor(experts)})


def by_hand(model, batch):
    """InstructBLIP as it is drawn: a language model over [queries][prompt][reply], the loss over full logits."""
    prefix = model.language.embed(batch["prompt"])
    for row, picture in enumerate(model.bridge([model.vision(batch["image"])[-1]], batch["question"])):
        prefix[row, batch["prompt"][row] == IMAGE_TOKEN] = picture
    mask, positions = branches(batch)
    x = torch.cat([prefix, model.language.embed(batch["reply"])], 1)
    hidden, _ = LanguageModel(model.language.model)(x, mask, None, positions)
    logits = model.language.head(hidden[:, prefix.shape[1] - 1 : -1])
    return F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORE)


@torch.no_grad()
def test_stage_1_and_one_expert_of_a_template_router_are_plain_instructblip():
    first, second = tiny(**STAGE_1)[1], tiny(experts=["theme"], router={"mode": "template"})[1]
    second.load_state_dict(second.state_dict() | upcycle(first.state_dict(), second.state_dict()))
    batch = batch_for(first)
    wanted = by_hand(first, batch)
    assert torch.allclose(first.loss(batch)["language"], wanted, atol=1e-6)
    assert torch.allclose(second.loss(batch | {"expert": torch.tensor([0, 0, 0])})["language"], wanted, atol=1e-6)


@pytest.mark.parametrize("separate", [False, True])
@torch.no_grad()
def test_stage_2_begins_where_stage_1_ended(separate):
    first, second = tiny(**STAGE_1)[1], tiny(separate=separate)[1]
    moved = {n: t for n, t in first.state_dict().items() if "lora_" in n or n.startswith("bridge")}
    state = upcycle(moved, second.state_dict())
    second.load_state_dict(second.state_dict() | state)
    wanted = first.loss(batch_for(first))["language"]
    for experts in ([0, 1, 2], [3, 3, 3], [-1, 0, 3]):
        assert torch.allclose(second.loss(batch_for(second, experts, routed=False))["language"], wanted, atol=1e-5)
    assert not torch.allclose(second.loss(batch_for(second, [0, 1, 2]))["language"], wanted, atol=1e-6)
    assert not {name for name in second.state_dict() if name.startswith("router")} & set(state)


def test_a_row_teaches_its_expert_and_no_other():
    model = tiny()[1].train()
    model.loss(batch_for(model, [1, 1, 1]))["language"].backward()
    taught = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.split(".experts.")[1].split(".")[0] for name in taught if ".experts." in name} == {"object"}
    assert model.router.prompt.grad[1].any() and not model.router.prompt.grad[[0, 2]].any()


@torch.no_grad()
def test_the_router_reads_picture_and_question_and_says_the_same_twice():
    model = tiny()[1]
    torch.nn.init.normal_(model.router.mlp[2].weight)
    batch = batch_for(model, [0, 1, 2])
    tokens = model.tokens(batch)
    assert tokens.shape == (3, model.image_tokens, 48) and model.image_tokens == model.picture_tokens + 2
    assert torch.equal(model.tokens(batch), tokens)
    for other in ({"question": batch["question"].flip(0)}, {"image": batch["image"].flip(0)}):
        changed = model.tokens(batch | other)[0, model.picture_tokens :]
        assert not torch.allclose(changed, tokens[0, model.picture_tokens :], atol=1e-4)
    short = batch_for(model, [0, 1, 2], routed=False)
    assert torch.allclose(model.tokens(short), tokens[:, : model.picture_tokens])


def played(model, question, answer):
    """The rounds of a talk as (expert, text, image tokens), answered by `answer(ask)`, and what it comes to."""
    talk, rounds, replies = model.rounds(question), [], None
    try:
        while True:
            asks = talk.send(replies)
            assert all(ask.question == question for ask in asks)
            rounds.append([(ask.expert, ask.text, ask.image_tokens) for ask in asks])
            replies = [answer(ask) for ask in asks]
    except StopIteration as end:
        return rounds, end.value


def draft(ask):
    return Reply(text=f"Part {ask.expert}. The same.", confidence=0.5)


@pytest.mark.parametrize("router", [{"mode": "soft", "tokens": 2, "hidden": 4}, {"mode": "template"}])
def test_a_caption_is_a_draft_of_each_expert(router):
    rounds, end = played(tiny(router=router)[1], CAPTION, draft)
    assert rounds == [[(n, TEMPLATES[name], None) for n, name in enumerate(EXPERTS)]]
    assert end.text == "Part 0. The same. Part 1. Part 2." and end.confidence == pytest.approx(0.5)


def test_without_a_router_every_expert_is_asked_the_question():
    assert played(tiny(router=None)[1], CAPTION, draft)[0] == [[(n, CAPTION, None) for n in range(3)]]


def test_a_router_that_writes_is_asked_first():
    model = tiny(router={"mode": "generate"})[1]
    text = tagged({"theme": "What place?", "object": "Which ships?"})
    rounds, _ = played(model, CAPTION, lambda ask: Reply(text=text if ask.expert == 3 else "A.", confidence=1.0))
    asked = [(0, "What place?", None), (1, "Which ships?", None), (2, TEMPLATES["relation"], None)]
    assert rounds == [[(3, CAPTION, model.picture_tokens)], asked]


def test_the_model_of_stage_1_writes_one_text_of_the_drafts():
    model = tiny(merge="fuse")[1]
    rounds, end = played(model, CAPTION, lambda ask: draft(ask) if ask.expert < 3 else Reply(text="W", confidence=0.2))
    notes = FUSE.format(drafts="Part 0. The same. Part 1. Part 2.")
    assert rounds[1:] == [[(3, notes, model.picture_tokens)]] and end == Reply(text="W", confidence=0.2)


def test_all_together_word_by_word():
    assert played(tiny(merge="logit_mix")[1], CAPTION, draft)[0] == [[(-1, CAPTION, None)]]


@pytest.mark.parametrize(("question", "experts"), [
    ("How many ships are there?", [1]), ("Is there water?", [1]), ("Is it rural or urban?", [0]),
    ("Where is the pier?", [2]), ("What colour is the roof?", [0, 1, 2]),
])  # fmt: skip
def test_questions_go_to_their_expert_or_to_a_vote(question, experts):
    assert played(tiny()[1], question, draft)[0] == [[(expert, question, None) for expert in experts]]


def test_a_question_whose_expert_is_not_here_is_put_to_all():
    rounds, _ = played(tiny(experts=["theme", "relation"])[1], "How many ships?", draft)
    assert [expert for expert, *_ in rounds[0]] == [0, 1]


def test_before_there_are_experts_a_question_is_a_question():
    assert played(tiny(**STAGE_1)[1], CAPTION, draft)[0] == [[(None, CAPTION, None)]]


@pytest.mark.parametrize(("numbers", "said"), [
    ({"experts": ["theme", "objects"]}, r"No expert is named 'objects'. Did you mean 'object'\?"),
    ({"merge": "concatenate"}, r"No merge is named 'concatenate'."), ({"router": {"mode": "hard"}}, "No router mode"),
    ({"experts": []}, "A router of mode 'soft' has no expert to ask"),
])  # fmt: skip
def test_names_that_mean_nothing(numbers, said):
    with pytest.raises(BadInput, match=said):
        tiny(**numbers)


MODEL_NAMES = {
    "soft": {}, "separate": {"separate": True}, "template": {"router": {"mode": "template"}},
    "generate": {"router": {"mode": "generate"}}, "none": {"router": None}, "fuse": {"merge": "fuse"},
    "logit_mix": {"merge": "logit_mix"}, "stage 1": STAGE_1, "text_moe": {**STAGE_1, "text_moe": {"residual": False}},
    "as released": {**STAGE_1, "text_moe": {"residual": False, "raw_generated": True}},
}  # fmt: skip
PICTURES = [np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8) for n in range(2)]


def saved(folder, form):
    recipe, model = tiny(**MODEL_NAMES[form])
    folder.mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf-8")
    save_file({n: t.clone() for n, t in model.state_dict().items()}, folder / "model.safetensors")
    return load(str(folder))


@pytest.mark.parametrize("form", MODEL_NAMES)
def test_every_form_answers_together_as_alone_and_blind(form, tmp_path):
    chat = saved(tmp_path / "model", form)
    questions, images = [CAPTION, "How many?", "What colour?", CAPTION], [PICTURES[0], PICTURES[1], PICTURES[0], None]
    together = chat.answer(images, questions, max_new_tokens=4)
    for image, question, reply in zip(images, questions, together, strict=True):
        (alone,) = chat.answer([image], [question], max_new_tokens=4)
        assert alone.text == reply.text and alone.confidence == pytest.approx(reply.confidence, rel=1e-3)
    other = chat.answer([PICTURES[1]], [CAPTION], max_new_tokens=4)[0]
    assert other.confidence != pytest.approx(together[0].confidence, rel=1e-6)  # the picture is looked at


def test_generated_words_are_mixed_unless_as_released(tmp_path):
    ours, released = (saved(tmp_path / form, form) for form in ("text_moe", "as released"))
    replies = [chat.answer(PICTURES[:1], ["What?"], max_new_tokens=n)[0] for n in (1, 6) for chat in (ours, released)]
    assert replies[0] == replies[1]  # the first word follows from the prompt alone
    assert replies[2] != replies[3]


@pytest.mark.parametrize("form", ["soft", "generate", "separate"])
def test_both_stages_are_trained_and_the_model_answers(form, tmp_path):
    data, recipe = runs.data(tmp_path / "data"), read_recipe(TINY).model_dump(mode="json")
    recipe["model"] |= MODEL_NAMES[form]
    if form == "generate":
        recipe["stages"][1] |= {"trainable": ["language.experts"], "lr": 0.003}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    folder = train(tmp_path / "recipe.yaml", data, tmp_path / "out")
    steps = [line[:2] for line in runs.losses(tmp_path / "out")]
    assert steps == [(stage, n) for stage in ("whole", "experts") for n in range(6)]
    assert load(str(folder)).answer(PICTURES[:1], [CAPTION], max_new_tokens=3)[0].confidence > 0
    state = load_file(folder / "model.safetensors")
    first = {n: t for n, t in state.items() if n.startswith("language.model.") and n.endswith("lora_B.default.weight")}
    first = {n: t for n, t in first.items() if ".experts." not in n}
    assert first and all(t.any() for t in first.values())  # stage 1 moved it, and it is still there
    experts = {n: t for n, t in state.items() if ".experts." in n and n.endswith("lora_B.default.weight")}
    assert len(experts) == len(first) * (4 if form == "generate" else 3)
    sources = {name: name.replace(f".{part}", "") for name in experts for part in _parts(name)}
    assert any(not torch.equal(experts[name], state[source]) for name, source in sources.items())


def _parts(name):
    """The experts.<name> in a parameter's name."""
    words = name.split(".")
    return [".".join(words[i : i + 2]) for i, word in enumerate(words) if word == "experts"]


def test_a_run_killed_in_stage_2_goes_on(tmp_path):
    data, whole, cut = runs.data(tmp_path / "data"), tmp_path / "whole", tmp_path / "cut"
    train(TINY, data, whole)
    stop = (
        "from rsvlm.train.log import Log\nplain = Log.step\n"
        "def step(self, n, numbers):\n    plain(self, n, numbers)\n"
        "    if (self.stage.name, n) == ('experts', 2):\n        os._exit(9)\nLog.step = step\n"
    )
    codes, said = runs.processes(stop, "pass", recipe=TINY, data=data, out=cut)
    assert codes == [[9], [0]], said[-2000:]
    assert [x[:2] for x in runs.losses(cut)] == [x[:2] for x in runs.losses(whole)]
    assert [x[2] for x in runs.losses(cut)] == pytest.approx([x[2] for x in runs.losses(whole)], abs=1e-6)


def test_the_paper_recipe_builds():
    recipe = read_recipe(RECIPES / "rs_moe/paper.yaml")
    for index, tokens in enumerate((32, 40)):
        with torch.device("meta"):
            model = build(recipe.in_stage(index))
        assert model.image_tokens == tokens and model.picture_tokens == 32
        assert model.vision.tokens == (257,) and model.vision.dims == (1408,)
        sizes = {name: p.numel() for name, p in model.named_parameters()}
        base = sum(size for name, size in sizes.items() if name.startswith("language.") and "lora_" not in name)
        assert base == 6_738_415_616  # LLaMA-7B
