"""A protocol: data set, split, wording, ability, parser, metric and dialect, under one versioned name.

The number after "@" in a protocol's name grows whenever its numbers would change for the same replies. `legacy`
protocols reproduce the number of a paper together with its error; they say what is wrong and exist beside a right one.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.evaluate.items import Item, digest
from rsvlm.metrics.score import Score
from rsvlm.registry import Registry
from rsvlm.sample import Sample

Row = Mapping[str, Any]  # what is kept of one reply: "answer", "confidence"; "boxes", "mask", "vector" or "map"
Read = Callable[[Item, Row], Any]  # the prediction in a row (a JSON value); None where there is none of the right kind
Reader = Callable[[Sequence[Item]], Read]  # all items whose answers are known (training and scored ones) -> `Read`
Measure = Callable[[Sequence[Item], Sequence[Any]], Mapping[str, Score]]  # predictions in the order of the items
Ask = Callable[[Sequence[Sample]], list[Item]]  # what is asked about these samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A way to measure on a data set, complete enough that two people get one number.

    `name` is "benchmark/protocol@version". `dataset` is a name of `rsvlm.data.catalogue`, `split` the one whose figures
    the field quotes, `support` another whose items are asked too, as what is known ("" = none). `ability` is a key of
    `rsvlm.evaluate.solvers.SOLVERS`. `ask` makes the questions, `wording` the frozen text of them (hashed; "" = the
    data set's own questions), `max_new_tokens` bounds a reply. `reader` makes the parser, `measure` the metrics;
    `dialect` says which tokenizer, matching rule or IoU. `headline` names the metrics to quote, `per_item` the one
    shown beside each sample, marked where it is below `wrong_below`. `graded`: `per_item` is 1 for a right answer and 0
    for a wrong one, so confidences can be checked against it. `counts` are the numbers of items that the authors
    publish for each split. `shared`: items without a picture (the prompts of all classes) belong to all samples, so
    that a limit leaves them. `raw_texts`: vectors of texts are kept as they leave the encoder, where the model gives
    them so (`EncodesTexts`), and not brought to unit length. `legacy`: what is wrong with it ("" = nothing known).
    `requires` raises MissingPart where a program that the metric needs is absent, before anything is asked.
    """

    name: str
    title: str
    dataset: str
    ask: Ask
    wording: tuple[str, ...]
    reader: Reader
    measure: Measure
    headline: tuple[str, ...]
    per_item: str
    ability: str = "answers"
    split: str = "test"
    support: str = ""
    dialect: str = ""
    wrong_below: float = 1.0
    graded: bool = True
    max_new_tokens: int = 16
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    shared: bool = False
    raw_texts: bool = False
    legacy: str = ""
    requires: Callable[[], object] | None = None

    def items(self, samples: Sequence[Sample], limit: int | None = None) -> list[Item]:
        """What is asked about the first `limit` samples (None: about all), with what all of them share."""
        if limit is None or not self.shared:
            return self.ask(samples[:limit])
        asked = self.ask(samples)
        return [*[item for item in asked if item.images][:limit], *(item for item in asked if not item.images)]

    @property
    def benchmark(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    @property
    def hash(self) -> str:
        """16 hex digits over all that the entry declares: two results with one hash were measured in one way."""
        declared = (
            self.name, self.dataset, self.split, self.ability, self.dialect, self.headline, self.per_item,
            self.wrong_below, self.graded, self.legacy, self.prompt_hash,
        )  # fmt: skip
        return hashlib.sha256(repr(declared).encode()).hexdigest()[:16]

    @property
    def prompt_hash(self) -> str:
        """16 hex digits over everything that words the question and bounds the reply. Pinned by a test per protocol."""
        asked = "\x1f".join([*(words or "<own>" for words in self.wording), str(self.max_new_tokens)])
        return digest([Item(id=self.name, question=asked)])


BENCHMARKS: Registry[Protocol] = Registry("benchmark")


def find(name: str) -> Protocol:
    """The protocol of that name, with or without its version; of a benchmark's name its first protocol that is right.

    Raises BadInput with the nearest known name.
    """
    if name in BENCHMARKS:
        return BENCHMARKS[name]
    named = [BENCHMARKS[known] for known in BENCHMARKS.names() if name in (known.rpartition("@")[0], _benchmark(known))]
    right = [protocol for protocol in named if not protocol.legacy] or named
    if not right:
        short = list(dict.fromkeys(map(_benchmark, BENCHMARKS.names())))
        near = get_close_matches(name, [*short, *BENCHMARKS.names()], n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise BadInput(f"No benchmark is named {name!r}; {hint}{len(short)} are known, see: rsvlm list benchmarks.")
    return right[0]


def _benchmark(name: str) -> str:
    return name.partition("/")[0]
