"""What is known by name: systems, data sets, benchmarks."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

import typer

from rsvlm.cli.options import AsJson
from rsvlm.cli.show import print_json


class Kind(StrEnum):
    """What `rsvlm list` can list."""

    SYSTEMS = "systems"
    DATASETS = "datasets"
    BENCHMARKS = "benchmarks"


def list_names(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    as_json: AsJson = False,
) -> None:
    """List the systems, data sets or benchmarks that are known by name."""
    if kind is Kind.BENCHMARKS:
        _benchmarks(as_json)
    elif as_json:
        print_json([{"name": name, "title": title} for name, title in _names(kind)])
    else:
        for name, title in _names(kind):
            typer.echo(f"{name:24} {title}".rstrip())


def _names(kind: Kind) -> Iterable[tuple[str, str]]:
    if kind is Kind.SYSTEMS:
        import rsvlm.systems.chat  # noqa: F401  (fills the registry)
        from rsvlm.systems.base import SYSTEMS

        return [(name, _first_line(SYSTEMS[name].__doc__)) for name in SYSTEMS]
    from rsvlm.data.catalogue import DATASETS

    return [(name, DATASETS[name].title) for name in DATASETS]


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _benchmarks(as_json: bool) -> None:
    """Protocols under what a model must give; a legacy one says so before its title."""
    from rsvlm.evaluate.benchmarks import BENCHMARKS
    from rsvlm.evaluate.ways import WAYS

    protocols = [BENCHMARKS[name] for name in BENCHMARKS.names()]
    if as_json:
        print_json([_described(protocol) for protocol in protocols])
        return
    width = max(len(protocol.name) for protocol in protocols)
    for ability, way in WAYS.items():
        typer.echo(f"\n{ability} (a file of answers holds: {way.key})")
        for protocol in protocols:
            if protocol.ability == ability:
                mark = "[legacy] " if protocol.legacy else ""
                typer.echo(f"{protocol.name:{width}}  {protocol.split:5}  {mark}{protocol.title}")


def _described(protocol: Any) -> dict[str, Any]:
    keys = ["name", "title", "dataset", "split", "ability", "dialect", "headline", "legacy", "prompt_hash", "counts"]
    return {key: getattr(protocol, key) for key in keys}
