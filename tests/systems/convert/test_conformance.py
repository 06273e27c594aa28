"""What holds for the published weights of every system: each tensor lands or is refused, and nothing is left behind.

A system takes part by a release in tests/fake/releases/<system>.py; what only one of them does is in
tests/systems/test_<system>_published.py.
"""

import hashlib
import json
import re
import shutil

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from fake.published import changed, releases, write_llama
from fake.runs import ROOT
from rsvlm.errors import BadInput, MissingPart
from rsvlm.recipe import read_recipe
from rsvlm.systems.build import build, load_weights
from rsvlm.systems.convert import convert as door
from rsvlm.systems.convert.convert import convert, identify, readers
from rsvlm.systems.load import load

RELEASES = releases()
EVERY = pytest.mark.parametrize("system", RELEASES)


def cases(of):
    """(system, one) for everything that `of(release)` lists."""
    found = [(system, one) for system, release in RELEASES.items() for one in of(release)]
    ids = [f"{system}: {one if isinstance(one, str) else one[0]}" for system, one in found]
    return pytest.mark.parametrize(("system", "case"), found, ids=ids)


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """`beside(system)` is the tower that is published apart, as an option of the conversion."""
    written = {}

    def options(system):
        if system not in written and (write := RELEASES[system].vision):
            written[system] = write(tmp_path_factory.mktemp(f"vision_{system}"))
        return {"vision": written[system]} if system in written else {}

    return options


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "release"


def reader(system, path, out, **options):
    """The system's own reader, which `rsvlm weights convert` calls once it knows the system."""
    return readers()[system](path, out, **{"recipe": RELEASES[system].recipe, **options})


def refused(act, tmp_path, match, error=BadInput):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=match) as caught:
        act(tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before and "\n" not in str(caught.value)


def test_every_system_with_a_reader_has_a_release_here():
    assert list(RELEASES) == list(readers()) == [release.system for release in RELEASES.values()]
    assert {"lhrs_bot", "lhrs_bot_nova", "rs_gpt4v", "skyeyegpt"} <= set(RELEASES)


# The published files.


def small_model(system, out):
    """The model of a converted folder, its language model random."""
    recipe = read_recipe(out / "recipe.yaml")
    language = {**RELEASES[system].recipe.model["language"], "lora": recipe.model["language"].get("lora")}
    return build(recipe.model_copy(update={"model": {**recipe.model, "language": language}}), for_training=False)


@cases(lambda release: release.variants)
def test_every_tensor_lands(beside, folder, tmp_path, system, case):
    release = RELEASES[system]
    published = release.variants[case](folder)
    account = reader(system, folder / release.given, tmp_path / "out", **beside(system))
    ignored = {name for name in published if re.search(release.ignored, name)}
    assert set(account.ignored) == ignored and all(account.ignored.values())
    assert set(account.loaded) == set(published) - ignored
    state = load_file(tmp_path / "out" / "model.safetensors")
    for theirs, ours in account.loaded.items():
        turned = published[theirs].mT if re.search(release.transposed, theirs) else published[theirs]
        assert torch.equal(state[ours], turned), theirs
    model = small_model(system, tmp_path / "out")
    own = model.state_dict()
    base = {name for name in own if name.startswith("language.model.") and ".lora_" not in name}
    assert set(state) == set(own) - base and set(account.elsewhere) == set(own) - set(account.loaded.values())
    load_weights(model, state, source="the folder")
    assert identify(folder / release.given).system == system


@EVERY
def test_the_folder_says_where_its_weights_come_from(beside, folder, tmp_path, system):
    release, vision = RELEASES[system], beside(system)
    reader(system, release.write(folder), tmp_path / "out", **vision)
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    tower = vision.get("vision")
    apart = {file.name: file for file in ([] if not tower else [tower] if tower.is_file() else tower.iterdir())}
    files = {**{name: folder / name for name in release.sources}, **apart}
    assert record["sha256"] == {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    assert record["system"] == system and any(release.base.split("/")[1] in why for why in record["elsewhere"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "model.safetensors", "provenance.json", "recipe.yaml"
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "release"]


@EVERY
def test_a_converted_folder_answers(beside, folder, tmp_path, system):
    release = RELEASES[system]
    llama = write_llama(tmp_path / "llama", specials=release.specials)
    convert(release.write(folder), tmp_path / "out", recipe=release.recipe, language_model=llama, **beside(system))
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    chat = load(str(tmp_path / "out"))
    first, second = (chat.answer([picture], ["What is shown?"], max_new_tokens=3)[0] for _ in range(2))
    assert isinstance(first.text, str) and first == second and 0 < first.confidence <= 1
    assert chat.box_dialect == release.box_dialect and chat.trace["system"] == system


@EVERY
def test_without_the_language_model_the_folder_says_what_it_needs(beside, folder, tmp_path, system):
    reader(system, RELEASES[system].write(folder), tmp_path / "out", **beside(system))
    with pytest.raises(MissingPart, match=f"fetch {re.escape(RELEASES[system].base)} from Hugging Face"):
        load(str(tmp_path / "out"))


@EVERY
def test_the_files_alone_are_enough(monkeypatch, beside, folder, tmp_path, system):
    """As if the paper's recipe were as small as the files; r and lora_alpha are those of the adapters' own file."""
    release = RELEASES[system]
    paper, given = tmp_path / "paper.yaml", release.write(folder)
    adapter_file = any(folder.rglob("adapter_config.json"))
    language = release.recipe.model["language"]
    lora = {**language["lora"], **({"r": 128, "lora_alpha": 256} if adapter_file else {})}
    model = {**release.recipe.model, "language": {**language, "lora": lora}}
    paper.write_text(yaml.safe_dump(release.recipe.model_copy(update={"model": model}).model_dump(mode="json")))
    monkeypatch.setattr(door, "shipped", lambda name: paper)
    account = convert(given, tmp_path / "out" / "model.safetensors", **beside(system))
    recipe = read_recipe(tmp_path / "out" / "recipe.yaml")
    lora = recipe.model["language"]["lora"]
    assert recipe.system == system and account.loaded and (lora["r"], lora["lora_alpha"]) == release.scale
    convert(given, tmp_path / "again", **beside(system))
    for name in ("model.safetensors", "recipe.yaml", "provenance.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


@EVERY
def test_the_command_says_what_became_of_every_tensor(monkeypatch, capsys, beside, folder, tmp_path, system):
    from rsvlm import cli

    release = RELEASES[system]
    published = next(iter(release.variants.values()))(folder)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(release.recipe.model_dump(mode="json")))
    words = [folder / release.given, "--recipe", tmp_path / "small.yaml", "--out", tmp_path / "out"]
    words += [word for name, value in beside(system).items() for word in (f"--{name}", value)]
    monkeypatch.setattr("sys.argv", ["rsvlm", "weights", "convert", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    ignored = sum(bool(re.search(release.ignored, name)) for name in published)
    said = capsys.readouterr().out
    assert left.value.code == 0 and f"{len(published) - ignored} tensors loaded, {ignored} left out, 0 unknown" in said
    assert "0 missing" in said and "  not in it: the language model" in said


def papers():
    return [path for system in RELEASES for path in sorted((ROOT / "recipes" / system).glob("*.yaml"))
            if not path.stem.startswith(("tiny", "mini"))]  # fmt: skip


@pytest.mark.parametrize("path", papers(), ids=lambda path: f"{path.parent.name} {path.stem}")
def test_a_papers_recipe_gives_a_source_for_every_number_of_its_stages(path):
    lines = path.read_text().split("\nstages:\n")[1].splitlines()
    assert [line for line in lines if "name:" not in line and "#" not in line] == []


# What is not the published file is refused in a sentence, and nothing is left behind.


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
    given, recipe, options = RELEASES[system].write(folder), RELEASES[system].with_bridge(**numbers), beside(system)
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


@EVERY
def test_adapters_of_another_base_are_named(beside, folder, tmp_path, system):
    release = RELEASES[system]
    given = release.write(folder)
    file, *keys = release.adapters

    def widened(tree, _):
        names = {"q_proj.lora_A": (release.scale[0], 4096), "v_proj.lora_B": (1024, release.scale[0])}
        for name in list(tree):
            if shape := next((shape for part, shape in names.items() if f"layers.0.self_attn.{part}" in name), None):
                tree[name] = torch.zeros(shape)
            elif ".lora_" in name:
                del tree[name]

    changed(folder, (file, *keys, ""), widened)
    match = r"made for LLaMA-3-8B \(4096 wide, keys 1024 wide\), expected a language model 24 wide.*another base"
    refused(lambda out: convert(given, out, recipe=release.recipe, **beside(system)), tmp_path, match)


@pytest.mark.parametrize("number, value", [("hidden_size", 32), ("num_key_value_heads", 1), ("num_hidden_layers", 3)])
@EVERY
def test_another_language_model_is_refused(beside, folder, tmp_path, system, number, value):
    release = RELEASES[system]
    given, llama = release.write(folder), write_llama(tmp_path / "llama", specials=release.specials)
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
