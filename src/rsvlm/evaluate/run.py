"""Evaluates one model by one protocol: asks, scores, adds baselines and the leak check, writes the result."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from rsvlm.data.catalogue import DATASETS, load
from rsvlm.data.images import read_rgb
from rsvlm.data.ingredients import dataset_names
from rsvlm.errors import BadInput, MissingPart
from rsvlm.evaluate.baselines import Embed, colour_histograms, constants, nearest_image
from rsvlm.evaluate.benchmarks import find
from rsvlm.evaluate.items import Item, is_support
from rsvlm.evaluate.native_prompts import with_native_prompts
from rsvlm.evaluate.protocol import Row
from rsvlm.evaluate.reply_log import ReplyLog
from rsvlm.evaluate.result import Result, RunOutput, score_run
from rsvlm.evaluate.solvers import SOLVERS, check_ability, check_widths
from rsvlm.evaluate.task import Task, prepare
from rsvlm.progress import progress_bar
from rsvlm.sample import Image
from rsvlm.systems.abilities import Answers, CountsTokens, EncodesTexts, Features, features_of

EMBED_BATCH = 32


def evaluate(
    benchmark: str,
    data: str | Path,
    model: Any,
    split: str = "",
    out: str | Path | None = None,
    limit: int | None = None,
    batch: int = 16,
    *,
    wording: str = "protocol",
    blind: bool = True,
    leak: bool = True,
) -> Result:
    """Measure `model` by a protocol of `BENCHMARKS` and, beside it, the baselines.

    `benchmark` is a protocol's name, or a benchmark's (its first protocol). `data` is the data root; `split` "" the
    protocol's own; `limit` takes the first samples only; `batch` questions are asked at once. `wording` "own" asks
    in the words that the model was trained with (`rsvlm.evaluate.native_prompts`). `blind` asks the same model without
    the pictures too; `leak` looks for the scored pictures among those the model was trained on. With
    `out`, replies are written as they come (a run that was killed goes on where it stopped, and asks again what
    failed), and in the end result.json, answers.jsonl and report.html. Spread: bootstrap over pictures. Raises
    BadInput for an unknown benchmark, a model that cannot do what it asks, missing data, or an `out` of another run.
    """
    protocol = find(benchmark)
    if batch < 1:
        raise BadInput(f"The batch must be at least 1; found {batch}.")
    check_ability(model, protocol)
    task = prepare(protocol, data, split, limit)
    asked_task = with_native_prompts(task, model, wording)
    trace = {**model.trace} | ({"wording": wording} if wording != "protocol" else {})
    identity = {
        "protocol": protocol.name, "split": task.split, "model": model.name, "trace": trace,
        "data": task.data_hash, "prompt": protocol.prompt_hash,
    }  # fmt: skip
    folder = None if out is None else Path(out)
    log = ReplyLog(folder and folder / "replies.jsonl", identity)
    blind_log = ReplyLog(folder and folder / "replies.blind.jsonl", identity)
    notes: list[str] = []
    if protocol.ability == "matches":
        notes += _about_texts(task, model)
    with progress_bar() as progress:
        asked, seconds = _ask(asked_task, model, log, batch, progress)
        check_widths(model.name, [*log.rows.values()])
        baselines = constants(protocol, task.train, task.items)
        if blind and SOLVERS[protocol.ability].blind and isinstance(model, Answers):
            baselines |= {"blind": _ask_blind(asked_task, model, blind_log, batch, progress)}
        baselines |= _nearest(task, model, notes, progress)
        if protocol.ability == "embeds":
            baselines |= {"colour_histogram": colour_histograms(task.items)}
        found, leaked = _leaks(task, model, notes, progress) if leak else ({}, frozenset[str]())
    rows = [log.rows[item.id] for item in task.items]
    output = RunOutput(
        model=model.name, trace=trace, rows=rows, baselines=baselines, leak=found, leaked=leaked, seconds=seconds,
        asked=asked, notes=notes, problems=_failures(task, rows),
    )  # fmt: skip
    return score_run(task, output, folder)


def _ask(task: Task, model: Any, log: ReplyLog, batch: int, progress: Progress) -> tuple[int, float]:
    """Ask the items that are not in the log yet. Returns their number and the seconds it took."""
    began, protocol = time.perf_counter(), task.protocol
    open_items = [item for item in task.items if item.id not in log.rows]
    bar = progress.add_task(protocol.name, total=len(task.items), completed=len(task.items) - len(open_items))
    read: dict[Image, NDArray[np.uint8]] = {}
    for start in range(0, len(open_items), batch):
        asked = open_items[start : start + batch]
        needed = {image for item in asked for image in item.images}
        read = {image: read[image] if image in read else read_rgb(image) for image in needed}
        pictures = [tuple(read[image] for image in item.images) for item in asked]
        rows = SOLVERS[protocol.ability].solve(model, protocol, asked, pictures)
        log.add({item.id: row for item, row in zip(asked, rows, strict=True)})
        progress.advance(bar, len(asked))
    return len(open_items), time.perf_counter() - began


def _about_texts(task: Task, model: Any) -> list[str]:
    """What to know of the vectors of texts: how many are cut, and whether they have a length of their own."""
    notes: list[str] = []
    if task.protocol.raw_texts and not isinstance(model, EncodesTexts):
        notes.append("prompts are averaged at unit length: the model gives no other vectors of texts")
    texts = [item.question for item in task.items if not item.images]
    if isinstance(model, CountsTokens) and texts:
        cut = sum(count > model.max_text for count in model.count_tokens(texts))
        notes += [f"{cut} of {len(texts)} texts are longer than the model's {model.max_text} tokens and are cut"] * (
            cut > 0
        )
    return notes


def _failures(task: Task, rows: Sequence[Row]) -> dict[str, Any]:
    """The questions to which no reply came, counted, with the first few."""
    failed = [f"{item.id}: {row['error']}" for item, row in zip(task.items, rows, strict=True) if row.get("error")]
    return {"failed": {"count": len(failed), "examples": failed[:5]}} if failed else {}


def _ask_blind(task: Task, model: Any, log: ReplyLog, batch: int, progress: Progress) -> list[Row]:
    """The rows without pictures: a question is asked once, however many pictures it is asked of."""
    firsts: dict[tuple[Any, ...], Item] = {}
    for item in task.items:
        # a place in the picture depends on the picture's size, words do not
        firsts.setdefault((item.question, item.image.width, item.image.height), item)
    open_items = [item for item in firsts.values() if item.id not in log.rows]
    bar = progress.add_task("blind", total=len(firsts), completed=len(firsts) - len(open_items))
    for start in range(0, len(open_items), batch):
        asked = open_items[start : start + batch]
        rows = SOLVERS[task.protocol.ability].solve(model, task.protocol, asked, [()] * len(asked))
        log.add({item.id: row for item, row in zip(asked, rows, strict=True)})
        progress.advance(bar, len(asked))
    keys = ((item.question, item.image.width, item.image.height) for item in task.items)
    return [log.rows[firsts[key].id] for key in keys]


def _nearest(task: Task, model: Any, notes: list[str], progress: Progress) -> dict[str, list[Row]]:
    if task.protocol.ability not in ("answers", "chooses") or not task.train:
        return {}
    features = features_of(model)
    if features is None:
        notes.append("nearest_image is missing: the model does not embed pictures")
        return {}
    answers = nearest_image(task.train, task.items, _embedder(features, progress))
    return {"nearest_image": [{"answer": text} for text in answers]}


def _embedder(features: Features, progress: Progress) -> Embed:
    def embed(images: Sequence[Image]) -> NDArray[np.float32]:
        bar = progress.add_task("features for nearest_image", total=len(images))
        rows = []
        for start in range(0, len(images), EMBED_BATCH):
            part = images[start : start + EMBED_BATCH]
            rows.append(features([read_rgb(image) for image in part]))
            progress.advance(bar, len(part))
        return np.concatenate(rows)

    return embed


def _leaks(task: Task, model: Any, notes: list[str], progress: Progress) -> tuple[dict[str, Any], frozenset[str]]:
    """Scored pictures among the training pictures of the sets that the model names, else of this data set.

    What was found, and the ids of the items that show such a picture.
    """
    try:
        from rsvlm.evaluate.leakage import find_leaks, leak_free
    except MissingPart as error:
        notes.append(f"the leak check is missing: {error}")
        return {}, frozenset()
    names = _trained_on(model.trace.get("trained_on", "")) or [task.protocol.dataset]
    progress.add_task("leak check", total=None)
    train: dict[str, Image] = {}
    checked = []
    for name in names:
        try:
            train |= {image.key: image for sample in load(name, task.data) for image in sample.images}
            checked.append(name)
        except BadInput as error:
            notes.append(f"the leak check leaves out {name}: {error}")
    if not train or task.split in ("train", "all"):
        return {}, frozenset()
    tested = {image.key: image for item in task.items for image in item.images if not is_support(item)}
    leak = find_leaks(list(train.values()), list(tested.values()))
    free = {item.id for item in leak_free(task.items, leak)}
    return {"against": checked} | leak.summary(task.data.resolve()), frozenset(
        item.id for item in task.items if item.id not in free
    )


def _trained_on(names: str) -> list[str]:
    """The data sets of the catalogue that a trace names; older traces name ingredients ("ships/referring")."""
    found: list[str] = []
    for text in names.split():
        try:
            found += dataset_names(text)
        except BadInput:  # a builder of another version, or a name of somebody else's
            found.append(text.partition("/")[0])
    return [name for name in dict.fromkeys(found) if name in DATASETS]
