"""Layouts that many sets share: a user's own annotations."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rsvlm.data import formats
from rsvlm.data.cards import DatasetCard
from rsvlm.data.sources import coco, dota, voc
from rsvlm.data.sources.layout import find_file, hashed_split
from rsvlm.sample import Sample


def read_llava(path: Path, name: str) -> Iterator[Sample]:
    """A LLaVA JSON file, or the first in a folder; the split is the file's own, else `hashed_split` of the image."""
    file = path if path.is_file() else find_file(path, "*.json", "*.jsonl")
    for sample in formats.read(file):
        known_by = sample.images[0].path if sample.images else sample.id
        yield replace(sample, source=sample.source or name, split=sample.split or hashed_split(known_by))


# fmt: off
CARDS = (
    DatasetCard(
        name="voc", title="Pascal VOC layout", folder="",
        files=("Annotations/*.xml", "JPEGImages/*", "ImageSets/Main/*.txt"),
        splits="ImageSets/Main, else by hash of the file name", licence="the user's",
        source="http://host.robots.ox.ac.uk/pascal/VOC/",
        reader=voc.read, tasks=("detect",),
    ),
    DatasetCard(
        name="coco", title="COCO layout", folder="", files=("annotations/instances_*.json", "images/*"),
        splits="by file name, else by hash of the image name", licence="the user's", source="https://cocodataset.org",
        reader=coco.read, tasks=("detect", "caption"),
    ),
    DatasetCard(
        name="dota", title="DOTA layout", folder="", files=("<split>/labelTxt/*.txt", "<split>/images/*.png"),
        splits="by folder, else by hash of the file name", licence="the user's", source="arXiv:1711.10398",
        reader=dota.read, tasks=("detect",),
    ),
    DatasetCard(
        name="llava", title="LLaVA JSON", folder="", files=("*.json", "the images it names"),
        splits="the file's own, else by hash of the image name", licence="the user's", source="arXiv:2304.08485",
        reader=read_llava, tasks=("instruct",),
    ),
)
# fmt: on
