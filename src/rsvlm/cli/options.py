"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help="mini, a model's folder, hf:FOLDER or hf:ORGANISATION/NAME (Hugging Face), openai:http://HOST/v1#NAME "
        "(an OpenAI-compatible server).",
    ),
]
Models = Annotated[
    list[str],
    typer.Option(
        "--model", metavar="MODEL", help="As of rsvlm evaluate; given several times, all answer, side by side."
    ),
]
DataRoot = Annotated[Path, typer.Option("--data", metavar="PATH", help="The folder that holds the data sets.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
Benchmark = Annotated[str, typer.Argument(metavar="PROTOCOL", help="Its name; see: rsvlm list benchmarks.")]
Split = Annotated[str, typer.Option(help="train, val, test or all (default: the protocol's own).", show_default=False)]
Limit = Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the first N samples.")]
Bbox = Annotated[
    str | None,
    typer.Option(metavar="W,S,E,N", help="Tiles in these degrees; west > east crosses the antimeridian."),
]
Start = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="Tiles since a day, month or year (2024-05-31), included.")
]
End = Annotated[str | None, typer.Option("--to", metavar="DATE", help="Tiles until then, included.")]
