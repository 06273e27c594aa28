"""The system of a run in the form that each stage has it; another form takes over the weights of the last one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate.utils import set_seed

from rsvlm.parts.checkpoints.weights import read_state
from rsvlm.parts.experts import upcycle
from rsvlm.recipe import Recipe
from rsvlm.systems.build import build, load_weights
from rsvlm.systems.model_dir import model_folder
from rsvlm.train import checkpoint
from rsvlm.train.start import fitting_state


class ModelForms:
    """The system as the run goes through its stages. `form` is the recipe with the numbers that `model` has now.

    `say` is given what the user should know. `moved` are the names of the tensors that a stage has moved, or that came
    new with a form.
    """

    def __init__(self, recipe: Recipe, say: Callable[[str], None]) -> None:
        self.recipe, self.say, self.moved = recipe, say, set[str]()
        self.form: Recipe | None = None
        self.model: Any = None

    def resume(self, index: int, folder: Path, moved: set[str]) -> None:
        """The system as stage `index` has it, with the weights of the checkpoint in `folder`."""
        self._build(index)
        checkpoint.load_model(folder, self.model)
        self.moved = moved

    def enter(self, index: int, folder: Path) -> None:
        """The system as stage `index` has it; where that is another than before, MLPs become experts (`upcycle`).

        `folder` is the last checkpoint, which has all that moved.
        """
        form = self.recipe.in_stage(index)
        if self.form is None:
            self._build(index)
        elif {**form.model, "frame": ""} == {**self.form.model, "frame": ""}:
            self.form = form
        else:
            before = set(self.model.state_dict())
            self.model = None  # one at a time in memory
            self._build(index)
            state = self._take_over(folder / "weights.safetensors")
            self.moved = set(state) | (self.model.state_dict().keys() - before)

    def _build(self, index: int) -> None:
        """The system as stage `index` has it, with its first weights, or those of the finished model it starts from."""
        set_seed(self.recipe.seed)
        first, self.form = self.form is None, self.recipe.in_stage(index)
        self.model = build(self.form)
        if not self.recipe.start:
            return
        path = model_folder(self.recipe.start) / "model.safetensors"
        state, left_out = fitting_state(read_state(path), self.model.state_dict(), source=str(path))
        load_weights(self.model, state, source=str(path))
        if left_out and first:
            self.say(f"{path}: left out {', '.join(left_out)}, which this recipe does not build.")

    def _take_over(self, path: Path) -> dict[str, Any]:
        """Give the model the weights in `path`, of this form or of the one before its MLPs became experts."""
        state = upcycle(read_state(path), self.model.state_dict(), source=str(path))
        load_weights(self.model, state, source=str(path))
        return state
