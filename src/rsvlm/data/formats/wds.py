"""webdataset tar: `00000000.jpg` + `00000000.json` a sample, the JSON being a LLaVA object.

img2dataset / open_clip tars are read too: `.txt` is a caption, `.json` whatever they know about the picture.
"""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rsvlm.data.formats import llava
from rsvlm.data.formats.pictures import picture_suffix
from rsvlm.data.formats.record import EXTENSION, image_bytes, image_entries
from rsvlm.errors import BadInput
from rsvlm.files import atomic_file
from rsvlm.json_text import load_json
from rsvlm.sample import Image, Sample, Turn

MAX_SAMPLE_BYTES = 2**28  # of the members of one sample, decompressed
_MAX_RATIO, _FREE_BYTES = 200, 2**26  # bytes that a byte of a packed tar may unpack to, and beyond that
_MAX_HEADER_BYTES = 2**20  # bytes of a member's name or pax values
_LONG_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_DECOMPRESSORS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_CAPTIONS = ("txt", "caption")
_IMAGES = ("jpg", "jpeg", "png", "webp", "tif", "tiff", "gif", "bmp", "img", "jp2", "img_content")


def _members(sample: Sample, key: str, embed: bool) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of one sample. Several pictures are `key.0.jpg`, `key.1.jpg`: one key, two fields to webdataset."""
    entry = llava.to_entry(sample)
    extension = load_json(entry[EXTENSION])
    for number, (image, note) in enumerate(zip(sample.images, extension.get("images", ()), strict=True)):
        note.pop("data", None)  # the bytes are a member of their own
        if not embed and image.data is None:
            continue
        if image.data is None:
            note["held"] = "path"
        data = image_bytes(image)
        note["member"] = f"{number}.{picture_suffix(data)}" if len(sample.images) > 1 else picture_suffix(data)
        yield f"{key}.{note['member']}", data
    entry[EXTENSION] = json.dumps(extension, ensure_ascii=False)
    yield f"{key}.json", json.dumps(entry, ensure_ascii=False).encode("utf-8")


def write(samples: Iterable[Sample], path: Path, *, embed_images: bool = True) -> int:
    """Write Samples as a tar that is the same for the same samples (no times, no owners); returns how many.

    Without `embed_images` only pictures in memory are put in; the others stay paths.
    """
    count = 0
    with atomic_file(path) as part, tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
        for sample in samples:
            for name, data in _members(sample, f"{count:08d}", embed_images):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            count += 1
    return count


def read(path: Path) -> Iterator[Sample]:
    """The Samples of a webdataset tar, streamed.

    Suffixes are read in lower case; what macOS adds ("._x", "__MACOSX") is left out, and the members of a sample that
    nothing here reads are named in its meta ("unread"). Raises BadInput for a file that is no tar, a broken member,
    members of one sample that do not lie side by side, and more than `MAX_SAMPLE_BYTES` in one sample.
    """
    key, number = "", 0
    fields: dict[str, bytes] = {}
    done: set[str] = set()
    try:
        with _open_tar(path) as file, tarfile.open(fileobj=file, mode="r|", tarinfo=_BoundedHeader) as opened:
            tar: Any = opened  # `members` has no type
            while member := tar.next():
                tar.members.clear()  # of a stream nobody goes back to them
                name = Path(member.name)
                base, _, suffix = name.name.partition(".")
                if not member.isfile() or not suffix or not base or "__MACOSX" in name.parts:
                    continue
                this = str(name.parent / base)
                if this != key and fields:
                    yield _sample(key, fields, path, number)
                    done.add(key)
                    number, fields = number + 1, {}
                if this in done:
                    raise BadInput(f"{path}: the members of sample {this} do not lie side by side; sort and repack.")
                key = this
                fields[suffix.lower()] = _read_member(tar, member, sum(map(len, fields.values())), path)
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise BadInput(f"{path} is not a tar file that can be read ({error}); expected a webdataset shard.") from error
    if fields:
        yield _sample(key, fields, path, number)


class _BoundedHeader(tarfile.TarInfo):
    """A header whose long names and pax values, which tarfile reads into memory at once, have a budget."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Any:
        """The header in a block of 512 bytes. Raises ReadError."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in _LONG_HEADERS and found.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {found.size / 1e6:,.0f} MB, expected {_MAX_HEADER_BYTES / 1e6:,.0f}")
        return found


class _BoundedStream(io.RawIOBase):
    """A packed file as it unpacks, until it has unpacked to far more than it holds."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        super().__init__()
        self.file, self.path = file, path
        self.left = _MAX_RATIO * path.stat().st_size + _FREE_BYTES

    def read(self, size: int = -1, /) -> bytes:
        """The next `size` bytes. Raises BadInput."""
        found = self.file.read(size)
        self.left -= len(found)
        if self.left < 0:
            raise BadInput(
                f"{self.path} unpacks to more than {_MAX_RATIO} times its size, which no pictures do; expected a tar "
                "of pictures and their texts."
            )
        return found


@contextmanager
def _open_tar(path: Path) -> Iterator[IO[bytes] | _BoundedStream]:
    """The bytes of a tar, whether plain or packed (gzip, bzip2, xz), a little at a time."""
    with path.open("rb") as file:
        start = file.read(6)
    opens = next((opens for magic, opens in _DECOMPRESSORS.items() if start.startswith(magic)), None)
    with opens(path, "rb") if opens else path.open("rb") as file:
        yield _BoundedStream(file, path) if opens else file


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo, before: int, path: Path) -> bytes:
    """The bytes of a member, refused before they are read where the sample would pass the budget."""
    if before + member.size > MAX_SAMPLE_BYTES:
        raise BadInput(
            f"{path}: {member.name} makes its sample {(before + member.size) / 1e6:,.0f} MB, over the budget of "
            f"{MAX_SAMPLE_BYTES / 1e6:,.0f} MB; store pictures, not scenes."
        )
    file = tar.extractfile(member)
    return file.read() if file else b""


def _sample(key: str, fields: Mapping[str, bytes], path: Path, number: int) -> Sample:
    try:
        entry: dict[str, Any] = load_json(fields["json"]) if "json" in fields else {}
        if EXTENSION in entry:
            return _own_sample(entry, fields, path, number)
        pictures = [suffix for suffix in fields if suffix.rsplit(".", 1)[-1] in _IMAGES]
        came = [(f"{key}.{suffix}", fields[suffix]) for suffix in pictures]
        if "conversations" in entry:
            return llava.from_entry(entry, path.parent, number, came)
        caption = next((fields[one].decode("utf-8-sig").strip() for one in _CAPTIONS if one in fields), None)
        if caption is None:
            caption = next((entry.pop(one) for one in ("caption", "text") if isinstance(entry.get(one), str)), None)
        turns = () if caption is None else (Turn(task="caption", question="", answer=caption),)
        unread = sorted(set(fields) - {"json", *_CAPTIONS, *pictures})
        meta = entry | ({"unread": unread} if unread else {})
        return Sample(id=key, images=tuple(Image(path=name, data=data) for name, data in came), turns=turns, meta=meta)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path}: sample {key} cannot be read ({type(error).__name__}: {error}).") from error


def _own_sample(entry: Mapping[str, Any], fields: Mapping[str, bytes], path: Path, number: int) -> Sample:
    """A sample we wrote: its extension says which member holds which picture."""
    extension = load_json(entry[EXTENSION])
    members = [note.pop("member", "") for note in extension.get("images", ())]
    came = [(name, fields.get(member)) for name, member in zip(image_entries(entry), members, strict=True)]
    return llava.from_entry({**entry, EXTENSION: extension}, path.parent, number, came)
