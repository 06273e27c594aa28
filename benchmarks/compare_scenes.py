"""Comparing two dates of 4,000 x 4,000 pixels: `compare` against a bare loop over the same change head, and its memory.

The bare loop reads both files window by window with rasterio, resizes, runs the head in batches of four and keeps where
it says yes: no alignment, no seams, no regions, no areas. Both see as many squares. Memory is the peak of a process of
its own that compares, less that of one that only loads the model.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image
from rasterio.windows import Window

from align_pair import write
from harness import medians, ratio, run, take_turns
from rsvlm.errors import MissingPart
from rsvlm.serve.assistant import load
from rsvlm.systems.abilities import MapsChange

SIDE, ROUNDS, BATCH, OVERLAP = 4000, 3, 4, 0.25
PROGRAM = """
import resource, sys
from rsvlm.serve.assistant import load
model = load("mini")
if len(sys.argv) > 1:
    model.compare(sys.argv[1], sys.argv[2], max_shift=0, normalise=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def bare(model: Any, paths: list[Path], side: int) -> int:
    """Pixels of a whole square that changed, as many as the loop sees."""
    part, size = min(model.change_part, side), model.change_size
    count = 1 if side <= part else 1 + int(np.ceil((side - part) / (part * (1 - OVERLAP))))
    starts = [round(at) for at in np.linspace(0, side - part, count)]
    windows = [Window(x, y, part, part) for y in starts for x in starts]  # pyright: ignore[reportCallIssue]
    changed = 0
    with rasterio.open(paths[0]) as first, rasterio.open(paths[1]) as second:
        for at in range(0, len(windows), BATCH):
            dates = [
                [
                    np.asarray(Image.fromarray(file.read(window=window).transpose(1, 2, 0)).resize((size, size)))
                    for window in windows[at : at + BATCH]
                ]
                for file in (first, second)
            ]
            changed += int((model.compare_squares(*dates) >= 0.5).any(1).sum())
    return changed


def peak(*paths: Path) -> float:
    """MiB of the process of `PROGRAM`."""
    words = [sys.executable, "-c", PROGRAM, *map(str, paths)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def main(side: int = SIDE, *, smallest: bool) -> dict[str, Any]:
    side = 300 if smallest else side
    assistant = load("mini")
    if not isinstance(assistant.model, MapsChange):
        raise MissingPart("The model mini that is installed has no change head.")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "before.tif", Path(folder) / "after.tif"]
        for path, changed in zip(paths, (False, True), strict=True):
            write(path, side, (0.0, 0.0), changed)
        seconds, _ = take_turns(
            {
                "compare": lambda: len(assistant.compare(*paths, max_shift=0, normalise=False).regions),
                "bare": lambda: bare(assistant.model, paths, side),
            },
            ROUNDS, smallest=smallest,
        )  # fmt: skip
        memory = {"loaded_mib": round(peak()), "compared_mib": round(peak(*paths))}
    found = medians(seconds)
    return {
        "side": side, "ratio": ratio(seconds, "compare", "bare"), "target_ratio": 0.9, "seconds": found,
        "pixels_per_s": round(side**2 / found["compare"]), **memory, "target_mib": 1536,
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
