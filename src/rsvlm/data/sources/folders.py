"""Scenes in class folders (EuroSAT, AID, UCMerced, NWPU-RESISC45, ...); two scene sets that live in caption sets."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rsvlm.data.sources import karpathy
from rsvlm.data.sources.layout import (
    IMAGE_SUFFIXES,
    SPLITS,
    ImageIndex,
    candidate_folders,
    class_words,
    find_file,
    find_optional,
    hashed_split,
)
from rsvlm.data.text_file import read_text
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

# UCM-Captions numbers the UCMerced images class by class: image N is number (N - 1) % 100 of class (N - 1) // 100.
UCM_PER_CLASS = 100


def scene(name: str, path: str, kind: str, split: str, **meta: str) -> Sample:
    """The Sample of one picture of one class; `kind` is the class as its authors write it."""
    turn = Turn(task="scene", question="", answer=class_words(kind), kind=kind)
    file = Path(path).name
    return Sample(id=f"{name}/{file}", images=(Image(path=path),), turns=(turn,), source=name, split=split, meta=meta)


def read_numbered(folder: Path, name: str) -> Iterator[Sample]:
    """As `read`, for sets that number the pictures of each class alike (SIRI-WHU's `pond/0002.tif`).

    The class is part of the id and of what is hashed for the split.
    """
    for sample in read(folder, name):
        kind, file = sample.turns[0].kind, Path(sample.images[0].path).name
        by_folder = Path(sample.images[0].path).parents[1].name in SPLITS
        yield replace(
            sample, id=f"{name}/{kind}/{file}", split=sample.split if by_folder else hashed_split(f"{kind}_{file}")
        )


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per picture in `folder/<class>/`, or in a single folder between (EuroSAT's `2750/`, UCM's `Images/`).

    Folders train, val and test above the classes are taken as the split; else the split is `hashed_split`.
    """
    if any((folder / split).is_dir() for split in ("train", "val", "test")):
        for split in ("train", "val", "test"):
            for sample in _classes(folder / split, name) if (folder / split).is_dir() else ():
                yield scene(name, sample[0], sample[1], split)
        return
    for path, kind in _classes(folder, name):
        yield scene(name, path, kind, hashed_split(path))


def _classes(folder: Path, name: str) -> Iterator[tuple[str, str]]:
    children = sorted(
        child for child in folder.resolve().iterdir() if child.is_dir() and not child.name.startswith(".")
    )
    found = False
    for child in children:
        for path in sorted(child.iterdir()):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                found = True
                yield str(path), child.name
    if not found:
        if len(children) == 1:
            yield from _classes(children[0], name)
            return
        raise BadInput(
            f"{folder} holds no class folders with images; give the folder of {name} as its authors publish it."
        )


def read_aid(folder: Path, name: str) -> Iterator[Sample]:
    """AID from its class folders; or from RSICD, whose pictures are AID's (class = file name before `_`).

    From RSICD the split is RSICD's, so that captions and scenes never disagree about an image; `meta["scene_set"]` is
    "AID@RSICD" there, because sizes and splits differ from AID's own.
    """
    listing = find_optional(folder, "dataset*.json")
    if listing is None:
        yield from read(folder, name)
        return
    index = ImageIndex(candidate_folders(folder, *karpathy.FOLDERS))
    for filename, split, *_ in karpathy.caption_entries(listing):
        kind = filename.rsplit("_", 1)[0]
        if "_" in filename:  # RSICD names some pictures by number only: their class is unknown
            yield scene(name, index(filename, folder), kind, split, scene_set="AID@RSICD")


def read_ucm(folder: Path, name: str) -> Iterator[Sample]:
    """UCMerced scenes from its class folders, or from UCM-Captions with the list of classes in `classes.txt`.

    Where UCM-Captions lies beside the class folders its split is followed, because the two share their images.
    """
    if find_optional(folder, "classes.txt") is None:
        shared = karpathy.caption_splits(folder.parent / "UCM_captions")
        names = sorted({sample.turns[0].kind for sample in read(folder, name)}) if shared else []
        for sample in read(folder, name):
            kind, stem = sample.turns[0].kind, Path(sample.images[0].path).stem
            digits = stem.removeprefix(kind)
            number = names.index(kind) * UCM_PER_CLASS + int(digits) + 1 if shared and digits.isdigit() else 0
            split = shared.get(str(number), "test") if shared else sample.split
            yield scene(name, sample.images[0].path, kind, split)
        return
    classes = read_text(find_file(folder, "classes.txt")).split()
    index = ImageIndex(candidate_folders(folder, *karpathy.FOLDERS))
    for filename, split, *_ in karpathy.caption_entries(find_file(folder, "dataset*.json")):
        number = Path(filename).stem
        if not number.isdigit() or not 1 <= int(number) <= len(classes) * UCM_PER_CLASS:
            raise BadInput(
                f"{folder}: image {filename} has no class in classes.txt; expected 1.. {len(classes) * 100}."
            )
        yield scene(name, index(filename, folder), classes[(int(number) - 1) // UCM_PER_CLASS], split)
