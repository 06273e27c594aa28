"""GAIA's BLIP-2: the library's own model as the oracle, its layout whole, what is learned, what is refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fake import batches, runs
from fake import blip2_release as release
from fake.conformance import refused
from fake.releases.gaia_blip2 import FILE, RELEASE
from rsvlm.data.prompt import CHAT_TEMPLATES
from rsvlm.errors import BadInput
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.sample import IGNORE, Image, Sample, Turn
from rsvlm.systems.build import build, build_tokenizer
from rsvlm.systems.convert.convert import convert, identify
from rsvlm.systems.convert.verify import verify
from rsvlm.systems.gaia_blip2.weights import convert_published
from rsvlm.systems.load import load
from rsvlm.train.objectives.language import pad_conversations
from rsvlm.train.run import train

CAPTION = "The image showcases: A port."
PAPER, SMALL = RECIPES / "gaia_blip2/paper.yaml", RELEASE.recipe


def recipe(**vision):
    """The small recipe over OPT, its norm as transformers has it."""
    language = {"base": "opt", **{name: value for name, value in release.OPT.items() if name != "model_type"}}
    sight = {**SMALL.model["vision"], "norm_eps": 1e-6, **vision}
    return SMALL.model_copy(update={"model": {**SMALL.model, "vision": sight, "language": language}})


@pytest.fixture(scope="module")
def theirs():
    return release.model()


@pytest.fixture(scope="module")
def converted(tmp_path_factory, theirs):
    """(its folder, the model folder of ours, the account) of a whole model."""
    root = tmp_path_factory.mktemp("blip2")
    source = release.write_whole(root / "blip2-opt-2.7b", theirs)
    account = convert(source, root / "out", recipe=recipe())
    return source, root / "out", account


def prompt(vision, pictures, ids):
    """What the library is given: normalised pixels, image tokens, and `ids` (B, T) behind the start token."""
    first = torch.tensor([[release.IMAGE_ID] * release.QUERIES + [4]]).expand(len(ids), -1)
    return {"pixel_values": (pictures - vision.mean) / vision.std, "input_ids": torch.cat([first, ids], 1)}


@torch.no_grad()
def test_the_loss_is_the_librarys_over_the_caption(converted, theirs):
    chat = load(str(converted[1]))
    turns = [Turn(question="What?", answer=text, task="caption") for text in (CAPTION, "Bare land.")]
    encode = chat.model.conversation_encoder(
        chat.tokenizer, chat.frame, image_tokens=chat.model.image_tokens, seed=0, most=1, max_tokens=64
    )
    rows = [encode(Sample(id="a", images=(Image(path=""),), turns=(turn,)), 0) for turn in turns]
    batch = pad_conversations(rows, 0) | {"image": batches.pictures(chat.model, 2)}
    ids = [torch.tensor(chat.tokenizer(f"{turn.answer}\n")["input_ids"])[None] for turn in turns]
    assert [row.reply for row in rows] == [[4, *one[0].tolist()] for one in ids], "the start token, then the caption"
    logits, labels = [], []
    for picture, one in zip(batch["image"], ids, strict=True):
        found = theirs(**prompt(chat.model.vision, picture[None], one)).logits[0]
        logits.append(found[release.QUERIES : -1])  # from the start token on
        labels.append(one[0])
    wanted = torch.nn.functional.cross_entropy(torch.cat(logits), torch.cat(labels))
    assert torch.allclose(chat.model.loss(batch)["language"], wanted, atol=1e-5)
    assert (batch["labels"] != IGNORE).sum() == sum(one.numel() for one in ids)


@torch.no_grad()
def test_logits_and_captions_are_the_librarys(converted, theirs):
    chat = load(str(converted[1]))
    pictures = batches.pictures(chat.model, 3)
    batch = {"image": pictures, "prompt": torch.tensor([[-200] * 3 + [4]] * 3)}
    batch["prompt_mask"] = torch.ones(3, 4, dtype=torch.bool)
    given = prompt(chat.model.vision, pictures, torch.empty(3, 0, dtype=torch.long))
    hidden, _ = chat.model.speak(chat.model.read(batch), batch["prompt_mask"], batch["prompt"][:, :0])
    logits = chat.model.language.head(hidden[:, -1])
    assert torch.allclose(logits, theirs(**given).logits[:, -1], atol=1e-5)
    assert (logits[0] - logits[1]).abs().max() > 1e-3, "the picture is seen"
    ids, _ = chat.model.answer(batch, stop=frozenset(), max_new_tokens=6)
    wanted = theirs.generate(**given, max_new_tokens=6, min_new_tokens=6, do_sample=False)
    assert ids == wanted[:, -6:].tolist()


def test_a_whole_model_lands_with_its_language_model_apart(converted, theirs):
    source, out, account = converted
    assert identify(source).variant == "the language model in it"
    saved, spoken = (load_file(out / at / "model.safetensors") for at in ("", "language"))
    state = dict(theirs.state_dict())
    for name, ours in account.loaded.items():
        if ".qkv.bias." not in name:
            found = spoken[ours.removeprefix("language.model.")] if ours.startswith("language.") else saved[ours]
            assert torch.equal(found, state[name]), name
    bias = state["vision_model.encoder.layers.1.self_attn.qkv.bias"].chunk(3)
    assert torch.equal(saved["vision.blocks.1.attention.v_bias"], bias[2]) and bias[1].abs().max() > 0.1
    assert len(account.ignored) == 2 and set(account.elsewhere.values()) == {"the embedding, to which it is tied"}
    language = read_recipe(out / "recipe.yaml").model["language"]
    assert language == {"base": str(out / "language")}
    config = json.loads((out / "language" / "config.json").read_text())
    assert (config["model_type"], config["vocab_size"], config["ffn_dim"]) == ("opt", 266, 40)
    assert not any(name.startswith("language.") for name in saved) and verify(out)["complete"]


def test_a_question_is_not_read(converted):
    chat = load(str(converted[1]))
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    one, other = (chat.answer([picture], [asked], max_new_tokens=5) for asked in ("Describe it.", "How many ships?"))
    assert one == other


def test_a_finer_grid_takes_resized_positions(converted, tmp_path):
    convert_published(converted[0], tmp_path / "out", recipe=recipe(size=64))
    chat = load(str(tmp_path / "out"))
    assert chat.model.vision.positions.shape == (1, 65, 32) and chat.model.vision.size == 64


def lavis(tree):
    return {name.replace("qformer.", "Qformer.bert.").replace("language_projection", "opt_proj"): t
            for name, t in tree.items()}  # fmt: skip


@pytest.mark.parametrize(("change", "match"), [
    (lavis, "found Qformer, opt_proj, .*It looks like LAVIS' own layout; give transformers' port"),
    (lambda tree: tree | {"language_model.encoder.final_layer_norm.weight": torch.ones(3)}, "an encoder.* like a T5"),
])  # fmt: skip
def test_another_blip2_is_refused(tmp_path, change, match):
    RELEASE.write(tmp_path / "release")
    file = tmp_path / "release" / FILE
    torch.save(change(torch.load(file, weights_only=True)), file)
    refused(lambda out: convert_published(file, out, recipe=SMALL), tmp_path, match)


@pytest.mark.parametrize("section", ["vision_config", "qformer_config", "text_config"])
def test_other_heads_are_refused(converted, tmp_path, section):
    """Their shapes are the same: only config.json tells."""
    source = tmp_path / "blip2"
    source.mkdir()
    for name in ("model.safetensors", "tokenizer.json"):
        (source / name).symlink_to(converted[0] / name)
    config = json.loads((converted[0] / "config.json").read_text())
    config[section]["num_attention_heads"] = 8
    (source / "config.json").write_text(json.dumps(config))
    match = f"{section} has 8 heads, and model..* of the recipe 'small' [24]"
    refused(lambda out: convert_published(source, out, recipe=recipe()), tmp_path, match)


def test_parts_that_it_holds_are_not_given_beside_it(converted, tmp_path):
    options = {"recipe": recipe(), "language_model": tmp_path}
    refused(lambda out: convert_published(converted[0], out, **options), tmp_path, "leave out --language-model")
    save_file(release.beside_language(release.model()), tmp_path / "model.safetensors")
    options = {"recipe": recipe(), "language_model": converted[1] / "language"}
    convert_published(tmp_path / "model.safetensors", tmp_path / "out", **options)
    whole, parts = (load(str(folder)) for folder in (converted[1], tmp_path / "out"))
    picture = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    assert whole.answer([picture], ["?"], max_new_tokens=5) == parts.answer([picture], ["?"], max_new_tokens=5)


def test_the_paper_has_the_sizes_of_blip2_and_moves_what_it_counts_as_trained():
    """107 M of 3.7 B (arXiv:2301.12597); 32 queries of 768 numbers read 257 tokens."""
    paper = read_recipe(PAPER)
    with torch.device("meta"):
        ours = build(paper)
        from transformers import Blip2Config, Blip2ForConditionalGeneration

        text = {"model_type": "opt", "hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32,
                "ffn_dim": 10240}  # fmt: skip
        original = Blip2ForConditionalGeneration(Blip2Config(text_config=text))
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in ours.named_children()}
    keys = 39 * 1408  # biases, which are trained by nobody
    assert sum(count.values()) == sum(p.numel() for p in original.parameters()) - keys == 3_744_625_024
    assert count["bridge"] == 107_130_880 and paper.stages[0].trainable == ("bridge",)
    assert ours.bridge.query.shape == (1, 32, 768) and ours.vision.tokens == (257,) and ours.image_tokens == 32


def test_each_visit_draws_captions_and_all_may_be_learned_at_once():
    small = read_recipe(runs.tiny("gaia_blip2"))
    model, tokenizer, frame = build(small), build_tokenizer(small), CHAT_TEMPLATES["blip2"]
    texts = tuple(f"caption {number}" for number in range(5))
    turns = (
        Turn(question="", answer="forest", task="scene"),
        Turn(question="", answer=texts[0], references=texts, task="caption"),
    )
    sample = Sample(id="x", images=(Image(path=""),), turns=turns)

    def drawn(most, visit):
        numbers = {"image_tokens": 4, "seed": 3, "most": most, "max_tokens": 400}
        row = model.conversation_encoder(tokenizer, frame, **numbers)(sample, visit)
        learned = [t for t in row.labels if t != IGNORE]
        assert row.prompt == [-200] * 4 and len(set(row.turn)) == min(most, 5)
        return tokenizer.decode(learned).strip().splitlines()

    one = [drawn(1, visit) for visit in range(40)]
    assert {len(said) for said in one} == {1} and {said[0] for said in one} == {f"Caption {n}." for n in range(5)}
    assert drawn(1, 7) == drawn(1, 7) and sorted(drawn(9, 0)) == sorted(f"Caption {n}." for n in range(5))


def test_a_set_without_captions_is_refused_before_training(tmp_path):
    values = read_recipe(runs.tiny("gaia_blip2")).model_dump(mode="json")
    values["stages"][0]["data"] = [{"set": "rsicd"}, {"set": "eurosat"}]
    path = runs.written(tmp_path / "recipe.yaml", values)
    with pytest.raises(BadInput, match=r"'captions': eurosat, sample .* has no caption, and gaia_blip2 learns nothing"):
        train(path, runs.data(tmp_path / "data"), tmp_path / "out")
    assert not (tmp_path / "out" / "model").exists()
