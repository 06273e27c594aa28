"""Semantic segmentation of Dubai (Humans in the Loop and MBRSC, CC0): tiles of nine pictures with colour masks.

`Tile N/images/image_part_001.jpg` and `Tile N/masks/image_part_001.png`. The `classes.json` that goes round with
the set gives other colours than those in the masks; some masks are palette PNG.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rsvlm.data.images import picture_size
from rsvlm.data.masks import encode_rle
from rsvlm.data.sources.label_files import images_by_stem, mask_regions, read_colours
from rsvlm.data.sources.layout import hashed_split
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

COLOURS = {
    "building": 0x3C1098, "land": 0x8429F6, "road": 0x6EC1E4, "vegetation": 0xFEDD3A, "water": 0xE2A929,
}  # fmt: skip
UNLABELLED = (0x9B9B9B, 0x000000)  # some masks have black places
_STRAY = 0.01  # share of pixels in other colours above which a mask is not one of these


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per picture with a region a class that is there, and a `segment` turn a class, asked by its name.

    `meta["ignore_mask"]` is the mask of the unlabelled pixels, which do not count. No split is published: it is the
    hash of tile and part. Raises BadInput for a picture without a mask, a mask of another size, or in other colours.
    """
    tiles = [path for path in sorted(folder.resolve().glob("Tile*")) if path.is_dir()]
    if not tiles:
        raise BadInput(f"{folder} holds no Tile folders; expected Tile 1/images, Tile 1/masks and so on.")
    for tile in tiles:
        masks = images_by_stem(tile / "masks")
        for stem, path in images_by_stem(tile / "images").items():
            if stem not in masks:
                raise BadInput(f"{path} has no mask; expected {tile / 'masks' / stem}.png.")
            yield _sample(name, path, masks[stem], f"{tile.name.replace(' ', '')}_{stem}")


def _sample(name: str, path: Path, label: Path, key: str) -> Sample:
    numbers = read_colours(label).astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    height, width = numbers.shape
    if picture_size(Image(path=str(path))) != (width, height):
        raise BadInput(f"{label} has {width} x {height} pixels and its picture has not; bring both in one size.")
    stray = ~np.isin(numbers, (*COLOURS.values(), *UNLABELLED))
    if stray.mean() > _STRAY:
        colour = Counter(numbers[stray].tolist()).most_common(1)[0][0]
        raise BadInput(
            f"{label}: {stray.mean():.0%} of its pixels have colours of no class, most often #{colour:06X}; expected "
            "the colours of the published masks, exact (not those of classes.json, not re-encoded as JPEG)."
        )
    ignored = ~np.isin(numbers, list(COLOURS.values()))
    return Sample(
        id=f"{name}/{key}", images=(Image(path=str(path), width=width, height=height),),
        turns=tuple(Turn(task="segment", question=kind, answer="", kind=kind) for kind in COLOURS),
        regions=tuple(region for kind, number in COLOURS.items() for region in mask_regions(kind, numbers == number)),
        source=name, split=hashed_split(key), meta={"ignore_mask": encode_rle(ignored)},
    )  # fmt: skip
