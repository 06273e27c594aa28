"""The model of an archive: its weights by name, and its archive opened or made."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.index.archive import Archive
from rsvlm.index.store import is_remote
from rsvlm.serve.archive_tiles import width_of
from rsvlm.systems.abilities import Embeds, ability_error
from rsvlm.systems.load import load

_VERSIONS = ("model", "torch", "transformers", "onnxruntime", "rsvlm", "trained_on", "dtype")


def load_embedder(name: str) -> Any:
    """The model called `name`. Raises BadInput, which says who can, where it gives no vectors of pictures."""
    model: Any = load(name)
    if not isinstance(model, Embeds):
        raise ability_error(model.name, Embeds)
    return model


def weights_hash(model: Any) -> str:
    """What names the weights of a model: the hash of its trace, else one of all that the trace says but versions."""
    trace: Mapping[str, Any] = model.trace
    if known := trace.get("weights") or trace.get("sha256"):
        return str(known)[:16]
    kept = {key: value for key, value in trace.items() if key not in _VERSIONS}
    return hashlib.sha256(json.dumps([model.name, kept], sort_keys=True, default=str).encode()).hexdigest()[:16]


def open_or_create(out: str, model: Any) -> Archive:
    """The archive at `out` for vectors of `model`. Raises BadInput where it is of another, which names both."""
    width = width_of(model)
    if is_remote(out) or (Path(out) / "tiles.lance").exists():
        try:
            archive = Archive.open(out)
        except BadInput as error:
            if not is_remote(out) or "is no archive; make one" not in str(error):
                raise
        else:
            archive.check_model(model.name, weights_hash(model), width)
            return archive
    return Archive.create(out, width=width, model=model.name, weights_hash=weights_hash(model))
