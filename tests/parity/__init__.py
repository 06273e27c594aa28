"""How modules that were recorded from the originals (tests/golden) are built and run here; a file a source."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)  # each one adds what it answers for to the registry
