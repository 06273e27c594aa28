"""Builder: a data set as a short list of steps, each of which counts what it dropped, and why.

A step is a pure function of samples to samples. What it needs besides (a teacher model, a scorer, map features) is
passed in when it is made, so that a builder runs by rules alone, with a local model or with a server's. Samples stream:
nothing but the report is kept.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rsvlm.errors import RsvlmError
from rsvlm.sample import Sample

DropFn = Callable[[Sample, str], None]  # called by a step for each sample that it drops, with the reason in words
Transform = Callable[[Iterable[Sample], DropFn], Iterator[Sample]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name in the report, and the transform. Samples come out in the order in which they come in."""

    name: str
    transform: Transform


@dataclass(slots=True)
class StepReport:
    """How many samples a step has read and given, and how many it has dropped for which reason."""

    name: str
    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter[str])

    def to_json(self) -> dict[str, Any]:
        """JSON values, the most frequent reason first."""
        return {"step": self.name, "read": self.read, "kept": self.kept, "dropped": dict(self.dropped.most_common())}


class StepError(RsvlmError):
    """A step failed at a sample; the sentence says which step and which sample, and why."""


class Builder:
    """Steps, one after another. `report` is filled while the samples of `run` are taken."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        self.report: tuple[StepReport, ...] = ()

    def run(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """The samples that are left after all steps, as they come. Raises StepError where a step fails."""
        self.report = tuple(StepReport(step.name) for step in self.steps)
        stream = iter(samples)
        for step, report in zip(self.steps, self.report, strict=True):
            stream = _run_step(step, report, stream)
        return stream


def keep_if(wanted: Callable[[Sample], bool], reason: str) -> Transform:
    """A transform that drops the samples of which `wanted` is not true."""

    def transform(samples: Iterable[Sample], drop: DropFn) -> Iterator[Sample]:
        for sample in samples:
            if wanted(sample):
                yield sample
            else:
                drop(sample, reason)

    return transform


def _run_step(step: Step, report: StepReport, samples: Iterator[Sample]) -> Iterator[Sample]:
    last = [""]

    def read() -> Iterator[Sample]:
        for sample in samples:
            report.read += 1
            last[0] = sample.id
            yield sample

    def drop(sample: Sample, reason: str) -> None:
        report.dropped[reason] += 1

    try:
        for sample in step.transform(read(), drop):
            report.kept += 1
            yield sample
    except RsvlmError:
        raise  # says already what is wrong, and where: an earlier step's error passes through the later ones
    except Exception as error:
        where = f"at sample {last[0]}" if last[0] else "before the first sample"
        raise StepError(f"Step {step.name!r} failed {where}: {type(error).__name__}: {error}") from error
