"""RSIVQA (Zheng et al., TGRS 2021, its UCM part): lines `N.tif:question?answer` over the pictures of UCM-Captions."""

from collections.abc import Iterator
from pathlib import Path

from rsvlm.data.sources import karpathy
from rsvlm.data.sources.layout import ImageIndex, candidate_folders, find_file, hashed_split, read_json
from rsvlm.data.text_file import read_lines
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

FILES = ("ucm_res.txt", "ucm_vqa.txt")
_FORMS = (
    ("how many", "count"),
    ("what is the theme", "theme"),
    ("what is the location", "location"),
    ("where", "location"),
    ("what is the colo", "colour"),
    ("does", "presence"),
    ("is there", "presence"),
    ("are there", "presence"),
)


def question_kind(question: str) -> str:
    """theme, presence, location, count or colour by the form of the question; "other" for the rest."""
    form = " ".join(question.lower().split())
    return next((kind for start, kind in _FORMS if form.startswith(start)), "other")


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per picture with all its turns; lines listed in `garbled.json` and questions that lost their noun go.

    The split is that of UCM-Captions for the same picture (looked for beside and inside `folder`; a picture it does not
    list is test), the fixed hash only where UCM-Captions is not there.
    """
    garbled = _garbled(folder)
    turns: dict[str, list[Turn]] = {}
    find_file(folder, *FILES)
    for path in (folder / file for file in FILES if (folder / file).is_file()):
        for number, line in enumerate(read_lines(path), 1):
            if line.strip():
                _add(line, f"{path} line {number}", garbled, turns)
    neighbour = folder.resolve().parent / "UCM_captions"
    shared = karpathy.caption_splits(folder) or karpathy.caption_splits(neighbour)
    index = ImageIndex([*candidate_folders(folder, "imgs", "images"), *candidate_folders(neighbour, *karpathy.FOLDERS)])
    for file, asked in turns.items():
        split = shared.get(Path(file).stem, "test") if shared else hashed_split(file)
        image = Image(path=index(file, neighbour / "imgs"))
        yield Sample(id=f"{name}/{file}", images=(image,), turns=tuple(asked), source=name, split=split)


def _garbled(folder: Path) -> set[tuple[str, str]]:
    path = folder / "garbled.json"
    return {(file, question) for file, question in read_json(path)} if path.is_file() else set()


def _add(line: str, where: str, garbled: set[tuple[str, str]], turns: dict[str, list[Turn]]) -> None:
    file, colon, rest = line.partition(":")
    question, mark, answer = rest.rpartition("?")
    if not colon or not mark:
        raise BadInput(f"{where} reads {line[:60]!r}; expected 'N.tif:question?answer'.")
    question += "?"
    if (file, question) in garbled or "  " in question.strip() or not answer.strip():
        return
    turn = Turn(task="vqa", question=question.strip(), answer=answer.strip(), kind=question_kind(question))
    turns.setdefault(file, []).append(turn)
