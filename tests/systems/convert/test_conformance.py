"""What holds for the published weights of every system: each tensor lands, and the folder loads and answers.

What is refused is in test_conformance_refusals.py. A system takes part by a release in tests/fake/releases/<system>.py;
what only one of them does is in tests/systems/test_<system>_published.py.
"""

import hashlib
import json
import re

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from fake.conformance import EVERY, MATCHING, RELEASES, SEEING, SPEAKING, cases, reader
from fake.published import write_base
from rsvlm.errors import MissingPart
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.systems.abilities import Embeds, Matches
from rsvlm.systems.build import build, load_weights
from rsvlm.systems.convert import convert as door
from rsvlm.systems.convert.convert import convert, identify, readers
from rsvlm.systems.convert.verify import verify
from rsvlm.systems.load import load


def test_every_system_with_a_reader_has_a_release_here():
    assert list(RELEASES) == list(readers()) == [release.system for release in RELEASES.values()]
    assert {
        *("cmid", "gaia_blip2", "georsclip", "lhrs_bot", "lhrs_bot_nova"),
        *("rs_capret", "rs_gpt4v", "skyeyegpt", "skyscript"),
    } <= set(RELEASES)


# The published files.


def small_model(system, out):
    """The model of a converted folder, its language model random."""
    recipe = read_recipe(out / "recipe.yaml")
    if "language" not in recipe.model:
        return build(recipe, for_training=False)
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


WRAPPED = {
    "model and optimizer": lambda tree: {"model": tree, "optimizer": {"state": {0: torch.ones(3)}}, "epoch": 3},
    "DataParallel": lambda tree: {f"module.{name}": value for name, value in tree.items()},
    "state_dict of DataParallel": lambda tree: {
        "state_dict": {f"module.{name}": value for name, value in tree.items()}, "best": 0.5
    },
    "DeepSpeed": lambda tree: {"module": tree, "ds_version": "0.14"},
}  # fmt: skip


@pytest.mark.parametrize("wrapped", WRAPPED)
@EVERY
def test_what_a_trainer_put_around_the_model_is_taken_off_by_check_and_by_convert(
    beside, folder, tmp_path, system, wrapped
):
    release = RELEASES[system]
    release.write(folder)
    file, given = folder / release.checkpoint, folder / release.given
    plain = reader(system, given, tmp_path / "plain", **beside(system))
    tree = torch.load(file, weights_only=True)
    tree = tree.get("model", tree.get("state_dict", tree))
    torch.save(WRAPPED[wrapped](tree), file)
    seen = verify(file)
    assert seen["system"] == system and ("under" in seen["notes"] or "'module.' is taken off" in seen["notes"])
    assert "optimizer" not in wrapped or "epoch, optimizer beside it" in seen["notes"]
    account = convert(given, tmp_path / "out", recipe=release.recipe, **beside(system))
    assert (account.loaded, account.ignored) == (plain.loaded, plain.ignored)
    own = account.notes[: len(account.notes) - len(plain.notes)]  # the reader's own come last
    assert "; ".join(own) == seen["notes"] and account.notes[len(own) :] == plain.notes
    old, new = (load_file(tmp_path / out / "model.safetensors") for out in ("plain", "out"))
    assert old.keys() == new.keys() and all(torch.equal(old[name], new[name]) for name in old)


@EVERY
def test_the_folder_says_where_its_weights_come_from(beside, folder, tmp_path, system):
    release, vision = RELEASES[system], beside(system)
    release.write(folder)
    reader(system, folder, tmp_path / "out", **vision)  # the folder of a checkpoint will do, too
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    tower = vision.get("vision")
    apart = {file.name: file for file in ([] if not tower else [tower] if tower.is_file() else tower.iterdir())}
    files = {**{name: folder / name for name in release.sources}, **apart}
    assert record["sha256"] == {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    assert record["system"] == system
    assert any(release.base.rpartition("/")[2] in why for why in record["elsewhere"]) or not release.base
    usual = ("model.safetensors", "provenance.json", "recipe.yaml")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*usual, *release.written}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "release"]


@SPEAKING
def test_a_converted_folder_answers(beside, folder, tmp_path, system):
    release = RELEASES[system]
    llama = write_base(tmp_path / "llama", release)
    convert(release.write(folder), tmp_path / "out", recipe=release.recipe, language_model=llama, **beside(system))
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    chat = load(str(tmp_path / "out"))
    first, second = (chat.answer([picture], ["What is shown?"], max_new_tokens=3)[0] for _ in range(2))
    assert isinstance(first.text, str) and first == second and 0 < first.confidence <= 1
    assert chat.box_dialect == release.box_dialect and chat.trace["system"] == system


@MATCHING
def test_a_converted_folder_matches(folder, tmp_path, system):
    convert(RELEASES[system].write(folder), tmp_path / "out", recipe=RELEASES[system].recipe)
    pictures = [np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8) for seed in range(2)]
    model = load(str(tmp_path / "out"))
    images, texts = model.embed_images(pictures), model.embed_texts(["a port", "a much longer text of bare land"])
    assert isinstance(model, Matches) and images.shape == texts.shape == (2, 10) and model.trace["system"] == system
    assert np.allclose(np.linalg.norm([*images, *texts], axis=1), 1, atol=1e-5)
    assert np.abs(images[0] - images[1]).max() > 1e-3 < np.abs(texts[0] - texts[1]).max()
    whole = verify(tmp_path / "out")
    assert whole["complete"] and "language_model" not in whole and whole["checksums"] == "2 as written"


@SEEING
def test_a_converted_folder_sees(folder, tmp_path, system):
    convert(RELEASES[system].write(folder), tmp_path / "out", recipe=RELEASES[system].recipe)
    pictures = [np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8) for seed in range(2)]
    model = load(str(tmp_path / "out"))
    vectors = model.embed_images(pictures)
    assert isinstance(model, Embeds) and not isinstance(model, Matches) and model.trace["system"] == system
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5) and np.abs(vectors[0] - vectors[1]).max() > 1e-3
    whole = verify(tmp_path / "out")
    assert whole["complete"] and "language_model" not in whole and whole["checksums"] == "2 as written"


@SPEAKING
def test_without_the_language_model_the_folder_says_what_it_needs(beside, folder, tmp_path, system):
    reader(system, RELEASES[system].write(folder), tmp_path / "out", **beside(system))
    with pytest.raises(MissingPart, match=f"fetch {re.escape(RELEASES[system].base)} from Hugging Face"):
        load(str(tmp_path / "out"))


@EVERY
def test_the_files_alone_are_enough(monkeypatch, beside, folder, tmp_path, system):
    """As if the paper's recipe were as small as the files; r and lora_alpha are those of the adapters' own file."""
    release = RELEASES[system]
    paper, given, model = tmp_path / "paper.yaml", release.write(folder), release.recipe.model
    if release.adapters:
        adapter_file = any(folder.rglob("adapter_config.json"))
        lora = {**model["language"]["lora"], **({"r": 128, "lora_alpha": 256} if adapter_file else {})}
        model = {**model, "language": {**model["language"], "lora": lora}}
    paper.write_text(yaml.safe_dump(release.recipe.model_copy(update={"model": model}).model_dump(mode="json")))
    monkeypatch.setattr(door, "shipped", lambda name, size: paper)
    account = convert(given, tmp_path / "out" / "model.safetensors", **beside(system))
    recipe = read_recipe(tmp_path / "out" / "recipe.yaml")
    lora = recipe.model.get("language", {}).get("lora") or {"r": 0, "lora_alpha": 0}
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
    assert "0 missing" in said and ("  not in it: the language model" in said) == bool(release.base)
    assert release.base.rpartition("/")[2] in said


def papers():
    return [path for system in RELEASES for path in sorted((RECIPES / system).glob("*.yaml"))
            if not path.stem.startswith(("tiny", "mini"))]  # fmt: skip


@pytest.mark.parametrize("path", papers(), ids=lambda path: f"{path.parent.name} {path.stem}")
def test_a_papers_recipe_gives_a_source_for_every_number_of_its_stages(path):
    lines = path.read_text().split("\nstages:\n")[1].splitlines()
    assert [line for line in lines if "name:" not in line and "#" not in line] == []
