"""Checkpoints in every form they are published in, and what is said of those that are not whole."""

import json

import pytest
import torch
from safetensors.torch import save_file

from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints import published as checkpoint

TENSORS = {"llama_proj.weight": torch.arange(6.0).view(2, 3), "llama_proj.bias": torch.ones(2)}


def same(found):
    return set(found) == set(TENSORS) and all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def sharded(folder, suffix=".safetensors"):
    for number, name in enumerate(TENSORS):
        save = save_file if suffix == ".safetensors" else torch.save
        save({name: TENSORS[name]}, folder / f"part-{number}{suffix}")
    index = folder / f"model{suffix}.index.json"
    index.write_text(json.dumps({"weight_map": {n: f"part-{i}{suffix}" for i, n in enumerate(TENSORS)}}))
    return index


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.bin", "a.safetensors"])
def test_every_suffix_gives_the_same_tensors(tmp_path, name):
    (save_file if name.endswith("safetensors") else torch.save)(TENSORS, tmp_path / name)
    assert same(checkpoint.tensors(tmp_path / name))
    assert checkpoint.files(tmp_path / name) == {name: tmp_path / name}
    assert checkpoint.located(tmp_path) == tmp_path / name


def test_a_legacy_pickle_is_read_too(tmp_path):
    torch.save(TENSORS, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    assert same(checkpoint.tensors(tmp_path / "a.pth"))


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_shards_are_put_together(tmp_path, suffix):
    index = sharded(tmp_path, suffix)
    assert checkpoint.located(tmp_path) == index and same(checkpoint.tensors(index))
    assert list(checkpoint.files(index)) == [index.name, f"part-0{suffix}", f"part-1{suffix}"]


def test_what_a_training_run_saved_around_the_model_is_passed_over(tmp_path):
    torch.save({"model": TENSORS, "optimizer": {"state": {0: torch.ones(1)}}, "epoch": 3}, tmp_path / "a.pth")
    assert same(checkpoint.tensors(tmp_path / "a.pth"))
    save_file({f"model.{name}": tensor for name, tensor in TENSORS.items()}, tmp_path / "a.safetensors")
    assert same(checkpoint.tensors(tmp_path / "a.safetensors", ["llama_proj."]))
    assert set(checkpoint.tensors(tmp_path / "a.safetensors", ["rgb_ckpt."])) == {f"model.{name}" for name in TENSORS}


def test_a_missing_shard_is_named(tmp_path):
    index = sharded(tmp_path)
    (tmp_path / "part-1.safetensors").unlink()
    with pytest.raises(BadInput, match=r"names 2 shards, of which 1 are not beside it, the first is part-1\.safe"):
        checkpoint.read_tree(index)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": "../b.bin"}}'])
def test_an_index_that_is_none(tmp_path, text):
    (tmp_path / "x.index.json").write_text(text)
    with pytest.raises(BadInput, match=r"no index of shards|as a shard"):
        checkpoint.files(tmp_path / "x.index.json")


@pytest.mark.parametrize("names", [[], ["a.bin", "b.bin"]])
def test_a_folder_without_one_checkpoint(tmp_path, names):
    for name in names:
        torch.save(TENSORS, tmp_path / name)
    with pytest.raises(BadInput, match=r"no one checkpoint \((none|a\.bin, b\.bin)\)"):
        checkpoint.located(tmp_path)


def test_the_model_is_taken_among_what_a_trainer_left_beside_it(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors")
    torch.save({"seed": 1}, tmp_path / "training_args.bin")
    assert checkpoint.located(tmp_path) == tmp_path / "model.safetensors"
    assert checkpoint.located(sharded(tmp_path).parent).name == "model.safetensors.index.json"
    torch.save(TENSORS, tmp_path / "FINAL.pt")
    assert checkpoint.located(tmp_path).name == "FINAL.pt"


def test_nothing_there(tmp_path):
    with pytest.raises(BadInput, match="no checkpoint at"):
        checkpoint.located(tmp_path / "gone.pt")
