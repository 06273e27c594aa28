"""Recorded reference values of the metrics: those of RSVLM_GOLDEN_DIR where it has the file, else ours."""

import json
import os
from pathlib import Path
from typing import Any

OWN = Path(__file__).parents[1] / "golden" / "metrics"


def golden_path(name: str) -> Path:
    """Where the recording called `name` lies."""
    other = os.environ.get("RSVLM_GOLDEN_DIR")
    path = Path(other) / "metrics" / name if other else OWN / name
    return path if path.is_file() else OWN / name


def golden(name: str) -> Any:
    """The recording `name` (a .json file)."""
    return json.loads(golden_path(name).read_text(encoding="utf-8"))
