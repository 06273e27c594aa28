"""What the tests of every system's published weights start from."""

import pytest

from fake.conformance import RELEASES


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
