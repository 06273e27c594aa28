"""An archive of plain tiles: each of one colour, at a place of its own."""

import io
from datetime import UTC, datetime

import numpy as np
import shapely
from PIL import Image

from fake.matchers import COLOURS, Colours
from rsvlm.index.archive import Archive
from rsvlm.index.rows import Tile

# name -> colour, (west, south, east, north) or None, day, metres per pixel, sensor, caption
TILES = {
    "red.tif": ("red", (10, 50, 10.1, 50.1), datetime(2020, 1, 5), 0.5, "S1", "a red roof beside a lake"),
    "green.tif": ("green", (10.2, 50, 10.3, 50.1), datetime(2021, 6, 7), 0.5, "S1", "a meadow"),
    "blue.tif": ("blue", (179.9, -1, -179.9, 0), datetime(2022, 1, 1), 10.0, "S2", ""),
    "white.tif": ("white", None, None, None, "", "snow"),
    "pole.tif": ("green blue", (-180, 89, 180, 90), datetime(2023, 3, 1), 30.0, "S2", ""),
}


def picture(colour: str) -> Image.Image:
    """A picture of one colour, with a dark corner so that it has an up and a left."""
    shade = np.clip(np.sum([COLOURS[word] for word in colour.split()], 0), 0, 1) * 250
    pixels = np.tile(shade.astype(np.uint8), (48, 48, 1))
    pixels[:8, :8] //= 2
    return Image.fromarray(pixels)


def archive(path, tiles=TILES, model=None) -> Archive:
    model = model or Colours()
    made = Archive.create(path, width=3, model="colours", weights_hash=model.trace["weights"])
    for name, (colour, box, when, gsd, sensor, caption) in tiles.items():
        with io.BytesIO() as file:
            picture(colour).save(file, "JPEG")
            jpeg = file.getvalue()
        tile = Tile(
            scene=name, window=(0, 0, 48, 48), footprint=footprint(box), bounds=box, gsd=gsd, sensor=sensor,
            date=when and when.replace(tzinfo=UTC), caption=caption, thumbnail=jpeg,
        )  # fmt: skip
        made.replace_scene(name, "1", [tile], model.embed_images([np.asarray(picture(colour))]))
    made.build_index()
    made.close()
    return made


def footprint(box):
    if box is None:
        return None
    west, south, east, north = box
    parts = [(west, east)] if west < east else [(west, 180), (-180, east)]
    return shapely.to_wkb(shapely.union_all([shapely.box(a, south, b, north) for a, b in parts]))
