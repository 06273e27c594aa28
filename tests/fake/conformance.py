"""The published releases of all systems, for tests that hold for every one of them."""

from importlib import import_module
from pathlib import Path

import pytest

from fake.published import Release
from rsvlm.errors import BadInput
from rsvlm.systems.convert.convert import readers


def releases() -> dict[str, Release]:
    """The `RELEASE` of every module in releases/, by system."""
    files = sorted((Path(__file__).parent / "releases").glob("*.py"))
    return {file.stem: import_module(f"fake.releases.{file.stem}").RELEASE for file in files}


RELEASES = releases()
EVERY = pytest.mark.parametrize("system", RELEASES)
SPEAKING = pytest.mark.parametrize("system", [system for system, release in RELEASES.items() if release.base])
ADAPTED = pytest.mark.parametrize("system", [system for system, release in RELEASES.items() if release.adapters])
MATCHING = pytest.mark.parametrize(
    "system", [system for system, release in RELEASES.items() if "text" in release.recipe.model]
)
SEEING = pytest.mark.parametrize(
    "system", [s for s, r in RELEASES.items() if not {"language", "text"} & r.recipe.model.keys()]
)


def cases(of):
    """(system, one) for everything that `of(release)` lists."""
    found = [(system, one) for system, release in RELEASES.items() for one in of(release)]
    ids = [f"{system}: {one if isinstance(one, str) else one[0]}" for system, one in found]
    return pytest.mark.parametrize(("system", "case"), found, ids=ids)


def reader(system, path, out, **options):
    """The system's own reader, which `rsvlm weights convert` calls once it knows the system."""
    return readers()[system](path, out, **{"recipe": RELEASES[system].recipe, **options})


def refused(act, tmp_path, match, error=BadInput):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=match) as caught:
        act(tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before and "\n" not in str(caught.value)
