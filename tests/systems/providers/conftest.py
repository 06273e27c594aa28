"""Tiny Hugging Face models, made once a session."""

import pytest

from fake import hub
from rsvlm.systems.load import load


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """kind -> the folder of a tiny model of that kind, made once."""
    made = {}

    def folder(kind):
        if kind not in made:
            made[kind] = hub.save(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    return folder


@pytest.fixture(scope="session")
def models(folders):
    opened = {}

    def model(kind):
        if kind not in opened:
            opened[kind] = load(f"hf:{folders(kind)}")
        return opened[kind]

    return model
