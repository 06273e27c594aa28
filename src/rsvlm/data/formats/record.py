"""A Sample as messages that other tools read, plus an extension field for what their format cannot hold.

Every format writes the native keys of its tools and, under `EXTENSION`, a JSON string with the rest (task, kind,
references, split, regions, meta, ...). It is a string so that Arrow-based loaders see one type in every row. Reading
believes the native keys first: a conversation that another tool has edited stays edited.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.files import is_file, resolved
from rsvlm.json_text import load_json
from rsvlm.sample import Image, Region, Sample, Turn

EXTENSION = "rsvlm"
IMAGE_TAG = "<image>"
_BESIDE = "beside"  # the note of a picture that was in memory and was written as a file (`formats.pictures`)
_LEADING = re.compile(rf"(?:\s*+{IMAGE_TAG})++\s*+")
_TRAILING = re.compile(rf"(?:\s*+{IMAGE_TAG[::-1]})++\s*+")  # of the text read backwards: one start, linear

Message = tuple[str, str]  # role (user, assistant, system), text


def to_messages(sample: Sample) -> list[Message]:
    """The conversation as (role, text); one `<image>` line per picture opens the first question."""
    system = sample.meta.get("system")
    lines: list[Message] = [("system", system)] if isinstance(system, str) else []
    tags = "" if _inline(sample) else f"{IMAGE_TAG}\n" * len(sample.images)
    for number, turn in enumerate(sample.turns):
        lines += [("user", (tags if number == 0 else "") + turn.question), ("assistant", turn.answer)]
    return lines


def _inline(sample: Sample) -> bool:
    """Whether the questions themselves say where each picture goes."""
    return bool(sample.images) and sum(turn.question.count(IMAGE_TAG) for turn in sample.turns) == len(sample.images)


def image_paths(sample: Sample, keep: Callable[[Image], str] | None = None) -> list[str]:
    """The paths of the pictures; of those in memory what `keep` says, where it is given."""
    return [image.path if keep is None or image.data is None else keep(image) for image in sample.images]


def to_extension(sample: Sample, *, embed: bool = False, beside: bool = False) -> str:
    """The JSON string under `EXTENSION`.

    Pictures in memory are in it (base64), with `embed` all are; with `beside` their files lie beside the JSON file.
    """
    images = [
        _non_default_fields(image, drop=("path", "data"))
        | ({"held": _BESIDE, "path": image.path} if beside and image.data is not None else _embedded_data(image, embed))
        for image in sample.images
    ]
    rest = {
        "id": sample.id,
        "source": sample.source,
        "split": sample.split,
        "images": images,
        "turns": [_non_default_fields(turn, drop=("question", "answer")) for turn in sample.turns],
        "regions": [_non_default_fields(region) for region in sample.regions],
        "meta": {key: value for key, value in sample.meta.items() if not (key == "system" and isinstance(value, str))},
        "inline": _inline(sample),
    }
    try:
        return json.dumps({key: value for key, value in rest.items() if value or key == "id"}, ensure_ascii=False)
    except TypeError as error:
        raise BadInput(f"The meta of sample {sample.id!r} cannot be written as JSON: {error}.") from error


def _non_default_fields(thing: Image | Turn | Region, drop: Sequence[str] = ()) -> dict[str, Any]:
    """The fields of a noun that differ from their defaults."""
    pairs = {
        field.name: (getattr(thing, field.name), field.default) for field in fields(thing) if field.name not in drop
    }
    return {name: value for name, (value, default) in pairs.items() if value != default}


def _embedded_data(image: Image, embed: bool) -> dict[str, Any]:
    if image.data is None and not embed:
        return {}
    held = {"data": base64.b64encode(image_bytes(image)).decode("ascii")}
    return held if image.data is not None else held | {"held": "path"}


def image_bytes(image: Image) -> bytes:
    """The encoded file behind an image. Raises BadInput naming it where it is not there."""
    if image.data is not None:
        return image.data
    try:
        return Path(image.path).read_bytes()
    except OSError as error:
        raise BadInput(
            f"The image {image.path} cannot be read ({error.strerror}); it is needed to embed it."
        ) from error


def from_parts(
    entry_id: str,
    images: Sequence[Image],
    lines: Sequence[Message],
    extension: str | Mapping[str, Any] | None,
    extra: Mapping[str, Any],
    regions: Sequence[Region] | None = None,
) -> Sample:
    """A Sample from a format's native parts and its extension (None in another tool's file).

    `extra` are the native keys nobody here knows: they go to `meta`. `regions` are those the format tells natively
    (None where it has no way to). Raises KeyError, TypeError or ValueError for parts of another shape.
    """
    rest = _parse_extension(extension)
    ours = extension is not None
    system = "".join(text for role, text in lines if role == "system")
    meta = (
        dict(extra) | ({"system": system} if any(role == "system" for role, _ in lines) else {}) | rest.get("meta", {})
    )
    turns = _turns(lines, len(images), ours, bool(rest.get("inline")))
    kept = rest.get("turns", [])
    if len(kept) == len(turns):
        turns = [replace(turn, **_lists_to_tuples(more)) for turn, more in zip(turns, kept, strict=True)]
    return Sample(
        id=str(rest.get("id", entry_id)),
        images=tuple(images),
        turns=tuple(turns),
        regions=_regions(regions, rest.get("regions", [])),
        source=rest.get("source", ""),
        split=rest.get("split", ""),
        meta=meta,
    )


def _turns(lines: Sequence[Message], images: int, ours: bool, inline: bool) -> list[Turn]:
    """Questions paired with the answers that follow; an unanswered question has the answer "", and the reverse."""
    pairs: list[Message] = []
    open_question: str | None = None
    for role, text in lines:
        if role == "user":
            if open_question is not None:
                pairs.append((open_question, ""))
            open_question = text
        elif role == "assistant":
            pairs.append((open_question or "", text))
            open_question = None
        elif role != "system":
            raise ValueError(f"unknown speaker {role!r}")
    if open_question is not None:
        pairs.append((open_question, ""))
    if pairs and not (ours and inline):
        pairs[0] = (_untagged(pairs, images, ours), pairs[0][1])
    return [Turn(question=question, answer=answer) for question, answer in pairs]


def _untagged(pairs: Sequence[Message], images: int, ours: bool) -> str:
    """The first question without the tags that only say "here are the pictures"."""
    first = pairs[0][0]
    if ours and first.startswith(f"{IMAGE_TAG}\n" * images):
        return first[len(f"{IMAGE_TAG}\n") * images :]
    bare = _without_tags(first)
    interleaved = IMAGE_TAG in bare or any(IMAGE_TAG in question for question, _ in pairs[1:])
    return first if interleaved else bare


def _without_tags(text: str) -> str:
    """The text without the tags that it begins and ends with, and the blanks around these."""
    if opening := _LEADING.match(text):
        text = text[opening.end() :]
    ending = _TRAILING.match(text[::-1])
    return text[: len(text) - ending.end()] if ending else text


def _regions(native: Sequence[Region] | None, kept: Sequence[Mapping[str, Any]]) -> tuple[Region, ...]:
    ours = tuple(Region(**_lists_to_tuples(item)) for item in kept)
    if native is None:
        return ours
    if len(native) != len(ours):
        return tuple(native)
    pairs = zip(ours, native, strict=True)
    return tuple(replace(rest, label=given.label, box=given.box, image=given.image) for rest, given in pairs)


def entry_images(
    entry: Mapping[str, Any], folder: Path, supplied: Sequence[tuple[str, bytes | None]] | None = None
) -> list[Image]:
    """The images of an entry: those `supplied` with it as (path, bytes), else those that it names.

    Another tool's paths are relative to an image folder nobody wrote down: `folder`, `folder/images` and the like are
    tried. Ours are kept as they are. Bytes that were embedded from a file give the file back where it still lies at its
    path, so that a round trip on one machine changes nothing; elsewhere the bytes stand in. Raises BadInput where the
    file of a picture that was written beside the JSON file is not there.
    """
    extension = entry.get(EXTENSION)
    notes = _parse_extension(extension).get("images", [])
    if supplied is None:
        paths = [item if isinstance(item, str) else item["path"] for item in image_entries(entry)]
        supplied = [(path if extension is not None else _resolve_path(path, folder), None) for path in paths]
    noted = [(path, data, notes[n] if n < len(notes) else {}) for n, (path, data) in enumerate(supplied)]
    return [
        _image_beside(folder / path, note) if note.get("held") == _BESIDE else _make_image(path, data, note)
        for path, data, note in noted
    ]


def image_entries(entry: Mapping[str, Any]) -> list[Any]:
    """What an entry says under `images` (a list) or `image` (one, or a list)."""
    named = entry.get("images")
    named = entry.get("image") if named is None else named
    if named is None or (
        named == "" and EXTENSION not in entry
    ):  # other tools write "" for none; ours may be in memory
        return []
    return named if isinstance(named, list) else [named]


def entry_id(entry: Mapping[str, Any], number: int) -> str:
    """The id of an entry, its `number` where it has none."""
    return str(number if entry.get("id") is None else entry["id"])


def _make_image(path: str, data: bytes | None, note: Mapping[str, Any]) -> Image:
    note = dict(note)
    encoded, held = note.pop("data", None), note.pop("held", "")
    data = base64.b64decode(encoded) if encoded is not None else data
    if held == "path" and is_file(Path(path)):
        data = None
    return Image(path=path, data=data, **_lists_to_tuples(note))


def _image_beside(file: Path, note: Mapping[str, Any]) -> Image:
    """The picture in memory that was written as `file`."""
    if not is_file(file):
        raise BadInput(f"There is no picture {file}; keep the folder of the pictures beside their JSON file.")
    note = dict(note)
    path = str(note.pop("path", ""))
    del note["held"]
    return _make_image(path, image_bytes(Image(path=str(file))), note)


def _resolve_path(path: str, folder: Path) -> str:
    if Path(path).is_absolute() or "://" in path or path.startswith("data:"):
        return path
    forms = dict.fromkeys((path, path.replace("\\", "/")))  # as on Windows
    roots = (folder, folder / "images", folder / "imgs", folder.parent)
    places = [root / form for form in forms for root in roots]
    return str(resolved(next((place for place in places if is_file(place)), places[0])))


def _parse_extension(extension: str | Mapping[str, Any] | None) -> dict[str, Any]:
    return load_json(extension) if isinstance(extension, str) else dict(extension or {})


def _lists_to_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON lists as the tuples of the nouns."""
    return {key: _as_tuple(value) for key, value in values.items()}


def _as_tuple(value: Any) -> Any:
    """Lists as tuples; an object (a mask) stays what it is, lists and all."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
