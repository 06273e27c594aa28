"""The data sets we know by name: where their files lie, how they are read, under which terms, how many there are.

`load("ucm_captions", "/data", split="train")` gives Samples. Nothing is ever fetched; a user brings the folder as its
authors publish it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from rsvlm.data import formats
from rsvlm.data.sources import coco, dota, folders, karpathy, rsivqa, rsvqa, voc
from rsvlm.data.sources.layout import SPLITS, find_file, hashed_split
from rsvlm.errors import BadInput
from rsvlm.registry import Registry
from rsvlm.sample import Sample

Reader = Callable[[Path, str], Iterable[Sample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCard:
    """What the catalogue says about one data set.

    `folder` is its usual name below a data root, `also` are other folders that hold the same content ("" = the path
    itself: the generic layouts). `files` says what the reader looks for, `splits` where the split comes from,
    `counts` how many images its authors publish per split. `source` is a page or arXiv id. `reader(folder, name)`
    yields all Samples.
    """

    name: str
    title: str
    folder: str
    files: tuple[str, ...]
    splits: str
    licence: str
    source: str
    reader: Reader
    tasks: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    also: tuple[str, ...] = ()


DATASETS: Registry[DatasetCard] = Registry("data set")

_HASH = "none published: 80/20 train/val by SHA-256 of the file name"


def load(name: str, root: str | Path, split: str = "train", *, skip_missing: bool = False) -> list[Sample]:
    """The Samples of a data set's split, in the order of its annotation file.

    `root` is a data root that contains the set's folder, or that folder itself (a file, for the generic layouts).
    `split` is train, val, test or all. Raises BadInput for an unknown name or split, a folder without the expected
    files, a split that is empty, and for images that are annotated but absent (the first is named and all are
    counted); these are left out with `skip_missing`.
    """
    card = DATASETS[name]
    if split not in (*SPLITS, "all"):
        raise BadInput(f"There is no split {split!r}; give train, val, test or all.")
    samples = list(card.reader(locate(card, root), name))
    chosen = [sample for sample in samples if split in ("all", sample.split)]
    if not chosen:
        there = Counter(sample.split for sample in samples)
        found = ", ".join(f"{count} {key}" for key, count in sorted(there.items())) or "none at all"
        raise BadInput(f"{card.title} at {root} has no {split} samples (found: {found}); choose another split.")
    missing = [image.path for sample in chosen for image in sample.images if not _there(image.path, image.data)]
    if not missing:
        return chosen
    if not skip_missing:
        raise BadInput(
            f"{card.title}: {len(missing)} of {sum(len(s.images) for s in chosen)} annotated images are missing, the "
            f"first is {missing[0]}; bring them, or leave their samples out with skip_missing (--skip-missing)."
        )
    gone = set(missing)
    return [sample for sample in chosen if not any(image.path in gone for image in sample.images)]


def _there(path: str, data: bytes | None) -> bool:
    return data is not None or Path(path).is_file()


def locate(card: DatasetCard, root: str | Path) -> Path:
    """The folder (or file) of a data set: below `root`, or `root` itself. Raises BadInput where there is nothing."""
    root = Path(root)
    if not root.exists():
        raise BadInput(f"There is no {root}; give the data root, or the folder of {card.title}.")
    for folder in (card.folder, *card.also):
        if folder and (root / folder).exists():
            return root / folder
    return root


def _read_llava(path: Path, name: str) -> Iterator[Sample]:
    """A LLaVA JSON file, or the first in a folder; the split is the file's own, else `hashed_split` of the image."""
    file = path if path.is_file() else find_file(path, "*.json", "*.jsonl")
    for sample in formats.read(file):
        known_by = sample.images[0].path if sample.images else sample.id
        yield replace(sample, source=sample.source or name, split=sample.split or hashed_split(known_by))


# fmt: off
_CARDS = (
    DatasetCard(
        name="ucm_captions", title="UCM-Captions", folder="UCM_captions", files=("dataset.json", "imgs/N.tif"),
        splits="published", licence="imagery USGS public domain; captions for research",
        source="https://github.com/201528014227051/RSICD_optimal", reader=karpathy.read, tasks=("caption",),
        counts={"train": 1680, "val": 210, "test": 210},
    ),
    DatasetCard(
        name="rsicd", title="RSICD", folder="RSICD", files=("dataset_rsicd.json", "RSICD_images/*.jpg"),
        splits="published", licence="research", source="arXiv:1712.07835", reader=karpathy.read, tasks=("caption",),
        counts={"train": 8734, "val": 1094, "test": 1093},
    ),
    DatasetCard(
        name="sydney_captions", title="Sydney-Captions", folder="Sydney_captions", files=("dataset.json", "imgs/N.tif"),
        splits="published", licence="research", source="https://github.com/201528014227051/RSICD_optimal",
        reader=karpathy.read, tasks=("caption",), counts={"train": 497, "val": 58, "test": 58},
    ),
    DatasetCard(
        name="nwpu_captions", title="NWPU-Captions", folder="NWPU_captions",
        files=("dataset_nwpu.json", "NWPU_images/<class>/*.jpg"), splits="published", licence="research",
        source="https://github.com/HaiyanHuang98/NWPU-Captions", reader=karpathy.read, tasks=("caption",),
        counts={"train": 25200, "val": 3150, "test": 3150},
    ),
    DatasetCard(
        name="eurosat", title="EuroSAT RGB", folder="EuroSAT_RGB", also=("EuroSAT", "2750"), files=("<class>/*.jpg",),
        splits=_HASH, licence="MIT", source="arXiv:1709.00029", reader=folders.read, tasks=("scene",),
        counts={"all": 27000},
    ),
    DatasetCard(
        name="aid", title="AID", folder="AID", also=("RSICD",), files=("<class>/*.jpg",),
        splits=f"{_HASH}; RSICD's where its pictures are read from RSICD", licence="research",
        source="arXiv:1608.05167", reader=folders.read_aid, tasks=("scene",), counts={"all": 10000},
    ),
    DatasetCard(
        name="ucm_scenes", title="UC Merced Land Use", folder="UCMerced_LandUse", also=("UCM_captions",),
        files=("Images/<class>/*.tif", "or UCM-Captions with classes.txt"),
        splits=f"{_HASH}; UCM-Captions' where it is there", licence="imagery USGS public domain",
        source="http://weegee.vision.ucmerced.edu/datasets/landuse.html", reader=folders.read_ucm, tasks=("scene",),
        counts={"all": 2100},
    ),
    DatasetCard(
        name="rsscn7", title="RSSCN7", folder="RSSCN7", files=("<class>/*.jpg",), splits=_HASH, licence="research",
        source="https://github.com/palewithout/RSSCN7", reader=folders.read, tasks=("scene",), counts={"all": 2800},
    ),
    DatasetCard(
        name="rsivqa", title="RSIVQA (UCM part)", folder="RSIVQA", files=(*rsivqa.FILES, "garbled.json"),
        splits="UCM-Captions', by shared image", licence="research", source="https://github.com/spectralpublic/RSIVQA",
        reader=rsivqa.read, tasks=("vqa",), counts={"all": 2100},
    ),
    DatasetCard(
        name="ships", title="Ships in aerial images", folder="Ships", files=("annotations/*.xml", "images/*"),
        splits=_HASH, licence="said to be CC0", source="https://www.kaggle.com/datasets/andrewmvd/ship-detection",
        reader=partial(voc.read, first_pixel=0), tasks=("detect",), counts={"all": 621},
    ),
    DatasetCard(
        name="hit_uav", title="HIT-UAV", folder="HIT-UAV", files=("instances.json", "images/*.jpg"), splits=_HASH,
        licence="CC BY 4.0", source="arXiv:2204.03245", reader=coco.read, tasks=("detect",), counts={"all": 2898},
    ),
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
        name="rsvqa_lr", title="RSVQA low resolution", folder="RSVQA_LR",
        files=("LR_split_<split>_{images,questions,answers}.json", "Images_LR/N.tif"), splits="published",
        licence="CC BY 4.0", source="https://rsvqa.sylvainlobry.com", reader=rsvqa.read, tasks=("vqa",),
        counts={"train": 572, "val": 100, "test": 100},
    ),
    DatasetCard(
        name="rsvqa_hr", title="RSVQA high resolution", folder="RSVQA_HR",
        files=("USGS_split_<split>_{images,questions,answers}.json", "Data/N.tif"), splits="published, two test sets",
        licence="CC BY 4.0", source="https://rsvqa.sylvainlobry.com", reader=rsvqa.read, tasks=("vqa",),
        counts={"all": 10659},
    ),
    DatasetCard(
        name="dota", title="DOTA layout", folder="", files=("<split>/labelTxt/*.txt", "<split>/images/*.png"),
        splits="by folder, else by hash of the file name", licence="the user's", source="arXiv:1711.10398",
        reader=dota.read, tasks=("detect",),
    ),
    DatasetCard(
        name="llava", title="LLaVA JSON", folder="", files=("*.json", "the images it names"),
        splits="the file's own, else by hash of the image name", licence="the user's", source="arXiv:2304.08485",
        reader=_read_llava, tasks=("instruct",),
    ),
)
# fmt: on

for _card in _CARDS:
    DATASETS.add(_card.name, _card)
