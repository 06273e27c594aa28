"""The file that vectors go to, and the parts beside it from which a killed run goes on."""

import shutil
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.serve.vector_table import Vectors, read_vectors, write_vectors

# What of a trace does not change a vector: names and versions.
_NAMES = ("model", "torch", "transformers", "onnxruntime", "rsvlm", "trained_on")
_SETTINGS = ("tiles", "tile", "bands")


class VectorStore:
    """Vectors in `path`, from one model and under one setting. `done` are the pictures that it holds, or its parts do.

    Raises BadInput where the file or its parts are of another model, setting or kind.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path, self.about = path, dict(about)
        self.folder = path.with_name(f".{path.name}.parts")
        self.done: set[str] = set()
        self.new = 0  # rows that are not in the file yet
        for file in self._files():
            made, parts = read_vectors(file)
            self._check(made)
            paths = [name for part in parts for name in part.paths.tolist()]
            if file != path and self.done.issuperset(paths):  # the run was killed when the file was there already
                file.unlink()
                continue
            self.done |= {*paths}
            self.new += len(paths) if file != path else 0

    def add(self, rows: Vectors) -> None:
        """Keep rows of whole pictures as one more part."""
        self.check_width(rows.vectors.shape[1])
        self.folder.mkdir(parents=True, exist_ok=True)
        number = max((int(part.stem) for part in self._parts()), default=-1) + 1
        self.new += write_vectors(self.folder / f"{number:06}.npz", self.about, iter([rows]))
        self.done |= {*rows.paths.tolist()}

    def finish(self) -> int:
        """Put the file and all parts together under the file's name, and remove the parts; the number of rows."""
        count = write_vectors(self.path, self.about, self._rows())
        shutil.rmtree(self.folder, ignore_errors=True)
        return count

    def check_width(self, width: int) -> None:
        """Raises BadInput for vectors that are longer or shorter than those that are there."""
        if self.about.setdefault("width", width) != width:
            raise BadInput(
                f"{self.path} holds vectors of {self.about['width']} numbers, these have {width}: they are of another "
                "model; give another --out."
            )

    def _rows(self) -> Iterator[Vectors]:
        return chain.from_iterable(read_vectors(file)[1] for file in self._files())

    def _files(self) -> list[Path]:
        return [*([self.path] if self.path.exists() else []), *self._parts()]

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*[0-9].npz"))

    def _check(self, made: Mapping[str, Any]) -> None:
        own, other = _identity(self.about), _identity(made)
        if differing := next((key for key in {**own, **other} if own.get(key) != other.get(key)), ""):
            raise BadInput(
                f"{self.path} holds vectors of {made.get('model')} ({differing}: {other.get(differing)}), these are of "
                f"{self.about.get('model')} ({differing}: {own.get(differing)}) and do not compare; give another --out."
            )
        self.check_width(int(made["width"]))


def _identity(about: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be the same for vectors to be comparable: weights, precision, and what the model was shown."""
    trace: Mapping[str, Any] = about.get("trace", {})
    named = {} if "weights" in trace else {"model": about.get("model")}
    kept = {key: value for key, value in trace.items() if key not in _NAMES}
    return {**named, **kept, **{key: about.get(key) for key in _SETTINGS}}
