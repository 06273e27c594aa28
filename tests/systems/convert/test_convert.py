"""`weights convert` and `weights check` beside what the conformance suite asks of every system."""

import json
import re
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from fake.conformance import RELEASES
from fake.conformance import refused as refused_in_a_sentence
from fake.published import write_llama
from fake.releases import lhrs_bot_nova, skyeyegpt
from rsvlm import __version__
from rsvlm.errors import BadInput, MissingPart
from rsvlm.files import sha256
from rsvlm.parts.checkpoints import weights
from rsvlm.recipe import read_recipe
from rsvlm.systems.build import load_weights, own_tensors
from rsvlm.systems.convert import convert as published
from rsvlm.systems.convert.convert import convert, identify, readers
from rsvlm.systems.convert.verify import _meta, verify

SMALL = {system: release.recipe for system, release in RELEASES.items()}


@pytest.fixture
def paper(monkeypatch, tmp_path_factory):
    """As if the papers' systems were as small as the files here."""
    folder = tmp_path_factory.mktemp("recipes")

    def file(system, size):
        (folder / system).write_text(json.dumps(SMALL[system].model_dump(mode="json")))
        return folder / system

    monkeypatch.setattr(published, "shipped", file)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The release of each system, by name; one of Nova's stage 1, EVA-CLIP and a language model: nova1, eva, llama."""
    at = tmp_path_factory.mktemp("release")
    found = {system: release.write(at / system) for system, release in RELEASES.items()}
    lhrs_bot_nova.write(at / "nova1", experts=0)
    eva, llama = RELEASES["skyeyegpt"].vision(at / "eva"), write_llama(at / "llama")
    return {**found, "nova1": at / "nova1" / "FINAL.pt", "eva": eva, "llama": llama}


def refused(tmp_path, match, path, error=BadInput, **more):
    refused_in_a_sentence(lambda out: convert(path, out, **more), tmp_path, match, error)


def test_every_system_with_published_weights_has_a_reader():
    assert {"lhrs_bot", "lhrs_bot_nova", "skyeyegpt"} <= set(readers()) and "rs_moe" not in readers()


def test_provenance_says_who_published_what(paper, release, tmp_path):
    convert(release["nova1"], tmp_path / "out")
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert record["rsvlm"] == __version__ and record["source"] == {
        "repository": "github.com/NJU-LHRS/LHRS-Bot, branch nova", "code_licence": "Apache-2.0",
        "weights_licence": "unknown", "base": "meta-llama/Meta-Llama-3-8B-Instruct",
    }  # fmt: skip
    assert record["written"]["model.safetensors"] == sha256(tmp_path / "out" / "model.safetensors")
    assert record["sha256"] == {"FINAL.pt": sha256(release["nova1"])}


KILLED = """
import os, signal, sys
from pathlib import Path
from rsvlm.recipe import read_recipe
from rsvlm.systems.convert import provenance
from rsvlm.systems.convert.convert import convert

def killed(state, path, *_):
    path.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

provenance.save_file = killed
convert(Path(sys.argv[1]), Path(sys.argv[2]), recipe=read_recipe(sys.argv[3]))
"""


def test_a_conversion_that_was_killed_is_cleared_away_by_the_next(release, tmp_path):
    out, recipe = tmp_path / "made" / "out", tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(SMALL["lhrs_bot_nova"].model_dump(mode="json")))
    command = [sys.executable, "-c", KILLED, str(release["lhrs_bot_nova"]), str(out), str(recipe)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (left,) = out.parent.iterdir()
    assert re.fullmatch(r"\.out\.\w{8}\.part", left.name) and (left / "model.safetensors").read_bytes() == b"half"
    convert(release["lhrs_bot_nova"], out, recipe=SMALL["lhrs_bot_nova"])
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_safetensors_and_shards_convert_as_the_pickle_does(paper, release, tmp_path):
    tree = torch.load(release["nova1"], weights_only=True)
    flat = list(weights.flatten(tree, source="FINAL.pt").items())
    save_file(dict(flat), tmp_path / "FINAL.safetensors")
    (tmp_path / "shards").mkdir()
    halves = {"a.safetensors": dict(flat[::2]), "b.safetensors": dict(flat[1::2])}
    for name, half in halves.items():
        save_file(half, tmp_path / "shards" / name)
    index = tmp_path / "shards" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {n: shard for shard, half in halves.items() for n in half}}))
    wanted = None
    for path, out in ((release["nova1"], "o1"), (tmp_path / "FINAL.safetensors", "o2"), (index, "o3")):
        convert(path, tmp_path / out)
        state = load_file(tmp_path / out / "model.safetensors")
        wanted = wanted or state
        assert set(state) == set(wanted) and all(torch.equal(state[name], wanted[name]) for name in wanted)
    assert set(json.loads((tmp_path / "o3" / "provenance.json").read_text())["sha256"]) == {index.name, *halves}
    (tmp_path / "shards" / "b.safetensors").unlink()
    refused(tmp_path, "1 are not beside it, the first is b.safetensors", index)


# What is wrong is said in a sentence, and nothing is left behind.


def test_another_system_is_named(release, tmp_path):
    refused(tmp_path, r"no checkpoint of lhrs_bot: it looks like LHRS-Bot-Nova .* convert it as lhrs_bot_nova",
            release["lhrs_bot_nova"], system="lhrs_bot")  # fmt: skip
    refused(tmp_path, "no checkpoint of lhrs_bot_nova: it looks like SkyEyeGPT",
            release["skyeyegpt"], system="lhrs_bot_nova")  # fmt: skip
    refused(tmp_path, "looks like the EVA-CLIP tower alone", release["eva"])
    refused(tmp_path, "Did you mean 'skyeyegpt'", release["skyeyegpt"], system="skyeye_gpt")
    refused(tmp_path, "No weights of rs_moe are published", release["skyeyegpt"], system="rs_moe")
    refused(tmp_path, "The recipe is of lhrs_bot, the system is skyeyegpt",
            release["skyeyegpt"], system="skyeyegpt", recipe=SMALL["lhrs_bot"])  # fmt: skip


def test_other_sizes_than_the_papers_are_refused(release, tmp_path):
    refused(tmp_path, r"has shape .*the recipe gives other sizes", release["nova1"])


def test_a_rank_whose_scale_nobody_tells(paper, release, tmp_path):
    skyeyegpt.write(tmp_path, r=8)
    match = "have rank 8, expected 4, and no file beside them tells"
    refused(tmp_path, match, tmp_path / skyeyegpt.FILE, vision=release["eva"])


def test_missing_parts_are_named_with_their_flags(paper, release, tmp_path):
    refused(tmp_path, r"eva_vit_g\.pth.*--vision", release["skyeyegpt"], MissingPart)
    refused(tmp_path, "fetch meta-llama/Meta-Llama-3-8B-Instruct from Hugging Face.*--language-model",
            release["nova1"], MissingPart, language_model=tmp_path / "gone")  # fmt: skip
    refused(tmp_path, "holds the vision tower; leave out", release["nova1"], vision=release["eva"])


# check


def test_a_published_file_is_described(release):
    found = verify(release["lhrs_bot_nova"])
    assert found["system"] == "lhrs_bot_nova" and found["stage"].startswith("2 or 3")
    assert found["adapter"] == {"rank": 4, "base": "a language model 24 wide, keys 24 wide"}
    assert found["parameters"] == identify(release["lhrs_bot_nova"]).parameters > 0
    assert set(found["groups"]) == {"rgb_ckpt", "other_ckpt.rgb_pooler", "TextLoRA"}
    with pytest.raises(BadInput, match="no checkpoint of skyeyegpt: it looks like LHRS-Bot-Nova"):
        verify(release["lhrs_bot_nova"], system="skyeyegpt")
    with pytest.raises(BadInput, match="looks like the EVA-CLIP tower alone"):
        verify(release["eva"])


@pytest.fixture(scope="module")
def folder(release, tmp_path_factory):
    recipe = SMALL["lhrs_bot_nova"]
    out = tmp_path_factory.mktemp("converted") / "out"
    convert(release["nova1"], out, recipe=recipe, language_model=release["llama"])
    return out


def test_a_converted_folder_is_whole(folder):
    found = verify(folder)
    assert found["complete"] and found["finite"] and found["checksums"] == "2 as written"
    assert set(found["groups"]) == {"vision", "bridge"} and found["system"] == "lhrs_bot_nova"
    with pytest.raises(BadInput, match="a model of lhrs_bot_nova, not of lhrs_bot"):
        verify(folder, system="lhrs_bot")


def broken(folder, tmp_path, change, *, recorded=False):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, copy / "model.safetensors")
    if not recorded:
        (copy / "provenance.json").unlink()
    return copy


@pytest.mark.parametrize("change, match", [
    (lambda s: s.pop("bridge.query"), "1 tensors are missing, the first is bridge.query"),
    (lambda s: s.update(extra=torch.ones(1)), "1 tensors are not of its recipe, the first is extra"),
    (lambda s: s.update({"bridge.query": torch.ones(3)}), "1 tensors have another shape"),
    (lambda s: s["bridge.query"].view(-1)[0].fill_(float("nan")), "1 tensors are not finite, the first is bridge.q"),
    (lambda s: s["bridge.query"].view(-1)[0].fill_(float("-inf")), "1 tensors are not finite, the first is bridge.q"),
    (lambda s: s.update({"bridge.query": s["bridge.query"].to(torch.int8)}), "1 tensors hold numbers of another kind"),
    (lambda s: s.update({"bridge.query": s["bridge.query"].bool()}), "1 tensors hold numbers of another kind"),
    (lambda s: s.update({"bridge.query": s["bridge.query"] * 1j}), "1 tensors hold numbers of another kind"),
])  # fmt: skip
def test_a_folder_that_is_not_whole(folder, tmp_path, change, match):
    with pytest.raises(BadInput, match=match):
        verify(broken(folder, tmp_path, change))
    recipe = read_recipe(folder / "recipe.yaml")
    model = _meta(recipe)  # what answers asks the same
    with pytest.raises(BadInput, match=match):
        load_weights(
            model, load_file(tmp_path / "copy/model.safetensors"), source="x", needed=own_tensors(recipe, model)
        )


def test_a_folder_that_was_changed_or_emptied(folder, tmp_path):
    copy = broken(folder, tmp_path, lambda state: state["bridge.query"].add_(1), recorded=True)
    with pytest.raises(BadInput, match="not as it was written"):
        verify(copy)
    (copy / "provenance.json").write_text("{")
    with pytest.raises(BadInput, match="not valid JSON"):
        verify(copy)
    for text in (
        "[" * 3000,
        "[]",
        '{"written": 3}',
        '{"written": {"' + "x" * 5000 + '": ""}}',
        '{"written": ' + "9" * 5000 + "}",
    ):
        (copy / "provenance.json").write_text(text)
        with pytest.raises(BadInput, match=r"provenance\.json|is not as it was written"):
            verify(copy)
    (copy / "provenance.json").unlink()
    (copy / "recipe.yaml").write_text("system: lhrs_bot_nova\nsize: x\nmodel: {}\n")
    with pytest.raises(BadInput, match="no numbers of a lhrs_bot_nova"):
        verify(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(BadInput, match=r"has no model\.safetensors"):
        verify(copy)


def test_the_command_checks_and_refuses(release, folder, tmp_path, monkeypatch, capsys):
    from rsvlm import cli

    def said(*words):
        monkeypatch.setattr("sys.argv", ["rsvlm", "weights", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, capsys.readouterr()

    code, streams = said("check", release["lhrs_bot"], "--json")
    assert code == 0 and json.loads(streams.out)["system"] == "lhrs_bot"
    code, streams = said("check", folder)
    assert code == 0 and "checksums: 2 as written" in streams.out
    code, streams = said("convert", release["eva"], "--out", tmp_path / "out")
    assert code == 2 and streams.out == "" and streams.err.count("\n") == 1 and "EVA-CLIP tower alone" in streams.err
    assert not (tmp_path / "out").exists()


# The folder of the language model.


def test_a_tokenizer_of_another_model_a_cut_file_and_a_missing_shard(release, tmp_path):
    llama, more = tmp_path / "llama", {"recipe": SMALL["lhrs_bot_nova"], "language_model": tmp_path / "llama"}
    shutil.copytree(release["llama"], llama)
    words = json.loads((llama / "tokenizer.json").read_text())
    words["model"]["vocab"]["beyond"] = 999
    (llama / "tokenizer.json").write_text(json.dumps(words))
    refused(tmp_path, "has 1000 words and the language model 262 rows", release["nova1"], **more)
    whole = (llama / "model.safetensors").read_bytes()
    (llama / "model.safetensors").write_bytes(whole[:-9])
    refused(tmp_path, "model.safetensors is damaged or cut short", release["nova1"], **more)
    (llama / "model.safetensors").unlink()
    refused(tmp_path, "holds no embedding in safetensors", release["nova1"], **more)
    index = {"weight_map": {"model.embed_tokens.weight": "model-1.safetensors"}}
    (llama / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(tmp_path, "the first is model-1.safetensors", release["nova1"], **more)
