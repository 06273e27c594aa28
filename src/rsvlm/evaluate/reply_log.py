"""The replies of a run as they come: one JSON line each, flushed by the batch, read back when the run was cut short.

The file stays: the same command asks nothing twice and scores again, which is what a mended metric needs.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.evaluate.protocol import Row
from rsvlm.json_text import load_json


class ReplyLog:
    """Rows by item id, kept in a file. The first line says which run they belong to.

    A last line that was cut by a kill is dropped, and so are replies that failed: they are asked again. Raises BadInput
    when the file belongs to another run or the folder cannot be written. `path` None keeps them in memory only.
    """

    def __init__(self, path: Path | None, run: Mapping[str, Any]) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
            whole = [line for line in lines if line.endswith(b"\n")]
            if whole:
                self._read(whole, run)
                if len(whole) < len(lines):
                    with path.open("r+b") as file:
                        file.truncate(sum(map(len, whole)))
            else:
                path.write_text(json.dumps(run, sort_keys=True) + "\n", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{path.parent} cannot be written ({error.strerror}); choose another --out.") from error

    def _read(self, lines: Sequence[bytes], run: Mapping[str, Any]) -> None:
        expected = load_json(json.dumps(run))
        try:
            head, *rest = (load_json(line) for line in lines)
            changed = sorted(key for key in head.keys() | expected.keys() if head.get(key) != expected.get(key))
            self.rows = {row.pop("id"): row for row in rest if not row.get("error")}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{self.path} is damaged; delete it and run again.") from error
        if head != expected:
            raise BadInput(
                f"{self.path} holds the answers of another run (it differs in {', '.join(changed)}); "
                "give another --out or delete it."
            )

    def add(self, rows: Mapping[str, Row]) -> None:
        """Keep these rows, on disk before the next batch is asked."""
        self.rows.update(rows)
        if self.path is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            for key, row in rows.items():
                file.write(json.dumps({"id": key, **row}) + "\n")
