"""FloodNet-VQA (arXiv 2012.02951), Track 2 of the EARTHVISION 2021 challenge: a JSON object of questions a split.

Layout from the loaders of others (`Questions/Training Question.json`, `Images/Train_Image`); not verified on the real
files. The challenge gave answers to the training questions only.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsvlm.data.sources.layout import ImageIndex, candidate_folders, find_optional, hashed_split, read_json
from rsvlm.data.sources.records import text
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

FILES = {"train": "Train*Question*.json", "val": "Valid*Question*.json", "test": "Test*Question*.json"}
PICTURES = tuple(f"Images/{name}_Image" for name in ("Train", "Valid", "Test"))


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per picture with its answered questions; `kind` is the authors' `Question_Type`.

    Where the validation or test file has answers, the published splits are kept. Where neither has (the challenge's own
    files), the training pictures are split by `hashed_split`. Raises BadInput on another layout.
    """
    root = next((path for path in (folder, *sorted(folder.glob("*Track*2*"))) if (path / "Questions").is_dir()), folder)
    found = {split: find_optional(root, f"Questions/{pattern}", pattern) for split, pattern in FILES.items()}
    if found["train"] is None:
        raise BadInput(f"{folder} holds no 'Questions/Training Question.json'; give the folder of FloodNet's Track 2.")
    asked = {split: _turns(path) for split, path in found.items() if path is not None}
    published = bool(asked.get("val") or asked.get("test"))
    index = ImageIndex(candidate_folders(root, *PICTURES, "Images"))
    for split, pictures in asked.items():
        for file, turns in pictures.items():
            yield Sample(
                id=f"{name}/{file}", images=(Image(path=index(file, root / PICTURES[0])),), turns=tuple(turns),
                source=name, split=split if published else hashed_split(file),
            )  # fmt: skip


def _turns(path: Path) -> dict[str, list[Turn]]:
    """Image file -> its turns; questions without an answer are left out."""
    data, turns = read_json(path), dict[str, list[Turn]]()
    try:
        entries: Any = data.values() if isinstance(data, Mapping) else data
        for item in entries:
            answer = str(item.get("Ground_Truth", "")).strip()
            if answer:
                turn = Turn(
                    task="vqa", question=text(item["Question"]), answer=answer, kind=text(item["Question_Type"])
                )
                turns.setdefault(text(item["Image_ID"]), []).append(turn)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path} is not a FloodNet question file ({type(error).__name__}: {error}); "
            "expected objects with Image_ID, Question, Question_Type and Ground_Truth."
        ) from error
    return turns
