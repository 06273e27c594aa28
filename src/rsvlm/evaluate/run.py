"""One benchmark, one model: ask, parse, score, compare with the baselines, write down."""

import json
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import rsvlm
from rsvlm.data.catalogue import load
from rsvlm.data.formats.files import aside
from rsvlm.data.images import read_rgb
from rsvlm.errors import BadInput
from rsvlm.evaluate.baselines import Embed, most_frequent, nearest_image
from rsvlm.evaluate.benchmarks import BENCHMARKS, Benchmark
from rsvlm.evaluate.ledger import Ledger
from rsvlm.evaluate.metrics.score import Score, standard_errors
from rsvlm.evaluate.report import Shown, contact_sheet
from rsvlm.evaluate.tasks import Item, Parse, digest
from rsvlm.sample import Image, Reply
from rsvlm.systems.base import Answers, Embeds

SEED = 0  # of the bootstrap
EMBED_BATCH = 32

Metrics = dict[str, dict[str, float]]


class Result(TypedDict):
    """What `evaluate` returns, prints with --json and writes as result.json. Fractions, but CIDEr-D 0..10."""

    protocol: str
    model: str
    n: int
    metrics: Metrics
    baselines: dict[str, dict[str, float]]
    benchmark: str
    headline: list[str]
    split: str
    limit: int | None
    seed: int
    data_hash: str
    prompt_hash: str
    parse_failures: int
    seconds: float
    asked: int
    commit: str | None
    versions: dict[str, str]
    trace: dict[str, str]
    notes: list[str]


def evaluate(
    benchmark: str,
    data: str | Path,
    model: Answers,
    split: str = "val",
    out: str | Path | None = None,
    limit: int | None = None,
    batch: int = 16,
) -> Result:
    """Measure `model` on a benchmark of `BENCHMARKS` and, beside it, the baselines from the training split.

    `data` is the data root; `limit` takes the first samples only; `batch` questions are asked at once. With `out`,
    replies are written as they come (a run that was killed goes on where it stopped) and in the end result.json,
    answers.jsonl and contact_sheet.html. Standard errors: bootstrap over pictures. Raises BadInput for an unknown
    benchmark, missing data, or an `out` that belongs to another run.
    """
    bench = BENCHMARKS[benchmark]
    if (limit is not None and limit < 1) or batch < 1:
        raise BadInput(f"limit and batch must be at least 1; found limit {limit}, batch {batch}.")
    items = _scored_items(bench, data, split, limit)
    train, notes = _training_items(bench, data)
    run = _identity(bench, items, split, model)
    folder = None if out is None else Path(out)
    ledger = Ledger(folder and folder / "answers.partial.jsonl", run)
    asked = len(items) - len(ledger.replies)
    with _progress() as progress:
        seconds = _ask(bench, items, model, ledger, batch, progress)
        parser = bench.reader([*train, *items])
        parsed = _parse(items, [ledger.replies[item.id].text for item in items], parser)
        scores = bench.measure(items, parsed)
        embed = _embedder(model, progress) if isinstance(model, Embeds) else None
        if embed is None and train:
            notes.append("nearest_image is missing: the model does not embed pictures")
        baselines = _baselines(bench, train, items, embed, parser)
    errors = standard_errors(scores, groups=_pictures(items), seed=SEED)
    result = Result(
        protocol=bench.protocol,
        model=model.name,
        n=len(items),
        metrics={name: {"value": score.value, "stderr": errors[name]} for name, score in scores.items()},
        baselines=baselines,
        benchmark=bench.name,
        headline=[name for name in bench.headline if name in scores],
        split=split,
        limit=limit,
        seed=SEED,
        data_hash=run["data"],
        prompt_hash=run["prompt"],
        parse_failures=sum(answer is None for answer in parsed),
        seconds=round(seconds, 3),
        asked=asked,
        commit=_commit(),
        versions=_versions(),
        trace=dict(model.trace),
        notes=notes,
    )
    if folder is not None:
        shown = _shown(bench, items, ledger.replies, parsed, scores[bench.per_item])
        _write(folder, bench, result, shown, Path(data))
    return result


def prompt_hash(bench: Benchmark) -> str:
    """16 hex digits over everything that words the question and bounds the reply. Pinned by a test per benchmark."""
    asked = "\x1f".join([bench.question or "<own>", *bench.questions, str(bench.max_new_tokens)])
    return digest([Item(id=bench.protocol, image=Image(path=""), question=asked, references=())])


def _identity(bench: Benchmark, items: Sequence[Item], split: str, model: Answers) -> dict[str, Any]:
    """What must be the same for kept answers to be taken over."""
    return {
        "protocol": bench.protocol,
        "split": split,
        "model": model.name,
        "trace": dict(model.trace),
        "data": digest(items),
        "prompt": prompt_hash(bench),
    }


def _scored_items(bench: Benchmark, data: str | Path, split: str, limit: int | None) -> list[Item]:
    items = bench.items(load(bench.dataset, data, split)[:limit])
    if not items:
        raise BadInput(f"{bench.dataset} at {data} has no {bench.task} questions in its {split} split; choose another.")
    return items


def _training_items(bench: Benchmark, data: str | Path) -> tuple[list[Item], list[str]]:
    if bench.questions:
        return [], ["baselines do not apply: there is one right reply"]
    try:
        return bench.items(load(bench.dataset, data, "train")), []
    except BadInput as error:  # a user may hold only the scored split
        return [], [f"baselines are missing: {error}"]


def _ask(
    bench: Benchmark, items: Sequence[Item], model: Answers, ledger: Ledger, batch: int, progress: Progress
) -> float:
    """Ask what the ledger does not hold yet; the seconds that took."""
    began = time.perf_counter()
    open_items = [item for item in items if item.id not in ledger.replies]
    bar = progress.add_task(bench.name, total=len(items), completed=len(items) - len(open_items))
    read: dict[Image, NDArray[np.uint8]] = {}
    for start in range(0, len(open_items), batch):
        asked = open_items[start : start + batch]
        read = {image: read[image] if image in read else read_rgb(image) for image in {item.image for item in asked}}
        pixels, questions = [read[item.image] for item in asked], [item.question for item in asked]
        replies = model.answer(pixels, questions, max_new_tokens=bench.max_new_tokens)
        ledger.add({item.id: reply for item, reply in zip(asked, replies, strict=True)})
        progress.advance(bar, len(asked))
    return time.perf_counter() - began


def _parse(items: Sequence[Item], texts: Sequence[str], parser: Callable[[Item], Parse]) -> list[str | None]:
    return [parser(item)(text) for item, text in zip(items, texts, strict=True)]


def _embedder(model: Embeds, progress: Progress) -> Embed:
    def embed(images: Sequence[Image]) -> NDArray[np.float32]:
        bar = progress.add_task("features for nearest_image", total=len(images))
        rows = []
        for start in range(0, len(images), EMBED_BATCH):
            part = images[start : start + EMBED_BATCH]
            rows.append(model.embed_images([read_rgb(image) for image in part]))
            progress.advance(bar, len(part))
        return np.concatenate(rows)

    return embed


def _baselines(
    bench: Benchmark, train: Sequence[Item], items: Sequence[Item], embed: Embed | None, parser: Callable[[Item], Parse]
) -> dict[str, dict[str, float]]:
    if not train:
        return {}
    said = {"most_frequent": most_frequent(train, items)}
    if embed is not None:
        said["nearest_image"] = nearest_image(train, items, embed)
    return {
        name: {metric: score.value for metric, score in bench.measure(items, _parse(items, texts, parser)).items()}
        for name, texts in said.items()
    }


def _pictures(items: Sequence[Item]) -> list[int]:
    """The number of each item's picture: the questions about one picture are resampled together."""
    number: dict[Image, int] = {}
    return [number.setdefault(item.image, len(number)) for item in items]


def _shown(
    bench: Benchmark,
    items: Sequence[Item],
    replies: Mapping[str, Reply],
    parsed: Sequence[str | None],
    score: Score,
) -> list[Shown]:
    return [
        Shown(
            item=item, reply=replies[item.id], parsed=answer, score=float(value), wrong=bool(value < bench.wrong_below)
        )
        for item, answer, value in zip(items, parsed, score.per_item, strict=True)
    ]


def _write(folder: Path, bench: Benchmark, result: Result, shown: Sequence[Shown], data: Path) -> None:
    with aside(folder / "answers.jsonl") as path:
        path.write_text(
            "".join(json.dumps(_row(one, data.resolve()), ensure_ascii=False) + "\n" for one in shown), encoding="utf-8"
        )
    with aside(folder / "contact_sheet.html") as path:
        path.write_text(contact_sheet(bench.title, bench.per_item, result, shown), encoding="utf-8")
    with aside(folder / "result.json") as path:  # last: where it is, everything is
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "answers.partial.jsonl").unlink()


def _row(shown: Shown, root: Path) -> dict[str, Any]:
    """One line of answers.jsonl; the picture's path is relative to the data root: runs compare across machines."""
    item, path = shown.item, Path(shown.item.image.path)
    shortened = path.relative_to(root) if path.is_relative_to(root) else path
    return {
        "id": item.id, "image": str(shortened), "kind": item.kind, "question": item.question,
        "references": list(item.references), "answer": shown.reply.text, "confidence": shown.reply.confidence,
        "parsed": shown.parsed, "score": shown.score, "wrong": shown.wrong,
    }  # fmt: skip


def _progress() -> Progress:
    """A bar on stderr; stdout is for results."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True))


def _commit() -> str | None:
    """The commit of a checkout, with "-dirty" where files differ from it; None for an installed package."""
    root = Path(rsvlm.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def _versions() -> dict[str, str]:
    found = {"rsvlm": rsvlm.__version__, "python": platform.python_version()}
    for package in ("numpy", "torch", "transformers", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
