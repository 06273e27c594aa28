"""A Git-LFS pointer is named as such by whoever opens the file that it stands for."""

import re

import pytest

from fake import annotations
from rsvlm.data import formats
from rsvlm.data.catalogue import load
from rsvlm.data.images import read_rgb
from rsvlm.errors import BadInput
from rsvlm.evaluate.answer_entries import Problems, entries
from rsvlm.geo.raster import open_scene
from rsvlm.json_text import read_json_object
from rsvlm.parts.checkpoints import published, weights
from rsvlm.parts.language.local_files import check_folder
from rsvlm.sample import Image
from rsvlm.systems.convert.verify import verify

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 13476900000\n"

OPENED = {
    "scene.tif": open_scene,
    "picture.jpg": lambda path: read_rgb(Image(path=str(path))),
    "memory.jpg": lambda path: read_rgb(Image(path=str(path), data=path.read_bytes())),
    "model.bin": verify,
    "model.safetensors": weights.read_state,
    "model.safetensors.index.json": published.files,
    "config.json": lambda path: read_json_object(path, "a configuration"),
    "tokenizer.json": lambda path: check_folder(path.parent),
    "samples.json": lambda path: list(formats.read(path)),
    "samples.jsonl": lambda path: list(formats.read(path)),
    "samples.parquet": lambda path: list(formats.read(path)),
    "samples.tar": lambda path: list(formats.read(path)),
}


@pytest.mark.parametrize("name", OPENED)
def test_a_pointer_is_named(tmp_path, name):
    path = tmp_path / name
    path.write_text(POINTER)
    if name == "tokenizer.json":
        (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInput) as caught:
        OPENED[name](path)
    assert re.fullmatch(
        rf".*{re.escape(name)} is a Git-LFS pointer and not the file itself; run `git lfs pull` in its repository\.",
        str(caught.value),
    )


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("ucm_captions", "dataset.json"), ("voc", "Annotations/*.xml"), ("dior_rsvg", "*/*.xml"), ("dota", "*/*/*.txt"),
        ("coco", "**/*.json"), ("rsvqa_lr", "*questions.json"), ("levir_mci", "**/label/*.png"), ("rrsis_d", "**/*.p"),
        ("xlrs_bench_lite", "**/*.arrow"),
    ],
)  # fmt: skip
def test_annotations_that_are_pointers_are_named(tmp_path, name, pattern):
    folder = annotations.make(name, tmp_path)
    found = sorted(folder.glob(pattern))
    assert found
    for path in found:
        path.write_text(POINTER)
    with pytest.raises(BadInput, match="is a Git-LFS pointer and not the file itself"):
        load(name, folder, "all")


def test_a_file_of_answers_that_is_a_pointer(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text(POINTER)
    with pytest.raises(BadInput, match="is a Git-LFS pointer"):
        list(entries(path, Problems()))
