"""Print the groups of pictures that must not be parted by a split: the lists in src/rsvlm/data/sources/together.py.

Ships: near-duplicates by the leak check, a little looser than it, so that what it will find is in one group. HIT-UAV:
the same, and frames of one flight that are few numbers apart, because they show the same place from further on.
Usage: python tools/together.py DATA
"""

import sys
from itertools import pairwise
from pathlib import Path

from rsvlm.data.catalogue import load
from rsvlm.evaluate.leakage import find_leaks
from rsvlm.sample import Sample

DISTANCE, CORRELATION = 14, 0.8  # bits and likeness; looser than the check's own
FRAMES = 100  # of HIT-UAV's numbering; at 75 frames the same square is still in view


def groups(samples: list[Sample]) -> list[list[str]]:
    """Stems of the pictures of each group of two or more, in the order of the first."""
    images = [sample.images[0] for sample in samples]
    stems = {image.path: Path(image.path).stem for image in images}
    parent = {stem: stem for stem in stems.values()}

    def root(stem: str) -> str:
        while parent[stem] != stem:
            stem = parent[stem]
        return stem

    def join(one: str, other: str) -> None:
        first, second = sorted((root(one), root(other)))
        parent[second] = first

    checked = find_leaks(images, images).pairs
    for pair in (*checked, *find_leaks(images, images, max_distance=DISTANCE, min_correlation=CORRELATION).pairs):
        join(stems[pair.test], stems[pair.train])
    if samples[0].source == "hit_uav":
        flown = sorted(stems.values(), key=_frame)
        for before, after in pairwise(flown):
            if _frame(after) - _frame(before) < FRAMES:
                join(before, after)
    found: dict[str, list[str]] = {}
    for stem in sorted(parent):
        found.setdefault(root(stem), []).append(stem)
    return [group for _, group in sorted(found.items()) if len(group) > 1]


def _frame(stem: str) -> int:
    return int(stem.rpartition("_")[2])


def main(data: str) -> None:
    for name in ("ships", "hit_uav"):
        print(f"\n{name.upper()}")
        print("\n".join(" ".join(group) for group in groups(load(name, data, "all"))))


if __name__ == "__main__":
    main(sys.argv[1])
