"""A protocol asked in a system's own words: what is asked, to the letter, and what cannot be asked so."""

from pathlib import Path

import pytest
import torch

from fake import annotations, runs
from fake.model import ColourModel
from rsvlm.errors import BadInput
from rsvlm.evaluate.items import Item
from rsvlm.evaluate.native_prompts import with_native_prompts
from rsvlm.evaluate.protocol import find
from rsvlm.evaluate.run import evaluate
from rsvlm.evaluate.solvers import SOLVERS
from rsvlm.evaluate.task import Task
from rsvlm.recipe import read_recipe
from rsvlm.sample import Image, Region, Reply
from rsvlm.systems.build import build

RECIPES = ("lhrs_bot/paper", "lhrs_bot_nova/paper", "skyeyegpt/paper", "rs_gpt4v/geochat")
# protocol, question, and how each of RECIPES is asked; "" = it has no words of its own for that
ASKED = (
    ("rsvqa_lr", "Is it rural", (
        "[VQA] Is it rural", "[CONSIZE] Is it rural? Answer in a single word. Answer:", "[vqa] Is it rural",
        "Is it rural\nAnswer the question using a single word or phrase.",
    )),
    ("dior_rsvg", "the {red} ship", (
        "[VG] the {red} ship", "[DET] the {red} ship", "[refer] where can I locate the {red} ship?",
        "[refer] Give me the location of <p> the {red} ship </p>",
    )),
    ("rsicd_captions", "Describe this image.", ("", "", "[caption] briefly describe the image", "")),
)  # fmt: skip


class Speaker:
    """Says a box, and remembers what it was asked."""

    name, box_dialect = "speaker", "minigpt"

    def __init__(self, phrase=None) -> None:
        self.trace, self.asked = {"system": "fake"}, []
        if phrase is not None:
            self.native_prompt = phrase

    def answer(self, images, questions, *, max_new_tokens=64):
        self.asked += questions
        return [Reply(text="{<10><20><30><40>}", confidence=0.5) for _ in questions]

    def box_part(self, width, height):
        return 0, -10, width, height + 20


@pytest.fixture(scope="module")
def phrases():
    """How each published system words a task; without weights."""
    out = {}
    for name in RECIPES:
        with torch.device("meta"):
            out[name] = build(read_recipe(runs.RECIPES / f"{name}.yaml"), for_training=False).native_prompt
    return out


def task(benchmark, question):
    image = Image(path="a.png", width=100, height=80)
    item = Item(id="a#0", question=question, images=(image,), regions=(Region(label="x", box=(0, 0, 5, 5)),))
    return Task(protocol=find(benchmark), data=Path(), split="test", items=[item])


@pytest.mark.parametrize(("benchmark", "question", "wanted"), ASKED)
def test_each_system_is_asked_as_it_was_trained(phrases, benchmark, question, wanted):
    for name, words in zip(RECIPES, wanted, strict=True):
        speaker = Speaker(phrases[name])
        if not words:
            with pytest.raises(BadInput, match="speaker has no words of its own for what"):
                with_native_prompts(task(benchmark, question), speaker, "own")
            continue
        put = with_native_prompts(task(benchmark, question), speaker, "own")
        (row,) = SOLVERS[put.protocol.ability].solve(speaker, put.protocol, put.items, [()])
        assert speaker.asked == [words]
        if benchmark == "dior_rsvg":
            assert row["boxes"] == [[10, 10, 30, 30]]  # of the part that is shown, 100 x 100 from y = -10 on


def test_the_protocols_words_are_the_default(phrases):
    one = task("dior_rsvg", "the ship")
    assert with_native_prompts(one, Speaker(phrases["skyeyegpt/paper"]), "protocol") is one
    speaker = Speaker()
    SOLVERS["grounds"].solve(speaker, one.protocol, one.items, [()])
    assert speaker.asked == ["Locate in the image: the ship"]
    with pytest.raises(BadInput, match="No wording is named 'mine'"):
        with_native_prompts(one, speaker, "mine")


def test_mini_has_no_words_of_its_own():
    with torch.device("meta"):
        mini = build(read_recipe(runs.tiny("lhrs_bot")), for_training=False)
    assert mini.native_prompt("vqa", "What?") is None


def test_a_run_in_own_words_says_so(tmp_path):
    annotations.make("ucm_captions", tmp_path, "UCM_captions")
    model = ColourModel(otherwise="a place")
    model.native_prompt = lambda task, words: f"[{task}] {words}"
    result = evaluate("ucm_captions", tmp_path, model, split="val", wording="own", leak=False, blind=False)
    assert {words for _, words in model.asked} == {"[caption] Describe this image."} and result["trace"][
        "wording"
    ] == "own"
    plain = evaluate("ucm_captions", tmp_path, ColourModel(otherwise="a place"), split="val", leak=False, blind=False)
    assert "wording" not in plain["trace"] and plain["data_hash"] == result["data_hash"]
