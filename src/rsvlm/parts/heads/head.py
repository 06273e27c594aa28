"""What a head is: a small module beside a system's parts that learns from the feature levels of the tower."""

from typing import Any, ClassVar

from torch import Tensor, nn

from rsvlm.parts.vision.tower import Tower
from rsvlm.sample import Batch


class Head(nn.Module):
    """A head and its objective. `system` below is what it is attached to (`rsvlm.parts.system.System`)."""

    objective: ClassVar[str]  # its name in the system, in recipes, and in `rsvlm.train.objectives`
    target: ClassVar[str]  # the key of a batch that only batches of its objective have
    num_images: ClassVar[int] = 0  # pictures of a sample of its objective, where not as many as the system's

    def tower(self, vision: Tower) -> Tower:
        """The system's tower as this head looks through it."""
        return vision

    def after_step(self) -> None:
        """Called after every optimiser step."""

    def loss(self, system: Any, batch: Batch) -> dict[str, Tensor]:
        """Named scalars of a batch of its objective."""
        raise NotImplementedError(f"{type(self).__name__} has no loss")
