"""VRSBench (arXiv 2406.12384): captions, questions and referring sentences over 512-pixel patches of DOTA-v2 and DIOR.

Layout from the authors' `prepare_eval_all.ipynb` and file names: `VRSBench_EVAL_{Cap,vqa,referring}.json` over
`Images_val/`, and `Annotations_train/*.json` over `Images_train/`. Traps: the evaluation files are JSON lists, the
metric notebooks read JSON lines (both are taken); the key is `unique` in one place and `is_unique` in another; the box
text `{<x1><y1><x2><y2>}` holds numbers cut off at whole hundredths, so the corners (`obj_corner`, fractions) are the
target where they are given.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsvlm.data.images import picture_size
from rsvlm.data.sources import dior_rsvg
from rsvlm.data.sources.layout import ImageIndex, candidate_folders, read_json, read_records
from rsvlm.data.sources.records import text
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Region, Sample, Turn

CAPTIONS, QUESTIONS, REFERRING = (f"VRSBench_EVAL_{part}.json" for part in ("Cap", "vqa", "referring"))
LEAK = "in_dior_rsvg_train"  # True for a patch of an image with an expression in DIOR-RSVG's training split
_SIZE = (512, 512)
_DIOR = re.compile(r"\d{5}")


def read(folder: Path, name: str) -> Iterator[Sample]:
    """Per picture one Sample with caption and question turns, and one Sample per referring sentence.

    The authors' validation part is `val`, their training part `train`. A referring sample has `meta["unique"]`,
    `meta["size_group"]`, `meta["ground_truth"]` (the box text as published) and, where DIOR-RSVG lies beside `folder`,
    `meta["in_dior_rsvg_train"]`. Raises BadInput where neither part is there or a record is of another form.
    """
    training = sorted((folder / "Annotations_train").glob("*.json"))
    if not training and not any((folder / file).is_file() for file in (CAPTIONS, QUESTIONS, REFERRING)):
        raise BadInput(f"{folder} holds neither {REFERRING} nor Annotations_train/; give the folder of VRSBench.")
    index = ImageIndex(candidate_folders(folder, "Images_val", "Images_train", "images", "Images"))
    yield from _evaluation(folder, name, index)
    for path in training:
        item = read_json(path)
        try:
            turns = (_caption(item["caption"]), *map(_question, item.get("qa_pairs", ())))
            file = item["image"]
            yield _picture(name, file, turns, index, folder, "train")
            for number, entry in enumerate(item.get("objects", ())):
                yield _referring(name, number, file, entry, index, folder, "train", {})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"{path} is not a VRSBench annotation ({type(error).__name__}: {error}).") from error


def _evaluation(folder: Path, name: str, index: ImageIndex) -> Iterator[Sample]:
    pictures: dict[str, list[Turn]] = {}
    leak = _leak(folder)
    for file, turn_of in ((CAPTIONS, _caption), (QUESTIONS, _question)):
        for number, item in enumerate(_records(folder / file)):
            try:
                pictures.setdefault(text(item["image_id"]), []).append(turn_of(item))
            except (KeyError, TypeError) as error:
                raise BadInput(f"{folder / file} record {number}: {type(error).__name__}: {error}.") from error
    for file, turns in pictures.items():
        yield _picture(name, file, tuple(turns), index, folder, "val")
    for number, item in enumerate(_records(folder / REFERRING)):
        try:
            meta = {LEAK: _dior_number(item["image_id"]) in leak} if leak is not None else {}
            yield _referring(name, item.get("question_id", number), item["image_id"], item, index, folder, "val", meta)
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{folder / REFERRING} record {number}: {type(error).__name__}: {error}.") from error


def _records(path: Path) -> list[Any]:
    return read_records(path) if path.is_file() else []


def _caption(item: Any) -> Turn:
    answer = item if isinstance(item, str) else item["ground_truth"]
    question = "Describe the image in detail" if isinstance(item, str) else item["question"]
    return Turn(task="caption", question=text(question), answer=text(answer))


def _question(item: Mapping[str, Any]) -> Turn:
    answer = str(item["ground_truth"] if "ground_truth" in item else item["answer"])
    return Turn(task="vqa", question=text(item["question"]), answer=answer, kind=str(item["type"]).strip().lower())


def _picture(name: str, file: str, turns: tuple[Turn, ...], index: ImageIndex, folder: Path, split: str) -> Sample:
    image = Image(path=index(file, folder / "Images_val"))
    return Sample(id=f"{name}/{file}", images=(image,), turns=turns, source=name, split=split)


def _referring(
    name: str,
    number: int,
    file: str,
    item: Mapping[str, Any],
    index: ImageIndex,
    folder: Path,
    split: str,
    meta: dict[str, Any],
) -> Sample:
    path = index(file, folder / "Images_val")
    width, height = picture_size(Image(path=path)) if Path(path).is_file() else _SIZE
    region = _region(item, (width, height))
    unique = item["unique"] if "unique" in item else item.get("is_unique")
    kept = {"unique": bool(unique), "size_group": item.get("size_group", item.get("obj_size", ""))}
    kept |= {"ground_truth": item["ground_truth"]} if "ground_truth" in item else {}
    phrase = item["question"] if "question" in item else item["referring_sentence"]
    return Sample(
        id=f"{name}/{file}/ref{number}", images=(Image(path=path, width=width, height=height),),
        turns=(Turn(task="ground", question=phrase, answer=""),), regions=(region,), source=name, split=split,
        meta=kept | meta,
    )  # fmt: skip


def _region(item: Mapping[str, Any], size: tuple[int, int]) -> Region:
    label = str(item.get("obj_cls", "")).lower()
    corners = [float(n) * size[k % 2] for k, n in enumerate(item.get("obj_corner") or ())]
    if corners:
        xs, ys = corners[::2], corners[1::2]
        ring = tuple(zip(xs, ys, strict=True))
        return Region(label=label, box=(min(xs), min(ys), max(xs), max(ys)), polygon=ring)
    x1, y1, x2, y2 = (int(n) / 100 * size[k % 2] for k, n in enumerate(re.findall(r"\d+", item["ground_truth"])[:4]))
    return Region(label=label, box=(x1, y1, x2, y2))


def _leak(folder: Path) -> set[str] | None:
    """Numbers of DIOR's images in DIOR-RSVG's training split; None where DIOR-RSVG is not beside `folder`."""
    beside = [folder.resolve().parent / place for place in ("DIOR_RSVG", "DIOR-RSVG")]
    return next((dior_rsvg.training_images(place) for place in beside if place.is_dir()), None)


def _dior_number(file: str) -> str:
    """ "00011" of "00011_0000.png"; "" for a patch of DOTA ("P0003_0002.png")."""
    head = file.split("_")[0].split(".")[0]
    return head if _DIOR.fullmatch(head) else ""
