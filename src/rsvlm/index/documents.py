"""The documents of an archive: passages with vectors of text, in a table beside its tiles."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.index.document_text import Section
from rsvlm.index.filters import each_of, one_of
from rsvlm.index.store import connect, lock_writer, store_errors
from rsvlm.json_text import load_json

TABLE = "documents"
_ABOUT = b"rsvlm"  # of the schema's metadata


@dataclass(frozen=True, slots=True)
class DocumentHit:
    """A passage that was found: its document (a path), its place among the passages there, and its cosine."""

    document: str
    number: int
    section: Section
    score: float


class Documents:
    """The table of documents of the archive at `uri`, whether there is one yet or not.

    `encoder` names what gives its vectors of `width` numbers; without one the table is only looked after. Raises
    BadInput for a table of another encoder, and where the store refuses.
    """

    def __init__(
        self, uri: str | Path, *, encoder: str = "", width: int = 0, storage_options: Mapping[str, str] | None = None
    ) -> None:
        self.uri, self._kind = uri, {"encoder": encoder, "width": str(width)}
        self.width = width
        with store_errors(uri):
            self._database = connect(uri, storage_options)
            there = TABLE in self._database.list_tables().tables
            self._table: Any = self._database.open_table(TABLE) if there else None
        if self._table is not None and encoder:
            found = load_json(((self._table.schema.metadata or {}).get(_ABOUT) or b"{}").decode())
            if found != self._kind:
                raise BadInput(
                    f"The documents of {uri} have vectors of {found.get('encoder')}, not of {encoder}; index them into "
                    "another archive."
                )

    def __len__(self) -> int:
        """How many passages there are."""
        with store_errors(self.uri):
            return self._table.count_rows() if self._table is not None else 0

    def fingerprints(self) -> dict[str, str]:
        """Document -> what its file was when it was read."""
        if self._table is None:
            return {}
        with store_errors(self.uri):
            search = self._table.search().select(["document", "fingerprint"]).limit(max(1, self._table.count_rows()))
            rows = search.to_arrow()
        return dict(zip(rows["document"].to_pylist(), rows["fingerprint"].to_pylist(), strict=True))

    def replace(
        self, document: str, fingerprint: str, passages: Sequence[Section], vectors: NDArray[np.floating]
    ) -> None:
        """Put a document's passages, with vectors (N, D) of unit length, in the place of those it has: one commit."""
        if np.shape(vectors) != (len(passages), self.width):
            raise ValueError(f"vectors of shape {np.shape(vectors)} for {len(passages)} passages")
        rows = np.ascontiguousarray(vectors, np.float32)
        columns: dict[str, Any] = {
            "id": [_id(document, number) for number in range(len(passages))],
            "document": [document] * len(passages), "fingerprint": [fingerprint] * len(passages),
            "number": range(len(passages)), "heading": [one.heading for one in passages],
            "text": [one.text for one in passages],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), self.width),
        }  # fmt: skip
        with store_errors(self.uri), self._writing():
            if self._table is None:
                about = {_ABOUT: json.dumps(self._kind).encode()}
                self._table = self._database.create_table(TABLE, schema=self._schema().with_metadata(about))
            merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            merge.when_not_matched_by_source_delete(one_of("document", (document,))).execute(
                pa.table(columns, schema=self._schema())
            )

    def forget(self, documents: Sequence[str]) -> None:
        """Take out documents."""
        if documents and self._table is not None:
            with store_errors(self.uri), self._writing():
                for condition in each_of("document", documents):
                    self._table.delete(condition)

    def search(self, vector: NDArray[np.floating], k: int = 10) -> list[DocumentHit]:
        """The `k` passages whose vectors have the largest cosine with a vector (D,), each compared."""
        if self._table is None:
            return []
        with store_errors(self.uri):
            query = self._table.search(np.asarray(vector, np.float32), vector_column_name="vector")
            columns = ["document", "number", "heading", "text", "_distance"]
            rows = query.distance_type("cosine").bypass_vector_index().limit(k).select(columns).to_arrow().to_pylist()
        return [
            DocumentHit(row["document"], row["number"], Section(row["heading"], row["text"]), 1 - row["_distance"])
            for row in rows
        ]

    def _schema(self) -> pa.Schema:
        names = ("id", "document", "fingerprint", "heading", "text")
        return pa.schema([
            *(pa.field(name, pa.string(), nullable=False) for name in names),
            pa.field("number", pa.int32(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), self.width), nullable=False),
        ])  # fmt: skip

    def _writing(self) -> Any:
        """Holds the lock of the archive's one writer. Raises BadInput where another process writes."""
        return lock_writer(self.uri) or nullcontext()


def has_documents(uri: str | Path, storage_options: Mapping[str, str] | None = None) -> bool:
    """Whether the archive at `uri` has documents. Raises BadInput where the store refuses."""
    with store_errors(uri):
        return TABLE in connect(uri, storage_options).list_tables().tables


def _id(document: str, number: int) -> str:
    return hashlib.blake2b(f"{document}\0{number}".encode(), digest_size=10).hexdigest()
