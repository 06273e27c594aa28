"""Label images (PNG, TIFF, JPEG) to masks, masks to regions, and the images of a folder by their stem."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from rsvlm.data.masks import Mask, Rle, decode_runs, encode_rle, rle_size
from rsvlm.errors import BadInput
from rsvlm.lfs import refuse_pointer
from rsvlm.sample import Box, Region

_FORMATS = ("PNG", "TIFF", "BMP", "JPEG")
_JPEG_THRESHOLD = 127  # a JPEG holds a little of everything; other files hold exactly what was drawn


def read_label(path: Path) -> NDArray[np.integer]:
    """The class indices of a label image, (H, W) int64: grey values, or palette indices. Raises BadInput."""
    with _open_image(path) as file:
        whole = file if file.mode in ("1", "L", "P", "I", "I;16") else file.convert("L")
        return np.asarray(whole).astype(np.int64)


def read_mask(path: Path) -> Mask:
    """What a label picture marks: every number but 0 (0/1 and 0/255 are both published), above 127 in a JPEG."""
    return read_label(path) > (_JPEG_THRESHOLD if path.suffix.lower() in (".jpg", ".jpeg") else 0)


def read_colours(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a label picture, through its palette where it has one. Raises BadInput."""
    with _open_image(path) as file:
        return np.asarray(file.convert("RGB"))


def _open_image(path: Path) -> PIL.Image.Image:
    try:
        file = PIL.Image.open(path, formats=_FORMATS)
        file.load()
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        refuse_pointer(path)
        raise BadInput(f"{path} cannot be read as a label picture ({error}); fetch it again.") from error
    return file


def mask_regions(label: str, mask: Mask, image: int = 0) -> tuple[Region, ...]:
    """The region that a mask marks, with its mask and bounds; none where no pixel is marked."""
    if not mask.any():
        return ()
    coded = encode_rle(mask)
    return (Region(label=label, box=mask_box(coded), image=image, mask=coded),)


def mask_box(rle: Rle) -> Box:
    """The bounds of run lengths in pixels, without decoding them; zeros where nothing is marked. Raises BadInput."""
    height, width = rle_size(rle)
    edges = decode_runs(rle.get("counts")).cumsum()
    if not len(edges) or edges[-1] != height * width or (np.diff(edges, prepend=0) < 0).any():
        raise BadInput(f"The run lengths of a mask do not fill its {height} x {width} pixels; bring the whole file.")
    ends = edges[1::2]
    starts = edges[::2][: len(ends)]
    starts, ends = starts[ends > starts], ends[ends > starts]
    if not len(starts):
        return 0.0, 0.0, 0.0, 0.0
    left, right = float(starts.min() // height), float((ends.max() - 1) // height + 1)
    if (starts // height != (ends - 1) // height).any():  # a run over a column's end touches the bottom and the top
        return left, 0.0, right, float(height)
    return left, float((starts % height).min()), right, float(((ends - 1) % height).max() + 1)


def images_by_stem(folder: Path) -> dict[str, Path]:
    """The pictures in a folder by their stem, in the order of their names; of one name in two formats the first."""
    found: dict[str, Path] = {}
    for path in _listed(folder):
        found.setdefault(path.stem, path)
    return found


def _listed(folder: Path) -> Iterator[Path]:
    suffixes = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
    for path in sorted(folder.resolve().iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            yield path
