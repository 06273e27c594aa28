"""Two processes, or half a batch at a time, give the losses of one process with the same global batch."""

import subprocess
import sys

import pytest
import yaml

from fake import runs
from rsvlm.recipe import read_recipe
from rsvlm.train.run import train


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """(data, losses) of the tiny recipe in one process."""
    root = tmp_path_factory.mktemp("one")
    data = runs.data(root / "data")
    train(runs.recipe(root / "tiny.yaml"), data, root / "out")
    return data, runs.losses(root / "out")


@pytest.mark.parametrize("sharded", [False, True], ids=["copies", "FSDP2"])
def test_two_processes_train_as_one_and_go_on_where_they_stopped(one, tmp_path, sharded):
    data, wanted = one
    recipe, out = runs.recipe(tmp_path / "tiny.yaml", fsdp=sharded), tmp_path / "out"
    stop = "import functools; train = functools.partial(train, max_steps=3, only_stage='see')"
    codes, said = runs.processes(stop, "pass", recipe=recipe, data=data, out=out, world=2)
    assert codes == [[0, 0], [0, 0]], said[-3000:]
    runs.same(runs.losses(out), wanted, tolerance=1e-5)
    assert (out / "model" / "model.safetensors").is_file()


def test_torchrun_launches_it(one, tmp_path):
    data, wanted = one
    recipe, out, program = runs.recipe(tmp_path / "tiny.yaml"), tmp_path / "out", tmp_path / "run.py"
    program.write_text("import sys\nfrom rsvlm.train.run import train\ntrain(*sys.argv[1:], max_steps=1)\n")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launcher, str(program), str(recipe), str(data), str(out)]
    done = subprocess.run(command, env=runs.environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    runs.same(runs.losses(out)[:1], wanted[:1], tolerance=1e-5)
    assert [line[1] for line in runs.losses(out)] == [0] * 4


def test_accumulation_changes_nothing(one, tmp_path):
    data, wanted = one
    for parts in (1, 2, 4):
        out = tmp_path / str(parts)
        train(runs.recipe(tmp_path / "tiny.yaml", accumulate=parts), data, out)
        runs.same(runs.losses(out), wanted, tolerance=1e-5)


def test_a_batch_that_cannot_be_cut_is_refused(one, tmp_path):
    from rsvlm.errors import BadInput

    with pytest.raises(BadInput, match=r"A batch of 4 cannot be cut into 3 x 1 equal parts"):
        train(runs.recipe(tmp_path / "tiny.yaml", accumulate=3), one[0], tmp_path / "out")


def test_the_finished_model_is_the_trained_one(one, tmp_path):
    import numpy as np
    import torch

    from rsvlm.systems.load import load

    path = runs.recipe(tmp_path / "tiny.yaml", stages=3)
    folder = train(path, one[0], tmp_path / "out", max_steps=2)
    assert sorted(file.name for file in folder.iterdir()) == ["data.json", "model.safetensors", "recipe.yaml"]
    assert yaml.safe_load((folder / "recipe.yaml").read_text()) == read_recipe(path).model_dump(mode="json")
    torch.manual_seed(99)  # whatever the process drew before, the model is the saved one
    pixels = [np.random.default_rng(5).integers(0, 255, (40, 30, 3), np.uint8)]
    replies = [load(str(folder)).answer(pixels, ["What is it?"], max_new_tokens=8)[0] for _ in range(2)]
    assert replies[0] == replies[1] and replies[0].text
