"""The model that a benchmark asks: the embedded one, a model folder, or the tiny one of random weights."""

import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from rsvlm.errors import MissingPart
from rsvlm.recipe import read_recipe, shipped
from rsvlm.systems.build import build
from rsvlm.systems.load import load
from rsvlm.systems.runtime.chat import ChatModel


def tiny_folder(folder: Path) -> Path:
    """`folder` with the tiny LHRS-Bot of random weights, the same ones at every call."""
    recipe = shipped("lhrs_bot", "tiny")
    torch.manual_seed(0)
    state = build(read_recipe(recipe)).state_dict()
    save_file({name: tensor.clone() for name, tensor in state.items()}, folder / "model.safetensors")
    (folder / "recipe.yaml").write_text(recipe.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def chat_model(name: str, *, smallest: bool = False) -> ChatModel:
    """The model called `name` ("mini", "tiny", a model folder); the tiny one where `smallest`.

    Raises MissingPart for one that is not on this machine, or does not run here.
    """
    if smallest or name == "tiny":
        with tempfile.TemporaryDirectory() as folder:
            return ChatModel(tiny_folder(Path(folder)), "tiny")
    model = load("torch:mini" if name == "mini" else name)
    if not isinstance(model, ChatModel):
        raise MissingPart(f"{name} does not run in this process; give a model of rsvlm.")
    return model
