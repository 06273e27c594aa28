"""The files of an answer: answer.json, answer.geojson and overlay.png in one folder, whole or not at all."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.files import atomic_folder
from rsvlm.geo.overlay import save_overlay
from rsvlm.geo.scene import Scene
from rsvlm.geo.vector import feature_collection
from rsvlm.sample import Answer, Region
from rsvlm.serve.comparison_page import page
from rsvlm.serve.results import Side, as_json, cells_json, dumps


def check_folder(folder: Path) -> None:
    """Make sure that `folder` can be made and written, before any work. Leaves nothing behind.

    Raises BadInput where it is a file, or where it or the nearest folder above it cannot be written.
    """
    above = folder.absolute()
    while not above.exists() and above != above.parent:
        above = above.parent
    with _refused(folder):
        if not above.is_dir():
            raise NotADirectoryError(20, f"{above} is a file")
        with TemporaryDirectory(dir=above, prefix=".rsvlm."):
            pass


def write_answers(folder: Path, scene: Scene, answers: Sequence[Answer], regions: Sequence[Region]) -> None:
    """Write the files of one scene's answers into `folder`; `regions` in scene pixels are drawn in the overlay.

    answer.json holds one object for one question, a list for several. Files are made in a folder aside; a new `folder`
    appears complete, and in one that is there each file is replaced as a whole. Raises BadInput where that fails.
    """
    records = [as_json(answer) for answer in answers]
    found = [_asked(region, answer) for answer in answers for region in answer.regions]
    with answer_folder(folder) as aside:
        (aside / "answer.json").write_text(
            dumps(records[0] if len(records) == 1 else records, indent=1) + "\n", "utf-8"
        )
        (aside / "answer.geojson").write_text(dumps(feature_collection(found)) + "\n", "utf-8")
        save_overlay(scene, regions, aside / "overlay.png")


def write_comparison(folder: Path, scene: Scene, questions: Sequence[str], sides: Sequence[Side]) -> None:
    """As `write`, for the answers of several models: answer.json (an entry a model), answer.geojson and answer.html."""
    record = {
        "scene": scene.path.name, "questions": list(questions),
        "models": [
            {"model": side.model, "seconds": side.seconds, "error": side.error, "answers": cells_json(questions, side)}
            for side in sides
        ],
    }  # fmt: skip
    found = [
        _asked(region, answer, model=side.model)
        for side in sides for answer in side.answers if answer for region in answer.regions
    ]  # fmt: skip
    shown = page(scene, questions, sides)
    with answer_folder(folder) as aside:
        (aside / "answer.json").write_text(dumps(record, indent=1) + "\n", "utf-8")
        (aside / "answer.geojson").write_text(dumps(feature_collection(found)) + "\n", "utf-8")
        (aside / "answer.html").write_text(shown, "utf-8")


@contextmanager
def answer_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, whose files then become those of `folder`, or, where something fails, nothing."""
    with _refused(folder), atomic_folder(folder) as aside:
        yield aside


def _asked(region: Mapping[str, Any], answer: Answer, **more: str) -> dict[str, Any]:
    """A region that can stand alone on a map: it says what was asked, and `more`."""
    properties = {**more, "question": answer.question, "answer": answer.answer, **region["properties"]}
    return {**region, "properties": properties}


@contextmanager
def _refused(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"The output folder {folder} cannot be written ({error.strerror or error}); choose another with --out."
        ) from error
