"""How questions are put to a model: the settings that the command line, Python and a server share."""

from dataclasses import dataclass

from rsvlm.errors import BadInput
from rsvlm.geo.bands import BandChoice


@dataclass(frozen=True, kw_only=True)
class Settings:
    """As the arguments of `rsvlm.serve.assistant.Assistant.ask`. Raises BadInput for numbers under 1."""

    bands: BandChoice = None
    tile: int | None = None
    max_new_tokens: int = 64
    batch: int = 8
    task: str | None = None
    classes: tuple[str, ...] = ()
    raw: bool = False

    def __post_init__(self) -> None:
        if self.batch < 1 or self.max_new_tokens < 1:
            raise BadInput(f"batch ({self.batch}) and max_new_tokens ({self.max_new_tokens}) must be 1 or more.")


DEFAULTS = Settings()
