"""Tars of some kilobytes that unpack to gigabytes, wherever in the tar they lie."""

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc

import pytest

from rsvlm.data.formats import wds
from rsvlm.errors import BadInput

BIG = 200_000_000
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "tar": bytes}


def header(name, size, kind=tarfile.REGTYPE, **more):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    for key, value in more.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def pack(path, start, size, kind):
    """A file of `kind` with `start` and then `size` zeros, made without holding them."""
    opens = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open, "tar": open}[kind]
    with opens(path, "wb") as file:
        file.write(start)
        for _ in range(size // 1_000_000):
            file.write(bytes(1_000_000))
    return path


def peak(path):
    """Bytes that Python took until the tar was refused, and how it was."""
    tracemalloc.start()
    with pytest.raises(BadInput) as refused:
        for _ in wds.read(path):
            pass
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found, str(refused.value)


STARTS = {
    "a picture": header("0.jpg", 2 * BIG), "a text": header("0.json", 2 * BIG),
    "pax values": header("x", BIG, tarfile.XHDTYPE), "global pax values": header("x", BIG, tarfile.XGLTYPE),
    "a long name": header("././@LongLink", BIG, tarfile.GNUTYPE_LONGNAME),
    "a long link": header("././@LongLink", BIG, tarfile.GNUTYPE_LONGLINK),
    "what is passed over": header("__MACOSX/x.y", BIG),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "gz") for name in STARTS), ("pax values", "xz"), ("what is passed over", "bz2")]
)
def test_a_small_file_takes_little_memory(tmp_path, name, kind):
    path = pack(tmp_path / f"a.tar.{kind}", STARTS[name], BIG, kind)
    assert path.stat().st_size < 500_000
    taken, says = peak(path)
    assert taken < 60_000_000 and ("over the budget" in says or "header of 200 MB" in says or "unpacks to more" in says)


def test_very_many_members_are_not_kept(tmp_path):
    member = header("folder/", 0, tarfile.DIRTYPE)
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(40):
            file.write(member * 1000)
    tracemalloc.start()
    assert list(wds.read(path)) == []
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("kind", PACKERS)
def test_packed_tars_are_read(tmp_path, kind):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, data in (("a.jpg", b"\xff\xd8x"), ("a.txt", b"A pier."), (f"{'long' * 60}.txt", b"A port.")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    path = tmp_path / "a.tar"  # the name says nothing
    path.write_bytes(PACKERS[kind](plain.getvalue()))
    first, second = wds.read(path)
    assert (first.turns[0].answer, first.images[0].data, second.turns[0].answer) == ("A pier.", b"\xff\xd8x", "A port.")
    path.write_bytes(PACKERS[kind](plain.getvalue())[: 300 if kind == "tar" else -60])
    with pytest.raises(BadInput, match="is not a tar file that can be read"):
        list(wds.read(path))
