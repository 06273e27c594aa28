"""Published weights: what a checkpoint is, and the model folder that it becomes."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rsvlm.cli.options import AsJson
from rsvlm.printable import printable_json, say

app = typer.Typer(help="Published weights of other people's systems.", no_args_is_help=True)
System = Annotated[str | None, typer.Option(metavar="NAME", help="The system (default: what the file looks like).")]


@app.command()
def convert(
    checkpoint: Annotated[Path, typer.Argument(metavar="FILE", help="The published file, with what lies beside it.")],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The model folder to write (DIR/model.safetensors means DIR).")
    ],
    system: System = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="RECIPE", help="Its sizes, where they are not the paper's.")
    ] = None,
    language_model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The base language model's folder.")
    ] = None,
    vision: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The vision tower's file, where it is published apart.")
    ] = None,
    lora: Annotated[bool, typer.Option("--lora/--no-lora", help="Whether adapters belong to the checkpoint.")] = True,
) -> None:
    """Turn a published checkpoint into a model folder; every tensor in it, and every one of ours, is accounted for."""
    from rsvlm.recipe import read_recipe
    from rsvlm.systems.convert import convert as published

    account = published.convert(
        checkpoint, out, system=system, recipe=read_recipe(recipe) if recipe else None,
        language_model=language_model, vision=vision, lora=lora,
    )  # fmt: skip
    say(f"{out}: {len(account.loaded)} tensors loaded, {len(account.ignored)} left out, 0 unknown, 0 missing")
    for note in account.notes:
        say(f"  {note}")
    for reason in sorted({*account.ignored.values(), *account.elsewhere.values()}):
        say(f"  not in it: {reason}")


@app.command()
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, or mini.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write.")],
    part: Annotated[
        Literal["student", "teacher"], typer.Option(help="Of a model that CMID trained: what learned, or its average.")
    ] = "student",
    layout: Annotated[
        Literal["plain", "transformers"], typer.Option(help="One file for mmseg, mmdet and recipes, or a SwinModel.")
    ] = "plain",
    pth: Annotated[bool, typer.Option("--pth", help="Write backbone.pth, too, which mmseg and mmdet read.")] = False,
) -> None:
    """Write the tower of a model as a plain file, with what pictures must be to it beside it."""
    from rsvlm.systems.convert.export import export_tower

    written = export_tower(model, out, part=part, layout=layout, pth=pth)
    say(f"{written}: the {part}'s tower; {written.with_name('preprocessing.json')} says how pictures are normalised")


@app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="FILE_OR_FOLDER", help="A published file, or a model folder.")],
    system: System = None,
    as_json: AsJson = False,
) -> None:
    """Say what a published file looks like, or whether a model folder is whole; writes nothing."""
    import json

    from rsvlm.systems.convert.verify import verify

    found = verify(path, system=system)
    if as_json:
        print(printable_json(json.dumps(found, indent=1)))
        return
    for name, value in found.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        say(f"{name}: {shown}")
