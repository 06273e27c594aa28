"""Search in an archive of 1,000,000 vectors of 256 numbers: filtered, approximate, exact, and the first query.

Filtered: boxes of 1 % of the area, against the best 10 of a scan in NumPy. Approximate: all rows, one query after
another, against faiss's HNSW (32 links, 80 while building) at the least `efSearch` that finds as many of the true 10.
Exact: all vectors in memory, against the speed at which NumPy adds them up in as many threads. The first query is
answered in a process of its own, after its imports.
"""

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import archives, run, timed
from rsvlm.index.archive import Archive
from rsvlm.index.filters import Box, Filters
from rsvlm.index.vector_matrix import THREADS, VectorMatrix, top

WIDTH, QUERIES, K = 256, 50, 10
SHARE = (36.0, 12.0)  # degrees of longitude and latitude: 1 % of 360 x 120
EF = (16, 32, 64, 96, 128, 192, 256, 384, 512, 1024)
FIRST = """
import sys, time
import numpy as np
from rsvlm.index.archive import Archive
query = np.load(sys.argv[2])
start = time.perf_counter()
hits = Archive.open(sys.argv[1]).search(query, k=10)
print(time.perf_counter() - start)
"""


def boxes(count: int, times: float) -> list[Box]:
    """Boxes of `times` the sides of `SHARE`."""
    rng, (wide, high) = np.random.default_rng(3), (times * side for side in SHARE)
    corners = zip(rng.uniform(-180, 180 - wide, count), rng.uniform(-60, 60 - high, count), strict=True)
    return [(float(west), float(south), float(west) + wide, float(south) + high) for west, south in corners]


def recall(found: list[list[str]], true: list[list[str]]) -> float:
    return round(float(np.mean([len({*a} & {*b}) / len(b) for a, b in zip(found, true, strict=True)])), 4)


def each(
    archive: Archive, queries: NDArray[np.float32], filters: list[Filters], **more: Any
) -> tuple[list[float], Any]:
    """Seconds and ids of every query, one after another; one more before, for warming up."""
    archive.search(queries[0], filters=filters[0], k=K, **more)
    runs = [
        timed(lambda query=query, one=one: [hit.tile.id for hit in archive.search(query, filters=one, k=K, **more)])
        for query, one in zip(queries, filters, strict=True)
    ]
    return [seconds for seconds, _ in runs], [ids for _, ids in runs]


def hnsw(
    rows: NDArray[np.float32], queries: NDArray[np.float32], true: list[list[int]], wanted: float
) -> dict[str, Any]:
    """Queries a second of faiss at the first setting whose recall is `wanted`, or at the last."""
    try:
        import faiss  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {"hnsw": "faiss-cpu is not installed; run: pip install faiss-cpu"}
    index = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 80
    index.add(rows)
    figures: dict[str, Any] = {}
    for ef in EF:
        index.hnsw.efSearch = ef
        runs = [timed(lambda query=query: index.search(query[None], K)[1][0].tolist()) for query in queries]
        share = float(np.mean([len({*a} & {*b}) / K for (_, a), b in zip(runs, true, strict=True)]))
        figures = {"qps": round(1 / median(s for s, _ in runs), 1), "recall": round(share, 4), "ef_search": ef}
        if share >= wanted:
            break
    return {"hnsw": figures}


def bandwidth(rows: NDArray[np.float32], threads: int, rounds: int) -> float:
    """Seconds to read all rows once: the least of some rounds of adding them up."""
    parts = np.array_split(rows, threads)
    with ThreadPoolExecutor(threads) as pool:
        return min(timed(lambda: [*pool.map(np.sum, parts)])[0] for _ in range(rounds))


def main(rows: int = 1_000_000, *, smallest: bool) -> dict[str, Any]:
    rows, count = (2000, 4) if smallest else (rows, QUERIES)
    queries = archives.vectors(count, WIDTH, 10**6)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive"
        built, archive = timed(lambda: archives.make(path, rows, WIDTH))
        archive.close()
        np.save(Path(folder) / "query.npy", queries[0])
        words = [sys.executable, "-c", FIRST, str(path), str(Path(folder) / "query.npy")]
        first = min(float(subprocess.run(words, capture_output=True, text=True, check=True).stdout) for _ in range(3))
        archive = Archive.open(path)
        matrix = VectorMatrix(archive._tiles, WIDTH)  # for the true nearest of both sides
        ids, bounds = archive.column("id"), _bounds(archive)
        places = [Filters(boxes=(box,)) for box in boxes(count, 8 if smallest else 1)]
        inside = [np.flatnonzero(_meet(bounds, one.boxes[0])) for one in places]
        true_near = [
            [ids[at[i]] for i in top(matrix.vectors[at] @ q, K)] for at, q in zip(inside, queries, strict=True)
        ]
        everywhere = [top(matrix.vectors @ query, K).tolist() for query in queries]
        true_all = [[ids[at] for at in found] for found in everywhere]
        none = [Filters()] * count
        (filtered, near), (approximate, found) = each(archive, queries, places), each(archive, queries, none)
        archive.load()
        (loaded, near_loaded), (exact, found_exact) = (
            each(archive, queries, places),
            each(archive, queries, none, exact=True),
        )
        share = recall(found, true_all)
        other = hnsw(matrix.vectors, queries, everywhere, share)
        limit = bandwidth(matrix.vectors, THREADS, 2 if smallest else 9)
        scores = min(timed(lambda query=query: matrix.nearest(query, K))[0] for query in queries)
    qps = round(1 / median(approximate), 1)
    return {
        "rows": rows, "width": WIDTH, "queries": count, "build_s": round(built, 1),
        "first_query_s": round(first, 3), "target_first_query_s": 1.0,
        "filtered": {"rows_left": int(median(map(len, inside))), "p50_ms": _ms(filtered),
                     "recall": recall(near, true_near), "p50_ms_in_memory": _ms(loaded),
                     "recall_in_memory": recall(near_loaded, true_near)},
        "target_filtered": {"p50_ms": 30, "recall": 0.99},
        "approximate": {"qps": qps, "recall": share}, **other, "target_of_hnsw": 0.5,
        "of_hnsw": round(qps / other["hnsw"]["qps"], 3) if isinstance(other["hnsw"], dict) else None,
        "exact": {"p50_ms": _ms(exact), "recall": recall(found_exact, true_all), "scores_ms": _ms([scores]),
                  "limit_ms": _ms([limit]), "of_limit": round(limit / scores, 3)},
        "target_of_limit": 0.6, "threads": THREADS,
    }  # fmt: skip


def _ms(seconds: list[float]) -> float:
    return round(median(seconds) * 1000, 2)


def _bounds(archive: Archive) -> NDArray[np.float64]:
    return np.stack([np.asarray(archive.column(name)) for name in ("west", "south", "east", "north")], axis=1)


def _meet(bounds: NDArray[np.float64], box: Box) -> NDArray[np.bool_]:
    return (bounds[:, :2] <= box[2:]).all(1) & (bounds[:, 2:] >= box[:2]).all(1)


if __name__ == "__main__":
    run(main)
