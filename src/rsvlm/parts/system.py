"""What a class of a published system declares, whatever it is made of: the base of `vlm` and `dual`."""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

from torch import Tensor, nn

from rsvlm.parts.heads.head import Head
from rsvlm.parts.vision.tower import Tower
from rsvlm.sample import Batch


class PartBuilder(Protocol):
    """Makes parts from the numbers of a recipe; `rsvlm.systems.build` has the one that knows every tower by name."""

    def vision(self, **numbers: Any) -> Tower:
        """The tower called `tower`, with `weights` in place. Raises BadInput for an unknown name."""
        ...

    def text(self, **numbers: Any) -> Any:
        """The sentence encoder (`rsvlm.parts.text.sentence`) called `base`. Raises MissingPart where it is not here."""
        ...

    def language(self, **numbers: Any) -> Any:
        """The language model (`rsvlm.parts.language.model`) called `base`. Raises MissingPart where it is not here."""
        ...


class System(nn.Module):
    """A system that can be built from a recipe and trained. `vision` is its tower.

    Heads (`rsvlm.parts.heads`) may be attached to any system that has feature levels. They are children beside its
    parts and keep their names in the state dict ("tags.", "boxes."); each brings an objective of its own.
    """

    num_images: ClassVar[int] = 1  # pictures of a sample
    objectives: ClassVar[tuple[str, ...]] = ()  # modules of `rsvlm.train.objectives` whose batches `loss` takes
    runtime: ClassVar[str] = ""  # the module whose `open_model(folder, name)` opens a trained one
    native_prompts: Mapping[str, Any] = {}  # task -> the wording that the system was trained with
    vision: Tower

    @classmethod
    def build(cls, numbers: Mapping[str, Any], parts: PartBuilder) -> Self:
        """The system from the `model` numbers of a recipe."""
        raise NotImplementedError(f"{cls.__name__} says not how it is built")

    @property
    def heads(self) -> dict[str, Head]:
        """The heads by the objective that each has."""
        return {name: child for name, child in self.named_children() if isinstance(child, Head)}

    @property
    def state_without_gradient(self) -> set[str]:
        """Names of the tensors that steps change without a gradient (averages, queues): checkpoints hold them too."""
        return set()

    def attach(self, head: Head) -> None:
        """Add a head under the name of its objective."""
        self.add_module(head.objective, head)

    def tower(self, objective: str) -> Tower:
        """The tower as an objective looks through it: its `size`, its levels."""
        head = self.heads.get(objective)
        return head.tower(self.vision) if head else self.vision

    def images_of(self, objective: str) -> int:
        """How many pictures a sample of an objective has."""
        head = self.heads.get(objective)
        return head.num_images if head and head.num_images else self.num_images

    def see(self, batch: Batch, objective: str = "") -> list[Tensor]:
        """Feature levels [(I, N_l, D_l)]: from the tower, or cached ones when the batch brings them."""
        return batch["levels"] if "levels" in batch else self.tower(objective)(batch["image"])

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalars, to be added up."""
        raise NotImplementedError(f"{type(self).__name__} has no loss")

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """A head's losses where the batch is one of a head's objective, else `loss`.

        Under this name data-parallel wrappers call it.
        """
        head = next((one for one in self.heads.values() if one.target in batch), None)
        return head.loss(self, batch) if head else self.loss(batch)

    def native_prompt(self, task: str, words: str) -> str | None:
        """How the system was asked for `task` (caption, vqa, ground, ...) in training; None where it has no wording."""
        template = self.native_prompts.get(task)
        return fill(template, words) if template else None

    def merge_adapters(self) -> None:
        """Called when a trained model is opened to be asked: adapters become part of the weights. Not undone."""

    def after_step(self) -> None:
        """Called after every optimiser step (moving averages); heads are called in turn."""
        for head in self.heads.values():
            head.after_step()


def fill(template: str, words: str) -> str:
    """A task's wording with `words` at its first {place}, if it has one; braces in the words stay."""
    before, brace, after = template.partition("{")
    return before + words + after.partition("}")[2] if brace else template


def objectives_of(system: type[System], heads: Sequence[str] = ()) -> tuple[str, ...]:
    """The objectives that a system of this class with these heads can learn."""
    return (*system.objectives, *heads)
