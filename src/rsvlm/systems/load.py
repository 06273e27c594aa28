"""Any model behind one door: `load(name)` gives something that answers, whatever it is and wherever it runs."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rsvlm.errors import missing_extra
from rsvlm.recipe import read_recipe
from rsvlm.systems.abilities import Answers
from rsvlm.systems.model_dir import model_folder
from rsvlm.systems.pipeline import PIPELINE, system_of
from rsvlm.systems.registry import SYSTEMS


def load(name: str) -> Answers:
    """The model called `name`, in one of the forms that `rsvlm.systems.abilities.MODEL_NAMES` lists.

    "mini" (the package rsvlm-mini), the folder of a finished run, "hf:<folder or id>" or the folder of a Hugging Face
    model, "openai:<URL>#<model>". A folder with graphs (mini's) is run by ONNX Runtime where that is installed, and by
    PyTorch where it is not, or where the name is "torch:mini" or "torch:<folder>". Raises MissingPart where a package
    or a model is not on this machine, BadInput for an unknown name, a folder that holds no model, a damaged checkpoint
    and a server that cannot be reached.
    """
    if name.startswith("openai:"):  # needs no PyTorch here
        from rsvlm.systems.providers.openai import OpenAIModel

        return OpenAIModel(name)
    try:
        if name.startswith("hf:"):
            return _hugging_face(name, name.removeprefix("hf:"))
        folder = model_folder(name.removeprefix("torch:"))
        if (folder / PIPELINE).is_file():
            return _pipeline(folder, name)
        if (folder / "config.json").is_file() and not (folder / "recipe.yaml").is_file():
            return _hugging_face(name, name)
        if (folder / "onnx").is_dir() and not name.startswith("torch:") and find_spec("onnxruntime"):
            from rsvlm.systems.onnx.open_chat import open_model

            return open_model(folder, name)
        if (folder / "onnx").is_dir() and not name.startswith("torch:") and not find_spec("torch"):
            raise missing_extra("onnxruntime", "ask")
        return _own(folder, name)
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "torch", "model") from error


def _own(folder: Path, name: str) -> Answers:
    """A model of ours, opened by the runtime of its system; a folder without a recipe is refused there."""
    from rsvlm.systems.runtime.load_system import check_folder

    check_folder(folder)
    system = SYSTEMS[read_recipe(folder / "recipe.yaml").system]
    return import_module(system.runtime).open_model(folder, name)  # pyright: ignore


def _pipeline(folder: Path, name: str) -> Answers:
    """A folder of a system without weights of its own, which works over other models."""
    return import_module(f"rsvlm.systems.{system_of(folder)}.pipeline").open_model(folder, name)


def _hugging_face(name: str, where: str) -> Any:
    """A model of transformers: one that matches pictures and texts, or one that speaks."""
    from rsvlm.systems.providers.hf import HFModel
    from rsvlm.systems.providers.hf_files import local_folder
    from rsvlm.systems.providers.hf_matching import HFMatcher, is_matching

    return (HFMatcher if is_matching(local_folder(where)) else HFModel)(name, where)
