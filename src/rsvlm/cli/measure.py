"""Measure: evaluate a model, score a file of answers, write the questions, read the results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rsvlm.cli.options import AsJson, Benchmark, DataRoot, Limit, Model, Split
from rsvlm.cli.show import answers_on_stdout, print_json, print_result
from rsvlm.errors import BadInput
from rsvlm.printable import say

Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the result, every answer and a page here.")]


def evaluate(
    benchmark: Benchmark,
    data: DataRoot,
    model: Model = "mini",
    split: Split = "",
    out: Out = None,
    as_json: AsJson = False,
    limit: Limit = None,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Samples answered at once.")] = 16,
    wording: Annotated[
        str, typer.Option(metavar="NAME", help="protocol, or own: in the words that the model was trained with.")
    ] = "protocol",
    blind: Annotated[bool, typer.Option("--blind/--no-blind", help="Ask the same model without pictures too.")] = True,
    leak: Annotated[
        bool, typer.Option("--leak/--no-leak", help="Look for scored pictures in the training set.")
    ] = True,
) -> None:
    """Measure a model by a protocol, beside its baselines; the same command goes on where a stopped run was."""
    from rsvlm.evaluate.benchmarks import find
    from rsvlm.evaluate.run import evaluate as measure
    from rsvlm.systems.load import load

    find(benchmark)  # an unknown name is said before a model is loaded
    with answers_on_stdout():
        result = measure(
            benchmark, data, load(model), split=split, out=out, limit=limit, batch=batch, wording=wording, blind=blind,
            leak=leak,
        )  # fmt: skip
    _print(result, as_json)


def questions(
    benchmark: Benchmark,
    data: DataRoot,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write: one JSON object a line.")],
    split: Split = "",
    limit: Limit = None,
) -> None:
    """Write what a protocol asks, with an empty place for each answer: for any model, scored by rsvlm score."""
    from rsvlm.evaluate.score_file import questions as write

    count = write(benchmark, data, out, split=split, limit=limit)
    same = f"{f' --split {split}' if split else ''}{f' --limit {limit}' if limit else ''}"
    say(f"{out}: {count} questions; fill in the answers, then: rsvlm score {benchmark} {out} --data {data}{same}")


def score(
    benchmark: Benchmark,
    answers: Annotated[Path, typer.Argument(metavar="FILE", help="Answers by id, as JSON lines or a JSON list.")],
    data: DataRoot,
    name: Annotated[str, typer.Option(help="The model that answered (default: the file's name).")] = "",
    dialect: Annotated[str, typer.Option(help="How boxes are written in words: geochat, qwen25vl, ...")] = "",
    split: Split = "",
    out: Out = None,
    as_json: AsJson = False,
    limit: Limit = None,
) -> None:
    """Score a file of answers, whoever gave them; what is wrong in the file is named, counted and never right."""
    from rsvlm.evaluate.score_file import score as measure

    result = measure(benchmark, answers, data, split=split, out=out, limit=limit, dialect=dialect, name=name)
    _print(result, as_json)


def lmms_pack(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write.")],
    data: DataRoot,
    names: Annotated[list[str] | None, typer.Argument(metavar="[PROTOCOL]...", help="Default: all with data.")] = None,
    split: Split = "",
    dialect: Annotated[str, typer.Option(metavar="NAME", help="How the models write boxes; packs grounding too.")] = "",
) -> None:
    """Write protocols as tasks of lmms-eval; run them there with --include_path DIR --tasks rsvlm."""
    from rsvlm.evaluate.lmms import write_pack

    for name in write_pack(folder, data, names, split, dialect=dialect, say=lambda line: say(line, err=True)):
        say(name)


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders written with --out.")],
    compare: Annotated[
        bool | None,
        typer.Option("--compare/--no-compare", help="Two runs side by side (default: where they are about one thing)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the comparison, and a page of what differs, here.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The data sets' folder: the page then shows pictures.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All metrics, not only those to quote.")] = False,
) -> None:
    """Tables of the results in folders; of two runs about the same items, which is better and where they differ."""
    from rsvlm.evaluate.report.compare import compare as side_by_side
    from rsvlm.evaluate.report.text import report as tables

    if compare is None:
        compare = _comparable(folders)
    if compare and len(folders) != 2:
        raise BadInput(f"Two runs are compared, but {len(folders)} folders were given; give two.")
    if out is not None and not compare:
        raise BadInput("Only a comparison is written to --out: give two runs of one protocol on the same items.")
    say(side_by_side(*folders, out=out, data=data, every=every) if compare else tables(folders, every=every))


def _comparable(folders: list[Path]) -> bool:
    """Whether these are two runs about the same items under the same protocol."""
    from rsvlm.evaluate.report.text import read_result
    from rsvlm.evaluate.task import same_items

    paths = [folder / "result.json" for folder in folders]
    return len(paths) == 2 and all(path.is_file() for path in paths) and same_items(*map(read_result, paths))


def _print(result: Mapping[str, Any], as_json: bool) -> None:
    """Raises BadInput where no reply came at all: such numbers are about nothing."""
    if result["failed"] == result["n"]:
        found = result["problems"].items()
        why = "; ".join(f"{group['count']} {kind.replace('_', ' ')} ({group['examples'][0]})" for kind, group in found)
        raise BadInput(
            f"No reply that counts came to any of the {result['n']} questions of {result['protocol']}: "
            f"{why or 'replies.jsonl in the folder of --out says why'}."
        )
    if as_json:
        print_json(result)
    else:
        print_result(result)
