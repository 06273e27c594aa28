"""What a stage lets move: patterns name parameters, and a stage that moves nothing is refused."""

import pytest
import torch
import yaml

from fake import annotations, batches, runs
from rsvlm.errors import BadInput
from rsvlm.train.run import train
from rsvlm.train.stages import freeze, named, optimizer


def test_a_stage_that_moves_nothing_is_refused():
    recipe, model, _ = batches.tiny(runs.tiny("lhrs_bot"))
    with pytest.raises(BadInput, match=r"'language.experts' names no parameter; this system has: bridge, language"):
        freeze(model, ["bridge", "language.experts"])
    groups = freeze(model, ["bridge", "language.lora"])
    for rates, odd in (
        ({"bridge": 1.0}, "language.lora"),
        ({"bridge": 1.0, "language.lora": 1.0, "vision": 1.0}, "vision"),
    ):
        with pytest.raises(BadInput, match=f"'{odd}' is in only one"):
            optimizer(recipe.stages[2].model_copy(update={"lr": rates}), groups)


def test_patterns_name_parameters():
    names = [
        "bridge.query", "bridges.query", "bridge.former.query.weight", "bridge.former.query.lora_A.weight",
        "language.model.q_proj.weight", "language.model.q_proj.lora_A.weight", "vision.language.lora_A",
    ]  # fmt: skip
    assert named(names, "bridge") == [names[0], *names[2:4]]
    assert named(names, "bridge.query") == names[:1]  # a path that is there means nothing else
    assert named(names, "bridge.former.lora") == named(names, "bridge.lora") == [names[3]]
    assert named(names, "language.lora") == [names[5]] and named(names, "language.experts") == []


def test_the_first_pattern_has_what_several_name():
    model = torch.nn.ModuleDict({"a": torch.nn.ModuleDict({"b": torch.nn.Linear(2, 2), "c": torch.nn.Linear(2, 2)})})
    groups = freeze(model, ["a.b", "a"])
    assert [len(parameters) for parameters in groups.values()] == [2, 2]
    assert groups["a.b"][0] is model["a"]["b"].weight


@pytest.mark.parametrize(("data", "count"), [("levir_cc", "4 of 4"), ("rsicd+levir_cc", "4 of ")])
@pytest.mark.parametrize("objective", ["tags", "language"])
def test_a_system_of_one_picture_does_not_train_on_pairs(tmp_path, objective, data, count):
    """It would see the first date only, and learn to say what changed since."""
    root = runs.data(tmp_path / "data")
    annotations.make("levir_cc", root, "LEVIR-CC")
    path = runs.recipe(tmp_path / "recipe.yaml", data=[{"set": data}])
    values = yaml.safe_load(path.read_text())
    values["stages"] = [stage for stage in values["stages"] if stage["objective"] == objective][:1]
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(BadInput, match=rf"levir_cc, sample levir_cc/train_000001.png, has 2 pictures .*{count}"):
        train(path, root, tmp_path / "out")
    assert not (tmp_path / "out" / "features").exists() and not (tmp_path / "out" / "log.jsonl").read_text()
