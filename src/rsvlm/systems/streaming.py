"""`Streams`: a model that tells its answer while it is made, which not every model that answers can."""

from collections.abc import Generator
from typing import Protocol, runtime_checkable

from rsvlm.sample import Reply
from rsvlm.systems.abilities import Pixels


@runtime_checkable
class Streams(Protocol):
    """Answers one question about a picture piece by piece. Look for it with isinstance; `Answers` go without."""

    def stream(self, image: Pixels | None, question: str, *, max_new_tokens: int = 64) -> Generator[str, None, Reply]:
        """Pieces of text that, joined, are the text of what `answer` replies; the Reply itself is returned at the end.

        None is no picture. Raises BadInput where a reply breaks off: what was told before is then not the whole.
        """
        ...
