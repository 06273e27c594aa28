"""Pixels of an Image: files, bytes, windows, rasters, and sentences for what cannot be read."""

import io

import numpy as np
import PIL.Image
import pytest

from fake.annotations import picture
from rsvlm.data import images
from rsvlm.data.images import read_rgb
from rsvlm.errors import BadInput
from rsvlm.sample import Image


def saved(pixels, path, mode=None):
    PIL.Image.fromarray(pixels, mode).save(path) if mode is None else PIL.Image.fromarray(pixels).convert(mode).save(
        path
    )
    return path


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_reads_a_file_and_its_bytes(suffix, pixels, tmp_path):
    path = saved(pixels, tmp_path / f"a.{suffix}")
    found = read_rgb(Image(path=str(path)))
    assert found.dtype == np.uint8 and found.flags.writeable and (found == pixels).all()
    assert (read_rgb(Image(path="", data=path.read_bytes())) == pixels).all()


def test_reads_a_window(pixels, tmp_path):
    path = saved(pixels, tmp_path / "a.png")
    assert (read_rgb(Image(path=str(path), window=(3, 2, 5, 4))) == pixels[2:6, 3:8]).all()
    for window in ((12, 0, 5, 4), (-1, 0, 2, 2), (0, 0, 0, 2)):
        with pytest.raises(BadInput, match="does not hold the window"):
            read_rgb(Image(path=str(path), window=window))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1"])
def test_every_mode_is_three_channels(mode, pixels, tmp_path):
    path = saved(pixels, tmp_path / "a.png", mode)
    assert read_rgb(Image(path=str(path))).shape == (12, 16, 3)


def test_exif_rotation_is_not_applied(pixels, tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    assert read_rgb(Image(path=str(tmp_path / "a.jpg"))).shape == (12, 16, 3)


def test_rasters_go_through_open_scene(pixels, tmp_path):
    pytest.importorskip("rasterio")
    path = saved(pixels, tmp_path / "a.tif")
    assert (read_rgb(Image(path=str(path))) == pixels).all()
    assert (read_rgb(Image(path=str(path), window=(1, 2, 3, 4))) == pixels[2:6, 1:4]).all()
    assert (read_rgb(Image(path="a.tif", data=path.read_bytes())) == pixels).all()


def test_what_cannot_be_read_is_one_sentence(tmp_path, monkeypatch):
    whole = picture(tmp_path / "a.jpg", size=(64, 64)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.png").write_bytes(picture(tmp_path / "a.png", size=(64, 64)).read_bytes()[:200])
    (tmp_path / "text.jpg").write_text("hello there, not a picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    cases = {"gone.jpg": "no image at", "cut.jpg": "truncated", "cut.png": "truncated", "text.jpg": "not an image"}
    for name, says in (cases | {"empty.jpg": "not an image", ".": "no image at"}).items():
        with pytest.raises(BadInput, match=says) as caught:
            read_rgb(Image(path=str(tmp_path / name)))
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(images, "PIXEL_BUDGET", 4000)
    with pytest.raises(BadInput, match=r"64 x 64 pixels; at most 4,000"):
        read_rgb(Image(path=str(tmp_path / "a.jpg")))


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_opens(side):
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + side.to_bytes(4) + side.to_bytes(4) + b"\x08\x02\0\0\0"
    import zlib

    header += zlib.crc32(header[12:]).to_bytes(4)
    out = io.BytesIO(header + b"\0\0\0\0IDAT" + zlib.crc32(b"IDAT").to_bytes(4))
    with pytest.raises(BadInput, match="pixels"):
        read_rgb(Image(path="bomb.png", data=out.getvalue()))
