"""Where an archive lies (a folder, an S3-compatible store), its one writer, and the store's errors as sentences."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rsvlm.errors import BadInput, RsvlmError, missing_extra

try:
    import fcntl
except ImportError:  # Windows: nothing is locked
    fcntl = None
try:
    import lancedb
except ImportError as error:  # pragma: no cover - the core install
    raise missing_extra("lancedb", "archive") from error

LOCK = ".writer.lock"
_FULL = re.compile(r"os error (28|27|122)\b|no space left|file too large|quota exceeded", re.IGNORECASE)
_CONFLICT = re.compile(r"commit conflict|concurrent|conflicting|retryable", re.IGNORECASE)
_LOCATION = re.compile(r"\s*(?:, |\()?[\w/.-]+\.rs:\d+.*", re.DOTALL)


def is_remote(uri: str | Path) -> bool:
    """Whether this is a URL ("s3://bucket/path") and no folder."""
    return "://" in str(uri)


def connect(uri: str | Path, options: Mapping[str, str] | None) -> Any:
    """The LanceDB database at `uri`; `options` are of its object store, beside those of the environment."""
    settings = {**storage_options(os.environ), **(options or {})} if is_remote(uri) else {}
    return lancedb.connect(str(uri), storage_options=settings or None)


def storage_options(environ: Mapping[str, str]) -> dict[str, str]:
    """What the store does not find in the environment by itself: the endpoint of an S3-compatible server.

    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION it reads itself.
    """
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
    found = {"aws_endpoint": endpoint} if endpoint else {}
    found |= {"allow_http": "true"} if endpoint.startswith("http://") else {}
    return found | ({"aws_region": region} if region else {})


@contextmanager
def store_errors(uri: str | Path) -> Iterator[None]:
    """Turn what the store raises into a BadInput: a full disk, another writer, a store that is not there."""
    try:
        yield
    except RsvlmError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(_sentence(uri, str(error))) from error


def _sentence(uri: str | Path, text: str) -> str:
    if _FULL.search(text):
        return f"There is no space left to write {uri}; it is as it was at its last commit: make room, then run again."
    if _CONFLICT.search(text):
        return f"Another process wrote to {uri} at the same time; nothing of this commit is in it: run again."
    short = _LOCATION.sub("", " ".join(text.split())).removeprefix("lance error: ")
    return f"The archive {uri} cannot be read or written ({short:.300})."


def lock_writer(uri: str | Path) -> IO[bytes] | None:
    """Hold the lock of a folder's writer; the system lets it go when the process ends. None for a remote store.

    Raises BadInput where another process writes.
    """
    if is_remote(uri) or fcntl is None:
        return None
    file = (Path(uri) / LOCK).open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise BadInput(f"Another process writes to {uri}; wait until it has ended, then run again.") from None
    return file
