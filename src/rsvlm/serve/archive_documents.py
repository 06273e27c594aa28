"""Documents into an archive: Markdown, plain text, knowledge of landmarks (RSWK) and STAC metadata, in passages."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput, RsvlmError
from rsvlm.files import is_file, is_folder, resolved
from rsvlm.index.document_text import Section, sections
from rsvlm.index.documents import Documents
from rsvlm.index.landmarks import KnowledgeChunker
from rsvlm.json_text import describe_json_error, load_json

SUFFIXES = (".md", ".markdown", ".txt", ".json")
MOST_BYTES = 64 * 2**20  # of a document; RSWK's largest file has 46 million
_SAID = ("title", "description", "datetime", "start_datetime", "end_datetime", "platform", "constellation",
         "instruments", "gsd", "eo:cloud_cover", "license", "keywords")  # fmt: skip

Encode = Callable[[Sequence[str]], NDArray[np.float32]]  # texts to vectors (N, D) of unit length


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentReport:
    """What came of a run: documents read anew, left as they were, and taken out because their files are gone.

    `others` are JSON files of another kind, `problems` a sentence for each document that cannot be read.
    """

    made: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    others: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()


def split_arguments(arguments: Sequence[str], leave: Path | None = None) -> tuple[list[Path], list[str]]:
    """Documents among arguments and below folders, and the arguments that may hold scenes: all but text files.

    A JSON file that is named by itself is STAC, whose pictures are scenes; its words are a document, too.
    """
    found: list[Path] = []
    others: list[str] = []
    for argument in arguments:
        path = Path(argument)
        if is_folder(path):
            below = [one for one in sorted(path.rglob("*")) if one.suffix.lower() in SUFFIXES and one.is_file()]
            seen = [one for one in below if not any(part.startswith(".") for part in one.relative_to(path).parts)]
            found += [one for one in seen if leave is None or not one.absolute().is_relative_to(leave)]
        elif path.suffix.lower() in SUFFIXES and is_file(path):
            found.append(path)
            if not _only_words(path):
                others.append(argument)
            continue
        others += [argument]
    return list(dict.fromkeys(found)), others


def _only_words(path: Path) -> bool:
    """Whether a file that was named holds no scenes: a text, or a list of RSWK's records."""
    if path.suffix.lower() != ".json":
        return True
    with path.open("rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def index_documents(
    uri: str, paths: Sequence[Path], arguments: Sequence[str], encoder: Callable[[], Any]
) -> DocumentReport:
    """Put documents into the archive at `uri`; what has not changed is left out, what is gone from a folder, too.

    `encoder` makes an `Encode` with a `name` and a `width`, and is called where there is a document to read. Raises
    MissingPart where it cannot be made, BadInput where the archive cannot be written.
    """
    encode = encoder()
    table = Documents(uri, encoder=encode.name, width=encode.width)
    known, made, others, problems = table.fingerprints(), 0, list[Path](), list[str]()
    for path in paths:
        try:
            mark = document_mark(path.stat())
            if known.get(str(resolved(path))) == mark:
                continue
            passages = read_document(path)
        except (BadInput, OSError) as error:
            problems.append(str(error))
            continue
        if passages is None:
            others.append(path)
            continue
        texts = [f"{one.heading}. {one.text}" if one.heading else one.text for one in passages]
        vectors = encode(texts) if texts else np.zeros((0, encode.width), np.float32)
        table.replace(str(resolved(path)), mark, passages, vectors)
        made += 1
    roots = [resolved(Path(one)) for one in arguments if is_folder(Path(one))]
    there = {str(resolved(path)) for path in paths}
    gone = [one for one in known if one not in there and any(Path(one).is_relative_to(root) for root in roots)]
    table.forget(gone)
    unchanged = len(paths) - made - len(others) - len(problems)
    return DocumentReport(
        made=made, unchanged=unchanged, removed=len(gone), passages=len(table), others=tuple(others),
        problems=tuple(problems),
    )  # fmt: skip


def document_mark(file: os.stat_result) -> str:
    """What tells whether a document is still the same: its size and time."""
    return f"{file.st_size} {file.st_mtime_ns}"


def read_document(path: Path) -> list[Section] | None:
    """The passages of a document; None for JSON that is neither RSWK's nor STAC's.

    Raises BadInput for one that is larger than `MOST_BYTES`, which is not read, and for what is no text.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise BadInput(
            f"{path} has {size / 1e6:,.0f} MB; documents of at most {MOST_BYTES / 1e6:,.0f} MB are read: cut it into "
            "smaller ones."
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    if path.suffix.lower() != ".json":
        return list(sections(text))
    try:
        found = load_json(text)
    except ValueError as error:
        raise BadInput(f"{path} is not valid JSON: {describe_json_error(error)}.") from error
    return _of_json(found)


def _of_json(found: Any) -> list[Section] | None:
    if isinstance(found, list) and found and all(isinstance(one, Mapping) and "image_name" in one for one in found):
        chunker = KnowledgeChunker()
        named = [(str(one["image_name"]), passage) for one in found for passage in chunker.passages(one)]
        return [
            Section(name, part.text)
            for name, passage in named
            if passage.kind != "caption"  # which repeats the others
            for part in sections(passage.text)
        ]
    items = list(_stac_items(found))
    return [Section(str(one.get("id", ""))[:200], said) for one in items if (said := _said(one))] if items else None


def _stac_items(found: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(found, Mapping):
        return
    if found.get("type") == "FeatureCollection" and isinstance(found.get("features"), list):
        for one in found["features"]:
            yield from _stac_items(one)
    elif "stac_version" in found:
        yield found


def _said(item: Mapping[str, Any]) -> str:
    """What a STAC object says in words: a line "name: value" for each of its common metadata."""
    properties = item.get("properties")
    values = {**item, **(properties if isinstance(properties, Mapping) else {})}
    lines = [f"{name}: {_value(values[name])}" for name in _SAID if values.get(name) not in (None, "", [])]
    return "\n".join(part.text for part in sections("\n".join(lines)))[:4000]


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else json.dumps(value).strip('"')


def sentence_vectors() -> Any:
    """The encoder of documents and questions. Raises MissingPart where `rsvlm setup` has not been run."""
    from rsvlm.systems.onnx.sentence import SentenceVectors

    return SentenceVectors()


def try_documents(
    uri: str, paths: Sequence[Path], arguments: Sequence[str], encoder: Callable[[], Any] = sentence_vectors
) -> DocumentReport:
    """As `index_documents`, but what is missing for it is a problem in the report: the scenes are indexed all the same.

    Nothing is done where there is no document.
    """
    if not paths:
        return DocumentReport()
    try:
        return index_documents(uri, paths, arguments, encoder)
    except RsvlmError as error:
        return DocumentReport(problems=(f"No document was indexed: {error}",))
