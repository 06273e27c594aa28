"""The answers of a run as they come: one JSON line each, flushed by the batch, read back when the run was cut short."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.sample import Reply


class Ledger:
    """Replies by item id, kept in a file. The first line says which run they belong to.

    A last line that was cut by a kill is dropped. Raises BadInput when the file belongs to another run or the folder
    cannot be written. `path` None keeps them in memory only.
    """

    def __init__(self, path: Path | None, run: Mapping[str, Any]) -> None:
        self.path = path
        self.replies: dict[str, Reply] = {}
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
        try:
            head, *rest = (json.loads(line) for line in lines)
            self.replies = {row["id"]: Reply(text=row["answer"], confidence=row["confidence"]) for row in rest}
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{self.path} is damaged; delete it and run again.") from error
        if head != json.loads(json.dumps(run)):
            changed = ", ".join(sorted(key for key in {*head, *run} if head.get(key) != run.get(key)))
            raise BadInput(
                f"{self.path} holds the answers of another run (it differs in {changed}); "
                "give another --out or delete it."
            )

    def add(self, replies: Mapping[str, Reply]) -> None:
        """Keep these replies, on disk before the next batch is asked."""
        self.replies.update(replies)
        if self.path is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            for key, reply in replies.items():
                row = {"id": key, "answer": reply.text, "confidence": reply.confidence}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
