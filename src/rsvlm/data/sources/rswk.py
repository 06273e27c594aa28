"""RSWK of RS-RAG (arXiv 2504.04988): captions, classes and questions about landmarks, whole (FULL) and small (MINI).

Layout from the authors' repository: JSON lines `{"messages", "images", "task"}`, and for the common-sense questions a
JSON list `{"image_name", "gpt_output": [{"question", "answer"}]}`. Pictures are named by number in the captions, by
landmark elsewhere, and by somebody's absolute path in MINI.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsvlm.data.sources.layout import IMAGE_SUFFIXES, read_records
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

_TASKS = {"caption": "caption", "classification": "scene", "question answering": "vqa", "vqa": "vqa"}
_KINDS = ("vqa_c", "vqa_rsk", "vqa_wk")  # common sense, remote sensing knowledge, world knowledge
_FULL_TRAIN = "11827"  # image_captioning_full_test_11827 is the training file


def read(folder: Path, name: str, *, size: str = "full") -> Iterator[Sample]:
    """One Sample per picture and split with all its turns: `caption`, `scene` (own questions) and `vqa`.

    `kind` of a question is c, rsk or wk where its file says it. Pairs that the authors could not parse are left out, as
    from their own count. Raises BadInput where no file of that `size` is there, or one is of another form.
    """
    paths = [
        path for kind in ("*.jsonl", "*.json") for path in sorted(folder.rglob(kind)) if f"_{size}_" in _called(path)
    ]
    if not paths:
        raise BadInput(f"{folder} holds no *_{size}_test_*.jsonl; give the folder of RSWK as its authors publish it.")
    found: dict[tuple[str, str], list[Turn]] = {}
    for path in paths:
        split = "train" if _FULL_TRAIN in path.name or "train" in path.name else "test"
        for number, item in enumerate(read_records(path) if "total" not in path.name else ()):
            try:
                file, turns = _turns(item, path.stem)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise BadInput(f"{path} record {number} is not RSWK's ({type(error).__name__}: {error}).") from error
            if turns:
                found.setdefault((split, file), []).extend(turns)
    beside = [*folder.rglob("*"), *folder.resolve().parent.glob("images/*")]
    pictures = {_plain(path.name): path for path in sorted(beside) if path.suffix.lower() in IMAGE_SUFFIXES}
    for (split, file), turns in found.items():
        path = pictures.get(_plain(file), folder / "images" / file)
        yield Sample(
            id=f"{name}/{split}/{file}", images=(Image(path=str(path.resolve())),), turns=tuple(turns), source=name,
            split=split,
        )  # fmt: skip


def _called(path: Path) -> str:
    return f"_{path.stem}_"


def _turns(item: Mapping[str, Any], stem: str) -> tuple[str, list[Turn]]:
    """The picture's file name and what is said about it."""
    if "gpt_output" in item:
        asked = item["gpt_output"] if isinstance(item["gpt_output"], list) else []
        turns = [Turn(task="vqa", question=one["question"], answer=str(one["answer"]), kind="c") for one in asked]
        return f"{item['image_name']}.png", turns
    spoken = [message["content"] for message in item["messages"]]
    question = re.sub(r"^(<image>\s*)+", "", spoken[0]).strip()
    answer = spoken[1].strip()
    task = _task(str(item.get("task", "")).lower(), stem, question, answer)
    kind = next((kind.removeprefix("vqa_") for kind in _KINDS if kind in stem), "") if task == "vqa" else ""
    turn = Turn(task=task, question=question, answer=answer, kind=answer if task == "scene" else kind)
    return Path(item["images"][0].replace("\\", "/")).name, [turn]


def _task(named: str, stem: str, question: str, answer: str) -> str:
    """The task by the record, else by its file's name, else (MINI's training file has neither) by what is said."""
    for text in (named, stem):
        task = next((task for mark, task in _TASKS.items() if mark in text), "")
        if task:
            return task
    if "categories:" in question:
        return "scene"
    return "caption" if answer.startswith("This is a remote sensing image of") else "vqa"


def _plain(name: str) -> str:
    """One spelling of names with accents: file systems and annotations compose them differently."""
    return unicodedata.normalize("NFC", name)
