"""Are the files still there that an archive was made from, scenes and documents, and are they what they were?"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsvlm.index.archive import Archive
from rsvlm.index.documents import Documents
from rsvlm.serve.archive_documents import document_mark


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """Scenes or documents whose file is gone, and those whose file has another size or time."""

    missing: tuple[str, ...]
    changed: tuple[str, ...]


def check_sources(archive: Archive) -> SourceCheck:
    """Look at the file of every scene; those behind URLs are not looked at."""
    marks = {key: json.loads(mark or "{}") for key, mark in archive.fingerprints.items()}
    files = {key: (mark.get("size"), mark.get("mtime")) for key, mark in marks.items() if "url" not in mark}
    now = {key: (found.st_size, found.st_mtime_ns) if (found := _stat(key)) else None for key in files}
    return _compared(files, now)


def check_documents(documents: Documents) -> SourceCheck:
    """Look at the file of every document."""
    files = documents.fingerprints()
    return _compared(files, {key: document_mark(found) if (found := _stat(key)) else None for key in files})


def _compared(old: Mapping[str, Any], now: Mapping[str, Any]) -> SourceCheck:
    return SourceCheck(
        missing=tuple(key for key in old if now[key] is None),
        changed=tuple(key for key, mark in old.items() if now[key] is not None and now[key] != mark),
    )


def _stat(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except OSError:
        return None
