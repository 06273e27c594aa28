"""AIR-SLT (Yuan et al., arXiv 2209.06515): texts and where in large scenes they hold, in `annotations/anno.json`.

Records are `{"caption", "jpg_name", "points": [[[x, y], ...], ...]}`, polygons in pixels; pictures lie in `imgs/`.
Layout from the authors' repository, SemanticLocalizationMetrics.
"""

from collections.abc import Iterator
from pathlib import Path

from rsvlm.data.sources.layout import ImageIndex, candidate_folders, find_file, read_json
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Region, Sample, Turn


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per text (stripped: some end with a line break), task `locate`, its regions polygons; all test."""
    path = find_file(folder, "annotations/anno.json", "*/annotations/anno.json", "anno.json")
    index = ImageIndex(candidate_folders(path.parent.parent, "imgs"))
    try:
        for number, item in enumerate(read_json(path)):
            rings = [tuple((float(x), float(y)) for x, y in ring) for ring in item["points"]]
            if not rings or any(len(ring) < 3 for ring in rings):
                raise ValueError(f"record {number} has a polygon of fewer than three points")
            text = item["caption"].strip()
            yield Sample(
                id=f"{name}/{number}", images=(Image(path=index(item["jpg_name"], path.parent.parent / "imgs")),),
                turns=(Turn(task="locate", question=text, answer=""),),
                regions=tuple(
                    Region(
                        label=text, polygon=ring,
                        box=(min(x for x, _ in ring), min(y for _, y in ring),
                             max(x for x, _ in ring), max(y for _, y in ring)),
                    )
                    for ring in rings
                ),
                source=name, split="test",
            )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path} is not AIR-SLT's ({type(error).__name__}: {error}).") from error
