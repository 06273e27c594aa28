"""ChangeChat-105k (arXiv 2507.22346): instructions over LEVIR-CC's pairs, a test file for each of six tasks.

Layout from the DeltaVLM repository. The training file mixes the tasks without naming them: a record's task is known by
its number of turns and by its question, whose wordings are known for the rule-made tasks; any other question is an open
one (`task_of`). There is no validation part, and the second training file (train_loc) is not read: what it changes is
not documented.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsvlm.data.sources.layout import find_file, read_json
from rsvlm.data.sources.records import text
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

TEST_FILES = {
    "test": "change_caption", "test_binary": "change_class", "test_count": "change_count", "test_loc": "change_locate",
    "test_open": "change_qa", "test_dialog": "change_dialogue",
}  # fmt: skip
_CAPTION = "Please briefly describe the changes in these two images."
_ASKED = (  # the first that fits
    ("change_locate", re.compile(r"3\s*x\s*3|\bgrid\b")),
    ("change_class", re.compile(r"\byes or no\b")),
    ("change_count", re.compile(r"\bhow many roads and buildings\b|\bcount the number of road")),
    ("change_caption", re.compile(r"^(please )?(briefly )?describe the changes?\b")),
)


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per pair and split with the turns of all files that are there; a dialogue's turns follow one another.

    `kind` is changed or unchanged (of a dialogue also the place: "turn1", ...). Raises BadInput where no file is
    there, or one is of another form.
    """
    first = find_file(folder, "changechat_105k_*.json", "annotations/changechat_105k_*.json")
    root = next((p for p in (folder / "images", first.parent.parent / "images", folder) if p.is_dir()), folder)
    pairs: dict[tuple[str, str, str], list[Turn]] = {}
    for part, task in {"train": "", **TEST_FILES}.items():
        path = first.parent / f"changechat_105k_{part}.json"
        for number, item in enumerate(read_json(path) if path.is_file() else ()):
            try:
                before, after = map(text, item["image"] if "image" in item else (item["image_A"], item["image_B"]))
                turns = pairs.setdefault((part.partition("_")[0], before, after), [])
                _extend(turns, list(_turns(item, task)))
            except (KeyError, TypeError, ValueError) as error:
                raise BadInput(
                    f"{path} record {number} is not ChangeChat's ({type(error).__name__}: {error})."
                ) from error
    for (split, before, after), turns in pairs.items():
        yield Sample(
            id=f"{name}/{split}/{Path(before).name}", turns=tuple(turns), source=name, split=split,
            images=(Image(path=str((root / before).resolve())), Image(path=str((root / after).resolve()))),
        )  # fmt: skip


def _turns(item: Mapping[str, Any], task: str) -> Iterator[Turn]:
    kind = "changed" if item["changeflag"] else "unchanged"
    if "captions" in item:
        references = tuple(caption.strip() for caption in item["captions"])
        yield Turn(task="change_caption", question=_CAPTION, answer=references[0], references=references, kind=kind)
        return
    spoken = [turn["value"] for turn in item["conversations"]]
    if not spoken or len(spoken) % 2:
        raise ValueError(f"{len(spoken)} messages, expected pairs of question and answer")
    questions = [re.sub(r"^(<image>\s*)+", "", asked).strip() for asked in spoken[::2]]
    task = task or task_of(questions)
    for place, (question, answer) in enumerate(zip(questions, spoken[1::2], strict=True), 1):
        known = f"turn{place}" if task == "change_dialogue" else kind
        yield Turn(task=task, question=question, answer=answer.strip(), kind=known)


def task_of(questions: list[str]) -> str:
    """The task of a record of the training file by what is asked."""
    if len(questions) > 1:
        return "change_dialogue"
    asked = " ".join(questions[0].lower().split())
    return next((task for task, pattern in _ASKED if pattern.search(asked)), "change_qa")


def _extend(turns: list[Turn], more: list[Turn]) -> None:
    """Adds turns; a caption to a question that is there already (five records a pair) becomes one of its references."""
    for turn in more:
        at = next((i for i, t in enumerate(turns) if t.task == turn.task == "change_caption"), None)
        if at is None:
            turns.append(turn)
        else:
            references = (*turns[at].accepted, *turn.accepted)
            turns[at] = Turn(
                task=turn.task, question=turns[at].question, answer=references[0], references=references, kind=turn.kind
            )
