"""Systems without weights of their own, which work over other models: a folder whose pipeline.yaml names the system."""

from pathlib import Path

import yaml

from rsvlm.errors import BadInput
from rsvlm.files import is_file
from rsvlm.registry import unknown
from rsvlm.systems.discovery import system_names
from rsvlm.yaml_text import load_yaml

PIPELINE = "pipeline.yaml"
_LARGEST = 1 << 20  # bytes of a pipeline.yaml


def read_pipeline(folder: Path) -> dict[str, object]:
    """What pipeline.yaml in `folder` says. Raises BadInput where it cannot be read or is no mapping."""
    path = folder / PIPELINE
    try:
        if path.stat().st_size > _LARGEST:
            raise BadInput(f"{path} has {path.stat().st_size:,} bytes; expected settings, of {_LARGEST:,} at the most.")
        found = load_yaml(path.read_bytes().decode("utf-8-sig"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not valid YAML: {' '.join(str(error).splitlines()[:1])[:200]}.") from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds a {type(found).__name__}, expected settings such as system: rs_rag.")
    return found


def system_of(folder: Path) -> str:
    """The system that pipeline.yaml in `folder` is of. Raises BadInput for one that is none without weights."""
    name, known = str(read_pipeline(folder).get("system", ""))[:80], system_names("pipeline")
    if name not in known:
        raise BadInput(f"{folder / PIPELINE}: {unknown('system over other models', name, known)}")
    return name


def refuse_pipeline(name: str) -> None:
    """Raises BadInput where the model called `name` is a pipeline itself, which could go round in a circle."""
    if is_file(Path(name) / PIPELINE):
        raise BadInput(f"{name} works over other models itself; name a model of its own to answer or to match.")
