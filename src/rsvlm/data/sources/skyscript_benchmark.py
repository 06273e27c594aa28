"""SkyScript's benchmark layout (arXiv 2312.12856): a CSV of file and label, class names one a line.

`<set>/img_txt_pairs_<split>.csv` has the columns `filepath` and `label`, or `label_v1` and `label_v2`, two wordings of
one class, with `classnames_v1.txt` and `classnames_v2.txt`. Layout from the authors' `benchmark_dataset_info.py` and
notebook; not verified on the real files. The published file is the test set, whatever split its name says.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from rsvlm.data.sources.layout import find_file, find_optional
from rsvlm.data.text_file import read_lines
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per labelled row, task `scene`; `meta["label_v2"]` where there is a second wording.

    A label may be the number of its class. Rows without one are left out, as the authors do. `meta["classes"]` are all
    class names. Raises BadInput for other columns and for a label that is no class.
    """
    path = find_file(folder, "*img_txt_pairs_*.csv", "*/*img_txt_pairs_*.csv")
    classes = {version: _names(path.parent, version) for version in ("", "_v1", "_v2")}
    seen: set[str] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                first, second = (_label(row, classes, v) for v in ("_v1" if "label_v1" in row else "", "_v2"))
                if not first or row["filepath"] in seen:
                    continue
                seen.add(row["filepath"])
                second_level = {"label_v2": second, "classes_v2": list(classes["_v2"])} if second else {}
                names = classes["_v1"] or classes[""]
                yield Sample(
                    id=f"{name}/{row['filepath']}", images=(Image(path=_picture(path.parent, row["filepath"])),),
                    turns=(Turn(task="scene", question="", answer=first, kind=first),), source=name, split="test",
                    meta={"classes": list(names)} | second_level,
                )  # fmt: skip
    except (KeyError, TypeError, ValueError, IndexError, csv.Error) as error:
        raise BadInput(
            f"{path} is not SkyScript's ({type(error).__name__}: {error}); expected columns filepath and label, or "
            "label_v1."
        ) from error


def _names(folder: Path, version: str) -> tuple[str, ...]:
    path = find_optional(folder, f"classnames{version}.txt")
    return tuple(line.strip() for line in read_lines(path) if line.strip()) if path else ()


def _label(row: Mapping[str, str | None], classes: Mapping[str, tuple[str, ...]], version: str) -> str:
    """The class that a row names or numbers; "" where it is empty."""
    text = (row[f"label{version}"] if version != "_v2" else row.get("label_v2") or "") or ""
    names = classes[version]
    if re.fullmatch(r"\d+(\.0)?", text) and text not in names:
        return names[int(float(text))]
    if text and names and text not in names:
        raise ValueError(f"label {text!r} is none of {len(names)} classes")
    return text


def _picture(folder: Path, file: str) -> str:
    """Paths are relative to the folder of all sets; copies of one set keep only what is below its own."""
    places = (folder.parent / file, folder / file, folder / "images" / Path(file).name, folder / Path(file).name)
    return str(next((place for place in places if place.is_file()), places[0]).resolve())
