"""Result files as text: tables in Markdown out of many runs, and a page of Markdown for one.

Numbers that were not measured alike never stand in one table: a table holds one protocol name and one dialect (so
retrieval over grouped captions is never beside retrieval over merged ones); legacy protocols come last, marked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from rsvlm.errors import BadInput
from rsvlm.json_text import load_json
from rsvlm.metrics.score import lower_is_better

Run = Mapping[str, Any]  # what result.json holds, see `rsvlm.evaluate.result.Result`
Table = tuple[list[str], list[list[str]]]  # heads, rows

_WANTED = ("protocol", "split", "model", "n", "metrics", "headline", "baselines")
_EXAMPLES = 3


def report(folders: Sequence[str | Path], *, every: bool = False) -> str:
    """Markdown tables of the result.json files in `folders` (or below them): a row a metric, baselines beside it.

    One table a protocol name and dialect, legacy ones last. Only each benchmark's headline metrics, all with `every`.
    Raises BadInput where there is no result, or a broken one.
    """
    results = [read_result(path) for folder in folders for path in _find(Path(folder))]
    tables: dict[tuple[str, str, str], list[Run]] = {}
    for result in sorted(results, key=lambda run: (bool(_legacy(run)), run["protocol"], run["split"])):
        name = result["protocol"].partition("/")[2]
        tables.setdefault((_legacy(result), name, result.get("dialect", "")), []).append(result)
    parts: list[str] = []
    for (legacy, name, dialect), runs in tables.items():
        parts.append(f"### {cell(name)}{f' ({cell(dialect)})' if dialect else ''}{': legacy' if legacy else ''}")
        parts += [f"**Not a fair figure.** {cell(legacy)}"] if legacy else []
        parts.append(markdown(*table(runs, every=every)))
        parts += [f"- {cell(remark)}" for remark in _unlike(runs)]
    return "\n\n".join(parts)


def summary(result: Run) -> str:
    """Markdown of one run: its headline metrics with intervals and baselines, all others, and what to know of them."""
    heads, rows = table([result], every=True)
    named = heads.index("metric")
    first = [row for row in rows if row[named] in result["headline"]]
    rest = [row for row in rows if row not in first]
    parts = [f"# {cell(result['protocol'])}: {cell(result['model'])}"]
    parts.append("\n".join(f"- {cell(remark)}" for remark in [*warnings(result), *remarks(result)]))
    parts += [markdown(heads, first)] if first else []
    parts += ["## All metrics", markdown(heads, rest)] if rest else []
    return "\n\n".join(part for part in parts if part) + "\n"


def table(results: Sequence[Run], *, every: bool = False) -> Table:
    """Heads and rows, a row a metric: whose it is, value, 95 % interval, and each baseline's value ("-" = none)."""
    baselines = list(dict.fromkeys(name for result in results for name in result["baselines"]))
    heads = ["benchmark", "split", "model", "n", "metric", "value", "95 % interval", *(words(b) for b in baselines)]
    rows: list[list[str]] = []
    for result in results:
        limit = result.get("limit")
        for name in result["metrics"] if every else result["headline"]:
            metric = result["metrics"][name]
            beside = [result["baselines"].get(baseline, {}).get(name) for baseline in baselines]
            rows.append([
                result["protocol"], result["split"], result["model"],
                f"{metric.get('n', result['n'])}{f' (first {limit} samples)' if limit else ''}", name,
                f"{metric['value']:.3f}", interval_of(metric), *("-" if b is None else f"{b:.3f}" for b in beside),
            ])  # fmt: skip
    return heads, rows


def interval_of(metric: Mapping[str, Any]) -> str:
    """The 95 % interval of a metric; its standard error in a file of before there were intervals."""
    return f"{metric['low']:.3f} to {metric['high']:.3f}" if "low" in metric else f"± {metric['stderr']:.3f} s.e."


def warnings(result: Run) -> list[str]:
    """What a reader must see before any number of this run: sentences, empty where all is well."""
    found = [f"Not a fair figure: {legacy}"] if (legacy := _legacy(result)) else []
    for name in result["headline"]:
        metric = result["metrics"][name]
        low, high = metric.get("low", metric["value"]), metric.get("high", metric["value"])
        beside = {words(key): values[name] for key, values in result["baselines"].items() if name in values}
        near = [baseline for baseline, value in beside.items() if low <= value <= high]
        ahead = [key for key, value in beside.items() if (value < low if lower_is_better(name) else value > high)]
        found += [f"{name} cannot be distinguished from {', '.join(near)}: in its 95 % interval."] if near else []
        found += [f"{name} is worse than {', '.join(ahead)}, beyond its 95 % interval."] if ahead else []
    if leaked := result.get("leak", {}).get("leaked"):
        leak = result["leak"]
        share = f"{leaked} of {leak['test']} scored pictures ({leak['share']:.1%}) lie among the training pictures"
        free: Mapping[str, Any] = leak.get("without", {})
        values = ", ".join(f"{name} {value:.3f}" for name, value in free.get("metrics", {}).items())
        found.append(f"{share}; without their {result['n'] - free['n']} items: {values}." if free else f"{share}.")
    if failed := result.get("failed"):
        found.append(f"{failed} of {result['n']} questions got no reply; they count as wrong.")
    return found


def remarks(result: Run) -> list[str]:
    """What else there is to know of a run: what was measured on, unread answers, refusals, problems, leaks, notes."""
    n, scope = result["n"], f"split {result['split']}, {result['n']} items"
    hashes = [
        f"{words(key)} {result[key]}"
        for key in ("protocol_hash", "data_hash", "prompt_hash", "commit")
        if result.get(key)
    ]
    found = [", ".join([scope, *([result["dialect"]] if result.get("dialect") else []), *hashes])]
    counts = {"not read": "parse_failures", "refused": "refusals", "without a reply": "failed"}
    found.append("; ".join(f"{label}: {_share(result.get(key, 0), n)}" for label, key in counts.items()))
    for kind, problem in result.get("problems", {}).items():
        examples = cast("list[str]", problem.get("examples", []))
        shown = f" ({'; '.join(examples[:_EXAMPLES])}{'; ...' if problem['count'] > _EXAMPLES else ''})"
        found.append(f"answers: {problem['count']} {words(kind)}{shown if examples else ''}")
    found.append(_leaks(result.get("leak", {})))
    noted = {name: metric["note"] for name, metric in result["metrics"].items() if metric.get("note")}
    return found + [f"{name}: {note}" for name, note in noted.items()] + list(result.get("notes", []))


def _leaks(leak: Mapping[str, Any]) -> str:
    if not leak:
        return "leak check: not made"
    against = f" of {', '.join(leak['against'])}" if leak.get("against") else ""
    alike = f"; {leak['alike']} more are alike" if leak.get("alike") else ""
    flat = f"; {leak['flat']} too plain to tell" if leak.get("flat") else ""
    return (
        f"leak check: {leak['leaked']} of {leak['test']} scored pictures are among the {leak['train']} training "
        f"pictures{against}{alike}{flat}"
    )


def _unlike(runs: Sequence[Run]) -> Iterable[str]:
    """Which rows of a table are about other items than their neighbours."""
    seen: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        seen.setdefault((run["protocol"], run["split"]), []).append(run)
    for (protocol, split), same in seen.items():
        if len({run.get("data_hash") for run in same}) > 1:
            each = ", ".join(f"{run['model']}: {run.get('data_hash', 'unknown')}" for run in same)
            yield f"{protocol}, {split}: the runs are about different items and do not compare (data hash {each})"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; columns of numbers stand right."""
    ruled = ["---:" if rows and all(_numeric(row[at]) for row in rows) else "---" for at in range(len(heads))]
    lines = [heads, ruled, *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def cell(text: str) -> str:
    """A text that stays in its place in Markdown: one line, and nothing in it is a table's edge or a tag."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def words(name: str) -> str:
    """A metric's name with blanks instead of underscores."""
    return name.replace("_", " ")


def _numeric(text: str) -> bool:
    return text[:1].isdigit() or text[:1] in "-+±"


def _share(count: int, of: int) -> str:
    return f"{count} ({count / of:.1%})" if count and of else str(count)


def _legacy(result: Run) -> str:
    return result.get("legacy", "")


def _find(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("result.json"))
    if not found:
        raise BadInput(f"{folder} holds no result.json; give a folder written by rsvlm evaluate --out.")
    return found


def read_result(path: Path) -> Run:
    """What a result.json holds. Raises BadInput where it cannot be read, or is not one."""
    try:
        result = load_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as a result ({error}); run the evaluation again.") from error
    missing = [key for key in _WANTED if not isinstance(result, dict) or key not in result]
    if missing:
        raise BadInput(f"{path} lacks {', '.join(missing)}; it was not written by rsvlm evaluate.")
    broken = [name for name, metric in _entries(result["metrics"]) if not _is_metric(metric)]
    broken += [name for name in result["headline"] if name not in result["metrics"]]
    if broken:
        raise BadInput(f"{path} holds no value with its spread for {', '.join(broken)}; run the evaluation again.")
    return result


def _entries(metrics: object) -> Iterable[tuple[str, object]]:
    return cast("dict[str, object]", metrics).items() if isinstance(metrics, dict) else [("metrics", metrics)]


def _is_metric(metric: object) -> bool:
    value: Callable[[str], object] = metric.get if isinstance(metric, dict) else lambda _: None
    return all(isinstance(value(key), int | float) for key in ("value", "stderr"))
