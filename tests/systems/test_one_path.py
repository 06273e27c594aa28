"""Every registered system on its one path: what a stage moves, what answers, what is saved, killed and refused."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from fake import batches, runs
from rsvlm.data.loader import ImageCollator
from rsvlm.data.prompt import CHAT_TEMPLATES
from rsvlm.errors import BadInput
from rsvlm.evaluate.benchmarks import BENCHMARKS
from rsvlm.evaluate.solvers import SOLVERS, check_ability
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.sample import BATCH_CONTRACT, IMAGE_TOKEN
from rsvlm.systems.abilities import ABILITIES, Answers, Compares, ComparesWithMaps, Embeds, Matches, who_can
from rsvlm.systems.build import build, build_tokenizer, own_tensors
from rsvlm.systems.load import load
from rsvlm.systems.registry import SYSTEMS
from rsvlm.train import run as running
from rsvlm.train.log import Log
from rsvlm.train.loop import fit
from rsvlm.train.objectives.base import Setting
from rsvlm.train.objectives.language import encoder_of, pad_conversations
from rsvlm.train.run import train
from rsvlm.train.stages import freeze, named, optimizer

STAGES = {
    f"{name}-{stage.name}": (name, index)
    for name in SYSTEMS
    for index, stage in enumerate(read_recipe(runs.tiny(name)).stages)
}
SPEAKING = {
    key: (name, index)
    for key, (name, index) in STAGES.items()
    if read_recipe(runs.tiny(name)).stages[index].objective in ("language", "caption_retrieval")
}
CHAT = [path.parent.name for path in runs.CHAT]
MATCHING = [name for name in SYSTEMS if hasattr(SYSTEMS[name], "embed_text")]
CAPTIONING = [name for name in SYSTEMS if "change_caption" in SYSTEMS[name].objectives]
every_system = pytest.mark.parametrize("name", SYSTEMS)
every_chat_system = pytest.mark.parametrize("name", CHAT)
every_matching_system = pytest.mark.parametrize("name", MATCHING)
every_dual_encoder = pytest.mark.parametrize("name", sorted({*MATCHING} - {*CHAT}))
every_captioner = pytest.mark.parametrize("name", CAPTIONING)
every_stage = pytest.mark.parametrize(("name", "index"), STAGES.values(), ids=STAGES)
every_speaking_stage = pytest.mark.parametrize(("name", "index"), SPEAKING.values(), ids=SPEAKING)
KILLED_FOR_GOOD = "rs_gpt4v"  # by a signal, in a process of its own; the others by an exception, which is quicker


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data root with what the tiny recipes name."""
    return runs.data(tmp_path_factory.mktemp("data"))


class Runs:
    """Runs of the tiny recipes that nothing stopped, each made once: (folder of the run, the model at its end)."""

    def __init__(self, root, data):
        self.root, self.data, self.done = root, data, {}

    def __getitem__(self, name):
        if name not in self.done:
            ends = []
            with pytest.MonkeyPatch.context() as patch:
                finish = running._Run.finish
                patch.setattr(running._Run, "finish", lambda run: ends.append(run.model) or finish(run))
                train(runs.tiny(name), self.data, self.root / name)
            self.done[name] = self.root / name, ends[0].eval()
        return self.done[name]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """The unbroken run of a system, by its name."""
    return Runs(tmp_path_factory.mktemp("whole"), data)


def tensors(model):
    """Every parameter and buffer by name, those included that no checkpoint holds; but no counter of batches."""
    found = {**dict(model.named_buffers()), **model.state_dict()}
    return {name: tensor for name, tensor in found.items() if not name.endswith("num_batches_tracked")}


def differing(one, other):
    assert one.keys() == other.keys()
    return {name for name, tensor in one.items() if not torch.equal(tensor, other[name])}


def with_gradient(model):
    """Names of the parameters whose gradient is not zero; the gradients are gone after that."""
    found = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    model.zero_grad()
    return found


def batch_of(stage, recipe, model, tokenizer):
    """Three pictures and talks of the fakes as the system's own encoder puts them, each expert with a row."""
    if stage.objective == "tags":
        return batches.tags(model)
    if stage.objective == "contrastive":
        return batches.pairs(model, tokenizer)
    if stage.objective == "views":
        return batches.views(model)
    if stage.objective == "caption_retrieval":
        return batches.captions(recipe, model, tokenizer, stage)
    if stage.objective in ("change_caption", "semantic_maps"):
        return batches.changes(model, stage.objective)
    pictures = ImageCollator(size=model.vision.size)
    encode = encoder_of(
        Setting(recipe=recipe, stage=stage, samples=(), model=model, tokenizer=tokenizer, pictures=pictures)
    )
    rows = [encode(batches.sample(number), number) for number in range(6)]
    batch = pad_conversations(rows, tokenizer.pad_token_id) | {"image": batches.pictures(model, len(rows))}
    if "expert" in batch:
        batch["expert"] = torch.arange(len(rows)) % len(model.experts)
    return batch


def as_asked(batch):
    """The batch without its replies but for their first token, put to all experts: a prompt may be pictures alone."""
    begun = {key: torch.cat([batch[key], batch[reply][:, :1]], 1)
             for key, reply in (("prompt", "reply"), ("prompt_mask", "reply_mask"))}  # fmt: skip
    return begun | {key: batch[key] for key in ("image", "question") if key in batch}


def outputs(model, batch):
    """What a model gives: the logits of each reply's first word, vectors of pictures and texts, or the last level."""
    with torch.no_grad():
        if hasattr(model, "speak"):
            asked = as_asked(batch)
            return model.language.head(model.speak(model.read(asked), asked["prompt_mask"], asked["prompt"][:, :0])[0])
        if hasattr(model, "embed_text"):
            return torch.cat([model.embed_image(batch), model.embed_text(batch)])
        if name_of(model) in CAPTIONING:  # without maps in the batch: with those that it predicts
            shown = batches.changes(model, "change_caption", maps=False)
            return model.language(shown["reply"], model.memories(shown))
        return model.see(batch)[-1]


def name_of(model):
    return next(name for name in SYSTEMS if type(model) is SYSTEMS[name])


def test_every_system_has_recipes_and_every_recipe_a_system():
    for size in ("tiny", "paper"):
        assert [path.parent.name for path in sorted(RECIPES.glob(f"*/{size}.yaml"))] == list(SYSTEMS)
    assert len(SYSTEMS) == 13 and len(STAGES) == 21 and {name for name, _ in SPEAKING.values()} == set(CHAT)
    assert len(MATCHING) == 4 and {*CHAT, *MATCHING} == set(SYSTEMS) - {"cmid", *CAPTIONING}
    assert "rs_capret" in {*CHAT} & {*MATCHING} and CAPTIONING == ["mmodal_cc", "rsiccformer"]


@every_system
def test_the_paper_recipe_builds_and_its_stages_name_what_is_there(name):
    recipe, built = read_recipe(RECIPES / name / "paper.yaml"), {}
    for index, stage in enumerate(recipe.stages):
        form = recipe.in_stage(index)
        numbers = repr({**form.model, "frame": ""})
        if numbers not in built:
            with torch.device("meta"):
                built = {numbers: build(form)}  # one at a time
        groups = freeze(built[numbers], stage.trainable)
        assert optimizer(stage, groups).param_groups
        assert form.model["frame"] in CHAT_TEMPLATES if name in CHAT else "frame" not in form.model
        assert all(parameter.is_meta for parameter in built[numbers].parameters())


@every_stage
def test_exactly_the_named_parameters_move_and_the_loss_falls(name, index):
    recipe, model, tokenizer = batches.tiny(runs.tiny(name), index)
    stage = recipe.stages[index].model_copy(update={"steps": 20, "warmup": 0, "floor": 1.0})
    moving = optimizer(stage, freeze(model, stage.trainable))
    names = [n for n, _ in model.named_parameters()]
    wanted = {n for pattern in stage.trainable for n in named(names, pattern)}
    before = {n: tensor.clone() for n, tensor in tensors(model).items()}
    batch, seen = batch_of(stage, recipe, model.train(), tokenizer), []
    fit(Accelerator(cpu=True), model, moving, stage, [[batch]] * 20, report=lambda step, numbers: seen.append(numbers))
    changed = differing(tensors(model), before) - model.state_without_gradient
    assert changed <= wanted and not any(".base_layer." in n for n in changed)
    assert all(n.startswith("vision.") for n in wanted - changed)  # the blocks behind the last tap
    loss = [next(iter(numbers.values())) for numbers in seen]
    assert loss[-1] < loss[0] - 0.02 and len(loss) == 20  # little: a random language model stays near ln(262)
    assert all(numbers["grad_norm"] > 0 and numbers["lr"] > 0 for numbers in seen)


@every_speaking_stage
def test_the_loss_trains_what_the_answer_uses_and_nothing_else(name, index):
    recipe, model, tokenizer = batches.tiny(runs.tiny(name), index)
    stage, batch = recipe.stages[index], None
    for parameter in model.parameters():  # nothing hides behind an adapter that starts at zero
        parameter.requires_grad_(True)
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    batch = batch_of(stage, recipe, model.train(), tokenizer)
    sum(model.loss(batch).values()).backward()
    trained = with_gradient(model)
    asked = as_asked(batch)
    hidden, _ = model.speak(model.read(asked), asked["prompt_mask"], asked["prompt"][:, :0])
    model.language.head(hidden[:, -1]).pow(2).sum().backward()
    if hasattr(model, "embed_text"):
        (model.logit_scale.exp() * model.embed_image(batch) @ model.embed_text(batch).T).pow(2).sum().backward()
    assert with_gradient(model) == trained
    names = [n for n, _ in model.named_parameters()]
    wanted = {n for pattern in stage.trainable for n in named(names, pattern)}
    assert all(n.startswith("vision.") for n in wanted - trained)


@every_speaking_stage
def test_the_answer_is_read_spoken_and_headed(name, index):
    recipe, model, tokenizer = batches.tiny(runs.tiny(name), index)
    batch = as_asked(batch_of(recipe.stages[index], recipe, model.eval(), tokenizer))
    ids, _ = model.answer(batch, stop=frozenset(), max_new_tokens=3)
    reply, mask = batch["prompt"][:, :0], batch["prompt_mask"]
    with torch.no_grad():
        for _ in range(3):  # without the cache, and word by word through the functions that the loss takes
            hidden, _ = model.speak(model.read(batch), mask, reply)
            reply = torch.cat([reply, model.language.head(hidden[:, -1:]).argmax(-1)], 1)
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
    assert ids == reply.tolist()


@every_stage
def test_batches_keep_the_contract(name, index):
    recipe, model, tokenizer = batches.tiny(runs.tiny(name), index)
    batch = batch_of(recipe.stages[index], recipe, model, tokenizer)
    assert set(batch) <= set(BATCH_CONTRACT)
    for key, tensor in batch.items():
        assert str(tensor.dtype).removeprefix("torch.") == BATCH_CONTRACT[key].split()[0].rstrip(":,"), key
    if "prompt" in batch:
        assert ((batch["prompt"] == IMAGE_TOKEN).sum(1) == model.image_tokens).all()


@every_system
def test_a_saved_model_is_the_trained_one(name, whole):
    out, trained = whole[name]
    recipe, saved = read_recipe(out / "model" / "recipe.yaml"), load_file(out / "model" / "model.safetensors")
    assert not differing(saved, {n: trained.state_dict()[n] for n in own_tensors(recipe, trained)})
    torch.manual_seed(99)  # whatever the process drew before
    opened, kept = load(str(out / "model")).model, copy.deepcopy(trained)
    kept.merge_adapters()  # as a model is opened for answering
    assert not differing(tensors(opened), tensors(kept))
    batch = batch_of(recipe.stages[-1], recipe, opened, build_tokenizer(recipe))
    # Nothing needs a gradient: even without one, PyTorch multiplies by a weight that does in another order.
    said = [outputs(model.requires_grad_(False), batch) for model in (opened, kept)]
    assert torch.equal(*said) and said[0].isfinite().all()


@every_system
def test_killed_between_checkpoints_a_run_goes_on_to_the_same_end(name, whole, tmp_path):
    out, _ = whole[name]
    stages = [stage.name for stage in read_recipe(runs.tiny(name)).stages]
    places = [(stage, 2) for stage in dict.fromkeys((stages[0], stages[-1]))]  # a checkpoint is made every 2 steps
    if name == KILLED_FOR_GOOD:
        kills = [runs.KILL.format(place=place) for place in places]
        codes, said = runs.processes(*kills, "pass", recipe=runs.tiny(name), data=whole.data, out=tmp_path / "out")
        assert codes == [[-9]] * len(kills) + [[0]], said[-3000:]
    else:
        for place in places:
            with pytest.MonkeyPatch.context() as patch, pytest.raises(runs.Killed):
                patch.setattr(Log, "step", runs.dying(Log.step, place))
                train(runs.tiny(name), whole.data, tmp_path / "out")
        train(runs.tiny(name), whole.data, tmp_path / "out")
    assert runs.losses(tmp_path / "out") == runs.losses(out)
    saved, wanted = (load_file(one / "model" / "model.safetensors") for one in (tmp_path / "out", out))
    assert not differing(saved, wanted)


@every_chat_system
def test_it_answers_together_as_alone_and_says_what_it_is(name, whole):
    chat = load(str(whole[name][0] / "model"))
    assert isinstance(chat, Answers)
    images = [np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8) for n in range(3)]
    questions = ["What?", "How many boats are there?", "Describe this image."]
    together = chat.answer(images, questions, max_new_tokens=4)
    alone = [chat.answer([i], [q], max_new_tokens=4)[0] for i, q in zip(images, questions, strict=True)]
    assert [reply.text for reply in together] == [reply.text for reply in alone]
    assert all(0 <= reply.confidence <= 1 for reply in together)
    assert chat.trace["recipe"] == chat.recipe.hash and chat.trace["system"] == name


@every_dual_encoder
def test_the_loss_trains_what_the_vectors_use_and_nothing_else(name):
    recipe, model, tokenizer = batches.tiny(runs.tiny(name), 0)
    batch = batch_of(recipe.stages[0], recipe, model.train(), tokenizer)
    sum(model.loss(batch).values()).backward()
    trained = with_gradient(model)
    scale = model.logit_scale.exp()
    (scale * model.embed_image(batch) @ model.embed_text(batch).T).pow(2).sum().backward()
    assert with_gradient(model) == trained and "logit_scale" in trained


@every_matching_system
def test_it_matches_together_as_alone_and_says_what_it_is(name, whole):
    model = load(str(whole[name][0] / "model"))
    assert isinstance(model, Matches) and isinstance(model, Answers) == (name in CHAT)
    images = [np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8) for n in range(3)]
    texts = ["A port.", "Bare land, far from any road or house", "ab"]
    for embed, given in ((model.embed_images, images), (model.embed_texts, texts)):
        together, alone = embed(given), np.concatenate([embed([one]) for one in given])
        assert np.allclose(together, alone, atol=1e-5) and together.dtype == np.float32
        assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
        assert np.abs(together[0] - together[1]).max() > 1e-3
    assert model.trace["recipe"] == model.recipe.hash and model.trace["system"] == name


@every_captioner
def test_the_loss_trains_what_the_sentence_uses_and_nothing_else(name):
    recipe, model, tokenizer = batches.tiny(runs.tiny(name), 0)
    for parameter in model.parameters():  # nothing hides behind a norm that starts at zero
        parameter.requires_grad_(True)
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    batch = batch_of(recipe.stages[0], recipe, model.train(), tokenizer)
    sum(model.loss(batch).values()).backward()
    trained = with_gradient(model)
    model.language(batch["reply"][:, :3], model.memories(batch))[:, -1].pow(2).sum().backward()
    assert with_gradient(model) == trained
    assert {n for n, _ in model.named_parameters()} - trained == {
        n for n, _ in model.named_parameters() if n.startswith("semantic_maps.")
    }


@every_captioner
def test_it_describes_together_as_alone_and_says_what_it_is(name, whole):
    model = load(str(whole[name][0] / "model"))
    assert isinstance(model, Compares) and not isinstance(model, Answers)
    assert isinstance(model, ComparesWithMaps) == SYSTEMS[name].reads_maps
    before, after = ([np.random.default_rng([n, d]).integers(0, 255, (20, 30, 3), np.uint8) for n in range(3)]
                     for d in range(2))  # fmt: skip
    together = model.compare(before, after, ["What?"] * 3, max_new_tokens=4)
    alone = [model.compare([b], [a], ["?"], max_new_tokens=4)[0] for b, a in zip(before, after, strict=True)]
    assert [reply.text for reply in together] == [reply.text for reply in alone]
    assert [reply.confidence for reply in together] == pytest.approx([reply.confidence for reply in alone], rel=1e-4)
    assert model.trace["recipe"] == model.recipe.hash and model.trace["system"] == name


@every_system
def test_its_vectors_are_of_unit_length_and_the_same_in_any_company(name, whole):
    model = load(str(whole[name][0] / "model"))
    images = [np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8) for n in range(3)]
    together, alone = model.embed_images(images), np.concatenate([model.embed_images([one]) for one in images])
    assert isinstance(model, Embeds) and np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-4


@every_system
def test_asked_for_what_it_cannot_do_it_says_who_can(name, whole):
    chat, refused = load(str(whole[name][0] / "model")), {}
    some = BENCHMARKS[BENCHMARKS.names()[0]]
    for way in SOLVERS:
        try:
            check_ability(chat, dataclasses.replace(some, ability=way))
        except BadInput as error:
            refused[way] = str(error)
    if name in CHAT and not chat.box_dialect:
        assert "names no box dialect" in refused.pop("grounds")
    able = {"answers", "chooses", "grounds"} if name in CHAT else set()
    able |= {"matches", "localises"} if name in MATCHING else set()
    able |= {"compares"} if name in CAPTIONING else set()
    able |= {"compares_with_maps"} if getattr(SYSTEMS[name], "reads_maps", False) else set()
    assert set(refused) == {"answers", "chooses", "grounds", "compares", "compares_with_maps", "segments",
                            "segments_change", "matches", "localises"} - able  # fmt: skip
    for way, said in refused.items():
        needs = SOLVERS[way].needs[0]
        others = ", ".join(who_can(needs)) or "none yet"
        assert said == f"{chat.name} cannot {ABILITIES[needs]}; models that can: {others}."
