"""What every test of a system starts from."""

import pytest


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    monkeypatch.delenv("RSVLM_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # never asked about this machine
