"""What commands print: one JSON object, or a result as a table with what to know of it."""

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from rsvlm.printable import printable, printable_json

_WIDE = 200  # columns of a table that goes into a file or a pipe


@contextmanager
def answers_on_stdout() -> Iterator[TextIO]:
    """The program's stdout, for answers alone: whatever a library prints meanwhile goes to stderr."""
    stream = sys.stdout
    with redirect_stdout(sys.stderr):
        yield stream


def print_json(value: Any) -> None:
    """One JSON object on one line of stdout."""
    import json

    print(printable_json(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)), flush=True)


def _finite(value: Any) -> Any:
    """NaN and infinity are no JSON: a no-data value that is one of them goes out as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def print_result(result: Mapping[str, Any]) -> None:
    """A table of metrics with intervals and baselines, the headline ones bold, and what to know of them."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from rsvlm.evaluate.report.text import remarks, table, warnings

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    heads, rows = table([result], every=True)
    first = heads.index("metric")
    title = f"{result['protocol']}, {result['split']}: {result['model']}, n = {result['n']}"
    shown = Table(title=Text(printable(title)))
    for head in heads[first:]:
        shown.add_column(printable(head), justify="left" if head == "metric" else "right")
    for row in rows:
        shown.add_row(
            *(Text(printable(cell)) for cell in row[first:]), style="bold" if row[first] in result["headline"] else None
        )
    console.print(shown)
    for sentence in warnings(result):
        console.print(Text(printable(f"! {sentence}")), style="bold", soft_wrap=True)
    for sentence in filter(None, remarks(result)):
        console.print(Text(printable(f"- {sentence}")), soft_wrap=True)
