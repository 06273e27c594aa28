"""RefSegRS (arXiv 2306.08625): a phrase and a mask, `output_phrase_<split>.txt` with lines "<id> <phrase>".

Layout from the loaders of others that agree; not verified on the real files. Picture and mask are `images/<id>.tif` and
`masks/<id>.tif`; every pixel of a mask that is not 0 counts.
"""

from collections.abc import Iterator
from pathlib import Path

from rsvlm.data.sources.label_files import images_by_stem, mask_regions, read_mask
from rsvlm.data.sources.layout import SPLITS, find_optional
from rsvlm.data.text_file import read_lines
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per line, task `segment`; the region is absent where the mask is empty.

    Raises BadInput without a list, for a line without a phrase and for an id without its mask.
    """
    lists = {
        split: find_optional(folder, f"output_phrase_{split}.txt", f"*/output_phrase_{split}.txt") for split in SPLITS
    }
    if not any(lists.values()):
        raise BadInput(
            f"{folder} holds no output_phrase_test.txt; give the folder of RefSegRS as its authors publish it."
        )
    for split, path in lists.items():
        if path is None:
            continue
        shown, masks = images_by_stem(path.parent / "images"), images_by_stem(path.parent / "masks")
        for number, line in enumerate(read_lines(path), 1):
            key, _, phrase = line.strip().partition(" ")
            if not key:
                continue
            if not phrase.strip():
                raise BadInput(f"{path} line {number} holds no phrase: {line!r}; expected <id> <phrase>.")
            if key not in masks:
                raise BadInput(f"{path} line {number} names {key}, which has no picture in {path.parent / 'masks'}.")
            mask = read_mask(masks[key])
            where = shown.get(key, path.parent.resolve() / "images" / f"{key}.tif")
            yield Sample(
                id=f"{name}/{split}/{number}",
                images=(Image(path=str(where), width=mask.shape[1], height=mask.shape[0]),),
                turns=(Turn(task="segment", question=phrase.strip(), answer=""),), regions=mask_regions("", mask),
                source=name, split=split, meta={"file": key},
            )  # fmt: skip
