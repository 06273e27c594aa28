"""Scores the rows of a run: metrics with intervals, baselines, calibration; writes and reads the files of a result."""

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

import rsvlm
from rsvlm.errors import BadInput
from rsvlm.evaluate.items import Item, number_pictures
from rsvlm.evaluate.parsers import refused
from rsvlm.evaluate.protocol import Protocol, Row
from rsvlm.evaluate.report.html import ScoredItem, page
from rsvlm.evaluate.report.text import summary
from rsvlm.evaluate.task import Task
from rsvlm.files import atomic_file
from rsvlm.json_text import load_json
from rsvlm.metrics.calibration import Curves, calibration_scores
from rsvlm.metrics.score import Score, intervals
from rsvlm.sample import Image, Region

SEED = 0  # of the bootstrap

Metrics = dict[str, dict[str, Any]]


class Result(TypedDict):
    """What `evaluate` and `score` return, print with --json and write as result.json.

    `metrics`: name -> value, stderr, low, high (95 %), n, and a note where there is one. Fractions, but CIDEr-D 0..10.
    `baselines`: name -> metric -> value. `calibration`: the same figures as metrics, over the confidences, and the
    points of two plots; empty where there is nothing right or wrong, or no confidence was given. `problems`: what was
    wrong with the answers, counted, with examples. `failed`: questions to which no reply came.
    """

    protocol: str
    model: str
    n: int
    metrics: Metrics
    baselines: dict[str, dict[str, float]]
    benchmark: str
    headline: list[str]
    per_item: str
    dialect: str
    legacy: str
    split: str
    limit: int | None
    seed: int
    protocol_hash: str
    data_hash: str
    prompt_hash: str
    parse_failures: int
    refusals: int
    failed: int
    problems: dict[str, Any]
    calibration: dict[str, Any]
    leak: dict[str, Any]
    seconds: float
    asked: int
    commit: str | None
    versions: dict[str, str]
    trace: dict[str, str]
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutput:
    """The rows of one run of a task, before they are scored: whose they are (`model`, `trace`), in the items' order.

    `baselines` are the rows of the baselines by name. `leak` and `problems` go into the result as they are. The
    headline metrics are computed a second time without the items whose ids are in `leaked`. `seconds` and `asked`: how
    long the model took for how many questions.
    """

    model: str
    trace: Mapping[str, str]
    rows: Sequence[Row]
    baselines: Mapping[str, Sequence[Row]] = field(default_factory=dict[str, Sequence[Row]])
    problems: Mapping[str, Any] = field(default_factory=dict[str, Any])
    leak: Mapping[str, Any] = field(default_factory=dict[str, Any])
    leaked: frozenset[str] = frozenset()
    seconds: float = 0.0
    asked: int = 0
    notes: Sequence[str] = ()


def score_run(task: Task, output: RunOutput, folder: Path | None = None) -> Result:
    """Parse and score the rows of a run. With `folder`: write result.json, answers.jsonl, report.md, report.html."""
    protocol = task.protocol
    parsed = task.read(output.rows)
    scores = protocol.measure(task.items, parsed)
    baselines = {name: protocol.measure(task.items, task.read(rows)) for name, rows in output.baselines.items()}
    calibration, curves = _calibration(protocol, scores, output.rows)
    absent = [name for name in protocol.headline if name not in scores]
    notes = [f"{name} is missing: {_WHY.get(name, 'it does not apply here')}" for name in absent]
    result = Result(
        protocol=protocol.name,
        model=output.model,
        n=len(task.items),
        metrics=metrics_of(scores, number_pictures(task.items)),
        baselines={name: {metric: score.value for metric, score in found.items()} for name, found in baselines.items()},
        benchmark=protocol.benchmark,
        headline=[name for name in protocol.headline if name in scores],
        per_item=protocol.per_item,
        dialect=protocol.dialect,
        legacy=protocol.legacy,
        split=task.split,
        limit=task.limit,
        seed=SEED,
        protocol_hash=protocol.hash,
        data_hash=task.data_hash,
        prompt_hash=protocol.prompt_hash,
        parse_failures=sum(value is None for value in parsed),
        refusals=sum(refused(row.get("answer", "")) for row in output.rows),
        failed=sum(bool(row.get("error")) for row in output.rows),
        problems=dict(output.problems),
        calibration=calibration and {**metrics_of(calibration, number_pictures(task.items)), "curves": curves},
        leak={**output.leak, **_without(task, parsed, output.leaked)},
        seconds=round(output.seconds, 3),
        asked=output.asked,
        commit=commit(),
        versions=versions(),
        trace=dict(output.trace),
        notes=[*task.notes, *output.notes, *notes],
    )
    if folder is not None:
        _write(folder, task, result, _shown(task, output.rows, parsed, scores[protocol.per_item]))
    return result


_WHY = {"meteor": "pip install 'rsvlm[meteor]' brings its tables", "s_m": "it needs METEOR"}


def metrics_of(scores: Mapping[str, Score], groups: Sequence[int]) -> Metrics:
    """Each score as value, n and its bootstrap spread; `groups` as in `resample`."""
    spread = intervals(scores, groups=groups if all(len(s.sums) == len(groups) for s in scores.values()) else None)
    return {
        name: {
            "value": score.value,
            **asdict(spread[name]),
            "n": score.n,
            **({"note": score.note} if score.note else {}),
        }
        for name, score in scores.items()
    }


def _without(task: Task, parsed: Sequence[Any], leaked: frozenset[str]) -> dict[str, Any]:
    """The headline over the items that did not leak, where some did and some did not."""
    kept = [(item, read) for item, read in zip(task.items, parsed, strict=True) if item.id not in leaked]
    if not leaked or not kept:
        return {}
    items, predicted = zip(*kept, strict=True)
    scores = task.protocol.measure(items, predicted)
    found = {name: scores[name].value for name in task.protocol.headline if name in scores}
    return {"without": {"n": len(items), "metrics": found}}


def _calibration(
    protocol: Protocol, scores: Mapping[str, Score], rows: Sequence[Row]
) -> tuple[dict[str, Score], Curves]:
    """Over the answers whose confidence is known (0 = not known); empty where they are no matter of right or wrong."""
    sure = np.array([float(row.get("confidence") or 0.0) for row in rows])
    right, known = scores[protocol.per_item].per_item, sure > 0
    if not protocol.graded or len(right) != len(sure) or not known.any():
        return {}, {}
    return calibration_scores(right[known], sure[known])


def _shown(task: Task, rows: Sequence[Row], parsed: Sequence[Any], score: Score) -> list[ScoredItem]:
    values = score.per_item if len(score.per_item) == len(task.items) else [float("nan")] * len(task.items)
    return [
        ScoredItem(item=item, row=row, parsed=read, score=float(value), wrong=bool(value < task.protocol.wrong_below))
        for item, row, read, value in zip(task.items, rows, parsed, values, strict=True)
    ]


def _write(folder: Path, task: Task, result: Result, shown: Sequence[ScoredItem]) -> None:
    root = task.data.resolve()
    with atomic_file(folder / "answers.jsonl") as path, path.open("w", encoding="utf-8") as file:
        for one in shown:
            file.write(json.dumps(_line(one, root)) + "\n")
    with atomic_file(folder / "report.html") as path:
        path.write_text(page(task.protocol.title, result, shown), encoding="utf-8")
    with atomic_file(folder / "report.md") as path:
        path.write_text(summary(result), encoding="utf-8", errors="backslashreplace")
    with atomic_file(folder / "result.json") as path:  # last: where it is, everything is
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _line(shown: ScoredItem, root: Path) -> dict[str, Any]:
    """One line of answers.jsonl; pictures' paths are relative to the data root: runs compare across machines."""
    item, paths = shown.item, [Path(image.path) for image in shown.item.images]
    more = {
        "choices": list(item.choices),
        "regions": [{k: v for k, v in asdict(region).items() if v not in (None, (), 0.0)} for region in item.regions],
        "meta": dict(item.meta),
        "sizes": [[image.width, image.height] for image in item.images if image.width],
    }
    return {
        "id": item.id,
        "images": [str(path.relative_to(root) if path.is_relative_to(root) else path) for path in paths],
        "kind": item.kind, "question": item.question, "references": list(item.references),
        **{key: value for key, value in more.items() if value},
        **shown.row, "parsed": shown.parsed, "score": shown.score, "wrong": shown.wrong,
    }  # fmt: skip


def read_answers(folder: Path) -> tuple[list[Item], list[Any], list[dict[str, Any]]]:
    """Items (with the pictures' relative paths), predictions and whole lines of a run's answers.jsonl.

    Raises BadInput where there is none or it is damaged.
    """
    path = folder / "answers.jsonl"
    try:
        lines = [load_json(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        return [_item(line) for line in lines], [line["parsed"] for line in lines], lines
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} cannot be read as answers ({error}); run the evaluation again.") from error


def _item(line: Mapping[str, Any]) -> Item:
    sizes: list[tuple[int, int]] = line.get("sizes") or [(0, 0)] * len(line["images"])
    return Item(
        id=line["id"],
        question=line["question"],
        images=tuple(Image(path=p, width=w, height=h) for p, (w, h) in zip(line["images"], sizes, strict=True)),
        references=tuple(line["references"]),
        kind=line["kind"],
        choices=tuple(line.get("choices", ())),
        regions=tuple(_region(region) for region in line.get("regions", ())),
        meta=line.get("meta", {}),
    )


def _region(entry: Mapping[str, Any]) -> Region:
    ring = tuple((float(x), float(y)) for x, y in entry.get("polygon", ()))
    return Region(**{**entry, "box": tuple(entry["box"]), "polygon": ring})


@cache
def commit() -> str | None:
    """The commit of a checkout, with "-dirty" where files differ from it; None for an installed package."""
    root = Path(rsvlm.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def versions() -> dict[str, str]:
    """The versions of rsvlm, Python, and the packages that may change a number."""
    found = {"rsvlm": rsvlm.__version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", "shapely", "pycocotools", "torch", "transformers", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
