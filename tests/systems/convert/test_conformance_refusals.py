"""What holds for the published weights of every system: what is not the published file is refused in a sentence, and
nothing is left behind.
"""

import json
import re
import shutil

import pytest
import torch

from fake.conformance import ADAPTED, EVERY, RELEASES, SPEAKING, cases, reader, refused
from fake.published import changed, write_base
from rsvlm.errors import MissingPart
from rsvlm.systems.convert.convert import convert, identify


@cases(lambda release: release.missing)
def test_a_missing_tensor_is_an_error(beside, folder, tmp_path, system, case):
    given, options = RELEASES[system].write(folder), beside(system)
    changed(folder, case, lambda tree, name: tree.pop(name))
    refused(lambda out: reader(system, given, out, **options), tmp_path, "lacks 1 of")


@cases(lambda release: release.strange.items())
def test_a_strange_tensor_is_an_error(beside, folder, tmp_path, system, case):
    given, options = RELEASES[system].write(folder), beside(system)
    place, match = case
    changed(folder, place, lambda tree, name: tree.update({name: torch.ones(2)}))
    refused(lambda out: reader(system, given, out, **options), tmp_path, match)


@cases(lambda release: release.reshaped.items())
def test_a_tensor_of_another_shape_is_an_error(beside, folder, tmp_path, system, case):
    given, options = RELEASES[system].write(folder), beside(system)
    place, match = case
    changed(folder, place, lambda tree, name: tree.update({name: torch.ones(7)}))
    refused(lambda out: reader(system, given, out, **options), tmp_path, match)


@cases(lambda release: release.other_sizes)
def test_a_recipe_of_other_sizes_is_an_error(beside, folder, tmp_path, system, case):
    numbers, match = case
    given, recipe, options = RELEASES[system].write(folder), RELEASES[system].resized(**numbers), beside(system)
    refused(lambda out: reader(system, given, out, recipe=recipe, **options), tmp_path, match)


def both_doors(system, given, beside, tmp_path, match):
    """Refused by the system's reader, and by `convert`, which looks at the file before it knows the system."""
    refused(lambda out: reader(system, given, out, **beside(system)), tmp_path, match)
    refused(lambda out: convert(given, out, recipe=RELEASES[system].recipe, **beside(system)), tmp_path, match)
    refused(lambda out: convert(given, out, **beside(system)), tmp_path, match)


class Ran:
    """Would leave a mark if the checkpoint's code were run."""

    def __reduce__(self):
        return exec, ("raise SystemExit('the code of a checkpoint must not run')",)


@EVERY
def test_code_in_a_checkpoint_is_not_run(beside, folder, tmp_path, system):
    release = RELEASES[system]
    given, (place, *_) = release.write(folder), release.reshaped
    changed(folder, place, lambda tree, name: tree.update({name: Ran()}))
    both_doors(system, given, beside, tmp_path, "more than tensors")


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old format"])
@EVERY
def test_a_truncated_file_is_refused(beside, folder, tmp_path, system, old):
    release = RELEASES[system]
    given, path = release.write(folder), folder / release.checkpoint
    if old:
        torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for share in (0.0, 0.001, 0.2, 0.3, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        both_doors(system, given, beside, tmp_path, f"{release.checkpoint}.*(damaged|more than tensors)")


@EVERY
def test_a_truncated_tower_is_refused(beside, folder, tmp_path, system):
    given, options = RELEASES[system].write(folder), beside(system)
    if not options:
        options = {"vision": folder / "any.pth"}
        refused(lambda out: reader(system, given, out, **options), tmp_path, r"holds the vision tower; leave out")
        return
    copy = tmp_path / "cut" / options["vision"].name
    tower = options["vision"]
    shutil.copytree(tower.parent, copy.parent)
    (file,) = [copy] if copy.is_file() else copy.iterdir()
    file.write_bytes(file.read_bytes()[:-500])
    damaged = f"{file.name}.*(damaged|more than tensors|not a readable)"
    refused(lambda out: reader(system, given, out, vision=copy), tmp_path, damaged)
    refused(lambda out: reader(system, given, out), tmp_path, RELEASES[system].tower, MissingPart)


@EVERY
def test_what_is_no_checkpoint_is_refused(beside, folder, tmp_path, system):
    release = RELEASES[system]
    given, path = release.write(folder), folder / release.checkpoint
    path.write_text("<html>Quota exceeded</html>")
    both_doors(system, given, beside, tmp_path, "more than tensors")
    both_doors(system, folder / "absent.pt", beside, tmp_path, r"There is no checkpoint at .*absent\.pt")


@EVERY
def test_an_existing_folder_is_not_touched(beside, folder, tmp_path, system):
    given = RELEASES[system].write(folder)
    (tmp_path / "out").mkdir()
    both_doors(system, given, beside, tmp_path, "exists already")


@ADAPTED
def test_adapters_of_another_base_are_named(beside, folder, tmp_path, system):
    release = RELEASES[system]
    given = release.write(folder)
    file, *keys = release.adapters

    def widened(tree, _):
        names = {"q_proj.lora_A": (release.scale[0], 5120), "v_proj.lora_B": (5120, release.scale[0])}
        for name in list(tree):
            if shape := next((shape for part, shape in names.items() if f"layers.0.self_attn.{part}" in name), None):
                tree[name] = torch.zeros(shape)
            elif ".lora_" in name:
                del tree[name]

    changed(folder, (file, *keys, ""), widened)
    made = r"made for LLaMA-2-13B or Vicuna-13B \(5120 wide, keys 5120 wide\), expected"
    small = f"{made} a language model 24 wide.*need another base than {release.base}"
    refused(lambda out: convert(given, out, recipe=release.recipe, **beside(system)), tmp_path, small)
    paper = rf"{made} (LLaMA-2-7B or Vicuna-7B \(4096|LLaMA-3-8B \(4096 wide, keys 1024)"
    refused(lambda out: convert(given, out, **beside(system)), tmp_path, paper)


@pytest.mark.parametrize("number, value", [("hidden_size", 32), ("num_key_value_heads", 1), ("num_hidden_layers", 3)])
@SPEAKING
def test_another_language_model_is_refused(beside, folder, tmp_path, system, number, value):
    release = RELEASES[system]
    given, llama = release.write(folder), write_base(tmp_path / "llama", release)
    config = json.loads((llama / "config.json").read_text())
    (llama / "config.json").write_text(json.dumps({**config, number: value}))
    options = {"recipe": release.recipe, "language_model": llama, **beside(system)}
    match = f"another language model: its {number} is {value}, expected .*give {re.escape(release.base)}"
    refused(lambda out: convert(given, out, **options), tmp_path, match)


@cases(lambda release: [other for other in RELEASES if other != release.system])
def test_the_checkpoint_of_another_system_is_named(beside, folder, tmp_path, system, case):
    given = RELEASES[case].write(folder)
    seen = identify(given)
    assert seen.system == case
    match = f"no checkpoint of {system}: it looks like {re.escape(seen.what)}; convert it as {case}"
    refused(lambda out: convert(given, out, system=system), tmp_path, match)
    refused(lambda out: reader(system, given, out, **beside(system)), tmp_path, "checkpoint")
