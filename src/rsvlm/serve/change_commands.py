"""What `rsvlm compare` does: two dates compared, on a stream and in files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from PIL import Image as PILImage

from rsvlm.errors import BadInput
from rsvlm.geo.vector import feature_collection
from rsvlm.printable import printable, printable_json
from rsvlm.progress import progress_bar
from rsvlm.serve.answer_files import answer_folder, check_folder
from rsvlm.serve.assistant import load
from rsvlm.serve.change import ChangeReport, ChangeSettings, Compared, compared
from rsvlm.serve.change_page import change_page
from rsvlm.serve.change_preview import enlarged, overlay, preview
from rsvlm.serve.results import as_json, dumps

_WORKING = "rows of the pair"


def run(
    before: Path, after: Path, questions: Sequence[str], *, stream: TextIO, model: str, out: Path | None, json: bool,
    settings: ChangeSettings,
) -> None:  # fmt: skip
    """The comparison on `stream` (`json`: one object) and, in `out`, as files. Raises BadInput.

    Files: change.json, change.geojson, change.tif (of a model that marks pixels), before.png, after.png, overlay.png
    and change.html.
    """
    for path in (before, after):
        if not path.is_file():
            what = "a folder" if path.is_dir() else "not there"
            raise BadInput(f"{path} is {what}; give two scenes, the earlier first: rsvlm compare before.tif after.tif")
    if out is not None:
        check_folder(out)
    assistant = load(model)
    with progress_bar() as progress:
        bar = progress.add_task(_WORKING, total=None)

        def advance(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        with compared(assistant, before, after, questions, settings, advance=advance) as done:
            if out is not None:
                write(out, done)
    lines = [printable_json(dumps(report_json(done.report)))] if json else _lines(done.report)
    for line in lines:
        print(printable(line) if not json else line, file=stream, flush=True)


def report_json(report: ChangeReport) -> dict[str, Any]:
    """A comparison as the object that `--json` prints; regions of answers are numbers in those of all, from 0."""
    caption = as_json(report.caption)
    places = {id(region): number for number, region in enumerate(report.regions)}
    answers = [
        {
            **as_json(one),
            "regions": [places[id(region)] for region in one.regions],
            "trace": {"rule": one.trace["rule"]},
        }
        for one in report.answers
    ]
    return {
        "caption": caption["answer"], "confidence": caption["confidence"], "regions": caption["regions"],
        "facts": dict(report.facts), "answers": answers, "notes": list(report.notes),
        "trace": caption["trace"],
    }  # fmt: skip


def write(folder: Path, done: Compared) -> None:
    """The files of a comparison, all or none. Raises BadInput where they cannot be written."""
    seen = preview(done.pair)
    drawn = enlarged(seen)
    with answer_folder(folder) as aside:
        record = report_json(done.report)
        (aside / "change.json").write_text(dumps(record, indent=1) + "\n", "utf-8")
        (aside / "change.geojson").write_text(dumps(feature_collection(done.report.regions)) + "\n", "utf-8")
        (aside / "change.html").write_text(change_page(done, drawn), "utf-8")
        for name, pixels in (("before.png", seen.before), ("after.png", seen.after)):
            PILImage.fromarray(pixels).save(aside / name)
        overlay(drawn, done.shapes).save(aside / "overlay.png")
        if done.scan is not None and done.raster is not None:
            done.raster.save(aside / "change.tif", dict(enumerate(done.scan.classes, 1)))


def _lines(report: ChangeReport) -> list[str]:
    said = [report.caption.answer]
    for one in report.answers:
        said += [one.question, f"  {one.answer}"]
    return [*said, *(f"Note: {note}" for note in report.notes)]
