"""MModalCC and RSICCformer: facts of their originals, what a vocabulary and a map are, and both measured."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fake import annotations, batches, runs
from fake import captioner_release as release
from fake.conformance import RELEASES
from rsvlm.data.loader import ImageCollator, ScheduledSample
from rsvlm.data.semantic_maps import PALETTE, input_colours, read_semantic_map
from rsvlm.errors import BadInput, MissingPart
from rsvlm.evaluate.run import evaluate
from rsvlm.parts.beam_search import beam_search, best
from rsvlm.parts.checkpoints.backbones import read_backbone
from rsvlm.parts.text.words import WordVocabulary, decode_words, encode_words
from rsvlm.parts.vision.resnet import ResNet
from rsvlm.recipe import read_recipe
from rsvlm.sample import Image as Picture
from rsvlm.sample import Sample
from rsvlm.systems.build import build
from rsvlm.systems.convert.convert import convert
from rsvlm.systems.load import load
from rsvlm.train.run import train
from rsvlm.train.stages import freeze

BOTH = pytest.mark.parametrize("name", ["mmodal_cc", "rsiccformer"])


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return runs.data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The folder of a tiny MModalCC whose vocabulary is that of all splits, with a head of maps."""
    values = read_recipe(runs.tiny("mmodal_cc")).model_dump(mode="json")
    values["model"]["words"] |= {"splits": ["train", "val", "test"], "min_frequency": 2}
    root = tmp_path_factory.mktemp("trained")
    return train(runs.written(root / "recipe.yaml", values), data, root / "out", max_steps=2)


# ---- facts ----


def test_the_papers_have_their_parameters():
    """Counted on the originals, what their code never uses left out; a decoder has 2,049 parameters a word."""
    with torch.device("meta"):
        papers = [read_recipe(f"{name}/paper") for name in ("mmodal_cc", "rsiccformer")]
        mmodal, rsicc = (build(paper, for_training=False) for paper in papers)
    dead = 196 * 512 + 2 * (1_050_624 + 2_048 + 2_099_712)
    assert count(mmodal.bridge) == 20_598_784 - dead
    assert count(mmodal.language) - 2_049 * 1024 == 26_296_320 - (4_198_400 + 2_048 + 52 * 1024)
    assert count(rsicc.bridge) == 21_125_632 - (196 * 512 + 512 * (768 + 512 + 256) + 3 * 512)
    assert count(rsicc.language) == 36_758_001 - (3 * 4_198_400 + 3 * (2048 * 1024 + 1024) + 52 * 1024)
    assert count(mmodal.vision) == count(mmodal.semantic_vision) == 44_549_160 - 2_049_000 - 14_964_736
    assert mmodal.bridge.memory_width == 1024 and mmodal.vision.dims[-1] == 1024 and mmodal.bridge.grid == 14
    assert mmodal.vision.mean == (0, 0, 0) and rsicc.vision.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize("pairs", [1, 3])
def test_memories_and_logits_have_their_shapes(pairs):
    _, model, _ = batches.tiny(runs.tiny("mmodal_cc"))
    batch = batches.changes(model.eval(), count=pairs)
    memories = model.memories(batch)
    assert [memory.shape for memory in memories] == [(pairs, 9, 32)] * 2
    assert model.language(batch["reply"], memories).shape == (*batch["reply"].shape, 96)


def test_the_pictures_and_the_maps_are_read_by_their_own_halves():
    """Swapping the dates changes both memories; another map changes what pictures attend to, too."""
    _, model, _ = batches.tiny(runs.tiny("mmodal_cc"))
    batch = batches.changes(model.eval(), count=1)
    plain = model.memories(batch)
    swapped = model.memories({**batch, "image": batch["image"].flip(0), "semantic": batch["semantic"].flip(0)})
    halves = [torch.cat(memory.chunk(2, -1)[::-1], -1) for memory in swapped]
    assert all(not torch.allclose(one, other, atol=1e-3) for one, other in zip(plain, halves, strict=True))
    other = model.memories({**batch, "semantic": 6 - batch["semantic"]})
    assert all((one - two).abs().max() > 1e-3 for one, two in zip(plain, other, strict=True))


def test_layers_lie_side_by_side_or_are_stacked():
    values = read_recipe(runs.tiny("mmodal_cc"))
    found = {}
    for stacked in (False, True):
        torch.manual_seed(0)
        model = build(values.model_copy(update={"model": {**values.model, "bridge": {
            **values.model["bridge"], "stacked": stacked}}})).eval()  # fmt: skip
        maps = torch.rand(2, model.vision.dims[-1], 3, 3, generator=torch.Generator().manual_seed(1))
        found[stacked] = model.bridge.layer_outputs(maps, 1 - maps)
    assert torch.equal(found[False][0][0], found[True][0][0])
    assert not torch.allclose(found[False][1][0], found[True][1][0], atol=1e-3)


@pytest.mark.parametrize("frozen", [True, False])
def test_batch_norms_of_frozen_stages_move_only_as_released(frozen):
    recipe = read_recipe(runs.tiny("mmodal_cc"))
    model = build(recipe.model_copy(update={"model": {**recipe.model, "freeze_bn": frozen}}))
    freeze(model, ["vision.layer3", "bridge", "language"])
    names = ("vision.bn1.running_mean", "semantic_vision.bn1.running_var")
    before = {name: model.get_buffer(name).clone() for name in names}
    model.train().loss(batches.changes(model))
    assert [torch.equal(model.get_buffer(name), old) for name, old in before.items()] == [frozen] * 2
    assert model.bridge.training and set(before) <= model.state_without_gradient


def test_how_pixels_are_normalised_is_named():
    recipe = read_recipe(runs.tiny("rsiccformer"))
    with pytest.raises(BadInput, match="normalise is 'clip'; expected imagenet or none"):
        build(recipe.model_copy(update={"model": {**recipe.model, "normalise": "clip"}}))
    tower = {"tower": "clip", "width": 16, "depth": 1, "heads": 2, "patch": 8, "size": 32, "taps": [1]}
    with pytest.raises((BadInput, TypeError)):
        build(recipe.model_copy(update={"model": {**recipe.model, "vision": tower}}))


# ---- words ----


def test_a_sentence_that_does_not_end_is_given_all_the_same():
    logits = torch.tensor([[0.0, 3.0, 1.0, -9.0]])
    (sentence,) = beam_search(lambda ids: logits.expand(len(ids), -1), start=0, end=3, beams=2, most=4)
    assert not sentence.whole and sentence.ids == [0, 1, 1, 1, 1] and 0 < sentence.confidence < 1


def test_a_wide_search_finds_the_likelier_sentence():
    """Greedily 1 comes first, and behind it nothing is likely; 2 and then the end is likelier as a whole."""
    table = torch.tensor([[-9.0, 1.0, 0.8, -9.0], [0.0, 0.0, 0.0, 0.0], [-9.0, -9.0, -9.0, 9.0], [0.0] * 4])
    greedy, wide = (best(beam_search(lambda ids: table[ids[:, -1]], start=0, end=3, beams=k)).ids for k in (1, 3))
    assert greedy[1] == 1 and wide == [0, 2, 3]


def test_a_vocabulary_survives_its_state_dict_and_says_what_is_wrong():
    words = {"<pad>": 0, "straße": 1, "new": 2, "<unk>": 3, "<start>": 4, "<end>": 5}
    vocabulary, other = WordVocabulary(8), WordVocabulary(8)
    assert vocabulary.empty
    vocabulary.fill(words)
    other.load_state_dict(vocabulary.state_dict())
    assert other.ids() == words and not other.empty
    ids = encode_words(words, ["new", "straße", "x", "new"], 3)
    assert ids == [4, 2, 1, 3, 5] and decode_words(words, [*ids, 0, 0]) == "new straße <unk>"
    with pytest.raises(BadInput, match=r"6 words with ids up to 5.*room for 4; raise model.words.size"):
        WordVocabulary(4).fill(words)
    with pytest.raises(BadInput, match="lacks <end>"):
        WordVocabulary(8).fill({word: at for word, at in words.items() if word != "<end>"})
    with pytest.raises(BadInput, match=r"id of 'new'.* expected a whole number"):
        WordVocabulary(8).fill(words | {"new": 2.5})
    with pytest.raises(BadInput, match="no words beside these weights"):
        WordVocabulary(8).ids()


def test_words_are_those_of_the_training_captions_unless_the_recipe_names_more(data, trained, tmp_path):
    """The same captions are in all three splits of the miniature: what occurs twice in all, and once in training."""
    values = read_recipe(runs.tiny("mmodal_cc")).model_dump(mode="json")
    values["model"]["words"] |= {"min_frequency": 2}
    values["stages"] = values["stages"][:1]
    own = load(str(train(runs.written(tmp_path / "r.yaml", values), data, tmp_path / "out", max_steps=1))).words
    every = load(str(trained)).words
    assert set(own) < set(every) and "houses" in own and "changed" in set(every) - set(own)
    assert sorted(every.values()) == list(range(len(every)))


# ---- maps ----


def test_a_map_is_read_by_its_colours(tmp_path):
    path = tmp_path / "map.png"
    rows = np.array([[0, 1, 2, 3], [4, 5, 6, 0]], np.uint8)
    Image.fromarray(np.array(list(PALETTE.values()), np.uint8)[rows]).save(path)
    assert read_semantic_map(path).tolist() == rows.tolist()
    assert input_colours()[0] == (0, 0, 0) and input_colours()[5] == (128 / 255, 0, 0)
    Image.fromarray(np.full((2, 2, 3), 7, np.uint8)).save(path)
    with pytest.raises(BadInput, match=r"has the colour \(7, 7, 7\).*expected only unchanged, ground"):
        read_semantic_map(path)


def test_maps_are_shown_as_their_pictures_are(tmp_path):
    """Turned, mirrored and cut alike: a picture that is its own map stays so."""
    path = str(tmp_path / "map.png")
    rows = np.array([[0, 1, 2], [3, 4, 5], [6, 0, 1]]).repeat(32, 0).repeat(32, 1)
    Image.fromarray(np.array(list(PALETTE.values()), np.uint8)[rows]).save(path)
    same = Sample(id="0", images=(Picture(path=path),), meta={"maps": [path]})
    colours = torch.tensor(list(PALETTE.values())) / 255
    collator, apart = ImageCollator(size=48, views=8, seed=5), []
    for place in range(12):
        draw = ScheduledSample(same, place, 0, place)
        shown, classes = collator.collate([draw])["image"], collator.maps([draw])
        apart.append(((shown - colours[classes].movedim(-1, 1)).abs().amax(1) > 0.5).float().mean())
    assert max(apart) < 0.09  # the borders of the nine parts, which are smooth in the picture


def test_a_model_without_true_maps_predicts_them_and_both_are_measured(data, trained, tmp_path):
    model = load(str(trained))
    found = {}
    for protocol in ("coco-ptb@1", "coco-ptb-true-maps@1"):
        result = evaluate(f"second_cc/{protocol}", data, model, out=tmp_path / protocol, leak=False)
        found[protocol] = (tmp_path / protocol / "replies.jsonl").read_text().splitlines()[1:]
        assert result["protocol"] == f"second_cc/{protocol}"
    assert len({len(lines) for lines in found.values()}) == 1
    assert found["coco-ptb@1"] != found["coco-ptb-true-maps@1"]  # how sure it is depends on the maps


def test_without_a_head_it_says_what_it_needs(tmp_path, data):
    folder = RELEASES["mmodal_cc"].write(tmp_path / "release")
    convert(folder, tmp_path / "out", recipe=RELEASES["mmodal_cc"].recipe)
    model = load(str(tmp_path / "out"))
    picture = np.zeros((40, 40, 3), np.uint8)
    with pytest.raises(
        BadInput, match=r"needs a semantic map of each picture.*train one \(model.semantic_maps\), or mea"
    ):
        model.compare([picture], [picture], ["What?"])
    classes = np.zeros((40, 40), np.uint8)
    (reply,) = model.compare_with_maps([picture], [picture], [(classes, classes + 5)], ["What?"])
    assert 0 <= reply.confidence <= 1 and model.recipe.model["normalise"] == "none"
    assert set(model.words) == {*release.WORDS, "<unk>", "<start>", "<end>", "<pad>"}


def test_samples_without_maps_or_captions_are_refused_before_training(data, tmp_path):
    values = read_recipe(runs.tiny("mmodal_cc")).model_dump(mode="json")
    for stage, sets, said in ((1, "levir_cc", "has no semantic maps"), (0, "cdvqa", "has no change caption")):
        root = annotations.make_all(tmp_path / sets, [sets])
        values["stages"] = [read_recipe(runs.tiny("mmodal_cc")).stages[stage].model_dump(mode="json")]
        values["stages"][0]["data"] = [{"set": sets}]
        with pytest.raises(BadInput, match=said):
            train(runs.written(tmp_path / f"{sets}.yaml", values), root, tmp_path / "out")


# ---- published files ----


@BOTH
def test_the_words_must_lie_beside_the_weights(name, tmp_path):
    given = RELEASES[name].write(tmp_path / "release")
    words = tmp_path / "release" / release.WORD_FILE
    text = words.read_text()
    words.unlink()
    with pytest.raises(MissingPart, match=r"no WORDMAP\*.json beside states.pth"):
        convert(given, tmp_path / "out", recipe=RELEASES[name].recipe)
    words.write_text(json.dumps(json.loads(text) | {"more": 10}))
    with pytest.raises(BadInput, match="ids up to 10, and there is room for 10"):
        convert(given, tmp_path / "out", recipe=RELEASES[name].recipe)
    words.write_text(text)
    (tmp_path / "release" / "WORDMAP_other.json").write_text(text)
    with pytest.raises(BadInput, match=r"2 WORDMAP\*.json beside"):
        convert(given, tmp_path / "out", recipe=RELEASES[name].recipe)
    assert not (tmp_path / "out").exists()


def test_a_whole_resnet_starts_a_tower_of_three_stages(tmp_path):
    sizes = {"depths": [1, 1, 1, 1], "widths": [4, 4, 6, 8], "stem": 4, "size": 32}
    whole = ResNet(**sizes, block="basic")
    torch.save({**whole.state_dict(), "fc.weight": torch.ones(3, 8), "fc.bias": torch.ones(3)}, tmp_path / "r.pth")
    tower = ResNet(**{key: value[:3] if isinstance(value, list) else value for key, value in sizes.items()},
                   block="basic", taps=[2])  # fmt: skip
    state, account = read_backbone(tmp_path / "r.pth", tower)
    assert set(state) == set(tower.state_dict()) and any(name.startswith("layer4.") for name in account.ignored)
