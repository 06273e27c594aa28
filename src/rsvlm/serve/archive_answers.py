"""What `rsvlm ask --archive` does: answers with their sources on a stream, as JSON, and as a page and a map."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import shapely
import shapely.geometry

from rsvlm.geo.vector import feature_collection
from rsvlm.html import escape, page
from rsvlm.printable import printable, printable_json
from rsvlm.serve.answer_files import answer_folder, check_folder
from rsvlm.serve.archive_ask import ArchiveAnswer, ArchiveAssistant, Source, check_question
from rsvlm.serve.archive_filters import ANYWHERE, Where
from rsvlm.serve.archive_writer import open_writer
from rsvlm.serve.results import dumps

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 1rem; color: #1c1c1c }
h1 { font-size: 1.3rem } h2 { font-size: 1.1rem; margin: 1.8rem 0 .3rem; border-top: 1px solid #d8d8d8;
  padding-top: 1rem }
.answer { white-space: pre-line; font-size: 1.1rem; overflow-wrap: anywhere }
li { margin: .5rem 0; overflow-wrap: anywhere }
blockquote { margin: .2rem 0; color: #444 } .quiet { color: #5a5a5a; font-size: 13px }
"""


def run(
    archive: str, questions: Sequence[str], *, stream: TextIO, writer: str = "", json: bool = False,
    out: Path | None = None, where: Where = ANYWHERE, assistant: ArchiveAssistant | None = None,
) -> None:  # fmt: skip
    """Answers on `stream` (`json`: an object a question); answer.json, answer.geojson and answer.html in `out`.

    `writer` is a model that writes over the sources, "" for quotations. Raises BadInput before anything is loaded for a
    question that is empty and a folder that cannot be written.
    """
    for question in questions:
        check_question(question)
    where.conditions()  # so that a mistake is said at once
    if out is not None:
        check_folder(out)
    found = assistant or ArchiveAssistant(archive, writer=open_writer(writer) if writer else None)
    answers = [found.ask(question, where=where) for question in questions]
    for answer in answers:
        text = printable_json(dumps(as_json(answer))) if json else "\n".join(map(printable, lines(answer)))
        print(text, file=stream, flush=True)
    if out is not None:
        write_files(out, archive, answers)


def lines(answer: ArchiveAnswer) -> list[str]:
    """An answer for the terminal: the question, the answer, a line a source."""
    lines = [answer.question, *(f"  {line}" for line in answer.answer.split("\n"))]
    lines += [f"  [{one.number}] {place(one)}" for one in answer.sources]
    return [*lines, *(f"  Note: {note}" for note in answer.notes)]


def place(source: Source) -> str:
    """Where a source is: a document and its heading, or a tile's scene, window and date; with its score."""
    score = f"({source.score:.2f})"
    if source.kind == "document":
        return f"{source.name}{f' — {source.heading}' if source.heading else ''} {score}"
    tile = source.tile
    facts = [f"{tile.date:%Y-%m-%d}"] if tile.date else []
    facts += [f"{tile.gsd:.3g} m"] if tile.gsd else []
    window = ", ".join(map(str, tile.window))
    return " ".join([f"{source.name} [window {window}]", *facts, score])


def as_json(answer: ArchiveAnswer) -> dict[str, Any]:
    """An answer as the object that `--json` prints."""
    return {
        "question": answer.question, "answer": answer.answer, "refused": answer.refused, "how": answer.how,
        "sources": [_source(one) for one in answer.sources], "notes": list(answer.notes),
    }  # fmt: skip


def _source(source: Source) -> dict[str, Any]:
    named = {"number": source.number, "kind": source.kind, "score": round(source.score, 4)}
    if source.kind == "document":
        return named | {"document": source.name, "heading": source.heading, "quote": source.quote, "text": source.text}
    tile = source.tile
    return named | {
        "scene": source.name, "window": list(tile.window), "date": tile.date.isoformat() if tile.date else None,
        "gsd_m": tile.gsd, "sensor": tile.sensor, "bounds": list(tile.bounds) if tile.bounds else None,
        "caption": tile.caption, "id": tile.id,
    }  # fmt: skip


def write_files(folder: Path, archive: str, answers: Sequence[ArchiveAnswer]) -> None:
    """answer.json (an object, or a list of several), answer.geojson (the tiles) and answer.html into `folder`."""
    records = [as_json(answer) for answer in answers]
    features = [_feature(answer, one) for answer in answers for one in answer.sources if one.kind == "tile"]
    placed = [feature for feature in features if feature["geometry"] is not None]
    with answer_folder(folder) as aside:
        (aside / "answer.json").write_text(
            dumps(records[0] if len(records) == 1 else records, indent=1) + "\n", "utf-8"
        )
        (aside / "answer.geojson").write_text(dumps(feature_collection(placed)) + "\n", "utf-8")
        (aside / "answer.html").write_text(html(archive, answers), "utf-8")


def _feature(answer: ArchiveAnswer, source: Source) -> dict[str, Any]:
    outline = source.tile.footprint
    geometry = shapely.geometry.mapping(shapely.from_wkb(outline)) if outline else None
    properties = {"question": answer.question, **_source(source)}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def html(archive: str, answers: Sequence[ArchiveAnswer]) -> str:
    """A page of its own: every text of a document is escaped, and nothing on it runs."""
    parts = [f"<h1>{escape(archive)}</h1>"]
    for answer in answers:
        sources = "".join(
            f'<li value="{one.number}"><span class="quiet">{escape(place(one))}</span>'
            + (f"<blockquote>{escape(one.text)}</blockquote>" if one.kind == "document" else "")
            + "</li>"
            for one in answer.sources
        )
        notes = "".join(f'<p class="quiet">{escape(note)}</p>' for note in answer.notes)
        parts.append(
            f'<h2>{escape(answer.question)}</h2><p class="answer">{escape(answer.answer)}</p>'
            + (f"<ol>{sources}</ol>" if sources else "")
            + notes
        )
    return page("Answers from an archive", "\n".join(parts), style=_STYLE)
