"""Every shipped recipe is started: tiny ones trained to their end, small ones for a step, the others laid out."""

import json
import math
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from fake import annotations, runs
from rsvlm.data.prompt import CHAT_TEMPLATES
from rsvlm.errors import MissingPart
from rsvlm.recipe import read_recipe
from rsvlm.systems.build import build
from rsvlm.train.run import train
from rsvlm.train.stages import freeze, optimizer

SHIPPED = sorted(runs.RECIPES.glob("*/*.yaml"))
MINI = [path for path in SHIPPED if path.stem.startswith("mini")]
PUBLISHED = [path for path in SHIPPED if path not in runs.TINY and path not in MINI]
LOSSES = Path(__file__).parents[1] / "golden" / "losses"
SETS = (
    "rsicd", "eurosat", "ucm_captions", "ucm_scenes", "rsivqa", "ships", "hit_uav", "xbd", "oscd", "sztaki", "levir_cc",
    "second_cc",
)  # fmt: skip


def named(path):
    return f"{path.parent.name}/{path.stem}"


def each(paths):
    return pytest.mark.parametrize("path", paths, ids=named)


def test_every_recipe_is_started_below():
    assert len(SHIPPED) == 46 and len(runs.TINY) == 13 and len(MINI) == 8 and len(PUBLISHED) == 25
    assert [path.stem for path in sorted(LOSSES.iterdir())] == [path.parent.name for path in runs.TINY]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data root with a few pictures of every set that the tiny and small recipes name."""
    root = tmp_path_factory.mktemp("data")
    for name in SETS:  # some lie in the folder of another
        annotations.make(name, root)
    return root


@each(runs.TINY)
def test_a_tiny_recipe_gives_the_losses_that_it_always_gave(path, data, tmp_path):
    """All steps of all stages. Who changes a draw or a formula on purpose records them again and says so."""
    folder = train(path, data, tmp_path / "out")
    recorded = json.loads((LOSSES / f"{path.parent.name}.json").read_text(encoding="utf-8"))["losses"]
    wanted = [(stage, step, loss) for stage, steps in recorded.items() for step, loss in enumerate(steps)]
    found = runs.losses(tmp_path / "out")
    assert [line[:2] for line in found] == [line[:2] for line in wanted]
    assert [line[2] for line in found] == pytest.approx([line[2] for line in wanted], rel=1e-4)
    assert [(s.name, s.steps) for s in read_recipe(path).stages] == [(s, len(steps)) for s, steps in recorded.items()]
    assert all(torch.isfinite(tensor).all() for tensor in load_file(folder / "model.safetensors").values())


@pytest.fixture
def other_precision():
    """A process may train in bf16 that has trained in fp32, and go on in it: accelerate keeps one for its life."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@each(MINI)
@pytest.mark.usefixtures("other_precision")
def test_a_small_recipe_takes_a_step_in_every_stage(path, data, tmp_path):
    """As it is, but for the pictures of a step, which are two, and are seen in one view."""
    values = read_recipe(path).model_dump(mode="json") | {"views": 1}
    values["stages"] = [stage | {"batch": 2, "accumulate": 1} for stage in values["stages"]]
    try:
        train(runs.written(tmp_path / "recipe.yaml", values), data, tmp_path / "out", max_steps=1)
    except MissingPart as error:
        pytest.skip(str(error))
    found = runs.losses(tmp_path / "out")
    assert [line[:2] for line in found] == [(stage["name"], 0) for stage in values["stages"]]
    assert all(math.isfinite(line[2]) for line in found)


@each(PUBLISHED)
def test_a_published_recipe_is_laid_out_and_its_stages_name_what_is_there(path):
    recipe, built = read_recipe(path), {}
    for index, stage in enumerate(recipe.stages):
        form = recipe.in_stage(index)
        numbers = repr({**form.model, "frame": ""})
        if numbers not in built:
            with torch.device("meta"):
                built = {numbers: build(form, for_training=False)}  # one at a time
        groups = freeze(built[numbers], stage.trainable)
        assert optimizer(stage, groups).param_groups
        assert "language" not in form.model or form.model["frame"] in CHAT_TEMPLATES
        assert all(parameter.is_meta for parameter in built[numbers].parameters())
