"""Pickles looked over before anything reads them: a few bytes can ask for gigabytes."""

import pickletools
import zipfile
from pathlib import Path

from rsvlm.errors import BadInput

_MOST_OPCODES = 50_000_000  # some bytes each
_LARGEST_PROGRAM = 256 << 20  # bytes of the program in a torch file; the tensors lie beside it


def check_pickle(data: bytes, path: Path) -> None:
    """Raises BadInput for a pickle program that would take memory out of proportion to its size, or is cut short.

    Places in the memo beyond the number of its bytes, and byte arrays of a length that it only names.
    """
    try:
        for count, (code, argument, _) in enumerate(pickletools.genops(data)):
            if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > len(data):
                raise BadInput(f"{path} asks for {argument:,} places of memory in {len(data):,} bytes; it is not read.")
            if isinstance(argument, str) and "bytearray" in argument:
                raise BadInput(f"{path} makes byte arrays of any length, which no checkpoint needs; it is not read.")
            if count > _MOST_OPCODES:
                raise BadInput(f"{path} is a pickle of more than {_MOST_OPCODES:,} steps; it is not read.")
            if code.name == "STOP":
                return
    except (ValueError, IndexError, OverflowError) as error:
        raise BadInput(
            f"{path} is damaged or no pickle ({' '.join(str(error).split())[:80]}); fetch it again."
        ) from error


def check_torch_file(path: Path) -> None:
    """`check_pickle` for the program of a torch checkpoint: data.pkl of a zip, or the start of an old file.

    Raises BadInput, also for a zip whose members unpack to far more than is stored.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            start = file.read(1 << 20)
        if start[:1] == b"\x80":
            _check_start(start, path)
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.file_size > 1 << 24 and member.file_size > 200 * max(member.compress_size, 1):
                raise BadInput(f"{path} unpacks {member.filename} to {member.file_size / 1e6:,.0f} MB; it is not read.")
            if not member.filename.endswith("/data.pkl"):
                continue
            if member.file_size > _LARGEST_PROGRAM:
                raise BadInput(f"{path} holds a program of {member.file_size / 1e6:,.0f} MB; it is not read.")
            check_pickle(archive.read(member), path)


def _check_start(start: bytes, path: Path) -> None:
    """The first programs of an old torch file, which follow one another; the tensors come behind them."""
    try:
        check_pickle(start, path)
    except BadInput as error:
        if "damaged" not in str(error):  # what is cut off by reading the start alone is left to torch
            raise
