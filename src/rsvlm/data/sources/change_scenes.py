"""Whole scenes of two dates with a mask of what changed: xBD (arXiv:1911.09296), OSCD (IGARSS 2018), SZTAKI AirChange.

None publishes a validation part. The scenes, cities and strips held back for validation are ours, and are whole ones.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsvlm.data.images import picture_size
from rsvlm.data.masks import polygon_mask
from rsvlm.data.sources.label_files import mask_regions, read_mask
from rsvlm.data.sources.layout import hashed_split, read_json
from rsvlm.data.sources.records import text
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Region, Sample, Turn

DAMAGED = ("minor-damage", "major-damage", "destroyed")
OSCD = {
    "val": ("beihai", "bordeaux", "paris"),  # ours, of the published training part
    "test": (
        "brasilia",
        "chongqing",
        "dubai",
        "lasvegas",
        "milano",
        "montpellier",
        "norcia",
        "rio",
        "saclay_w",
        "valencia",
    ),
}
SZTAKI = {"val": ("Szada/2", "Tiszadob/2"), "test": ("Szada/1", "Tiszadob/3")}  # test as in the literature, val ours
_RING = re.compile(r"\(\(([^()]*)\)")  # the outer ring of a WKT polygon; xBD's have no holes


def read_xbd(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per scene, `images/<scene>_{pre,post}_disaster.*` and `labels/<scene>_post_disaster.json`.

    The region "damaged" are the buildings of the grades in DAMAGED, as they lie in the later picture; those that nobody
    graded ("un-classified") are not among them. Raises BadInput for a label without its two pictures.
    """
    labels = sorted((folder / "labels").glob("*_post_disaster.json"))
    if not labels:
        raise BadInput(f"{folder} has no labels/*_post_disaster.json; give the folder of xBD with images and labels.")
    for path in labels:
        scene = path.stem.removesuffix("_post_disaster")
        pair = tuple(_picture(folder / "images", f"{scene}_{date}_disaster", path) for date in ("pre", "post"))
        rings = [ring for one in read_json(path)["features"]["xy"] if (ring := _ring(one, path))]
        mask = polygon_mask(rings, (pair[1].height, pair[1].width))
        yield _sample(name, scene, pair, mask_regions("damaged", mask, 1), hashed_split(scene), "damaged")


def _ring(building: Mapping[str, Any], path: Path) -> list[float]:
    """x1, y1, x2, y2, ... of a damaged building; empty for any other."""
    if building["properties"].get("subtype") not in DAMAGED:
        return []
    found = _RING.search(text(building["wkt"]))
    try:
        return [float(number) for number in found[1].replace(",", " ").split()] if found else []
    except ValueError as error:
        raise BadInput(f"{path}: the outline of a building is not numbers ({error}); fetch the file again.") from error


def read_oscd(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per labelled city: `<city>/pair/img{1,2}.*`, `<city>/cm/cm.png`; the region is "built"."""
    yield from _cities(folder, name, "*/cm/cm.png", ("../pair/img1", "../pair/img2"), "built", OSCD)


def read_sztaki(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per pair: `<set>/[<n>/]im{1,2}.*`, `gt.*`; the region is "other": new houses, trees, fields, works."""
    yield from _cities(folder, name, "**/gt.*", ("im1", "im2"), "other", SZTAKI)


def _cities(
    folder: Path, name: str, pattern: str, pair: tuple[str, str], label: str, splits: Mapping[str, tuple[str, ...]]
) -> Iterator[Sample]:  # fmt: skip
    labels = sorted(folder.glob(pattern))
    if not labels:
        raise BadInput(f"{folder} has no {pattern}; give the folder as its authors publish it.")
    for path in labels:
        images = tuple(_picture((path.parent / one).parent, Path(one).name, path) for one in pair)
        mask = read_mask(path)
        if mask.shape != (images[1].height, images[1].width):
            raise BadInput(
                f"{path} has {mask.shape[1]} x {mask.shape[0]} pixels, its picture {images[1].width} x "
                f"{images[1].height}; fetch both again."
            )
        place = path.relative_to(folder).parts
        scene = "/".join(part for part in place[:-1] if part != "cm")
        split = next((name for name, scenes in splits.items() if scene in scenes), "train")
        yield _sample(name, scene, images, mask_regions(label, mask, 1), split, label)


def _sample(
    name: str, scene: str, pair: tuple[Image, ...], regions: tuple[Region, ...], split: str, label: str
) -> Sample:  # fmt: skip
    """`meta["label"]` is what the set labels, which a pair without a region says nothing of else."""
    turn = Turn(task="change_mask", question="", answer="", kind="changed" if regions else "unchanged")
    return Sample(
        id=f"{name}/{scene}", images=pair, turns=(turn,), regions=regions, source=name, split=split,
        meta={"label": label},
    )  # fmt: skip


def _picture(folder: Path, stem: str, label: Path) -> Image:
    """The picture of a stem with its size. Raises BadInput where there is none."""
    path = next((path for path in sorted(folder.resolve().glob(f"{stem}.*")) if path.suffix != ".json"), None)
    if path is None:
        raise BadInput(f"{label} labels a pair that is not there; expected {stem}.png, .jpg or .tif in {folder}.")
    width, height = picture_size(Image(path=str(path)))
    return Image(path=str(path), width=width, height=height)
