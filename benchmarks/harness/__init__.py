"""What all benchmarks share: the command line, two sides that take turns, and one line of JSON.

    python benchmarks/<script>.py [its arguments] [--smallest]

`--smallest` shows that a script runs: tiny models of random weights and a few items. Its times mean nothing.
"""

import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from rsvlm.errors import MissingPart

T = TypeVar("T")


def run(main: Callable[..., dict[str, Any]]) -> None:
    """Call `main(*arguments, smallest=...)` with the command line's values and print what it gives as one JSON line.

    Each parameter of `main` but `smallest` is an optional argument of its default's type; `*names` takes any number.
    Where something optional is absent (a package, a model, a data set, Java) the line has `skipped`, the reason.
    """
    parser = argparse.ArgumentParser(description=(main.__globals__["__doc__"] or "").splitlines()[0])
    parser.add_argument("--smallest", action="store_true", help="only show that it runs")
    taken = [p for p in inspect.signature(main).parameters.values() if p.name != "smallest"]
    for one in taken:
        if one.kind is one.VAR_POSITIONAL:
            parser.add_argument(one.name, nargs="*")
        else:
            parser.add_argument(one.name, nargs="?", default=one.default, type=type(one.default), help="%(default)r")
    given = vars(parser.parse_args())
    words = [given[p.name] for p in taken if p.kind is not p.VAR_POSITIONAL]
    words += [name for p in taken if p.kind is p.VAR_POSITIONAL for name in given[p.name]]
    try:
        figures = main(*words, smallest=given["smallest"])
    except MissingPart as error:
        figures = {"skipped": str(error)}
    line = {"benchmark": Path(sys.argv[0]).stem} | ({"smallest": True} if given["smallest"] else {})
    print(json.dumps(line | figures))


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of one call, and what it gave."""
    start = time.perf_counter()
    value = work()
    return time.perf_counter() - start, value


def take_turns(
    sides: Mapping[str, Callable[[], T]], rounds: int, *, smallest: bool = False
) -> tuple[dict[str, list[float]], dict[str, T]]:
    """Seconds of each side in each of `rounds`, and what the sides gave in the last one.

    The sides take turns within a round, and the order changes from round to round. One more round before the others is
    for warming up. `smallest` is one round and no other.
    """
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    given: dict[str, T] = {}
    for number in range(1 if smallest else rounds + 1):
        for side in sorted(sides, reverse=bool(number % 2)):
            spent, given[side] = timed(sides[side])
            if number or smallest:
                seconds[side].append(spent)
    return seconds, given


def medians(seconds: Mapping[str, list[float]], digits: int = 3) -> dict[str, float]:
    """The median of each side."""
    return {side: round(median(values), digits) for side, values in seconds.items()}


def ratio(seconds: Mapping[str, list[float]], ours: str, other: str, digits: int = 3) -> float:
    """How many times as long the other side took as ours: the median over the rounds."""
    return round(median(b / a for a, b in zip(seconds[ours], seconds[other], strict=True)), digits)
