"""RS-CapRet: what moves, what is learned of both modes, tied heads and untied ones, dialogues, FROMAGe's checkpoint."""

import json

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from fake import batches, runs
from fake.conformance import refused
from fake.published import write_llama
from fake.releases.rs_capret import FILE, RELEASE, SETTINGS, write
from rsvlm.data.loader import pad_right
from rsvlm.data.prompt import EncodedConversation
from rsvlm.data.synth.caption_targets import caption_ids
from rsvlm.errors import BadInput
from rsvlm.index.exact import ExactIndex
from rsvlm.parts.decoding import Row
from rsvlm.parts.language.model import opt
from rsvlm.parts.language.ret_token import RetLanguage
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.sample import IGNORE, IMAGE_TOKEN
from rsvlm.systems.abilities import ABILITIES, MODEL_NAMES
from rsvlm.systems.build import build
from rsvlm.systems.convert.convert import convert, identify
from rsvlm.systems.load import load
from rsvlm.systems.rs_capret.runtime import first_sentence
from rsvlm.systems.rs_capret.weights import convert_published, size_of
from rsvlm.train.loop import fit
from rsvlm.train.objectives.language import pad_conversations
from rsvlm.train.run import train
from rsvlm.train.stages import freeze, optimizer

TINY = runs.tiny("rs_capret")
OPT = {"vocab_size": 262, "hidden_size": 24, "ffn_dim": 40, "num_hidden_layers": 2, "num_attention_heads": 2,
       "max_position_embeddings": 128}  # fmt: skip
TABLE = ("language.model.model.embed_tokens.weight", "language.model.lm_head.weight")
TRAINED = {f"bridge.{name}.{leaf}" for name in ("visual", "image", "text") for leaf in ("weight", "bias")}
PICTURES = [np.random.default_rng(n).integers(0, 255, (40, 50, 3), np.uint8) for n in range(5)]


def over(language, **numbers):
    """The tiny system over another language model."""
    recipe = read_recipe(TINY)
    model = {**recipe.model, "language": language, **numbers}
    torch.manual_seed(0)
    return build(recipe.model_copy(update={"model": model}))


def llm(**numbers):
    return {**read_recipe(TINY).model["language"], **numbers}


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return load(str(train(TINY, runs.data(root / "data"), root / "out")))


# What moves.


@pytest.mark.parametrize(("language", "rows"), [
    (llm(), {"language.ret_in", "language.ret_out"}),
    (llm(tie_word_embeddings=True), {"language.ret_in"}),
    ({"base": "opt", **OPT}, {"language.ret_in"}),
], ids=["untied", "tied", "opt"])  # fmt: skip
def test_only_the_maps_ret_and_the_temperature_move(language, rows):
    """The fact of the paper: linear projections and [RET]; everything else is frozen, and in eval."""
    recipe, _, tokenizer = batches.tiny(TINY)
    model = over(language, row_norm=False).train()  # which would move a row without a gradient, too
    assert not model.vision.training and not any(part.training for part in model.language.model.modules())
    assert model.training and model.bridge.training
    stage = recipe.stages[0].model_copy(update={"lr": 0.01})
    moving = optimizer(stage, freeze(model, stage.trainable))
    trained = TRAINED | rows | {"logit_scale"}
    assert {name for name, p in model.named_parameters() if p.requires_grad} == trained
    assert sum(p.numel() for group in moving.param_groups for p in group["params"]) < 10_000  # no whole table
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batch = batches.captions(recipe, model, tokenizer, stage)
    fit(Accelerator(cpu=True), model, moving, stage, [[batch]] * 2, report=lambda step, numbers: None)
    assert {name for name, t in model.state_dict().items() if not torch.equal(t, before[name])} == trained


@pytest.mark.parametrize(("size", "rows"), [("paper", 2), ("fromage_default", 1)])
def test_what_is_trained_is_as_large_as_fromages_file(size, rows):
    """11 MB in bfloat16 (FROMAGe's README): three linear maps, [RET], the temperature."""
    recipe = read_recipe(RECIPES / "rs_capret" / f"{size}.yaml")
    with torch.device("meta"):
        model = build(recipe, for_training=False)
    freeze(model, recipe.stages[0].trainable)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert count == 1024 * 4096 + 4096 + 2 * (256 * 1) + 1024 * 256 + 4096 * 256 + rows * 4096 + 1
    assert round(count * 2 / 1e6) == 11
    assert model.language.ret == {"paper": 32000, "fromage_default": 50266}[size]


def test_ret_is_a_row_beside_the_table():
    """The same logits and states as with the row in the table, and none of the rows behind `rows` is a word."""
    torch.manual_seed(0)
    whole = opt(**{**OPT, "vocab_size": 9}).eval()
    ours = RetLanguage(opt(**{**OPT, "vocab_size": 12}), rows=8).eval()
    state = whole.state_dict()
    cut = {
        name: torch.cat([t[:8], torch.full((4, 24), 99.0)]) if t.shape == (9, 24) else t for name, t in state.items()
    }
    ours.load_state_dict({**cut, "ret_in": state["model.lm_head.weight"][8:]})
    ids, mask = torch.tensor([[3, 8, 5], [8, 7, 0]]), torch.ones(2, 3, dtype=torch.bool)
    states = [model(model.embed(ids), mask)[0] for model in (whole, ours)]
    assert ours.ret == 8 and torch.allclose(*states, atol=1e-6)
    assert torch.allclose(whole.head(states[0]), ours.head(states[1]), atol=1e-6)
    with pytest.raises(BadInput, match=r"model\.rows is 13; the language model has 12"):
        RetLanguage(opt(**{**OPT, "vocab_size": 12}), rows=13)


def test_rows_get_the_mean_length_of_those_beside_them_and_only_where_it_is_asked_for():
    model = over(llm())
    model.language.model.lm_head.weight.data *= 3
    model.after_step()
    for row, name in ((model.language.ret_in, TABLE[0]), (model.language.ret_out, TABLE[1])):
        assert torch.allclose(row.norm(), model.state_dict()[name].norm(dim=1).mean())
    free = over(llm(), row_norm=False)
    free.language.ret_in.data *= 7
    before = free.language.ret_in.clone()
    free.after_step()
    assert torch.equal(free.language.ret_in, before)


# What is learned.


def test_both_modes_learn_the_same_words():
    recipe, model, tokenizer = batches.tiny(TINY)
    batch = batches.captions(recipe, model, tokenizer, recipe.stages[0])
    for row in range(4):
        text = batch["text"][row][batch["text_mask"][row]].tolist()
        said = batch["labels"][row][batch["labels"][row] != IGNORE].tolist()
        assert text == [*said, 262] and said[0] == tokenizer.bos_token_id
        assert tokenizer.decode(said[1:]) in {turn.answer + "." * (turn.answer[-1] != ".")
                                              for turn in batches.sample(row).turns}  # fmt: skip
    alone = model.loss({**batch, "normaliser": torch.tensor(1.0)})
    assert list(alone) == ["caption", "ret_lm", "contrastive"]
    tripled = over(llm(), caption_scale=3.0, retrieval_scale=0.5)
    tripled.load_state_dict(model.state_dict())
    found = tripled.loss({**batch, "normaliser": torch.tensor(1.0)})
    assert torch.allclose(found["caption"], 3 * alone["caption"])
    assert torch.allclose(found["ret_lm"] + found["contrastive"], (alone["ret_lm"] + alone["contrastive"]) / 2)


@torch.no_grad()
def test_a_caption_in_a_sequence_sees_the_picture_and_the_caption_before_it():
    recipe, model, tokenizer = batches.tiny(TINY)
    batch = batches.captions(recipe, model, tokenizer, recipe.stages[0])
    assert batch["sequence"].tolist() == [0, 0, 1, 1]
    other = {**batch, "image": batch["image"].clone()}
    other["image"][0] = 1 - other["image"][0]

    def of_row(row, batch):  # what the captions of one row cost
        labels = batch["labels"].clone()
        labels[[at for at in range(4) if at != row]] = IGNORE
        return model.loss({**batch, "labels": labels})["caption"]

    assert not torch.allclose(of_row(1, batch), of_row(1, other), rtol=1e-7)
    assert torch.equal(of_row(2, batch), of_row(2, other)) and torch.equal(of_row(3, batch), of_row(3, other))
    apart = {name: value for name, value in batch.items() if name != "sequence"}
    assert torch.allclose(of_row(0, batch), of_row(0, apart), rtol=1e-5)
    assert not torch.allclose(of_row(1, batch), of_row(1, apart), rtol=1e-7)


def test_captions_are_cut_with_ret_at_their_end_or_refused():
    recipe, model, tokenizer = batches.tiny(TINY)
    model.max_text, stage = 6, recipe.stages[0]
    with pytest.raises(BadInput, match=r"has \d+ tokens, and the model reads 6"):
        batches.captions(recipe, model, tokenizer, stage)
    batch = batches.captions(recipe, model, tokenizer, stage.model_copy(update={"long_texts": "cut"}))
    assert batch["text"].shape == (4, 6)
    assert [row[mask].tolist()[-1] for row, mask in zip(batch["text"], batch["text_mask"], strict=True)] == [262] * 4
    for odd in ({"gradient_cache": 2}, {"captions": "all"}, {"batch": 2, "accumulate": 2}):
        with pytest.raises(BadInput, match="Stage 'bridge'"):
            batches.captions(recipe, model, tokenizer, stage.model_copy(update=odd))


def test_maps_and_ret_learn_32_pictures_by_heart():
    """A language model that knows to caption gets new maps: they alone come to say each caption, and to find it."""
    recipe, model, tokenizer = batches.tiny(TINY)
    texts = [f"{number} {letter}" for number in range(1, 5) for letter in "abcdefgh"]
    ids = [caption_ids(tokenizer, text, ret=262, most=64) for text in texts]
    places, whole = [IMAGE_TOKEN] * model.image_tokens, pad_right(ids)
    spoken = [EncodedConversation(places, row[:-1], row[:-1], [0] * (len(row) - 1)) for row in ids]
    model.requires_grad_(False)  # levels are cached, as in training
    colour = torch.rand(32, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    batch = {**pad_conversations(spoken, 0), "text": whole.clamp(min=0), "text_mask": whole >= 0,
             "levels": model.see({"image": 0.5 * colour + 0.5 * batches.pictures(model, 32)})}  # fmt: skip

    speaker = torch.optim.AdamW(freeze(model, ("language.model",))["language.model"], lr=0.003, betas=(0.9, 0.95))
    for _ in range(160):
        sum(model.loss(batch).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        speaker.step()
        speaker.zero_grad()
    torch.manual_seed(0)
    for parameter in model.bridge.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    stage, seen = recipe.stages[0].model_copy(update={"lr": 0.03, "floor": 1.0}), []
    moving = optimizer(stage, freeze(model, stage.trainable))
    fit(Accelerator(cpu=True), model, moving, stage, [[batch]] * 120, report=lambda _, n: seen.append(n))
    assert seen[-1]["caption"] < 0.1 and seen[-1]["contrastive"] < 0.01
    with torch.no_grad():
        assert (model.embed_text(batch) @ model.embed_image(batch).T).argmax(1).tolist() == list(range(32))
    asked = {**batch, "prompt": torch.cat([batch["prompt"], batch["reply"][:, :1]], 1)}
    asked["prompt_mask"] = torch.ones_like(asked["prompt"], dtype=torch.bool)
    said, _ = model.answer(asked, stop=frozenset(), max_new_tokens=3)
    assert [tokenizer.decode(row) for row in said] == texts


# What it says.


def test_it_has_the_abilities_of_the_table(chat):
    found = tuple(ability for ability in ABILITIES if isinstance(chat, ability))
    assert found == MODEL_NAMES["<the model folder of a run of RS-CapRet>"]


@pytest.mark.parametrize(("text", "wanted"), [
    ("a port. two ships. ", "a port."), ("a port", "a port"), (" a port.\nmore", "a port."), ("a b. c\nd", "a b. c"),
    ("\na port.", ""), ("", ""),
])  # fmt: skip
def test_a_caption_is_its_first_line_else_its_first_sentence(text, wanted):
    assert first_sentence(text) == wanted


def test_a_caption_ends_where_ret_would_be_said_and_a_dialogue_goes_on(chat, monkeypatch):
    head = RetLanguage.head

    def eager(self, hidden):
        logits = head(self, hidden)
        return torch.cat([logits[..., :-1], torch.full_like(logits[..., -1:], 1e4)], -1)

    monkeypatch.setattr(RetLanguage, "head", eager)
    assert chat.answer(PICTURES[:1], ["What?"], max_new_tokens=9)[0].text == ""
    said = chat.chat([PICTURES[0]], max_new_tokens=9, most_queries=2, min_words=1)
    assert len(said) == 2 and said[1].text == "" and all(one.query is not None and not one.pictures for one in said)
    assert len(chat.chat([PICTURES[0]], max_new_tokens=3, min_words=9)) == 1
    assert chat.chat([PICTURES[0]], max_new_tokens=3, min_words=9)[0].query is None


def test_a_question_is_not_read_and_a_stream_is_the_answer(chat):
    one, other = (chat.answer(PICTURES[:1], [asked], max_new_tokens=6)[0] for asked in ("Describe it.", "How many?"))
    assert one == other and "".join(chat.stream(PICTURES[0], "What?", max_new_tokens=6)) == one.text


@torch.no_grad()
def test_the_vector_of_a_text_is_that_of_ret_behind_it_in_a_dialogue(chat):
    (said,) = chat.chat(["two ports [RET]"])
    assert said.text == "" and np.allclose(said.query, chat.embed_texts(["two ports "])[0], atol=1e-5)
    (seen,) = chat.chat([PICTURES[0], "two ports [RET]"])
    assert np.abs(seen.query - said.query).max() > 1e-4, "the picture is read"
    whole = chat.embed_texts(["[RET]"])
    assert np.abs(whole[0] - chat.chat(["[RET]"])[0].query).max() > 1e-4, "in a text to match it is five letters"


def test_a_dialogue_gives_pictures_that_were_not_seen(chat):
    index = ExactIndex([f"p{n}" for n in range(5)], chat.embed_images(PICTURES))
    (first,) = chat.chat(["a port [RET]"], index, pictures_each=2)
    wanted = np.argsort(-(chat.embed_images(PICTURES) @ chat.embed_texts(["a port "])[0]))
    assert [one.id for one in first.pictures] == [f"p{n}" for n in wanted[:2]]
    (again,) = chat.chat(["a port [RET]"], index, pictures_each=9, seen=[one.id for one in first.pictures])
    assert [one.id for one in again.pictures] == [f"p{n}" for n in wanted[2:]]
    said = chat.chat(["Show me ", PICTURES[0], " again"], index, min_words=2, ret_scale=1.0, max_new_tokens=6)
    assert all(isinstance(one.text, str) for one in said)
    with pytest.raises(BadInput, match="needs a picture or a text"):
        chat.chat([])
    with pytest.raises(BadInput, match="reads 512 tokens at once"):
        chat.chat(["a" * 500], max_new_tokens=32)


def test_the_model_asks_for_pictures_itself_and_gets_each_once(chat, monkeypatch):
    """Its words are given here: two words, [RET], a word, [RET]."""
    ids = [*chat.tokenizer("ab")["input_ids"], 262, *chat.tokenizer("c")["input_ids"], 262]
    index = ExactIndex([f"p{n}" for n in range(5)], chat.embed_images(PICTURES))
    monkeypatch.setattr(type(chat.model), "steps", lambda self, batch, **given: iter([[Row(ids=ids)]]))
    one, other = chat.chat([PICTURES[0], "and?"], index, most_queries=2)
    assert (one.text, other.text) == ("ab", "c") and one.pictures[0].id != other.pictures[0].id
    forced = chat.chat([PICTURES[0], "and?ab[RET]"])  # the same words, given
    assert np.allclose(one.query, forced[0].query, atol=1e-5)


# FROMAGe's checkpoint.


def test_the_encoder_is_read_as_transformers_reads_it(tmp_path):
    """CLIP-Cap-4 is a CLIPModel: its whole folder is a tower, and what is pooled is its `pooler_output`."""
    from transformers import CLIPConfig, CLIPModel

    sizes = {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    theirs = CLIPModel(CLIPConfig(vision_config={**sizes, "image_size": 32, "patch_size": 8}, text_config=sizes)).eval()
    theirs.save_pretrained(tmp_path / "clip")
    model = over(llm(), vision={**read_recipe(TINY).model["vision"], "weights": str(tmp_path / "clip")})
    pictures = batches.pictures(model, 3)
    with torch.no_grad():
        wanted = theirs.vision_model((pictures - model.vision.mean) / model.vision.std).pooler_output
        assert torch.allclose(model.vision.pool(model.see({"image": pictures})), wanted, atol=1e-5)
        assert torch.allclose(model.tokens({"image": pictures}), model.bridge(wanted), atol=1e-5)


def converted(tmp_path, **form):
    published = write(tmp_path / "release", **form)
    clip = RELEASE.vision(tmp_path / "tower")
    base = write_llama(tmp_path / "llama", tie_word_embeddings=True)
    account = convert(tmp_path / "release", tmp_path / "out", recipe=RELEASE.recipe, vision=clip, language_model=base)
    return published, account, load(str(tmp_path / "out"))


def test_four_visual_tokens_and_a_prompt_are_those_of_the_release(tmp_path):
    published, account, model = converted(tmp_path, tokens=4, input_prompt="A picture of")
    assert model.model.image_tokens == 4 and model.model.prefix == "A picture of"
    assert torch.equal(model.model.language.ret_in, published["ret_input_embeddings.weight"])
    assert account.loaded["text_hidden_fcs.0.0.weight"] == "bridge.text.weight"
    assert model.answer(PICTURES[:1], ["?"], max_new_tokens=3) == model.answer(PICTURES[:1], ["!"], max_new_tokens=3)
    assert size_of(tmp_path / "release") == "fromage_default"
    assert identify(tmp_path / "release").variant == "pruned to what is trained"


def test_over_an_untied_head_a_row_of_the_head_is_needed(tmp_path):
    write(tmp_path / "release")
    clip, untied = RELEASE.vision(tmp_path / "tower"), {**RELEASE.recipe.model}
    untied["language"] = {**untied["language"], "tie_word_embeddings": False}
    recipe = RELEASE.recipe.model_copy(update={"model": untied})
    options = {"recipe": recipe, "vision": clip}
    refused(lambda out: convert_published(tmp_path / "release", out, **options), tmp_path, "has no row of .RET. for")
    tree = torch.load(tmp_path / "release" / FILE, weights_only=True)
    tree["state_dict"]["ret_output_embeddings.weight"] = torch.ones(1, 24)
    torch.save(tree, tmp_path / "release" / FILE)
    convert_published(tmp_path / "release", tmp_path / "out", **options)
    assert load_file(tmp_path / "out" / "model.safetensors")["language.ret_out"].sum() == 24


@pytest.mark.parametrize(("settings", "match"), [
    ({"text_emb_layers": [-1, -2]}, r"text_emb_layers is \[-1, -2\], expected \[-1\]"),
    ({"shared_emb_dim": 512}, "shared_emb_dim is 512, expected 10"),
])  # fmt: skip
def test_settings_that_no_tensor_tells_are_read(tmp_path, settings, match):
    write(tmp_path / "release", **settings)
    options = {"recipe": RELEASE.recipe, "vision": RELEASE.vision(tmp_path / "tower")}
    refused(lambda out: convert_published(tmp_path / "release", out, **options), tmp_path, match)


def test_a_tower_of_another_activation_is_refused(tmp_path):
    write(tmp_path / "release")
    clip = RELEASE.vision(tmp_path / "tower")
    (clip / "config.json").write_text(json.dumps({"vision_config": {"hidden_act": "gelu"}}))
    options = {"recipe": RELEASE.recipe, "vision": clip}
    refused(lambda out: convert_published(tmp_path / "release", out, **options), tmp_path, "MLPs have 'gelu'")


def test_gills_checkpoint_is_not_taken_for_it(tmp_path):
    write(tmp_path / "release")
    tree = torch.load(tmp_path / "release" / FILE, weights_only=True)["state_dict"]
    tree["model.gen_text_hidden_fcs.0.weight"] = torch.ones(2)
    torch.save(tree, tmp_path / "release" / FILE)
    assert identify(tmp_path / "release" / FILE).system is None and (tmp_path / "release" / SETTINGS).is_file()
