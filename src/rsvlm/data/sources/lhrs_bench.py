"""LHRS-Bench (arXiv 2402.02544): `qa.json` with single-choice questions, options in one string.

Layout from the authors' `main_bench_gen.py`; not verified on the real file.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsvlm.data.prompt import LETTERS
from rsvlm.data.sources.layout import ImageIndex, candidate_folders, find_file, read_json
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per image with its questions as `choice` turns; all `test`.

    `kind` is the first of the question's types in words ("identity"); a question may have several: all of them are in
    `meta["types"]`, a list per turn. Raises BadInput on another layout, options that cannot be told apart, and an
    answer that is none of them.
    """
    path = find_file(folder, "qa.json", "*/qa.json")
    data = read_json(path)
    index = ImageIndex(candidate_folders(path.parent, "imgs_jpg", "imgs_png", "images"))
    try:
        names = dict(key.split(" ", 1) for key in data["qtype"])
        for item in data["data"]:
            asked = [_turn(pair, names) for pair in item["qa_pairs"]]
            image = Image(path=index(item["filename"], path.parent / "imgs_jpg"))
            yield Sample(
                id=f"{name}/{item['filename']}", images=(image,),
                turns=tuple(turn for turn, _ in asked), source=name, split="test",
                meta={"types": [types for _, types in asked]},
            )  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(
            f"{path} is not LHRS-Bench's qa.json ({type(error).__name__}: {error}); expected qtype and "
            "data[].qa_pairs[] with question, choices, answer and type."
        ) from error


def _turn(pair: dict[str, Any], names: dict[str, str]) -> tuple[Turn, list[str]]:
    options = parse_choices(pair["choices"])
    letter = str(pair["answer"]).strip()[:1].upper()
    place = LETTERS.find(letter) if letter else -1
    if not 0 <= place < len(options):
        raise ValueError(f"the answer {pair['answer']!r} is none of {len(options)} options")
    types = [names[str(key)] for key in pair["type"]]
    question = str(pair["question"]).strip()
    return Turn(task="choice", question=question, answer=options[place], kind=types[0], choices=options), types


def parse_choices(text: str | list[str]) -> tuple[str, ...]:
    """The options of "A. one B. two C. three" (or "(A) one\\n(B) two", or a list of them), letters dropped.

    Letters count only in order: an "E." inside an option that is not the next letter is text.
    """
    if not isinstance(text, str):
        return tuple(re.sub(r"^\s*\(?[A-Z][.):]\s*", "", str(option)).strip() for option in text)
    starts: list[tuple[int, int]] = []
    at = 0
    for letter in LETTERS:
        found = re.compile(rf"(?:^|(?<=\s)|(?<=[,;])|(?<=\())\(?{letter}[.):]\s*").search(text, at)
        if found is None:
            break
        starts.append(found.span())
        at = found.end()
    if len(starts) < 2:
        raise ValueError(f"no options A., B. in {text[:60]!r}")
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return tuple(text[begin:end].strip(" \n\t,;(") for (_, begin), end in zip(starts, ends, strict=True))
