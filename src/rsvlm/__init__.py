"""Remote sensing vision-language models: data, training, evaluation and georeferenced answers in one package.

The public names are loaded on first use, so that `import rsvlm` stays light: no torch, no rasterio.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Answer": "rsvlm.sample",
    "Image": "rsvlm.sample",
    "Region": "rsvlm.sample",
    "Reply": "rsvlm.sample",
    "Sample": "rsvlm.sample",
    "Turn": "rsvlm.sample",
    "BadInput": "rsvlm.errors",
    "MissingPart": "rsvlm.errors",
    "RsvlmError": "rsvlm.errors",
    "Recipe": "rsvlm.recipe",
    "read_recipe": "rsvlm.recipe",
    "open_scene": "rsvlm.geo.raster",
    "open_pair": "rsvlm.geo.pair",
    "load": "rsvlm.serve.assistant",
    "Side": "rsvlm.serve.results",
    "SceneMatch": "rsvlm.serve.scene_match",
    "match_probabilities": "rsvlm.systems.matching",
    "ask": "rsvlm.serve.comparison",
    "Where": "rsvlm.serve.archive_filters",
    "open_archive": "rsvlm.serve.archive_search",
}

__all__ = [
    "Answer",
    "BadInput",
    "Image",
    "MissingPart",
    "Recipe",
    "Region",
    "Reply",
    "RsvlmError",
    "Sample",
    "SceneMatch",
    "Side",
    "Turn",
    "Where",
    "__version__",
    "ask",
    "load",
    "match_probabilities",
    "open_archive",
    "open_pair",
    "open_scene",
    "read_recipe",
]

if TYPE_CHECKING:  # for editors and type checkers, which can not follow __getattr__
    from rsvlm.errors import BadInput, MissingPart, RsvlmError
    from rsvlm.geo.pair import open_pair
    from rsvlm.geo.raster import open_scene
    from rsvlm.recipe import Recipe, read_recipe
    from rsvlm.sample import Answer, Image, Region, Reply, Sample, Turn
    from rsvlm.serve.archive_filters import Where
    from rsvlm.serve.archive_search import open_archive
    from rsvlm.serve.assistant import load
    from rsvlm.serve.comparison import ask
    from rsvlm.serve.results import Side
    from rsvlm.serve.scene_match import SceneMatch
    from rsvlm.systems.matching import match_probabilities


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'rsvlm' has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value  # the next look-up is a plain one
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
