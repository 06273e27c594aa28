"""Scores answers of any model from a file: `questions` writes the questions, `score` reads the answers.

A faulty entry is never right: an id with two different answers, a box that is not finite, a mask of another size. The
faults are counted by kind in the result's `problems`.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsvlm.data.box_codecs import DIALECTS
from rsvlm.data.catalogue import DATASETS, dataset_path
from rsvlm.data.sources.layout import SPLITS
from rsvlm.errors import BadInput
from rsvlm.evaluate.answer_entries import Problems, confidence, entries, id_of, readable, value_of
from rsvlm.evaluate.baselines import constants
from rsvlm.evaluate.benchmarks import find
from rsvlm.evaluate.items import Item
from rsvlm.evaluate.protocol import Protocol, Row
from rsvlm.evaluate.result import Result, RunOutput, score_run
from rsvlm.evaluate.solvers import SOLVERS, read_vector
from rsvlm.evaluate.task import Task, prepare
from rsvlm.files import atomic_file
from rsvlm.registry import unknown

_FEW = 10  # a file with fewer than a tenth of another split's ids in this one is a file of that split
_TRUTH = ("changed", "unchanged")  # types of a question that say the answer


def score(
    benchmark: str,
    answers: str | Path,
    data: str | Path,
    *,
    split: str = "",
    out: str | Path | None = None,
    limit: int | None = None,
    dialect: str = "",
    name: str = "",
) -> Result:
    """Score a file of answers by a protocol of `BENCHMARKS`, beside the constant baselines.

    `answers` is JSON lines, or a JSON list, of objects with an "id" (or "question_id") of `questions` and what the
    protocol's ability needs (see `rsvlm.evaluate.answer_entries`), and, where it is known, a "confidence" in [0, 1].
    `dialect` reads boxes out of text. `name` is the model's; "" = the file's. `split`, `limit`, `out` as in
    `rsvlm.evaluate.run.evaluate`. Raises BadInput for a file without any answer to what is asked, for one of another
    split, and for missing data; whatever else is wrong in the file is counted in the result's `problems`, never right.
    """
    protocol, path = find(benchmark), Path(answers)
    key = SOLVERS[protocol.ability].key
    if dialect and key != "boxes":
        raise BadInput(f"A box dialect was given, but {protocol.name} asks for no boxes; leave --dialect out.")
    if dialect and dialect not in DIALECTS:
        raise BadInput(unknown("box dialect", dialect, list(DIALECTS)))
    problems = Problems()
    placed = list(entries(path, problems))
    task = prepare(protocol, data, split, limit)
    reader = _Reader(task, path.resolve().parent, dialect, problems)
    for place, entry in placed:
        reader.add(place, entry)
    beyond = _count_unknown_ids(task, path, reader)
    rows = reader.finish()
    output = RunOutput(
        model=name or path.name,
        trace={"answers": hashlib.sha256(path.read_bytes()).hexdigest()[:16]},
        rows=rows,
        baselines=constants(protocol, task.train, task.items),
        problems=problems.summary(),
        notes=[f"{beyond} answers to questions beyond the limit are left out"] if beyond else [],
    )
    return score_run(task, output, None if out is None else Path(out))


class _Reader:
    """Entries of a file -> the row of each item of a task.

    `unknown_ids` are the ids of no item, with their places; `boxes_as_text` counts answers in words
    where boxes are expected.
    """

    def __init__(self, task: Task, folder: Path, dialect: str, problems: Problems) -> None:
        self.task, self.folder, self.dialect, self.problems = task, folder, dialect, problems
        self.key = SOLVERS[task.protocol.ability].key
        self.items = {item.id: item for item in task.items}
        self.rows: dict[str, Row] = {}
        self.unknown_ids: list[tuple[str, str]] = []
        self.boxes_as_text = 0
        self._values: dict[str, str] = {}

    def add(self, place: str, entry: Mapping[str, Any]) -> None:
        """Keep what an entry says about its item."""
        name = id_of(entry)
        if name is None:
            self.problems.add("no_id", place)
        elif name not in self.items:
            self.unknown_ids.append((name, place))
        else:
            at = f"{place}, id {name}"
            try:
                self._add(name, at, entry)
            except RecursionError:
                self._refuse(name, at, f"unreadable_{self.key}", "lists within lists without end")

    def _add(self, name: str, at: str, entry: Mapping[str, Any]) -> None:
        value = value_of(self.key, entry, self.dialect)
        if value is None and self.key == "boxes" and isinstance(words := value_of("answer", entry), str):
            value, self.boxes_as_text = words, self.boxes_as_text + 1
        text = json.dumps(value, sort_keys=True)
        if name in self._values:
            if text == self._values[name]:
                self.problems.add("repeated", at)
            else:
                self._refuse(name, at, "conflicting", "two different answers")
            return
        self._values[name] = text
        if value is None:
            self._refuse(name, at, "empty", "an empty answer")
            return
        kept, wrong = readable(self.key, value, self.items[name], self.folder, self.dialect)
        if kept is None:
            self._refuse(name, at, f"unreadable_{self.key}", wrong)
            return
        sure, wrong = confidence(entry)
        if wrong:
            self.problems.add("unreadable_confidence", f"{at}: {wrong}")
        self.rows[name] = {self.key: kept, "confidence": sure}

    def _refuse(self, name: str, at: str, kind: str, why: str) -> None:
        self.problems.add(kind, f"{at}: {why}")
        self.rows[name] = self._nothing(why)

    def _nothing(self, why: str) -> Row:
        return {"answer": "", self.key: None if self.key != "answer" else "", "confidence": 0.0, "error": why}

    def finish(self) -> list[Row]:
        """The rows in the order of the items; vectors have one length, and items without an entry are missing."""
        if self.key == "vector":
            self._same_length()
        for name in self.items:
            if name not in self.rows:
                self.problems.add("missing", f"id {name}")
        return [self.rows.get(name) or self._nothing("no answer in the file") for name in self.items]

    def _same_length(self) -> None:
        lengths = {name: len(read_vector(row["vector"])) for name, row in self.rows.items() if row["vector"]}
        usual = Counter(lengths.values()).most_common(1)
        for name, length in lengths.items():
            if length != usual[0][0]:
                self._refuse(name, f"id {name}", "unreadable_vector", f"{length} numbers; others have {usual[0][0]}")


def _count_unknown_ids(task: Task, path: Path, reader: _Reader) -> int:
    """Add the ids of no item to the problems. Returns how many of them only lie beyond the limit.

    Raises BadInput where the file is one of another split, or holds no answer to anything that is asked.
    """
    splits = _split_of_ids(task) if reader.unknown_ids else {}
    beyond, elsewhere = 0, Counter[str]()
    for name, place in reader.unknown_ids:
        found = splits.get(name)
        if found == task.split or (found and task.split == "all"):
            beyond += 1
        elif found:
            elsewhere[found] += 1
            reader.problems.add("other_split", f"{place}, id {name}: of the {found} split")
        else:
            reader.problems.add("unknown_id", f"{place}, id {name}")
    likely, count = elsewhere.most_common(1)[0] if elsewhere else ("", 0)
    known = len(reader.rows) + beyond
    if known * _FEW < count:
        raise BadInput(
            f"{path} looks like answers to the {likely} split of {task.protocol.dataset} ({count} ids; {known} of the "
            f"{task.split} split): say --split {likely}, or give the answers to the {task.split} split."
        )
    if not reader.rows:
        raise BadInput(
            f"{path} holds no answer to a question of {task.protocol.name} ({task.split} split; "
            f"{reader.problems or 'all beyond the limit'}): expected ids like {task.items[0].id!r}, as rsvlm questions "
            "writes them."
        )
    if reader.boxes_as_text and not any("error" not in row for row in reader.rows.values()):
        raise BadInput(
            f"{path} holds words where {task.protocol.name} asks for boxes; say how they are written (--dialect "
            f"{' or '.join(list(DIALECTS)[:2])}, ...), or give boxes in pixels."
        )
    return beyond


def _split_of_ids(task: Task) -> dict[str, str]:
    """id -> split of everything that the protocol can ask of the data set; pictures need not be there."""
    protocol, splits = task.protocol, dict[str, str]()
    card = DATASETS[protocol.dataset]
    samples = list(card.reader(dataset_path(card, task.data), card.name))
    for split in SPLITS:
        chosen = [sample for sample in samples if sample.split == split]
        try:
            splits |= {item.id: split for item in (protocol.ask(chosen) if chosen else ())}
        except BadInput:  # a part that needs files of its own
            continue
    return splits


def questions(benchmark: str, data: str | Path, out: str | Path, *, split: str = "", limit: int | None = None) -> int:
    """Write the questions of a protocol as JSON lines, for any model to answer. Returns the number of lines.

    A line holds "id", "images" (paths below `data`), "question" as it is to be put, "kind", and the empty place of the
    answer. No reference is in it.
    """
    task = prepare(find(benchmark), data, split, limit)
    with atomic_file(Path(out)) as path, path.open("w", encoding="utf-8") as file:
        for item in task.items:
            file.write(json.dumps(_question(task.protocol, item, task.data), ensure_ascii=False) + "\n")
    return len(task.items)


def _question(protocol: Protocol, item: Item, root: Path) -> dict[str, Any]:
    key = SOLVERS[protocol.ability].key
    frame = protocol.wording[0] if protocol.ability == "grounds" else ""
    return {
        "id": item.id,
        "images": [_below(root, image.path) for image in item.images],
        **_windows(item),
        "question": frame.replace("{}", item.question) or item.question,
        "kind": "" if item.kind in _TRUTH else item.kind,
        key: "" if key == "answer" else None,
    }


def _windows(item: Item) -> dict[str, Sequence[Any]]:
    windows = [image.window for image in item.images]
    return {"windows": windows} if any(windows) else {}


def _below(root: Path, name: str) -> str:
    """The path from the data root on; whole where it lies elsewhere. Some readers follow links to the root."""
    path = Path(os.path.normpath(Path(name).absolute()))
    for place in (Path(os.path.normpath(root.absolute())), root.resolve()):
        if path.is_relative_to(place):
            return path.relative_to(place).as_posix()
    return path.as_posix()
