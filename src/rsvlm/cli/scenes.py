"""Scenes: ask about them, and say what they are."""

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rsvlm.cli.options import AsJson, Bbox, End, Models, Start
from rsvlm.cli.show import answers_on_stdout, print_json
from rsvlm.errors import BadInput
from rsvlm.files import is_file, is_folder
from rsvlm.printable import say

_SCENE_SUFFIXES = (
    ".tif", ".tiff", ".jp2", ".j2k", ".png", ".jpg", ".jpeg", ".vrt", ".img", ".bmp", ".webp", ".gif", ".nc",
)  # fmt: skip


def ask(
    context: typer.Context,
    scenes_and_questions: Annotated[
        list[str], typer.Argument(metavar="SCENE... QUESTION...", help="Scenes first, then the questions in quotes.")
    ],
    model: Models = ["mini"],  # noqa: B006 (typer copies it)
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Write answer.json, answer.geojson and overlay.png here; of several models answer.html."),
    ] = None,
    bands: Annotated[str | None, typer.Option(help="Bands shown as RGB: names, numbers (4,3,2) or a sensor.")] = None,
    tile: Annotated[
        int | None, typer.Option(min=32, help="Side of a tile in pixels (default: chosen by size).")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, max=1024, help="Longest answer, in tokens.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Tiles answered at once.")] = 8,
    task: Annotated[
        str | None, typer.Option(help="Kind of the questions (caption, scene, count, ...), not told by their words.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Classes to choose from, with commas between: grass,field,industry.")
    ] = None,
    archive: Annotated[
        str, typer.Option(metavar="ARCHIVE", help="Ask an archive of rsvlm index; all arguments are questions.")
    ] = "",
    bbox: Bbox = None,
    start: Start = None,
    end: End = None,
    raw: Annotated[bool, typer.Option("--raw", help="The model's bare words, without the rules of the scene.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no notices.")] = False,
) -> None:
    """Ask questions of scenes or folders of scenes, or of an archive; several models answer side by side."""
    if archive:
        _check_given(context, _OF_SCENES, "is for questions about scenes, not for --archive")
        writer = _writer_of(model, context)
        with silence(quiet), answers_on_stdout() as stream:
            from rsvlm.serve.archive_answers import run as run_archive
            from rsvlm.serve.archive_filters import Where

            where = Where(bbox=bbox, start=start, end=end)
            run_archive(archive, scenes_and_questions, stream=stream, writer=writer, json=as_json, out=out, where=where)
        return
    _check_given(context, _OF_ARCHIVES, "chooses tiles of an --archive, and there is none")
    paths, questions = split_arguments(scenes_and_questions)
    settings: dict[str, Any] = {
        "out": out, "json": as_json, "bands": bands, "tile": tile, "max_new_tokens": max_new_tokens, "batch": batch,
        "task": task, "classes": classes.split(",") if classes is not None else (), "raw": raw,
    }  # fmt: skip
    with silence(quiet), answers_on_stdout() as stream:
        from rsvlm.serve.commands import run

        run(paths, questions, stream=stream, models=model, **settings)


_OF_SCENES = ("bands", "tile", "max_new_tokens", "batch", "task", "classes", "raw")  # settings of `ask`
_OF_ARCHIVES = ("bbox", "start", "end")


def _given(context: typer.Context) -> set[str]:
    """The options that the user wrote."""
    return {name for name in context.params if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"}


def _check_given(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Raises BadInput where one of these options was given."""
    words = {"start": "from", "end": "to"}
    if given := [f"--{words.get(name, name).replace('_', '-')}" for name in names if name in _given(context)]:
        raise BadInput(f"{', '.join(given)} {why}; leave it out.")


def _writer_of(models: Sequence[str], context: typer.Context) -> str:
    """The model that writes over what an archive holds, "" for none.

    Raises BadInput for several, and for mini.
    """
    given = _given(context)
    if len(models) > 1:
        raise BadInput(f"An archive is asked with one model, not with {len(models)}; give --model once.")
    if "model" in given and models[0] == "mini":
        raise BadInput(
            "mini is too small to write over the sources of an archive; leave --model out for the sources' own "
            "sentences, or name a larger model."
        )
    return models[0] if "model" in given else ""


def info(
    scene: Annotated[Path, typer.Argument(help="A GeoTIFF, COG, JPEG 2000, PNG or JPEG file.")],
    bands: Annotated[str | None, typer.Option(help="Bands shown as RGB: names, numbers (4,3,2) or a sensor.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a scene is (size, bands, place, resolution, date, nodata), and what can be asked of it."""
    from rsvlm.geo.raster import open_scene
    from rsvlm.serve.askable import askable

    with open_scene(scene, bands=bands) as opened:
        facts = _facts(opened) | {"askable": askable(opened)}
    if as_json:
        print_json(facts)
    else:
        for name, value in facts.items():
            for line in (value or ["-"]) if name == "notes" else [_plain(value)]:
                say(f"{name:10} {line}")


def split_arguments(
    arguments: Sequence[str], *, command: str = "ask", what: str = "question", example: str = '"Describe this image."'
) -> tuple[list[Path], list[str]]:
    """Scenes and questions (`what`) out of one list: scenes are the first words that exist on disk or look like a path.

    Raises BadInput where either is missing or a question is empty; `command` and `example` are those of its advice.
    """
    count = next((i for i, word in enumerate(arguments) if not _is_scene(word)), len(arguments))
    paths, questions = [Path(word) for word in arguments[:count]], list(arguments[count:])
    if any(not question.strip() for question in questions):
        raise BadInput(f"A {what} is empty; give one, as in: rsvlm {command} scene.tif {example}")
    late = [question for question in questions if _names_file(question)]
    if late and paths:
        raise BadInput(
            f"{late[0]!r} stands behind a {what} but names a file; scenes come first: "
            f"rsvlm {command} {paths[-1]} {late[0]} {example}"
        )
    if not paths:
        raise BadInput(f"{arguments[0]!r} is not a scene; scenes come first: rsvlm {command} scene.tif {example}")
    if not questions and len(paths) > 1 and not is_file(paths[-1]) and not is_folder(paths[-1]):
        raise BadInput(
            f"No {what} was found: {str(paths[-1])!r} ends like the name of a file, which is not there; "
            f"a {what} ends otherwise."
        )
    if not questions:
        raise BadInput(f"No {what} was found after {paths[-1]}; add one: rsvlm {command} {paths[-1]} {example}")
    return paths, questions


def _is_scene(word: str) -> bool:
    if not word.strip():
        return False
    path = Path(word)
    with contextlib.suppress(OSError):  # a question can be too long for a file name
        if path.exists():
            return True
    return path.suffix.lower() in _SCENE_SUFFIXES or (os.sep in word and not any(c.isspace() for c in word))


def _names_file(question: str) -> bool:
    """Whether a question is the path of a file: one that is there, or one word with the suffix of a scene."""
    path = Path(question)
    return is_file(path) or (path.suffix.lower() in _SCENE_SUFFIXES and not any(c.isspace() for c in question))


@contextlib.contextmanager
def silence(quiet: bool) -> Iterator[None]:
    """Keep progress bars and notices off stderr; a failure still gets its sentence, which `main` prints afterwards."""
    if not quiet:
        yield
        return
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def _facts(scene: Any) -> dict[str, Any]:
    return {
        "path": str(scene.path),
        "driver": scene.driver,
        "width": scene.width,
        "height": scene.height,
        "bands": list(scene.bands),
        "shown": list(scene.shown),
        "composite": scene.composite,
        "band_roles": list(scene.band_roles),
        "dtype": scene.dtype,
        "nodata": scene.nodata,
        "crs": scene.crs,
        "transform": list(scene.transform) if scene.transform else None,
        "gsd_m": scene.gsd_m,
        "date": scene.date,
        "unplaced": scene.unplaced or None,
        "notes": list(scene.notes),
    }


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return "-" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
