"""Pairs with a change mask: LEVIR-CD (arXiv 2003.05256's folders A, B, label) and DSIFN (t1, t2, mask).

Both are published with a folder for each split and copied without; a list beside the folders (`list/train.txt`), or a
file name that begins with train, val or test, then says it.
"""

from collections.abc import Iterator
from pathlib import Path

from rsvlm.data.sources.label_files import images_by_stem, mask_regions, read_mask
from rsvlm.data.sources.layout import SPLITS, find_optional, hashed_split
from rsvlm.data.text_file import read_text
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

BEFORE, AFTER, LABEL = ("A", "t1", "im1", "T1"), ("B", "t2", "im2", "T2"), ("label", "mask", "OUT", "GT")


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per label picture, task `change_mask`; its region, where anything changed, is in the second image.

    Pixels of a label may be 0/255 or 0/1. Pairs without a label picture are not annotated and are left out. Raises
    BadInput for a label without its two pictures, or of another size.
    """
    parts = [(folder / split, split) for split in SPLITS if (folder / split).is_dir()] or [(folder, "")]
    for place, split in parts:
        folders = [next((place / kind for kind in kinds if (place / kind).is_dir()), None)
                   for kinds in (BEFORE, AFTER, LABEL)]  # fmt: skip
        before, after, labels = ({} if one is None else images_by_stem(one) for one in folders)
        if not labels:
            raise BadInput(f"{place} holds no label pictures; expected the folders A, B and label (or t1, t2, mask).")
        listed = _lists(folder)
        for stem, path in labels.items():
            if stem not in before or stem not in after:
                raise BadInput(f"{path} labels a pair that is not there; expected {stem} in both picture folders.")
            yield _sample(name, stem, (before[stem], after[stem]), path, split or listed.get(stem) or _split(stem))


def _sample(name: str, stem: str, pair: tuple[Path, Path], label: Path, split: str) -> Sample:
    mask = read_mask(label)
    height, width = mask.shape
    return Sample(
        id=f"{name}/{split}/{stem}",
        images=(
            Image(path=str(pair[0]), width=width, height=height),
            Image(path=str(pair[1]), width=width, height=height),
        ),
        turns=(Turn(task="change_mask", question="", answer="", kind="changed" if mask.any() else "unchanged"),),
        regions=mask_regions("change", mask, 1), source=name, split=split,
    )  # fmt: skip


def _lists(folder: Path) -> dict[str, str]:
    """Stem -> split, from lists of file names."""
    splits: dict[str, str] = {}
    for split in SPLITS:
        path = find_optional(folder, f"list/{split}.txt", f"{split}.txt")
        for line in read_text(path).split() if path else ():
            splits[Path(line).stem] = split
    return splits


def _split(stem: str) -> str:
    return next((split for split in SPLITS if stem.startswith(f"{split}_")), "") or hashed_split(stem)
