"""Are the files still there that an archive was made from, and are they what they were?"""

import json
from dataclasses import dataclass
from pathlib import Path

from rsvlm.index.archive import Archive


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """Scenes whose file is gone, and those whose file has another size or time."""

    missing: tuple[str, ...]
    changed: tuple[str, ...]


def check_sources(archive: Archive) -> SourceCheck:
    """Look at the file of every scene; those behind URLs are not looked at."""
    missing, changed = list[str](), list[str]()
    for key, mark in archive.fingerprints.items():
        old = json.loads(mark or "{}")
        if "url" in old:
            continue
        try:
            now = Path(key).stat()
        except OSError:
            missing.append(key)
            continue
        if (old.get("size"), old.get("mtime")) != (now.st_size, now.st_mtime_ns):
            changed.append(key)
    return SourceCheck(tuple(missing), tuple(changed))
