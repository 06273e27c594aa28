"""GeoChat-Bench (arXiv 2311.15826), its region tasks: `referring.jsonl` and `region_captioning.jsonl`.

Layout from the authors' `geochat/eval/*.py` (fields) and the loaders of others; not verified on the real files. Its
scene and question parts are lists over AID, UC Merced and RSVQA, which have their own readers; of its grounded
descriptions the targets were never published. Pictures are those of GeoChat_Instruct (`images.zip`).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rsvlm.data.images import picture_size
from rsvlm.data.sources.layout import ImageIndex, candidate_folders, find_optional, read_records
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Point, Region, Sample, Turn

PICTURES = ("images", "final_images_llava", "share/softwares/kartik/GeoChat_finetuning/final_images_llava")


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per record, all `test`. A record of another form raises BadInput with its number.

    Referring: task "ground", `kind` the authors' type (ref, grounding), the phrase alone as question, one region per
    target polygon (pixels), `meta["size_group"]`, `meta["unique"]` (a single target). Region captioning: task
    "region_caption", the box text `{<x1><y1><x2><y2>|<angle>}` as question, the phrase as answer.
    """
    files = {task: find_optional(folder, file, f"*/{file}") for task, file in (
        ("ground", "referring.jsonl"), ("region_caption", "region_captioning.jsonl"),
    )}  # fmt: skip
    if not any(files.values()):
        raise BadInput(
            f"{folder} holds no referring.jsonl or region_captioning.jsonl; give the folder of GeoChat-Bench."
        )
    index = ImageIndex(
        [base / place for base in (folder, folder / "images") for place in PICTURES] + candidate_folders(folder)
    )
    for task, path in files.items():
        for number, item in enumerate(read_records(path) if path else ()):
            try:
                yield _sample(name, task, number, item, index, folder)
            except (KeyError, TypeError, ValueError) as error:
                raise BadInput(
                    f"{path} record {number} is not GeoChat-Bench's ({type(error).__name__}: {error}); "
                    "expected image_id, question, ground_truth and type."
                ) from error


def _sample(name: str, task: str, number: int, item: Mapping[str, Any], index: ImageIndex, folder: Path) -> Sample:
    path = index(f"{item['image_id'].removesuffix('.png')}.png", folder / PICTURES[0])
    width, height = picture_size(Image(path=path)) if Path(path).is_file() else (0, 0)
    meta = {key: item[key] for key in ("size_group", "dataset", "obj_ids", "question_id") if key in item}
    regions: tuple[Region, ...] = ()
    if task == "ground":
        regions = tuple(map(polygon_region, parse_polygons(item["ground_truth"])))
        if not regions:
            raise ValueError("no target")
        meta["unique"] = len(regions) == 1
    answer = "" if task == "ground" else str(item["ground_truth"])
    turn = Turn(task=task, question=item["question"].strip(), answer=answer, kind=str(item.get("type", "")))
    return Sample(
        id=f"{name}/{task}/{number}", images=(Image(path=path, width=width, height=height),), turns=(turn,),
        regions=regions, source=name, split="test", meta=meta,
    )  # fmt: skip


def parse_polygons(value: Any) -> list[tuple[Point, ...]]:
    """Rings from the forms sets publish: one or several, of [x, y] points or flat x, y, x, y, ... numbers.

    Two corners (x1, y1, x2, y2) become the four of their box. Raises ValueError for anything else.
    """
    if isinstance(value, Mapping) or not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{str(value)[:60]!r} is not a list of polygons")
    if not value:
        return []
    if all(isinstance(n, int | float) for n in value):
        numbers = [float(n) for n in value]
        if len(numbers) == 4:
            x1, y1, x2, y2 = numbers
            return [((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
        if len(numbers) < 6 or len(numbers) % 2:
            raise ValueError(f"{len(numbers)} numbers are not a polygon")
        return [tuple(zip(numbers[::2], numbers[1::2], strict=True))]
    if all(isinstance(point, Sequence) and len(point) == 2 and isinstance(point[0], int | float) for point in value):
        return [tuple((float(x), float(y)) for x, y in value)]
    return [ring for part in value for ring in parse_polygons(part)]


def polygon_region(ring: tuple[Point, ...], label: str = "") -> Region:
    """A region of a polygon, its box the bounds."""
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    return Region(label=label, box=(min(xs), min(ys), max(xs), max(ys)), polygon=ring)
