"""Contrastive training of a match head: processes, gradient cache, what fits a text, what is refused."""

import pytest
import torch
from safetensors.torch import load_file

from fake import runs
from rsvlm.errors import BadInput
from rsvlm.parts import losses
from rsvlm.parts.contrastive import MAX_SCALE, PairLoss
from rsvlm.recipe import read_recipe
from rsvlm.systems.abilities import Matches
from rsvlm.systems.load import load
from rsvlm.train.objectives.base import augmentation_of
from rsvlm.train.run import train

TEXT = {
    "base": "bert", "vocab_size": 262, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 96,
}  # fmt: skip
MATCH = {"text": TEXT, "dim": 8, "width": 16, "grid": 2, "queries": 2, "heads": 2, "dropout": 0.2}
STAGE = {
    "name": "match", "objective": "contrastive", "data": [{"set": "rsicd+aid"}, {"set": "eurosat"}], "batch": 8,
    "trainable": ["contrastive"], "steps": 3, "lr": 0.01, "class_share": 0.3, "positives": "labels",
    "templates": ["a photo of {}.", "{}"],
}  # fmt: skip


def recipe(path, **changes):
    values = read_recipe(runs.tiny("lhrs_bot")).model_dump(mode="json")
    values["model"]["match"] = MATCH
    return runs.written(path, {**values, "stages": [STAGE | changes]})


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """(data, folder of the run) of one process that sees each batch as a whole."""
    root = tmp_path_factory.mktemp("one")
    data = runs.data(root / "data")
    train(recipe(root / "whole.yaml", data=STAGE["data"]), data, root / "out")
    return data, root / "out"


def moved(out):
    state = load_file(out / "model" / "model.safetensors")
    return {name: tensor.float() for name, tensor in state.items() if name.startswith("contrastive.")}


def same(out, wanted, tolerance):
    runs.same(runs.losses(out), runs.losses(wanted), tolerance=tolerance)
    found, before = moved(out), moved(wanted)
    assert found.keys() == before.keys() and len(found) > 20
    assert max(float((found[name] - before[name]).abs().max()) for name in found) < 100 * tolerance


def test_it_learns_and_the_model_matches(one):
    model = load(str(one[1] / "model"))
    assert isinstance(model, Matches)
    texts = model.embed_texts(["A port.", "A much longer text about a port."])
    assert abs(texts[0] - model.embed_texts(["A port."])[0]).max() < 1e-6, "padding changes nothing"
    assert abs((texts**2).sum(1) - 1).max() < 1e-5 and texts.shape == (2, 8)


@pytest.mark.parametrize("cut", [None, 3], ids=["whole", "parts"])
def test_two_processes_learn_as_one(tmp_path, cut):
    """Dropout is drawn anew in each process, so it is off here."""
    data = runs.data(tmp_path / "data")
    values = read_recipe(recipe(tmp_path / "one.yaml", gradient_cache=cut)).model_dump(mode="json")
    values["model"]["match"] = {**MATCH, "dropout": 0.0}
    path = runs.written(tmp_path / "one.yaml", values)
    train(path, data, tmp_path / "one")
    codes, said = runs.processes("pass", recipe=path, data=data, out=tmp_path / "two", world=2)
    assert codes == [[0, 0]], said[-3000:]
    same(tmp_path / "two", tmp_path / "one", 1e-5)


@pytest.mark.parametrize("part", [1, 3, 8])
def test_vectors_first_and_their_gradients_then_are_the_same_step(one, tmp_path, part):
    """With one part dropout is on: the second pass draws what the first drew."""
    values = read_recipe(recipe(tmp_path / "a.yaml", gradient_cache=part)).model_dump(mode="json")
    if part < 8:
        values["model"]["match"] = {**MATCH, "dropout": 0.0}
        whole = {**values, "stages": [{**values["stages"][0], "gradient_cache": None}]}
        train(runs.written(tmp_path / "whole.yaml", whole), one[0], tmp_path / "whole")
    train(runs.written(tmp_path / "parts.yaml", values), one[0], tmp_path / "parts")
    same(tmp_path / "parts", tmp_path / "whole" if part < 8 else one[1], 1e-5)


def test_all_captions_of_a_picture_fit_it(one, tmp_path, monkeypatch):
    seen, plain = [], PairLoss.pair_loss
    monkeypatch.setattr(PairLoss, "pair_loss", lambda self, *given: seen.append(given) or plain(self, *given))
    values = read_recipe(recipe(tmp_path / "all.yaml", captions="all", batch=4, steps=1)).model_dump(mode="json")
    folder = train(runs.written(tmp_path / "all.yaml", values), one[0], tmp_path / "all")
    ((images, texts, batch),) = seen
    assert folder.is_dir() and len(images) == len(texts) == 4 * 5
    assert losses.fitting(batch)[:5, :5].all() and not losses.fitting(batch).all()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch": 2, "accumulate": 2}, r"compares the pairs of a batch, and has one at a time; raise batch"),
        ({"captions": "all", "positives": "pairs"}, r"would count as wrong for one another; set positives: labels"),
        ({"templates": ["a very long template " * 9 + "{}"]}, r"has \d+ tokens, and the model reads 96; shorten it"),
        ({"augment": {"rotatoin": 1.0}}, r"augmentation: rotatoin: Extra inputs are not permitted"),
        ({"augment": {"rotate": 2}}, r"augmentation: rotate: Input should be less than or equal to 1 \(found 2\)"),
        ({"data": [{"set": "ships"}]}, r"sample .* has no caption and no class to be matched with"),
    ],
)
def test_what_cannot_be_learned_is_refused(one, tmp_path, changes, sentence):
    from fake import annotations

    annotations.make_all(tmp_path / "data", ["rsicd", "eurosat", "ships"])
    with pytest.raises(BadInput, match=sentence):
        train(recipe(tmp_path / "bad.yaml", **changes), tmp_path / "data", tmp_path / "out")


def test_what_cuts_pictures_itself_or_speaks_of_places_is_not_augmented(one, tmp_path):
    for name in ("boxes", "tags", "views"):
        stage = read_recipe(recipe(tmp_path / f"{name}.yaml", augment={"rotate": 1.0})).stages[0]
        with pytest.raises(BadInput, match=rf"learns {name}, which speaks of places .* remove augment"):
            augmentation_of(stage.model_copy(update={"objective": name}))


def test_augmented_pictures_are_seen_afresh(one, tmp_path):
    """No cached levels, and other losses than without."""
    values = {"augment": {"rotate": 1.0, "jitter": 1.0}, "steps": 1}
    plain, changed = tmp_path / "plain", tmp_path / "changed"
    train(recipe(tmp_path / "a.yaml", steps=1), one[0], plain)
    train(recipe(tmp_path / "b.yaml", **values), one[0], changed)
    assert (plain / "features").is_dir() and not (changed / "features").exists()
    assert runs.losses(plain) != runs.losses(changed)


def test_a_long_text_is_cut_where_the_stage_says_so(one, tmp_path):
    path = recipe(tmp_path / "cut.yaml", templates=["a very long template " * 9 + "{}"], long_texts="cut", steps=1)
    assert train(path, one[0], tmp_path / "out").is_dir()


def test_what_fits_by_labels():
    batch = {
        "text_key": torch.tensor([1, 2, 1, 4]), "image_key": torch.tensor([1, 2, 3, 2]),
        "text_class": torch.tensor([-1, 7, -1, -1]), "image_class": torch.tensor([7, -1, 5, -1]),
    }  # fmt: skip
    expected = [[1, 1, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]
    fits = losses.fitting(batch)
    assert fits is not None and fits.int().tolist() == expected
    assert losses.fitting({}) is None


def test_several_positives_share_the_probability():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.5, 1.0, -1.0], [0.0, 0.0, 3.0]])
    fits = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]]).bool()
    rows = -(logits.log_softmax(1) * fits / fits.sum(1, keepdim=True)).sum(1).mean()
    columns = -(logits.T.log_softmax(1) * fits.T / fits.T.sum(1, keepdim=True)).sum(1).mean()
    assert torch.allclose(losses.contrastive(logits, fits), (rows + columns) / 2)
    assert torch.allclose(losses.contrastive(logits, torch.eye(3).bool()), losses.contrastive(logits))


def test_siglip_judges_each_pair_alone():
    torch.manual_seed(0)
    images, texts = (torch.nn.functional.normalize(torch.randn(4, 6), dim=-1) for _ in range(2))
    learner = PairLoss(temperature=0.1, bias=-10.0)
    by_hand = sum(
        torch.nn.functional.softplus(-(1 if i == j else -1) * (10 * images[i] @ texts[j] - 10))
        for i in range(4) for j in range(4)
    ) / 4  # fmt: skip
    assert torch.allclose(learner.pair_loss(images, texts, {}), by_hand)


def test_the_temperature_keeps_its_limit():
    learner = PairLoss()
    learner.logit_scale.data.fill_(9.0)
    learner.limit_temperature()
    assert learner.logit_scale.item() == pytest.approx(MAX_SCALE)
