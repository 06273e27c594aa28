"""Killed at any moment and started again, a run gives the losses of an unbroken one."""

import json
import signal

import pytest
from accelerate import Accelerator

from fake import runs
from rsvlm.errors import BadInput
from rsvlm.train import checkpoint
from rsvlm.train.interrupt import Interrupt
from rsvlm.train.run import train

DIE = "import os, signal\ndie = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
TORN_LINE = """
import pathlib
log = pathlib.Path(sys.argv[3]) / "log.jsonl"
if log.exists():
    with log.open("a") as file:
        file.write('{"stage": "al')
"""
AFTER_STEP = """
from rsvlm.train.log import Log
plain = Log.step
def step(self, number, numbers):
    plain(self, number, numbers)
    if (self.stage.name, number) == ({stage!r}, {step}):
        die()
Log.step = step
"""
BETWEEN_RENAMES = """
from pathlib import Path
plain = Path.rename
def rename(self, target):
    if self.name == "checkpoint.part" and Path(target).with_name("checkpoint.old").exists():
        die()
    return plain(self, target)
Path.rename = rename
"""
MID_WRITE = """
from rsvlm.train import checkpoint
plain = checkpoint.save_file
def save_file(tensors, path):
    plain(tensors, path)
    if path.name == "optimizer.safetensors" and (path.parents[1] / "checkpoint").exists():
        die()
checkpoint.save_file = save_file
"""
MID_FEATURES = """
from rsvlm.train import features
plain = features.FeatureCache._see
calls = []
def see(self, pixels):
    calls.append(1)
    return plain(self, pixels) if len(calls) < 4 else die()
features.FeatureCache._see = see
"""
KILLS = {
    "before the first checkpoint": AFTER_STEP.format(stage="see", step=0),
    "while features are made": MID_FEATURES,
    "one step after a checkpoint": AFTER_STEP.format(stage="align", step=2),
    "between the two renames": BETWEEN_RENAMES,
    "while a checkpoint is written": MID_WRITE,
    "after the last step of a stage": AFTER_STEP.format(stage="align", step=5),
    "in the stage after": AFTER_STEP.format(stage="understand", step=2),
}


SIGNALLED = """
import os, pathlib, signal
from rsvlm.train.log import Log
plain = Log.step
def step(self, number, numbers):
    plain(self, number, numbers)
    if (self.stage.name, number) == ("align", 2) and os.environ["RANK"] == "0":
        os.kill(os.getpid(), signal.SIGTERM)
Log.step = step
position = pathlib.Path(sys.argv[3]) / "checkpoint" / "position.json"
found = (json.loads(position.read_text())["stage"], json.loads(position.read_text())["step"]) if {before} else None
assert found == {before}, found
"""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """(recipe, data, losses) of a run with dropout that nothing stopped."""
    root = tmp_path_factory.mktemp("unbroken")
    data = runs.data(root / "data")
    recipe = runs.recipe(root / "tiny.yaml", stages=3, dropout=0.2)
    train(recipe, data, root / "out")
    return recipe, data, runs.losses(root / "out")


def test_killed_again_and_again(unbroken, tmp_path):
    recipe, data, wanted = unbroken
    assert [line[1] for line in wanted] == [*range(4), *range(6), *range(6)]
    out = tmp_path / "out"
    befores = [TORN_LINE + DIE + before for before in KILLS.values()]
    codes, said = runs.processes(*befores, TORN_LINE, recipe=recipe, data=data, out=out)
    assert dict(zip(KILLS, codes, strict=False)) == {moment: [-9] for moment in KILLS}, said[-3000:]
    assert codes[-1] == [0], said[-3000:]
    runs.same(runs.losses(out), wanted)
    assert (out / "model" / "model.safetensors").is_file() and (out / "loss.png").is_file()
    assert not list(out.glob("*.part")) and not list(out.glob("*.old"))
    assert {path.name for path in (out / "tensorboard").iterdir()} == {"see", "align", "understand"}


def test_a_signal_ends_the_step_on_all_processes_and_is_not_lost(unbroken, tmp_path):
    """One process of two is sent it, where no checkpoint is due."""
    recipe, data, wanted = unbroken
    befores = [SIGNALLED.format(before=None), SIGNALLED.format(before=(1, 3)).replace("signal.SIGTERM", "0")]
    codes, said = runs.processes(*befores, recipe=recipe, data=data, out=tmp_path / "out", world=2)
    assert codes == [[143, 143], [0, 0]], said[-3000:]
    assert "stopped after step 2 of stage 'align'; the same command goes on from here" in said
    assert "align 3/6 language" in said and " left\n" in said
    runs.same(runs.losses(tmp_path / "out"), wanted, tolerance=0.2)  # another dropout a process


def test_the_second_interrupt_is_not_waited_for():
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.anywhere(Accelerator(cpu=True)) == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupt.end(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_finished_run_is_left_as_it_is_and_fresh_begins_anew(unbroken, tmp_path):
    recipe, data, wanted = unbroken
    train(recipe, data, tmp_path, max_steps=2)
    assert [line[:2] for line in runs.losses(tmp_path)] == [
        (s, n) for s in ("see", "align", "understand") for n in (0, 1)
    ]
    train(recipe, data, tmp_path, max_steps=2)
    assert len(runs.losses(tmp_path)) == 6
    (tmp_path / "mine.txt").touch()
    train(recipe, data, tmp_path, resume=False, max_steps=1)
    assert [line[1] for line in runs.losses(tmp_path)] == [0, 0, 0]
    assert (tmp_path / "mine.txt").exists()
    runs.same(runs.losses(tmp_path)[:1], wanted[:1])


def test_one_stage_alone(unbroken, tmp_path):
    recipe, data, _ = unbroken
    train(recipe, data, tmp_path, only_stage="align", max_steps=1)
    assert [line[:2] for line in runs.losses(tmp_path)] == [("align", 0)]
    with pytest.raises(BadInput, match="has no stage 'sleep'; it has see, align"):
        train(recipe, data, tmp_path, only_stage="sleep")


def test_checkpoints_that_do_not_fit_are_refused(unbroken, tmp_path, capfd):
    recipe, data, _ = unbroken
    out = tmp_path / "out"
    train(recipe, data, out, max_steps=1)
    with pytest.raises(BadInput, match="another recipe: up to its stage 3 the numbers differ"):
        train(runs.recipe(tmp_path / "other.yaml", stages=3, lr=0.1), data, out)
    position = out / "checkpoint" / "position.json"
    text = position.read_text(encoding="utf-8")
    found = json.loads(text)
    assert found["step"] == 1 and found["stage"] == 2 and found["rng"] == "3/2" and found["resolved"]["system"]
    assert set(found["data"]) == {"rsicd+aid", "eurosat"}
    assert checkpoint.find(out / "nowhere") is None
    position.write_text(text.replace(found["data"]["eurosat"], "0" * 16), encoding="utf-8")
    train(recipe, data, out, max_steps=2)
    assert "eurosat is not what this run began with" in capfd.readouterr().err
    for damage in (text[:-40], "[]", "{}"):
        position.write_text(damage, encoding="utf-8")
        with pytest.raises(BadInput, match="is damaged"):
            train(recipe, data, out)
    position.write_text(text, encoding="utf-8")
    for name, act in (("optimizer", 2), ("weights", 1)):
        path = out / "checkpoint" / f"{name}.safetensors"
        path.write_bytes(path.read_bytes()[: -1000 * act])
        with pytest.raises(BadInput, match="not a readable safetensors"):
            train(recipe, data, out)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="not a folder to write in"):
        train(recipe, data, tmp_path / "file" / "out")
