"""All benchmarks that we know by name, collected from `protocols/`: declarative, one entry each."""

from rsvlm.evaluate.protocol import BENCHMARKS, Protocol, find
from rsvlm.evaluate.protocols import (
    benches,
    captions,
    change,
    grounding,
    knowledge,
    masks,
    matching,
    objects,
    questions,
    referring,
    scenes,
)

for _group in (captions, questions, scenes, objects, referring, grounding, benches, change, masks, matching, knowledge):
    for _protocol in _group.PROTOCOLS:
        BENCHMARKS.add(_protocol.name, _protocol)

__all__ = ["BENCHMARKS", "Protocol", "find"]
