"""All benchmarks that we know by name, collected from `protocols/`: declarative, one entry each."""

from rsvlm.evaluate.protocol import BENCHMARKS, Protocol, find
from rsvlm.evaluate.protocols import benches, captions, grounding, questions, scenes

for _group in (captions, questions, scenes, grounding, benches):
    for _protocol in _group.PROTOCOLS:
        BENCHMARKS.add(_protocol.name, _protocol)

__all__ = ["BENCHMARKS", "Protocol", "find"]
