"""The folder of an RS-RAG: pipeline.yaml, which says what it works over and how, beside the knowledge base."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rsvlm.errors import BadInput
from rsvlm.systems.pipeline import PIPELINE, read_pipeline


class RagSettings(BaseModel):
    """What `RSRAG` works over (names that `rsvlm.systems.load` takes) and how. The defaults are the released ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: Literal["rs_rag"] = "rs_rag"
    answers: str = Field("mini", description="the model that answers")
    matches: str = Field("mini", description="the model whose vectors the knowledge base holds")
    alpha: float = Field(0.5, ge=0, le=1, description="share of the picture in the fused score")
    top_k: int = Field(1, ge=1, le=100, description="passages in the prompt")
    mode: Literal["exhaustive", "two_stage"] = "exhaustive"
    candidates: int = Field(1000, ge=1, description="two_stage: pictures and passages that are re-ranked")
    task: Literal["auto", "vqa", "caption", "classification"] = Field("auto", description="auto: by the question")
    prompt: Literal["rsrag", "instruct"] = Field("rsrag", description="instruct is ours: numbered citations")
    exclude_self: bool = Field(False, description="never find the picture that is asked about")
    hold_out: tuple[str, ...] = Field((), description="landmarks that are never found")


def read_settings(folder: Path) -> RagSettings:
    """What pipeline.yaml in `folder` says. Raises BadInput naming the first value that is off."""
    return settings_of(read_pipeline(folder), folder / PIPELINE)


def settings_of(values: Mapping[str, object], where: object) -> RagSettings:
    """Checked settings. Raises BadInput naming `where` they are from and the first value that is off."""
    try:
        return RagSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadInput(f"{where}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}.") from error


def write_settings(folder: Path, settings: RagSettings) -> None:
    """Write pipeline.yaml into a folder that is there."""
    (folder / PIPELINE).write_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), "utf-8")
