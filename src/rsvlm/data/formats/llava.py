"""LLaVA / ShareGPT JSON: `[{"id", "image", "conversations": [{"from": "human", "value": "<image>\\n..."}, ...]}]`."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rsvlm.data.formats import messages
from rsvlm.data.formats.files import json_entries
from rsvlm.data.formats.pictures import Keep, file_with_pictures
from rsvlm.data.formats.placeholders import refuse_placeholders
from rsvlm.data.formats.record import (
    EXTENSION,
    entry_id,
    entry_images,
    from_parts,
    image_paths,
    to_extension,
    to_messages,
)
from rsvlm.errors import BadInput
from rsvlm.sample import Sample

_FROM = {"user": "human", "assistant": "gpt", "system": "system"}
_ROLE = {"human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "assistant": "assistant"}
_KNOWN = ("id", "image", "images", "conversations", "system", EXTENSION)


def to_entry(sample: Sample, *, embed: bool = False, keep: Keep | None = None) -> dict[str, Any]:
    """One Sample as a LLaVA object; `image` for one picture, `images` for several, whose bytes `keep` makes files of.

    Raises BadInput for a text with placeholders of ms-swift, for whose boxes the format has no field.
    """
    refuse_placeholders(sample)
    paths = image_paths(sample, keep)
    entry: dict[str, Any] = {"id": sample.id}
    entry |= {"image": paths[0]} if len(paths) == 1 else {"images": paths} if paths else {}
    entry["conversations"] = [{"from": _FROM[role], "value": text} for role, text in to_messages(sample)]
    return entry | {EXTENSION: to_extension(sample, embed=embed, beside=keep is not None)}


def from_entry(
    entry: Mapping[str, Any], folder: Path, number: int, supplied: Sequence[tuple[str, bytes | None]] | None = None
) -> Sample:
    """A Sample from a LLaVA or ShareGPT object. Raises KeyError, TypeError or ValueError where it is none.

    `folder` and `supplied` say where its images are (`record.entry_images`); `number` is its id where it has none.
    Conversations of role and content are read as `messages`.
    """
    if entry["conversations"] and "role" in entry["conversations"][0]:
        row = {key: value for key, value in entry.items() if key != "conversations"}
        return messages.from_entry(row | {"messages": entry["conversations"]}, folder, number, supplied)
    lines = [
        (_ROLE.get(str(line["from"]).lower(), str(line["from"])), _text(line["value"]))
        for line in entry["conversations"]
    ]
    if isinstance(entry.get("system"), str) and entry["system"]:
        lines.insert(0, ("system", entry["system"]))
    extra = {key: value for key, value in entry.items() if key not in _KNOWN}
    return from_parts(
        entry_id(entry, number), entry_images(entry, folder, supplied), lines, entry.get(EXTENSION), extra
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a message is {type(value).__name__}, not text")
    return value


def read(path: Path) -> Iterator[Sample]:
    """The Samples of a LLaVA / ShareGPT JSON (or JSONL) file. Raises BadInput naming the entry that is off."""
    for number, (place, entry) in enumerate(json_entries(path)):
        try:
            yield from_entry(entry, path.parent, number)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(
                f"{place} is not a LLaVA conversation ({type(error).__name__}: {error}); "
                "expected image and conversations[].from/value or role/content."
            ) from error


def write(samples: Iterable[Sample], path: Path, *, embed_images: bool = False) -> int:
    """Write Samples as one JSON list; returns how many.

    Pictures in memory become files in `<stem>_pictures` beside it, or, with `embed_images`, all go into the extension
    (base64).
    """
    count = 0
    with file_with_pictures(path) as (part, keep), part.open("w", encoding="utf-8") as file:
        file.write("[")
        for sample in samples:
            file.write(",\n" if count else "\n")
            json.dump(
                to_entry(sample, embed=embed_images, keep=None if embed_images else keep), file, ensure_ascii=False
            )
            count += 1
        file.write("\n]\n")
    return count
