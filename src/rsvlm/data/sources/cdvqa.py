"""CDVQA (Yuan et al., TGRS 2022): questions about SECOND's pairs in RSVQA's JSON triplets, two test sets.

Layout from the authors' repository (YZHJessica/CDVQA); the pictures are SECOND's `im1/<file>` and `im2/<file>`.
Test and Test2 ask about the same 968 pairs; in Test2 the types are spread more evenly.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsvlm.data.sources.layout import ImageIndex, find_optional, read_json
from rsvlm.data.sources.records import text
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

PARTS = ("images", "questions", "answers")
SETS = {"Train": "train", "Val": "val", "Test": "test", "Test2": "test"}


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per pair with all its questions, task `change_qa`; `kind` is the authors' type (change_or_not, ...).

    The authors list a pair sixteen times, once for each template of questions. Samples of both test sets are `test`,
    with `meta["test_set"]` "test1" or "test2". Raises BadInput where a file of a set is missing or of another form.
    """
    before, after = (ImageIndex([*folder.glob(date), *folder.glob(f"*/{date}")]) for date in ("im1", "im2"))
    found = False
    for part, split in SETS.items():
        paths = [find_optional(folder, f"{part}_{kind}.json", f"*/{part}_{kind}.json") for kind in PARTS]
        if not any(paths):
            continue
        if not all(paths):
            raise BadInput(
                f"{folder}: {part} of CDVQA is incomplete; expected {part}_{{images,questions,answers}}.json."
            )
        found = True
        meta = {"test_set": "test2" if part == "Test2" else "test1"} if split == "test" else {}
        for file, turns in _asked([path for path in paths if path]).items():
            images = Image(path=before(file, folder / "im1")), Image(path=after(file, folder / "im2"))
            yield Sample(
                id=f"{name}/{part.lower()}/{file}", images=images, turns=tuple(turns), source=name, split=split,
                meta=meta,
            )  # fmt: skip
    if not found:
        raise BadInput(f"{folder} holds no Train_questions.json; give the folder of CDVQA as its authors publish it.")


def _asked(paths: list[Path]) -> dict[str, list[Turn]]:
    """The questions about each picture, in the order of the file of questions."""
    turns: dict[str, list[Turn]] = {}
    try:
        images, questions, answers = (_active(path, part) for path, part in zip(paths, PARTS, strict=True))
        files = {item["id"]: text(item["file_name"]) for item in images}
        answer_by_question = {item["question_id"]: str(item["answer"]) for item in answers}
        for question in questions:
            turn = Turn(
                task="change_qa",
                question=text(question["question"]),
                answer=answer_by_question[question["id"]],
                kind=text(question["type"]),
            )
            turns.setdefault(files[question["img_id"]], []).append(turn)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{paths[1]} and its answers are not CDVQA's ({type(error).__name__}: {error}).") from error
    return turns


def _active(path: Path, part: str) -> list[dict[str, Any]]:
    return [item for item in read_json(path)[part] if item.get("active", True)]
