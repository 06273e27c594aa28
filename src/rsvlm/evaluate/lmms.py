"""Our protocols as tasks of lmms-eval (0.7.3 and later): same questions, same pictures, same numbers as `rsvlm score`.

lmms-eval asks the model and collects its replies; parsing and metrics are rsvlm's. A pack is a folder that can be
moved to another machine, where rsvlm is installed but the data sets are not:

| file | holds |
|---|---|
| <task>.yaml | the task, as lmms-eval reads it; its metrics are all that the protocol has on these data |
| <task>.jsonl | one line a question: task, id, question, target, names of its pictures |
| <task>.items.json | what is needed to measure: protocol, items, known answers of the training split |
| rsvlm_pack.py | the functions that the YAML files name, imported from this module |
| pictures/ | each picture once, with the pixels that `rsvlm evaluate` shows |
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import PIL.Image
import yaml
from pydantic import TypeAdapter

from rsvlm.data.box_codecs import DIALECTS
from rsvlm.data.formats.record import image_bytes
from rsvlm.data.images import read_rgb
from rsvlm.errors import BadInput, MissingPart
from rsvlm.evaluate.benchmarks import BENCHMARKS, Protocol, find
from rsvlm.evaluate.items import Item
from rsvlm.evaluate.protocol import Row
from rsvlm.evaluate.solvers import read_boxes
from rsvlm.evaluate.task import Task, prepare
from rsvlm.files import atomic_file
from rsvlm.metrics.score import lower_is_better
from rsvlm.registry import unknown
from rsvlm.sample import Image

MODULE = "rsvlm_pack"
_CODE = '''"""Written by rsvlm beside its tasks for lmms-eval; each task's YAML names what it takes from here."""

from rsvlm.evaluate.lmms import functions

visual, process, aggregate = functions(__file__)
'''
_AS_STORED = {b"\xff\xd8\xff": ".jpg", b"\x89PNG\r\n": ".png"}  # files that need no other coding, by how they begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What scoring a task needs: its `items`, with pictures named relative to the pack, and the `known` answers.

    `known` are the training items as (count, item), reduced to references, type and choices, which is all that the
    readers of the protocols use. `dialect` is the boxes' ("" = the answers are words).
    """

    protocol: str
    split: str
    data_hash: str
    dialect: str
    metrics: tuple[str, ...]
    items: tuple[Item, ...]
    known: tuple[tuple[int, Item], ...]


_SHEET = TypeAdapter(Sheet)


def write_pack(
    folder: str | Path,
    data: str | Path,
    names: Sequence[str] | None = None,
    split: str = "",
    *,
    dialect: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Write the protocols `names` as tasks of lmms-eval into `folder`; returns the tasks' names.

    `data` is the data root. Without `names`: every protocol that is answered in words and whose data are there; `say`
    gets a line for each one left out, with the reason. `split` "" is each protocol's own. `dialect` is how the models
    write boxes (a name of `rsvlm.data.box_codecs`, but none whose boxes depend on the size at which a model sees a
    picture); without one, grounding is left out. Raises BadInput for an unknown name, one that is not answered in
    words, an unfit dialect, and where no data are there.
    """
    folder, words = Path(folder), ("answers", "compares", *(["grounds"] if _fit(dialect) else []))
    chosen = [find(name) for name in names or BENCHMARKS.names()]
    for protocol in chosen:
        if names and protocol.ability not in words:
            more = "; say in which dialect boxes are written" if protocol.ability == "grounds" else ""
            raise BadInput(f"{protocol.name} is not answered in words, which is all that lmms-eval hands over{more}.")
    put = cache(lambda image: _put_picture(image, folder / "pictures"))  # each picture is written once
    written = []
    for protocol in (one for one in chosen if one.ability in words):
        try:
            task = prepare(protocol, data, split)
        except (BadInput, MissingPart) as error:
            if names:
                raise
            say(f"{protocol.name} is left out: {error}")
            continue
        written.append(_write_task(folder, task, dialect if protocol.ability == "grounds" else "", put))
    if not written:
        raise BadInput(f"{data} holds no data set of a protocol that is answered in words; see rsvlm list datasets.")
    with atomic_file(folder / f"{MODULE}.py") as path:
        path.write_text(_CODE, encoding="utf-8")
    return written


def task_name(protocol: Protocol) -> str:
    """rsvlm_<benchmark>_<protocol>; the version stands in the task's metadata."""
    return f"rsvlm_{protocol.name.partition('@')[0].replace('/', '_')}"


def functions(module: str | Path) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """`doc_to_visual`, `process_results` and the aggregation of all tasks in the folder of the file `module`."""
    folder = Path(module).resolve().parent

    def visual(doc: Mapping[str, Any]) -> list[PIL.Image.Image]:
        """The pictures of a question, as `rsvlm evaluate` shows them."""
        return [PIL.Image.fromarray(read_rgb(Image(path=str(folder / name)))) for name in doc["pictures"]]

    def process(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, dict[str, str]]:
        """The reply to one question, once for each metric of the task."""
        row = {"task": doc["task"], "id": doc["id"], "answer": results[0]}
        return {name: {"metric": name, **row} for name in _sheet(_sheet_path(folder, doc["task"])).metrics}

    def aggregate(rows: Sequence[Mapping[str, str]]) -> float:
        """The value of one metric over all replies; NaN where it does not apply to these questions."""
        predicted = tuple((row["id"], row["answer"]) for row in rows)
        return _measure(_sheet_path(folder, rows[0]["task"]), predicted).get(rows[0]["metric"], float("nan"))

    return visual, process, aggregate


def _sheet_path(folder: Path, task: str) -> Path:
    return folder / f"{task}.items.json"


@lru_cache(maxsize=1)
def _sheet(path: Path) -> Sheet:
    return _SHEET.validate_json(path.read_bytes())


@lru_cache(maxsize=1)  # lmms-eval asks for one metric after the other
def _measure(path: Path, predicted: tuple[tuple[str, str], ...]) -> Mapping[str, float]:
    """The values of all metrics over the answered items of a sheet."""
    sheet, answers = _sheet(path), dict(predicted)
    protocol = find(sheet.protocol)
    read = protocol.reader([*(item for count, item in sheet.known for _ in range(count)), *sheet.items])
    items = [item for item in sheet.items if item.id in answers]
    parsed = [read(item, _row(item, answers[item.id], sheet.dialect)) for item in items]
    return {name: score.value for name, score in protocol.measure(items, parsed).items()}


def _row(item: Item, answer: str, dialect: str) -> Row:
    if not dialect:
        return {"answer": answer}
    return {"answer": answer, "boxes": read_boxes(answer, dialect, (item.image.width, item.image.height))}


# ---- writing ----


class _Function(str):
    """The name of a function in the pack's module."""


class _Yaml(yaml.SafeDumper):
    """Writes `_Function` as lmms-eval reads it."""


_Yaml.add_representer(_Function, lambda dumper, name: dumper.represent_scalar("!function", f"{MODULE}.{name}"))


def _fit(dialect: str) -> bool:
    if dialect and dialect not in DIALECTS:
        raise BadInput(unknown("box dialect", dialect, list(DIALECTS)))
    if dialect and not DIALECTS[dialect].scale:
        raise BadInput(f"Boxes in {dialect!r} are pixels of the resized picture, whose size lmms-eval does not tell.")
    return bool(dialect)


def _write_task(folder: Path, task: Task, dialect: str, put: Callable[[Image], Image]) -> str:
    name, protocol = task_name(task.protocol), task.protocol
    items = [replace(item, images=tuple(map(put, item.images))) for item in task.items]
    sheet = Sheet(
        protocol=protocol.name, split=task.split, data_hash=task.data_hash, dialect=dialect, items=tuple(items),
        metrics=tuple(_metrics(task)), known=_counted(task.train),
    )  # fmt: skip
    with atomic_file(_sheet_path(folder, name)) as path:
        path.write_bytes(_SHEET.dump_json(sheet, exclude_defaults=True))
    with atomic_file(folder / f"{name}.jsonl") as path, path.open("w", encoding="utf-8") as file:
        for item in items:
            asked = protocol.wording[0].replace("{}", item.question) if dialect else item.question
            pictures = [image.path for image in item.images]
            line = {"id": item.id, "question": asked, "target": next(iter(item.references), ""), "pictures": pictures}
            file.write(json.dumps({"task": name, **line}, ensure_ascii=False) + "\n")
    with atomic_file(folder / f"{name}.yaml") as path:  # last: where it is, everything is
        path.write_text(yaml.dump(_entry(name, task, sheet.metrics), Dumper=_Yaml, sort_keys=False), encoding="utf-8")
    return name


def _metrics(task: Task) -> Iterable[str]:
    """All metrics that the protocol has on these items: computed from empty replies."""
    return task.protocol.measure(task.items, task.read([{"answer": "", "boxes": None}] * len(task.items)))


def _entry(name: str, task: Task, metrics: Iterable[str]) -> dict[str, Any]:
    protocol = task.protocol
    return {
        "task": name,
        "tag": "rsvlm_legacy" if protocol.legacy else "rsvlm",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"{name}.jsonl"}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_visual": _Function("visual"),
        "doc_to_text": "question",
        "doc_to_target": "target",
        # nothing ends a reply but its length: "until" must be said, lmms-eval would stop at an empty line
        "generation_kwargs": {
            "max_new_tokens": protocol.max_new_tokens, "do_sample": False, "temperature": 0, "num_beams": 1, "until": []
        },
        "process_results": _Function("process"),
        "metric_list": [
            {
                "metric": metric,
                "aggregation": _Function("aggregate"),
                "higher_is_better": not lower_is_better(metric),
            }
            for metric in metrics
        ],
        # under a key of our own: lmms-eval lets what stands here replace what it notes of a request (its split)
        "metadata": {
            "version": int(protocol.name.rpartition("@")[2]),
            "rsvlm": {
                "protocol": protocol.name, "title": protocol.title, "dialect": protocol.dialect, "split": task.split,
                "data_hash": task.data_hash, "prompt_hash": protocol.prompt_hash, "headline": list(protocol.headline),
                "legacy": protocol.legacy, "notes": list(task.notes),
            },
        },
    }  # fmt: skip


def _counted(train: Iterable[Item]) -> tuple[tuple[int, Item], ...]:
    """Each answer once, in the order of first appearance: readers learn the classes and count words."""
    counts: dict[tuple[tuple[str, ...], str, tuple[str, ...]], int] = {}
    for item in train:
        key = item.references, item.kind, item.choices
        counts[key] = counts.get(key, 0) + 1
    return tuple(
        (count, Item(id="", question="", references=references, kind=kind, choices=choices))
        for (references, kind, choices), count in counts.items()
    )


def _put_picture(image: Image, folder: Path) -> Image:
    """Copy a picture (or the window of it) into `folder`, named by its content."""
    coded, suffix, size = _coded(image)
    name = f"{hashlib.sha256(coded).hexdigest()[:16]}{suffix}"
    if not (folder / name).exists():
        with atomic_file(folder / name) as path:
            path.write_bytes(coded)
    return Image(path=f"{folder.name}/{name}", width=size[0], height=size[1])


def _coded(image: Image) -> tuple[bytes, str, tuple[int, int]]:
    """(file, its suffix, (width, height)): JPEG and PNG as they are, else a PNG of what `read_rgb` reads."""
    pixels = PIL.Image.fromarray(read_rgb(image))
    stored = image_bytes(image)
    suffix = next((suffix for head, suffix in _AS_STORED.items() if stored.startswith(head)), "")
    if suffix and image.window is None:
        return stored, suffix, pixels.size
    with io.BytesIO() as out:
        pixels.save(out, "PNG")
        return out.getvalue(), ".png", pixels.size
