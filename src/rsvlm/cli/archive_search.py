"""Search an archive of tiles by words, pictures, place and time."""

from pathlib import Path
from typing import Annotated

import typer

from rsvlm.cli.options import AsJson, Bbox, End, Start
from rsvlm.cli.scenes import silence
from rsvlm.cli.show import answers_on_stdout

_Words = list[str] | None
_Out = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="Write .geojson, .json (STAC ItemCollection), .png (contact sheet) or .html (map); several times.",
    ),
]


def search(
    archive: Annotated[str, typer.Argument(metavar="ARCHIVE", help="What rsvlm index made: a folder or s3://...")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for, in quotes.", show_default=False)] = "",
    like: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A picture of what to look for; several: their mean.")
    ] = None,
    without: Annotated[_Words, typer.Option("--not", metavar="TEXT", help="What is not wanted; several times.")] = None,
    bbox: Bbox = None,
    polygon: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only in the polygons of a GeoJSON file.")
    ] = None,
    start: Start = None,
    end: End = None,
    gsd: Annotated[
        str | None, typer.Option(metavar="MIN,MAX", help="Metres per pixel; one may be missing: ,1 for at most 1.")
    ] = None,
    sensor: Annotated[
        _Words, typer.Option(metavar="NAME", help="Only of this sensor; several: of any of them.")
    ] = None,
    scene: Annotated[_Words, typer.Option(metavar="PATH", help="Only of this scene, as the archive names it.")] = None,
    k: Annotated[int, typer.Option("-k", metavar="N", min=1, help="How many tiles.")] = 20,
    out: _Out = None,
    as_json: AsJson = False,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Default: the one that made the archive.", show_default=False)
    ] = None,
    version: Annotated[int | None, typer.Option(metavar="N", help="The archive as it was at this version.")] = None,
    captions: Annotated[
        bool, typer.Option("--captions/--no-captions", help="Look for the words in captions, too, where there are.")
    ] = True,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every tile, without the index.")] = False,
    template: Annotated[
        _Words, typer.Option(metavar="TEXT", help='A prompt with {} for the text ("a satellite photo of {}.").')
    ] = None,
    cut: Annotated[bool, typer.Option("--cut", help="Cut texts that are longer than the model reads.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no notices.")] = False,
) -> None:
    """Find the tiles of an archive that fit words and pictures, in a place, time and resolution."""
    with silence(quiet), answers_on_stdout() as stream:
        from rsvlm.serve.archive_commands import run
        from rsvlm.serve.archive_filters import Where

        where = Where(
            bbox=bbox, polygon=polygon, start=start, end=end, gsd=gsd, sensors=tuple(sensor or ()),
            scenes=tuple(scene or ()),
        )  # fmt: skip
        run(
            archive, text, stream=stream, like=like or (), without=without or (), where=where, k=k, out=out or (),
            json=as_json, model=model, version=version, captions=captions, exact=exact,
            templates=template or (), cut=cut,
        )  # fmt: skip
