"""RSVG (Sun et al., ACM MM 2022, GeoVG): `rsvg_<split>.pth`, lists of (image, box, sentence, ...).

Layout from the loaders of others; not verified on the real files. The files are pickles: PyTorch reads them with
`weights_only`, which runs no code. The same rows as JSON are taken too.
"""

import importlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsvlm.data.images import picture_size
from rsvlm.data.sources.layout import SPLITS, ImageIndex, candidate_folders, find_optional, read_json
from rsvlm.errors import BadInput, missing_extra
from rsvlm.pickles import check_torch_file
from rsvlm.sample import Image, Region, Sample, Turn


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per sentence; the box is (x1, y1, x2, y2) in pixels of the picture (1024 x 1024).

    Raises BadInput where a file is missing or its rows are of another form, MissingPart without PyTorch.
    """
    index = ImageIndex(candidate_folders(folder, "images", "rsvg/images"))
    sizes: dict[str, tuple[int, int]] = {}
    found = False
    for split in SPLITS:
        path = find_optional(
            folder, *(f"{place}rsvg_{split}.{kind}" for kind in ("json", "pth") for place in ("", "*/"))
        )
        if path is None:
            continue
        found = True
        for number, row in enumerate(_rows(path)):
            try:
                file, box, sentence = str(row[0]), tuple(float(n) for n in row[1]), str(row[2]).strip()
                x1, y1, x2, y2 = box
            except (TypeError, ValueError, IndexError, KeyError) as error:
                raise BadInput(
                    f"{path} row {number} is not (image, [x1, y1, x2, y2], sentence): {str(row)[:80]!r}."
                ) from error
            picture = index(file, folder / "images")
            if picture not in sizes:
                sizes[picture] = picture_size(Image(path=picture)) if Path(picture).is_file() else (0, 0)
            width, height = sizes[picture]
            yield Sample(
                id=f"{name}/{split}/{number}", images=(Image(path=picture, width=width, height=height),),
                turns=(Turn(task="ground", question=sentence, answer=""),),
                regions=(Region(label="", box=(x1, y1, x2, y2)),), source=name, split=split, meta={"file": file},
            )  # fmt: skip
    if not found:
        raise BadInput(f"{folder} holds no rsvg_test.pth; give the folder of RSVG as its authors publish it.")


def _rows(path: Path) -> list[Any]:
    if path.suffix == ".json":
        rows = read_json(path)
    else:
        try:
            torch = importlib.import_module("torch")
        except ImportError as error:
            raise missing_extra("torch", "model") from error
        try:
            check_torch_file(path)
            rows = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            raise BadInput(f"{path} cannot be read as plain lists ({str(error).splitlines()[0]}).") from error
    if not isinstance(rows, list):
        raise BadInput(f"{path} holds a {type(rows).__name__}; expected a list of (image, box, sentence).")
    return rows
