"""GEOBench-VLM (arXiv 2411.19325): `Single/qa.json`, `Temporal/qa.json` (multiple choice), `Ref-Det/qa.json` (boxes).

Layout from the authors' `eval_geobenchvlm/*.py`; of Ref-Det from the loaders of others, its target (`ground_truth`,
polygons in pixels) not verified on the real file. Each question is published in five wordings; which of them the paper
scores is not said. The xBD images of two tasks are not in the release (load with skip_missing, or bring them).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsvlm.data.images import picture_size
from rsvlm.data.prompt import LETTERS
from rsvlm.data.sources.geochat_bench import parse_polygons, polygon_region
from rsvlm.data.sources.layout import find_optional, read_records
from rsvlm.data.sources.lhrs_bench import parse_choices
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

PARTS = ("Single", "Temporal", "Ref-Det")


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per question, all `test`: the first wording as the question, all of them in `meta["prompts"]`.

    Choices: `kind` is the task (typos as released), `meta["part"]` Single or Temporal; of a temporal sequence the first
    and the last image are taken, as the authors do. Ref-Det: task "ground", one region per target.
    Raises BadInput where no part is there or a record is of another form.
    """
    found = {part: path for part in PARTS if (path := find_optional(folder, f"{part}/qa.json")) is not None}
    if not found:
        raise BadInput(f"{folder} holds none of {', '.join(f'{part}/qa.json' for part in PARTS)}; unpack GEOBench-VLM.")
    for part, path in found.items():
        for number, item in enumerate(read_records(path)):
            try:
                yield _sample(name, part, number, item, folder)
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise BadInput(
                    f"{path} record {number} is not GEOBench-VLM's ({type(error).__name__}: {error}); expected "
                    "image_path, prompts, and options_list with ground_truth_option, or ground_truth."
                ) from error


def _sample(name: str, part: str, number: int, item: Mapping[str, Any], folder: Path) -> Sample:
    listed = [item["image_path"]] if isinstance(item["image_path"], str) else list(item["image_path"])
    paths = [str((folder / file).resolve()) for file in ([listed[0], listed[-1]] if len(listed) > 1 else listed)]
    meta: dict[str, Any] = {"part": part, "prompts": list(item["prompts"])}
    meta |= {key: item[key] for key in ("question_id", "cls_description") if item.get(key)}
    images, regions = tuple(Image(path=path) for path in paths), ()
    if part == "Ref-Det":
        size = picture_size(images[0]) if Path(paths[0]).is_file() else (0, 0)
        images = (Image(path=paths[0], width=size[0], height=size[1]),)
        regions = tuple(map(polygon_region, parse_polygons(item["ground_truth"])))
        if not regions:
            raise ValueError("no target")
        meta["unique"] = len(regions) == 1
        turn = Turn(task="ground", question=item["prompts"][0], answer="", kind=str(item.get("task", "")))
    else:
        options = parse_choices(item.get("options_list") or item["options"])
        place = LETTERS.index(str(item["ground_truth_option"]).strip().strip("(").upper()[0])
        turn = Turn(
            task="choice", question=item["prompts"][0], answer=options[place], kind=item["task"], choices=options
        )
    return Sample(
        id=f"{name}/{part}/{number}",
        images=images,
        turns=(turn,),
        regions=regions,
        source=name,
        split="test",
        meta=meta,
    )
