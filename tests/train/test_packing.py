"""A mix of text and pictures trained packed: the losses of the unpacked run, killed and resumed, or by two."""

import json

import pytest
import yaml

from fake import runs
from fake.pictures import picture, write_json
from rsvlm.errors import BadInput
from rsvlm.train.log import read_log
from rsvlm.train.run import train

KILL = """
import os, signal
from rsvlm.train.log import Log
plain = Log.step
def step(self, number, numbers):
    plain(self, number, numbers)
    if (self.stage.name, number) == ("understand", 2):
        os.kill(os.getpid(), signal.SIGKILL)
Log.step = step
"""


def talk(number, image):
    asked = f"What is {number} + 1?" if image is None else f"<image>\nWhat is picture {number}?"
    said = f"It is {number + 1}." + " Count on." * (number % 4)
    lines = [("human", asked), ("gpt", said), ("human", "Are you sure?"), ("gpt", "Yes.")]
    ours = json.dumps({"id": f"talk-{number}", "split": "train"})
    entry = {"conversations": [{"from": who, "value": text} for who, text in lines], "rsvlm": ours}
    return entry if image is None else entry | {"image": str(image)}


@pytest.fixture(scope="module")
def mix(tmp_path_factory):
    """(data, recipe(pack, **changes), losses unpacked): nine conversations, three of them about a picture."""
    root = tmp_path_factory.mktemp("mix")
    shown = [picture(root / "data" / f"{n}.png", n) if n % 3 == 0 else None for n in range(9)]
    write_json(root / "data" / "talks.json", [talk(number, image) for number, image in enumerate(shown)])

    def recipe(pack, *, first=1, **changes):
        path = runs.recipe(root / f"{pack}-{first}-{len(changes)}.yaml", stages=3, **changes)
        values = yaml.safe_load(path.read_text())
        values["stages"] = values["stages"][first:]
        for stage in values["stages"]:
            stage |= {"data": [{"set": "llava"}], "pack": pack, "max_tokens": 300}
        path.write_text(yaml.safe_dump(values))
        return path

    train(recipe(None), root / "data", root / "out")
    return root / "data", recipe, root / "out"


def same(found, wanted):
    runs.same(runs.losses(found), runs.losses(wanted), tolerance=1e-5)


def test_packed_training_is_unpacked_training(mix, tmp_path):
    data, recipe, wanted = mix
    codes, said = runs.processes(KILL, "pass", recipe=recipe(400), data=data, out=tmp_path / "out")
    assert codes == [[-9], [0]], said[-3000:]
    same(tmp_path / "out", wanted)
    tokens = [line["tokens"] for line in read_log(wanted / "log.jsonl")]
    assert min(tokens) > 0 and tokens == [line["tokens"] for line in read_log(tmp_path / "out/log.jsonl")]


def test_the_tiny_recipe_packed_on_its_own_mix(tmp_path):
    data = runs.data(tmp_path / "data")
    for pack in (None, 600):
        path = runs.recipe(tmp_path / f"{pack}.yaml")
        values = yaml.safe_load(path.read_text())
        for stage in values["stages"][1:]:
            stage["pack"] = pack
        path.write_text(yaml.safe_dump(values))
        train(path, data, tmp_path / str(pack))
    same(tmp_path / "600", tmp_path / "None")


def test_two_processes_pack_what_each_has(mix, tmp_path):
    """In many steps one of them has no picture: they wait for each other all the same."""
    data, recipe, wanted = mix
    codes, said = runs.processes("pass", recipe=recipe(400, fsdp=True), data=data, out=tmp_path / "out", world=2)
    assert codes == [[0, 0]], said[-3000:]
    same(tmp_path / "out", wanted)


def test_what_cannot_be_packed_is_refused_before_it_starts(mix, tmp_path):
    data, recipe, _ = mix
    with pytest.raises(BadInput, match=r"may have 3[0-9][0-9] tokens and a packed row has 300; raise the stage's pack"):
        train(recipe(300), data, tmp_path / "out")
    with pytest.raises(BadInput, match="Stage 'see' learns tags and has no conversations to pack; remove pack"):
        train(recipe(400, first=0), data, tmp_path / "out")
    with pytest.raises(BadInput, match="learns tags from pictures, and 6 of its 9 samples have none; give it sets of"):
        train(recipe(None, first=0), data, tmp_path / "out")
