"""Compare two dates of one place."""

from pathlib import Path
from typing import Annotated

import typer

from rsvlm.cli.options import AsJson, Model
from rsvlm.cli.scenes import silence
from rsvlm.cli.show import answers_on_stdout

_BANDS = "Bands shown as RGB: names, numbers (4,3,2) or a sensor"


def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The scene of the earlier date.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The scene of the later date.")],
    questions: Annotated[
        list[str] | None, typer.Argument(metavar="[QUESTION]...", help="What to answer besides, in quotes.")
    ] = None,
    model: Model = "mini",
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write mask (COG), GeoJSON, JSON, pictures and a page with a slider here."),
    ] = None,
    bands: Annotated[str | None, typer.Option(help=f"{_BANDS}, of both dates.")] = None,
    after_bands: Annotated[str | None, typer.Option(help=f"{_BANDS}, of AFTER where it stores others.")] = None,
    max_shift: Annotated[
        float, typer.Option(metavar="PIXELS", min=0, help="A shift between the dates up to this is corrected.")
    ] = 16.0,
    normalise: Annotated[
        bool, typer.Option("--normalise/--no-normalise", help="Bring AFTER to the brightness of BEFORE.")
    ] = True,
    gsd: Annotated[
        float | None, typer.Option(metavar="METRES", min=0.01, help="Metres per pixel, where the files do not say.")
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, max=1024, help="Longest answer in tokens, of a model that answers in words.")
    ] = 64,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no notices.")] = False,
) -> None:
    """What changed between two scenes, where and how much: mask, regions with areas, and answers computed from them."""
    with silence(quiet), answers_on_stdout() as stream:
        from rsvlm.serve.change import ChangeSettings
        from rsvlm.serve.change_commands import run

        settings = ChangeSettings(
            bands=bands, after_bands=after_bands, max_shift=max_shift, normalise=normalise,
            max_new_tokens=max_new_tokens, gsd=gsd,
        )  # fmt: skip
        run(before, after, questions or [], stream=stream, model=model, out=out, json=as_json, settings=settings)
