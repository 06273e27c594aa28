"""What is known by name: systems, data sets, benchmarks."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from rsvlm.cli.options import AsJson
from rsvlm.cli.show import print_json
from rsvlm.errors import BadInput
from rsvlm.printable import say


class Kind(StrEnum):
    """What `rsvlm list` can list."""

    SYSTEMS = "systems"
    DATASETS = "datasets"
    BENCHMARKS = "benchmarks"


def list_names(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    name: Annotated[str, typer.Argument(metavar="[SYSTEM]", help="Read the page of one system.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the systems, data sets or benchmarks that are known by name, or read the page of one system."""
    if name and kind is not Kind.SYSTEMS:
        raise BadInput(f"Only systems have a page to read, not {kind.value}; leave out {name!r}.")
    if kind is Kind.SYSTEMS:
        _systems(name, as_json)
    elif kind is Kind.BENCHMARKS:
        _benchmarks(as_json)
    else:
        _datasets(as_json)


def _systems(name: str, as_json: bool) -> None:
    """A line each and how to reach any other model, or all of one card."""
    from dataclasses import asdict

    from rsvlm.cli import pages
    from rsvlm.systems.abilities import MODEL_NAMES
    from rsvlm.systems.cards import CARDS, sizes

    if name and as_json:
        print_json(asdict(CARDS[name]) | {"counted": sizes().get(name)})
    elif name:
        say(pages.page(CARDS[name]).rstrip())
    elif as_json:
        print_json([pages.described(CARDS[one]) for one in CARDS])
    else:
        say("\n".join(pages.lines()))
        doors = ", ".join(form for form in MODEL_NAMES if ":" in form)
        say(f"\nA page about one: rsvlm list systems NAME. Any other model: {doors}.")


def _datasets(as_json: bool) -> None:
    from rsvlm.data.catalogue import DATASETS

    if as_json:
        print_json([{"name": name, "title": DATASETS[name].title} for name in DATASETS])
        return
    for name in DATASETS:
        say(f"{name:24} {DATASETS[name].title}".rstrip())


def _benchmarks(as_json: bool) -> None:
    """Protocols under what a model must give; a legacy one says so before its title."""
    from rsvlm.evaluate.benchmarks import BENCHMARKS
    from rsvlm.evaluate.solvers import SOLVERS

    protocols = [BENCHMARKS[name] for name in BENCHMARKS.names()]
    if as_json:
        print_json([_described(protocol) for protocol in protocols])
        return
    width = max(len(protocol.name) for protocol in protocols)
    for ability, solver in SOLVERS.items():
        say(f"\n{ability} (a file of answers holds: {solver.key})")
        for protocol in protocols:
            if protocol.ability == ability:
                mark = "[legacy] " if protocol.legacy else ""
                say(f"{protocol.name:{width}}  {protocol.split:5}  {mark}{protocol.title}")


def _described(protocol: Any) -> dict[str, Any]:
    keys = ["name", "title", "dataset", "split", "ability", "dialect", "headline", "legacy", "prompt_hash", "counts"]
    return {key: getattr(protocol, key) for key in keys}
