"""Embedding past one machine: scenes go to actors of Ray Data, rows come back to the one writer of the archive."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from rsvlm.errors import missing_extra
from rsvlm.index.rows import to_table, to_tiles
from rsvlm.index.writing import SceneRows
from rsvlm.serve.archive_sources import Source
from rsvlm.serve.archive_tiles import Captions, IndexSettings, SceneEmbedder

try:
    import ray
    import ray.data
except ImportError as error:  # pragma: no cover - the other extras
    raise missing_extra("ray", "ray") from error

_TOGETHER = 8  # scenes that an actor is given at once: their tiles share batches


def embed_on_ray(
    todo: Sequence[tuple[Source, dict[str, Any]]], model: str, settings: IndexSettings, captions: Captions,
    describe: str = "", workers: int = 0,
) -> Iterator[SceneRows | tuple[str, str]]:  # fmt: skip
    """The rows of scenes as they are done, in any order; (key, sentence) for one that cannot be read.

    Joins the cluster that RAY_ADDRESS names, or starts one on this machine. Every worker opens the scenes and the model
    by their paths: both lie on storage that all share.
    """
    if not todo:
        return
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) - 1)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"at": at} for at in range(len(todo))]
    jobs = ray.data.from_items(rows, override_num_blocks=min(len(todo), 4 * count)).map_batches(
        SceneWorker, fn_constructor_args=(list(todo), model, settings, captions, describe), batch_size=_TOGETHER,
        concurrency=min(count, len(todo)), num_cpus=1,
    )  # fmt: skip
    for row in jobs.iter_rows():
        if row["error"]:
            yield row["scene"], row["error"]
            continue
        table = pa.ipc.open_stream(row["rows"]).read_all()
        vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        yield SceneRows(scene=row["scene"], fingerprint=row["mark"], tiles=to_tiles(table), vectors=vectors)


class SceneWorker:
    """An actor with the model: scenes by their numbers in, their rows as Arrow streams out."""

    def __init__(
        self, todo: list[tuple[Source, dict[str, Any]]], model: str, settings: IndexSettings, captions: Captions,
        describe: str,
    ) -> None:  # fmt: skip
        from rsvlm.serve.archive_model import load_embedder
        from rsvlm.systems.load import load

        self.todo, self.made = todo, list[SceneRows]()
        self.embedder = SceneEmbedder(
            load_embedder(model), settings, self.made.extend, captions, load(describe) if describe else None
        )

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch {"at": numbers of scenes} as {"scene", "mark", "rows", "error"}."""
        for at in batch["at"]:
            self.embedder.add(*self.todo[int(at)])
        self.embedder.finish()
        made = [(one.scene, one.fingerprint, _stream(one), "") for one in self.made]
        made += [(key, "", b"", sentence) for key, sentence in self.embedder.failed.items()]
        self.made.clear()
        self.embedder.failed.clear()
        columns = zip(*made, strict=True)
        return {name: np.array(values, object) for name, values in zip(_COLUMNS, columns, strict=True)}


_COLUMNS = ("scene", "mark", "rows", "error")


def _stream(scene: SceneRows) -> bytes:
    table, sink = to_table(scene.tiles, scene.vectors), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    return sink.getvalue().to_pybytes()
