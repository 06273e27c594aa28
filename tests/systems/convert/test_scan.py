"""A system in a folder of its own, in no list of this package: identified, read and written with its source."""

import json

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import rsvlm.systems
from rsvlm.errors import BadInput
from rsvlm.recipe import Recipe
from rsvlm.systems.convert.convert import convert, identify, readers

WEIGHTS = """
from rsvlm.parts.checkpoints import published, weights
from rsvlm.parts.checkpoints.weights import Account
from rsvlm.systems.convert.identified import Identified, Layout
from rsvlm.systems.convert.provenance import write_model_dir

LAYOUT = Layout(fronts=("eye.", "many."), nested=("many.",), adapter_folder="Words")

def identify(has):
    return Identified("a Seer", variant="with words" if has(r"^Words\\.") else "") if has(r"^eye\\.") else None

def convert_published(path, out, *, recipe, language_model, vision, lora):
    state = published.tensors(path, LAYOUT.fronts)
    with weights.new_folder(out) as aside:
        account = Account({name: name for name in state}, {}, {})
        write_model_dir(aside, state, recipe, {path.name: path}, account)
    return account
"""
CARD = 'from rsvlm.systems.cards import Source\nSOURCE = Source("example.org/seer", "MIT", base="someone/base")\n'


@pytest.fixture
def seer(tmp_path, monkeypatch):
    """A system in a folder outside the package: its checkpoint, with adapters beside it."""
    folder = tmp_path / "plugins" / "seer"
    folder.mkdir(parents=True)
    for name, text in (("model", ""), ("weights", WEIGHTS), ("card", CARD)):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(rsvlm.systems, "__path__", [*rsvlm.systems.__path__, str(folder.parent)])
    release = tmp_path / "release"
    (release / "Words").mkdir(parents=True)
    save_file({"model.eye.w": torch.ones(2), "model.many.a.w": torch.ones(3)}, release / "FINAL.safetensors")
    (release / "Words" / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 4}))
    at = "layers.0.self_attn.q_proj.lora_A.weight"
    save_file({at: torch.ones(2, 8)}, release / "Words" / "adapter_model.safetensors")
    return release / "FINAL.safetensors"


def test_a_new_system_is_identified_and_converted(seer, tmp_path):
    found = identify(seer)
    assert (found.system, found.what, found.variant) == ("seer", "a Seer", "with words")
    assert found.groups == {"eye": 1, "many.a": 1, "Words": 1} and found.adapter and found.adapter.rank == 2
    assert "seer" in readers()
    recipe = Recipe(system="seer", size="small", model={"language": {"base": "smollm2"}})
    convert(seer, tmp_path / "out", recipe=recipe)
    assert set(load_file(tmp_path / "out" / "model.safetensors")) == {"eye.w", "many.a.w"}
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert record["source"] == {
        "repository": "example.org/seer", "code_licence": "MIT", "weights_licence": "unknown", "base": "someone/base"
    }  # fmt: skip
    assert yaml.safe_load((tmp_path / "out" / "recipe.yaml").read_text())["system"] == "seer"
    with pytest.raises(BadInput, match="no checkpoint of lhrs_bot: it looks like a Seer; convert it as seer"):
        convert(seer, tmp_path / "other", system="lhrs_bot")
