"""Captions in Karpathy's JSON: UCM-Captions, RSICD, Sydney-Captions, and NWPU-Captions' own variant.

The file is `{"images": [{"filename", "split", "sentences": [{"raw"}]}], "dataset"}` (arXiv 1712.07835 for RSICD).
NWPU-Captions (arXiv 2204.10022) groups by class and names the sentences `raw`, `raw_1` .. `raw_4`.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rsvlm.data.sources.layout import ImageIndex, candidate_folders, find_file, normalize_split, read_json
from rsvlm.data.sources.records import text
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

FOLDERS = ("imgs", "images", "RSICD_images", "NWPU_images", "Sydney_images")


def caption_entries(path: Path) -> list[tuple[str, str, tuple[str, ...], str]]:
    """(file name, split, captions, class folder or "") of each image listed. Raises BadInput on another layout."""
    data = read_json(path)
    try:
        if isinstance(data, Mapping) and "images" in data:
            return [
                (_path(item), normalize_split(item["split"]), _captions(s["raw"] for s in item["sentences"]), "")
                for item in data["images"]
            ]
        return [_nwpu(item, group) for group, items in data.items() for item in items]
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path} is not a Karpathy caption file ({type(error).__name__}: {error}); "
            "expected images with filename, split and sentences[].raw."
        ) from error


def _path(item: Mapping[str, Any]) -> str:
    """The name of a picture, with the folder that some files give it ("filepath", as COCO's)."""
    folder, file = item.get("filepath"), item["filename"]
    if not isinstance(file, str) or not file:
        raise TypeError(f"a filename is {file!r:.40}")
    return f"{folder}/{file}" if folder and not file.startswith(f"{folder}/") else file


def _nwpu(item: Mapping[str, Any], group: str) -> tuple[str, str, tuple[str, ...], str]:
    keys = ["raw", *(f"raw_{number}" for number in range(1, 5))]
    return text(item["filename"]), normalize_split(item["split"]), _captions(item.get(key) or "" for key in keys), group


def _captions(sentences: Iterable[str]) -> tuple[str, ...]:
    """Captions without their margins; blank ones, which RSITMD once had, are none."""
    return tuple(caption for sentence in sentences if (caption := sentence.strip()))


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per image, its first caption the answer and all of them the references."""
    path = folder if folder.is_file() else find_file(folder, "dataset*.json", "*.json")
    folder = path.parent
    listed = caption_entries(path)
    groups = sorted({group for *_, group in listed if group})
    index = ImageIndex(
        [base / group for base in candidate_folders(folder, *FOLDERS) for group in groups]
        + candidate_folders(folder, *FOLDERS)
    )
    for filename, split, captions, group in listed:
        if not captions:
            continue
        turn = Turn(task="caption", question="", answer=captions[0], references=captions)
        image = Image(path=index(filename, folder / FOLDERS[0]))
        meta = {"class": group} if group else {}
        yield Sample(id=f"{name}/{filename}", images=(image,), turns=(turn,), source=name, split=split, meta=meta)


def caption_splits(folder: Path) -> dict[str, str]:
    """File stem -> split of a caption set; empty where `folder` has no caption file (sets that share images)."""
    paths = sorted(folder.glob("dataset*.json")) if folder.is_dir() else []
    return {Path(filename).stem: split for filename, split, *_ in caption_entries(paths[0])} if paths else {}
