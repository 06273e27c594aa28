"""The name of a server's model, and the key that it gets."""

import pytest

from fake.endpoint import KEY, QUICK, FakeEndpoint, ask
from rsvlm.errors import BadInput
from rsvlm.systems.load import load
from rsvlm.systems.providers.endpoint_url import key_for
from rsvlm.systems.providers.openai import OpenAIModel


@pytest.mark.parametrize(
    "name",
    [
        "openai:", "openai:#m", "openai:http://host/v1", "openai:http://host/v1#", "openai:host/v1#m",
        "openai:ftp://host/v1#m", "openai:file:///etc/passwd#m", "openai:http://host:no/v1#m", "openai:http://:80/v1#m",
        "openai:http://[::1/v1#m",
    ],
)  # fmt: skip
def test_a_name_in_another_form_is_refused(name):
    with pytest.raises(BadInput, match="given as openai:http://<host>/v1#<model>"):
        load(name)


@pytest.mark.parametrize("url", ["http://me:hunter2@host/v1", "http://host/v1?key=hunter2", "http://hunter2@host"])
def test_a_password_in_the_url_is_refused_and_not_repeated(url):
    with pytest.raises(BadInput, match="put its key into RSVLM_API_KEY") as refused:
        load(f"openai:{url}#m")
    assert "hunter2" not in str(refused.value)


# -- the key -----------------------------------------------------------------------------------------------------------


def test_the_key_goes_in_the_header_and_nowhere_else(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-common")
    with FakeEndpoint(["401"]) as server:
        monkeypatch.setenv("RSVLM_API_KEY", KEY)
        model = OpenAIModel(server.name, retry=QUICK)
        with pytest.raises(BadInput) as refused:
            model.answer([None], ["a"])
        model.answer([None], ["b"])
        assert server.headers[-1]["Authorization"] == f"Bearer {KEY}"
        assert KEY not in f"{refused.value} {model.trace} {model.name} {model!r} {server.seen}"
        monkeypatch.delenv("RSVLM_API_KEY")
        ask(server)
        assert server.headers[-1]["Authorization"] == "Bearer sk-common"
        monkeypatch.delenv("OPENAI_API_KEY")
        ask(server)
        assert "Authorization" not in server.headers[-1]


def test_the_common_key_stays_off_open_lines(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-common")
    assert key_for("https://host/v1") == key_for("http://localhost:8000/v1") == "sk-common"
    assert key_for("http://host/v1") == ""
    monkeypatch.setenv("RSVLM_API_KEY", KEY)
    assert key_for("http://host/v1") == KEY
    monkeypatch.setenv("RSVLM_API_KEY", "two\nlines")
    with pytest.raises(BadInput, match="holds letters that no key has") as refused:
        key_for("http://host/v1")
    assert "lines" not in str(refused.value)
