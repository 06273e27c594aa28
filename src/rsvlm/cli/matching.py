"""Pictures and texts in one space: match texts with scenes, write vectors of pictures."""

from pathlib import Path
from typing import Annotated

import typer

from rsvlm.cli.options import AsJson, Model
from rsvlm.cli.scenes import silence, split_arguments
from rsvlm.cli.show import answers_on_stdout
from rsvlm.printable import say

Bands = Annotated[str | None, typer.Option(help="Bands shown as RGB: names, numbers (4,3,2) or a sensor.")]
Tile = Annotated[int | None, typer.Option(min=32, help="Side of a tile in pixels (default: chosen by resolution).")]
Batch = Annotated[int, typer.Option(metavar="N", min=1, help="Pictures or tiles at once.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no notices.")]


def match(
    scenes_and_texts: Annotated[
        list[str], typer.Argument(metavar="SCENE... TEXT...", help="Scenes first, then two or more texts in quotes.")
    ],
    model: Model = "mini",
    as_json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write match.json, match.geojson and a heat map a text here.")
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help='A prompt with {} for the text ("a satellite photo of {}."); several: mean.'),
    ] = None,
    bands: Bands = None,
    tile: Tile = None,
    cut: Annotated[bool, typer.Option("--cut", help="Cut texts that are longer than the model reads.")] = False,
    batch: Batch = 32,
    quiet: Quiet = False,
) -> None:
    """Say how well texts fit scenes and their tiles: probabilities, heat maps, GeoJSON."""
    paths, texts = split_arguments(
        scenes_and_texts, command="match", what="text", example='"a harbour" "a forest" "a town"'
    )
    with silence(quiet), answers_on_stdout() as stream:
        from rsvlm.serve.match_commands import run
        from rsvlm.serve.matching import MatchSettings

        settings = MatchSettings(bands=bands, tile=tile, templates=tuple(template or ()), cut=cut, batch=batch)
        run(paths, texts, stream=stream, model=model, settings=settings, out=out, json=as_json)


def embed(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="DIR|FILE...", help="Pictures or scenes, and folders with some below them.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, or to add to: .parquet or .npz.")],
    model: Model = "mini",
    tiles: Annotated[
        bool, typer.Option("--tiles/--no-tiles", help="A row a tile of a large scene, not one a picture.")
    ] = False,
    tile: Tile = None,
    bands: Bands = None,
    batch: Batch = 32,
    quiet: Quiet = False,
) -> None:
    """Write the vectors of pictures, a row each with its place; the same command goes on where a killed one was."""
    with silence(quiet), answers_on_stdout():
        from rsvlm.serve.embedding import EmbedSettings, run

        settings = EmbedSettings(tiles=tiles or tile is not None, tile=tile, bands=bands, batch=batch)
        new, rows = run(pictures, out=out, model=model, settings=settings)
    say(f"{out}: {rows} rows, {new} pictures new" if rows else f"{out}: nothing is new")
