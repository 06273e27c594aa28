"""The name openai:http://host/v1#model: its URL and model, the API key for it, and the models that the server lists."""

import os
from typing import Any
from urllib.parse import urlsplit

from rsvlm.errors import BadInput
from rsvlm.systems.providers.http_body import RequestFailed
from rsvlm.systems.providers.http_client import LOCAL, HttpClient

SET_KEY = "set RSVLM_API_KEY to its key"


def list_models(client: HttpClient) -> dict[str, dict[str, Any]]:
    """GET /models: the models that a server lists, by id; empty where it has no such list.

    Raises BadInput where the server cannot be reached.
    """
    try:
        found = client.request("/models").get("data")
    except RequestFailed as error:
        if error.status in (404, 405, 501):
            return {}
        what = SET_KEY if error.status in (401, 403) else "start it, or mend the URL"
        raise BadInput(f"{error}; expected an OpenAI-compatible server there: {what}.") from error
    models = found if isinstance(found, list) else []
    return {str(one["id"]): one for one in models if isinstance(one, dict) and "id" in one}


def parse_endpoint_url(name: str) -> tuple[str, str]:
    """(base URL, model) of openai:http://host/v1#model. Raises BadInput, without repeating what may be a password."""
    url, _, model = name.removeprefix("openai:").partition("#")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and model
    except ValueError:  # a port that is no number
        parts, good = None, False
    if parts is None or not good:
        raise BadInput(
            "A server's model is given as openai:http://<host>/v1#<model>, with http or https and a name after the #."
        )
    if parts.username is not None or parts.password is not None or parts.query:
        raise BadInput("The URL of a server must hold no user, password or query; put its key into RSVLM_API_KEY.")
    return url.rstrip("/"), model


def key_for(url: str) -> str:
    """The API key for a server, from the environment, or "". Raises BadInput for one with letters that no key has."""
    parts = urlsplit(url)
    names = ["RSVLM_API_KEY"] + ["OPENAI_API_KEY"] * (parts.scheme == "https" or parts.hostname in LOCAL)
    key = next((key for name in names if (key := os.environ.get(name, "").strip())), "")
    if not (key.isascii() and key.isprintable()):
        raise BadInput("The key in RSVLM_API_KEY or OPENAI_API_KEY holds letters that no key has; set it anew.")
    return key
