"""Formats both ways: LLaVA JSON, `messages` JSONL, Parquet, webdataset. `read(write(samples)) == samples` in each."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rsvlm.data.formats import llava, messages, parquet, wds
from rsvlm.data.formats.files import json_entries
from rsvlm.data.formats.placeholders import expand_placeholders
from rsvlm.errors import BadInput
from rsvlm.files import is_file
from rsvlm.lfs import refuse_pointer
from rsvlm.registry import unknown
from rsvlm.sample import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One file format: its extension, how it is read and written, and whether it holds image bytes by habit."""

    name: str
    title: str
    suffix: str
    read: Callable[[Path], Iterator[Sample]]
    write: Callable[..., int]
    embeds: bool


FORMATS: Mapping[str, Format] = {
    "llava": Format(
        name="llava", title="LLaVA / ShareGPT JSON", suffix=".json", read=llava.read, write=llava.write, embeds=False
    ),
    "messages": Format(
        name="messages", title="messages JSONL (ms-swift, LLaMA-Factory, TRL)", suffix=".jsonl",
        read=messages.read, write=messages.write, embeds=False,
    ),
    "parquet": Format(
        name="parquet", title="Parquet with image bytes", suffix=".parquet", read=parquet.read, write=parquet.write,
        embeds=True,
    ),
    "wds": Format(name="wds", title="webdataset tar", suffix=".tar", read=wds.read, write=wds.write, embeds=True),
}  # fmt: skip


def format_of(path: str | Path, format: str | None = None, *, peek: bool = False) -> Format:
    """The format by name, else by file extension; with `peek`, JSON is told apart by its first entry.

    Raises BadInput for a name or an extension that is not known.
    """
    if format is not None:
        if format not in FORMATS:
            raise BadInput(unknown("format", format, list(FORMATS)))
        return FORMATS[format]
    path = Path(path)
    found = next((item for item in FORMATS.values() if item.suffix == path.suffix.lower()), None)
    if found is None:
        known = ", ".join(f"{item.suffix} ({name})" for name, item in FORMATS.items())
        raise BadInput(f"The extension of {path.name!r} names no format; expected {known}, or give the format by name.")
    if peek and path.suffix.lower() in (".json", ".jsonl"):
        first = next(json_entries(path), None)
        if first is None:
            return found
        return FORMATS["messages" if {"messages", "query"} & first[1].keys() else "llava"]
    return found


def read(path: str | Path, format: str | None = None) -> Iterator[Sample]:
    """The Samples of a file, streamed where the format allows it. Raises BadInput for a missing or broken file."""
    path = Path(path)
    if not is_file(path):
        raise BadInput(
            f"There is no file at {path}; give a {', '.join(item.suffix for item in FORMATS.values())} file."
        )
    refuse_pointer(path)
    return format_of(path, format, peek=True).read(path)


def write(
    samples: Iterable[Sample], path: str | Path, format: str | None = None, *, embed_images: bool | None = None
) -> int:
    """Write Samples to a file, aside first and then renamed; returns how many.

    `embed_images` puts the encoded pictures into the file (None: as the format does by habit; Parquet and webdataset
    do). Without it, JSON formats write pictures in memory as files into `<stem>_pictures` beside `path`. Raises
    BadInput for a path that cannot be written or an image that cannot be read.
    """
    chosen = format_of(path, format)
    return chosen.write(samples, Path(path), embed_images=chosen.embeds if embed_images is None else embed_images)


def convert(
    source: str | Path,
    target: str | Path,
    *,
    source_format: str | None = None,
    format: str | None = None,
    embed_images: bool | None = None,
    dialect: str | None = None,
) -> int:
    """Read one file and write another, sample by sample; returns how many.

    With `dialect`, the boxes behind `<bbox>` and the names behind `<ref-object>` are written into the texts. Raises
    BadInput as `read` and `write` do.
    """
    samples = read(source, source_format)
    written = samples if dialect is None else (expand_placeholders(sample, dialect) for sample in samples)
    return write(written, target, format, embed_images=embed_images)
