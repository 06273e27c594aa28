"""A new system is a folder and a recipe: two toys in a temporary folder are trained, opened and asked.

One is a dual encoder without a language model, the other a chat system that sees two pictures. No list is edited.
"""

import sys

import numpy as np
import pytest
import yaml

import rsvlm.systems
from fake import annotations, runs
from rsvlm.errors import BadInput
from rsvlm.evaluate.benchmarks import find
from rsvlm.evaluate.solvers import check_ability
from rsvlm.recipe import read_recipe
from rsvlm.systems.abilities import Answers, Compares, Matches
from rsvlm.systems.cards import CARDS
from rsvlm.systems.load import load
from rsvlm.systems.registry import SYSTEMS
from rsvlm.train.run import train

MATCHER = '''
"""image -> tower -> linear | linear <- mean of token embeddings <- text"""

from torch import nn

from rsvlm.parts.dual import DualEncoder
from rsvlm.systems.registry import SYSTEMS


@SYSTEMS("toy_matcher")
class ToyMatcher(DualEncoder):
    @classmethod
    def build(cls, numbers, parts):
        return cls(parts.vision(**numbers["vision"]), **numbers["text"])

    def __init__(self, vision, *, tokenizer, vocabulary, width):
        super().__init__(vision)
        self.words = nn.Embedding(vocabulary, width)
        self.image, self.text = nn.Linear(vision.dims[-1], width), nn.Linear(width, width)

    def image_features(self, levels):
        return self.image(levels[-1].mean(1))

    def text_features(self, ids, mask):
        words = self.words(ids) * mask[..., None]
        return self.text(words.sum(1) / mask.sum(1, keepdim=True))
'''
PAIRS = '''
"""two dates -> tower -> difference of the last levels -> linear -> language model"""

from torch import nn

from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.systems.registry import SYSTEMS


class Map(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.map = nn.Linear(inputs, outputs)

    def forward(self, levels, question=None):
        return self.map(levels[-1])


@SYSTEMS("toy_pairs")
class ToyPairs(VisionLanguageModel):
    num_images = 2

    def __init__(self, vision, bridge, language):
        super().__init__(vision, Map(vision.dims[-1], language.dim), language, image_tokens=vision.tokens[-1])

    def see(self, batch, objective=""):
        return [level[1::2] - level[::2] for level in super().see(batch, objective)]
'''
TOWER = {"tower": "clip", "width": 32, "depth": 2, "heads": 2, "patch": 8, "size": 32, "taps": [2]}
COMMON = {"steps": 12, "batch": 4, "lr": 0.01}
RECIPES = {
    "toy_matcher": {
        "model": {"vision": TOWER, "text": {"tokenizer": "bytes", "vocabulary": 262, "width": 16}},
        "stages": [
            {"name": "match", "objective": "contrastive", "data": [{"set": "rsicd"}], **COMMON,
             "trainable": ["image", "text", "words", "logit_scale"]},
        ],
    },
    "toy_pairs": {
        "model": {"frame": "chatml", "vision": TOWER, "bridge": {},
                  "language": read_recipe(runs.tiny("lhrs_bot")).model["language"]},
        "stages": [
            {"name": "pairs", "data": [{"set": "levir_cc"}], "trainable": ["bridge", "language.lora"], **COMMON},
        ],
    },
}  # fmt: skip


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """The folder of the two systems, known to this process; and data for them."""
    for name, code in (("toy_matcher", MATCHER), ("toy_pairs", PAIRS)):
        folder = tmp_path / "systems" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text('"""A toy."""\n')
        (folder / "model.py").write_text(code)
    monkeypatch.setattr(rsvlm.systems, "__path__", [*rsvlm.systems.__path__, str(tmp_path / "systems")])
    yield runs.data(tmp_path / "data")
    for name in RECIPES:
        SYSTEMS._items.pop(name, None)
        for module in [module for module in sys.modules if module.startswith(f"rsvlm.systems.{name}")]:
            del sys.modules[module]


def written(folder, name, **stage):
    values = {"system": name, "size": "toy", "seed": 1, **RECIPES[name]}
    values["stages"] = [values["stages"][0] | stage]
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def pictures(count, seed):
    return [np.random.default_rng([seed, n]).integers(0, 255, (20, 30, 3), np.uint8) for n in range(count)]


def test_new_systems_are_known_by_their_folders_alone(toys):
    assert {"toy_matcher", "toy_pairs"} <= set(SYSTEMS) and len(SYSTEMS) == 15
    assert "toy_pairs" not in CARDS and len(CARDS) == 14  # a card is a file of its own


def test_a_dual_encoder_is_trained_and_matches(toys, tmp_path):
    folder = train(written(tmp_path, "toy_matcher"), toys, tmp_path / "out")
    found = [line["contrastive"] for line in runs_log(tmp_path / "out")]
    assert len(found) == 12 and found[-1] < found[0]
    model = load(str(folder))
    assert isinstance(model, Matches) and not isinstance(model, Answers)
    images, texts = model.embed_images(pictures(3, 0)), model.embed_texts(["A port.", "Bare land", ""])
    assert images.shape == texts.shape == (3, 16)
    assert np.allclose(np.linalg.norm(np.concatenate([images, texts]), axis=1), 1, atol=1e-5)
    together, alone = model.embed_texts(["A port.", "A much longer text"]), model.embed_texts(["A port."])
    assert np.allclose(together[0], alone[0], atol=1e-6)  # padding changes nothing
    check_ability(model, next(p for p in protocols("matches")))
    with pytest.raises(BadInput, match="cannot answer questions about a picture"):
        check_ability(model, find("ucm_captions"))


def test_a_system_of_two_dates_is_trained_and_compares(toys, tmp_path):
    change_root = annotations.make("levir_cc", toys, "LEVIR-CC")
    assert change_root
    folder = train(written(tmp_path, "toy_pairs"), toys, tmp_path / "out")
    found = [line["language"] for line in runs_log(tmp_path / "out")]
    assert len(found) == 12 and found[-1] < found[0]
    model = load(str(folder))
    assert isinstance(model, Compares) and not isinstance(model, Answers)
    before, after, asked = pictures(3, 1), pictures(3, 2), ["What has changed?", "Any new roads?", "What?"]
    together = model.compare(before, after, asked, max_new_tokens=4)
    alone = [model.compare([b], [a], [q], max_new_tokens=4)[0] for b, a, q in zip(before, after, asked, strict=True)]
    assert [reply.text for reply in together] == [reply.text for reply in alone]
    swapped = model.compare(after, before, asked, max_new_tokens=4)
    assert [reply.confidence for reply in swapped] != [reply.confidence for reply in together]
    with pytest.raises(BadInput, match="cannot answer questions about a picture"):
        check_ability(model, find("ucm_captions"))


def test_one_picture_is_no_pair_and_a_pair_no_picture(toys, tmp_path):
    with pytest.raises(BadInput, match="has 1 pictures where the system sees 2"):
        train(written(tmp_path, "toy_pairs", data=[{"set": "rsicd"}]), toys, tmp_path / "out")
    annotations.make("levir_cc", toys, "LEVIR-CC")
    with pytest.raises(BadInput, match="has 2 pictures where the system sees 1"):
        train(written(tmp_path, "toy_matcher", data=[{"set": "levir_cc"}]), toys, tmp_path / "more")


def test_an_objective_that_a_system_cannot_learn_is_refused_by_name(toys, tmp_path):
    with pytest.raises(BadInput, match=r"'match' has the objective 'language'.*it can: contrastive"):
        train(written(tmp_path, "toy_matcher", objective="language"), toys, tmp_path / "out")
    with pytest.raises(BadInput, match=r"objective 'tags'.*it can: language"):
        train(written(tmp_path, "toy_pairs", objective="tags"), toys, tmp_path / "out")


def protocols(ability):
    from rsvlm.evaluate.benchmarks import BENCHMARKS

    return (BENCHMARKS[name] for name in BENCHMARKS if BENCHMARKS[name].ability == ability)


def runs_log(out):
    from rsvlm.train.log import read_log

    return read_log(out / "log.jsonl")
