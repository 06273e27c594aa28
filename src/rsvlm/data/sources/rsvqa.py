"""RSVQA, low and high resolution (arXiv 2003.07333): three JSON files a split, images as `N.tif`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsvlm.data.sources.layout import ImageIndex, candidate_folders, find_optional, read_json, read_records
from rsvlm.data.sources.records import text
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

FOLDERS = ("Images_LR", "Images_HR", "Images", "images", "Data")
_SPLITS = ("train", "val", "test", "test_phili")
LIST_47K = "hrben_47k.jsonl"  # records with a question_id, of the second test set: the 47k questions of GeoChat's paper


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per active image with its active questions; `kind` is the authors' type (count, presence, comp, ...).

    The high-resolution set has a second test split over Philadelphia: its samples are `split="test"` with
    `meta["test_set"] = "phili"`, so that a protocol can report the two apart. Where a user has a `hrben_47k.jsonl`,
    `meta["geochat_47k"]` are the places of the listed questions among the turns of such a sample.
    """
    index = ImageIndex(candidate_folders(folder, *FOLDERS))
    found = False
    for split in _SPLITS:
        paths = [find_optional(folder, f"*_split_{split}_{part}.json") for part in ("images", "questions", "answers")]
        if any(paths):
            if not all(paths):
                raise BadInput(
                    f"{folder}: split {split} of {name} is incomplete; expected images, questions and answers."
                )
            found = True
            images, questions, answers = (_by_id(path) for path in paths if path)
            yield from _samples(name, split, index, folder, images, questions, answers)
    if not found:
        raise BadInput(
            f"{folder} holds no *_split_train_questions.json; give the folder of {name} as its authors publish it."
        )


def _by_id(path: Path) -> dict[int, dict[str, Any]]:
    data = read_json(path)
    part = path.stem.rsplit("_", 1)[1]
    try:
        return {item["id"]: item for item in data[part] if item.get("active", True)}
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is not an RSVQA file; expected a list {part!r} of objects with an id.") from error


def _samples(
    name: str,
    split: str,
    index: ImageIndex,
    folder: Path,
    images: dict[int, dict[str, Any]],
    questions: dict[int, dict[str, Any]],
    answers: dict[int, dict[str, Any]],
) -> Iterator[Sample]:
    asked: dict[int, list[Turn]] = {}
    listed = _listed(folder) if split == "test_phili" else None
    picked: dict[int, list[int]] = {}
    for question in questions.values():
        given = [answers[number] for number in question.get("answers_ids", ()) if number in answers]
        if given:
            answer = str(given[0]["answer"])
            turn = Turn(task="vqa", question=text(question["question"]), answer=answer, kind=text(question["type"]))
            turns = asked.setdefault(question["img_id"], [])
            if listed and question["id"] in listed:
                picked.setdefault(question["img_id"], []).append(len(turns))
            turns.append(turn)
    shared = {"test_set": "phili"} if split == "test_phili" else {}
    for number in images:
        file = f"{number}.tif"
        meta = shared if listed is None else shared | {"geochat_47k": picked.get(number, [])}
        yield Sample(
            id=f"{name}/{file}", images=(Image(path=index(file, folder / FOLDERS[0])),),
            turns=tuple(asked.get(number, ())), source=name, split=split.removesuffix("_phili"), meta=meta,
        )  # fmt: skip


def _listed(folder: Path) -> set[int] | None:
    """Question ids of the user's list; None where there is none."""
    path = find_optional(folder, LIST_47K)
    try:
        return None if path is None else {int(item["question_id"]) for item in read_records(path)}
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is not a list of questions ({type(error).__name__}: {error}).") from error
