"""Pickles looked over before anything reads them: a few bytes can ask for gigabytes."""

import mmap
import pickletools
import zipfile
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput

MOST_MEMORY = 1 << 30  # bytes that the lists, texts and numbers of one pickle may take, estimated from its program
_LARGEST_PROGRAM = 256 << 20  # bytes of the program in a torch file; the tensors lie beside it
_UNPACKED = 64 << 20  # bytes to which all packed members of a torch file may unpack; torch itself packs none
_LEGACY_PROGRAMS = 5  # at the start of an old torch file: number, version, machine, what was saved, its storages

_PAIR = -100  # an argument of two lines; pickletools' code for one that ends with its line is -1
_LENGTHS = {-2: 1, -3: 4, -4: 4, -5: 8}  # pickletools' code for "as long as the number before says": bytes of it
_OPCODES: list[tuple[str, int] | None] = [None] * 256
for _one in pickletools.opcodes:
    _size = _one.arg.n if _one.arg else 0
    _OPCODES[ord(_one.code)] = (_one.name, _PAIR if _one.arg and _one.arg.name == "stringnl_noescape_pair" else _size)
# Bytes that CPython takes for what an opcode makes, without its text; what is not listed is a number or a reference.
_COSTS: dict[str, int] = {
    "EMPTY_SET": 216, "FROZENSET": 216, "EMPTY_DICT": 240, "DICT": 240,
    "EMPTY_LIST": 88, "LIST": 88, "TUPLE": 88, "TUPLE1": 88, "TUPLE2": 88, "TUPLE3": 88,
}  # fmt: skip
_COST = [_COSTS.get(one[0], 40) if one else 0 for one in _OPCODES]
_PUTS = [bool(one) and one[0] in ("PUT", "BINPUT", "LONG_BINPUT") for one in _OPCODES]


def check_pickle(data: Any, path: Path, start: int = 0) -> int:
    """Where the pickle program that begins at `start` of `data` (bytes, or a mapped file) ends.

    Raises BadInput, before anything is made of it, for one that would take memory out of proportion to its size (places
    in the memo that it has no values for, byte arrays whose length it only names, over `MOST_MEMORY` in all), and for
    one that is cut short.
    """
    at, cost, steps, end = start, 0, 0, len(data)
    while at < end:
        code = data[at]
        opcode = _OPCODES[code]
        if opcode is None:
            raise _damaged(path, f"there is no opcode {code:#x}")
        size, before = opcode[1], at + 1
        at = before
        if size >= 0:
            at += size
        elif size in _LENGTHS:
            length = int.from_bytes(data[at : at + _LENGTHS[size]], "little", signed=size == -3)
            at += _LENGTHS[size] + max(length, 0)
            cost += max(length, 0)
        else:
            for _ in range(2 if size == _PAIR else 1):
                at = data.find(b"\n", at) + 1 or end + 1
            cost += at - before
        if at > end:
            raise _damaged(path, f"{opcode[0]} is cut short")
        steps, cost = steps + 1, cost + _COST[code]
        if _PUTS[code]:
            _check_place(path, _number(data[before:at], size), steps, end - start)
        elif at - before < 40 and b"bytearray" in data[before:at]:
            _check_name(path, data[before:at], size)
        if cost > MOST_MEMORY:
            raise BadInput(f"{path} is a pickle that takes over {MOST_MEMORY / 1e9:.1f} GB of memory; it is not read.")
        if opcode[0] == "STOP":
            return at
    raise _damaged(path, "it has no end")


def _damaged(path: Path, why: str) -> BadInput:
    return BadInput(f"{path} is damaged or no pickle ({why}); fetch it again.")


def _number(argument: bytes, size: int) -> int:
    digits = argument.strip()
    if size >= 0:
        return int.from_bytes(argument, "little")
    return int(digits) if digits.isdigit() and len(digits) < 20 else 1 << 62


def _check_place(path: Path, place: int, steps: int, length: int) -> None:
    """Python makes a table up to the largest place: who numbers them one after the other has none beyond his steps."""
    if place > steps + 256:
        raise BadInput(f"{path} asks for {place:,} places of memory in {length:,} bytes; it is not read.")


def _check_name(path: Path, argument: bytes, size: int) -> None:
    names = argument.split(b"\n") if size == _PAIR else [argument[_LENGTHS.get(size, 0) :].strip()]
    if b"bytearray" in names:
        raise BadInput(f"{path} makes byte arrays of any length, which no checkpoint needs; it is not read.")


def is_torch_zip(path: Path) -> bool:
    """Whether torch reads a file as a zip: by its first bytes, wherever else there is a zip in it."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def check_torch_file(path: Path) -> None:
    """`check_pickle` for the program of a torch checkpoint: data.pkl of a zip, or the programs of an old file.

    Raises BadInput, also for a zip whose members unpack to far more than is stored. What is no checkpoint at all is
    left to torch.
    """
    if not path.stat().st_size:
        return
    if not is_torch_zip(path):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _check_programs(data, path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [one for one in archive.infolist() if one.compress_type != zipfile.ZIP_STORED]
            if (unpacked := sum(one.file_size for one in packed)) > _UNPACKED or any(map(_swells, packed)):
                largest = max(packed, key=lambda one: one.file_size)
                raise BadInput(f"{path} unpacks {largest.filename} to {unpacked / 1e6:,.0f} MB; it is not read.")
            for member in archive.infolist():
                if member.filename.endswith("data.pkl"):
                    if member.file_size > _LARGEST_PROGRAM:
                        raise BadInput(f"{path} holds a program of {member.file_size / 1e6:,.0f} MB; it is not read.")
                    check_pickle(archive.read(member), path)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise BadInput(f"{path} is damaged or cut short ({str(error)[:80]}); fetch it again.") from error


def _swells(member: zipfile.ZipInfo) -> bool:
    return member.file_size > 1 << 24 and member.file_size > 200 * max(member.compress_size, 1)


def _check_programs(data: Any, path: Path) -> None:
    """The first programs of an old torch file, which follow one another; the tensors come behind them."""
    at = 0
    try:
        for _ in range(_LEGACY_PROGRAMS):
            at = check_pickle(data, path, at)
    except BadInput as error:
        if "is damaged" not in str(error):  # torch stops at the same place, and says so
            raise
