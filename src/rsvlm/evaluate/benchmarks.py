"""All benchmarks by name: the `PROTOCOLS` of every file in `rsvlm.evaluate.protocols`, found by a scan."""

import importlib
import pkgutil

from rsvlm.evaluate import protocols
from rsvlm.evaluate.protocol import BENCHMARKS, Protocol, find

LAST = 10**6  # the position of a file that names none

_groups = [
    importlib.import_module(f"{protocols.__name__}.{file.name}") for file in pkgutil.iter_modules(protocols.__path__)
]
for _group in sorted(_groups, key=lambda group: (getattr(group, "POSITION", LAST), group.__name__)):
    for _protocol in _group.PROTOCOLS:
        BENCHMARKS.add(_protocol.name, _protocol)

__all__ = ["BENCHMARKS", "Protocol", "find"]
