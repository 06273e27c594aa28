"""Indexing on a cluster of two Ray nodes gives the rows of indexing here. Slow: two raylets start on this machine."""

import numpy as np
import pytest

from fake.matchers import dual_folder
from fake.rasters import geotiff, pixels
from rsvlm.index.archive import Archive
from rsvlm.serve import indexing
from rsvlm.serve.archive_tiles import IndexSettings

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray warns about itself and its sockets


@pytest.fixture
def cluster(monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    node = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    started = Cluster(initialize_head=True, head_node_args=node)
    started.add_node(**{key: value for key, value in node.items() if key != "include_dashboard"})
    ray.init(address=started.address, log_to_driver=False)
    yield started
    ray.shutdown()
    started.shutdown()


def rows(out):
    archive = Archive.open(out)
    ids = sorted(archive.column("id"))
    return ids, archive.vectors_of(ids)


def test_two_nodes_give_the_same_rows(cluster, tmp_path):
    (tmp_path / "model").mkdir()
    model = str(dual_folder(tmp_path / "model"))
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for number in range(6):
        geotiff(scenes / f"{number}.tif", pixels(seed=number))
    (scenes / "broken.tif").write_bytes(b"II*\0nothing")
    settings = IndexSettings(tile_metres=200.0)
    reports = [
        indexing.run(
            [str(scenes)], out=str(tmp_path / engine), model=model, settings=settings, engine=engine, workers=2
        )
        for engine in ("ray", "local")
    ]
    assert len(ray.nodes()) == 2
    assert [(one.made, one.rows, [*one.failed]) for one in reports] == [(6, 24, [str(scenes / "broken.tif")])] * 2
    (ids, vectors), (other_ids, other_vectors) = rows(tmp_path / "ray"), rows(tmp_path / "local")
    assert ids == other_ids and np.allclose(vectors, other_vectors, atol=1e-5)
    again = indexing.run([str(scenes)], out=str(tmp_path / "ray"), model=model, settings=settings, engine="ray")
    assert (again.made, again.unchanged, again.rows) == (0, 6, 24)
