"""Archives: rows scene by scene, filters, texts, versions, one writer, and what is refused."""

import dataclasses
import importlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely

from rsvlm.errors import BadInput, MissingPart
from rsvlm.index import searching, writing
from rsvlm.index.archive import Archive
from rsvlm.index.filters import Filters
from rsvlm.index.rows import Tile, tile_id

WIDTH = 8
EVERYWHERE = Filters()


def unit(count, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def row_of_tiles(scene, count, west=10.0, south=50.0, step=0.01):
    """Tiles side by side, a day apart."""
    found = []
    for at in range(count):
        outline = shapely.box(west + at * step, south, west + (at + 1) * step, south + step)
        left, bottom, right, top = outline.bounds
        found.append(Tile(
            scene=scene, window=(at * 64, 0, 64, 64), footprint=outline.wkb,
            bounds=(left, bottom, right - 360 * (right > 180), top), date=datetime(2020, 1, 1 + at, tzinfo=UTC),
            gsd=0.5 + at, sensor="landsat" if at % 2 else "naip", caption=f"a harbour with {at} ships",
            thumbnail=b"jpeg",
        ))  # fmt: skip
    return found


@pytest.fixture
def archive(tmp_path):
    made = Archive.create(tmp_path / "a", width=WIDTH, model="colours", weights_hash="0123")
    made.replace_scene("one.tif", "f", row_of_tiles("one.tif", 6), unit(6))
    made.replace_scene("two's.tif", "f", row_of_tiles("two's.tif", 4, west=179.985), unit(4, 1))
    yield made
    made.close()


def found(archive, filters=EVERYWHERE, **more):
    hits = archive.search(unit(6)[2], filters=filters, k=20, **more)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    return {(hit.tile.scene[:3], hit.tile.window[0] // 64) for hit in hits}


def test_rows_come_back_whole_and_best_first(archive):
    best, second = Archive.open(archive.uri).search(unit(6)[2] * 7, k=2, thumbnails=True)
    assert best.tile == row_of_tiles("one.tif", 6)[2] and best.score == pytest.approx(1, abs=1e-6)
    rows = np.concatenate([unit(6), unit(4, 1)])
    assert second.score == pytest.approx(np.sort(rows @ unit(6)[2])[-2], abs=1e-6) and second.text_score is None
    assert archive.search(unit(6)[2], k=1, offset=1)[0].tile == dataclasses.replace(second.tile, thumbnail=b"")
    ids = [tile_id("two's.tif", (64, 0, 64, 64)), best.tile.id]
    assert np.array_equal(archive.vectors_of(ids), [unit(4, 1)[1], unit(6)[2]])
    assert dataclasses.astuple(archive.facts) == ("colours", "0123", WIDTH, 1, 10, 2)


def test_filters_leave_the_rows_that_fit(archive):
    east, west = (179.99, 49.0, 180.0, 51.0), (-180.0, 49.0, -179.0, 51.0)
    everything = {("one", at) for at in range(6)} | {("two", at) for at in range(4)}
    corner = shapely.Polygon([(10.0, 50.0), (10.035, 50.0), (10.0, 50.0001)]).wkb
    for filters, expected in (
        (Filters(), everything),
        (Filters(boxes=((10.001, 50.0, 10.015, 50.001),)), {("one", 0), ("one", 1)}),
        (Filters(boxes=((0.0, 0.0, 9.99, 80.0),)), set()),
        (Filters(boxes=(west,)), {("two", 1), ("two", 2), ("two", 3)}),  # the second lies across 180 degrees
        (Filters(boxes=(east, west)), {("two", at) for at in range(4)}),
        (Filters(boxes=((-180.0, -90.0, 180.0, 90.0),)), everything),
        (Filters(polygon=corner), {("one", at) for at in range(4)}),
        (Filters(start=datetime(2020, 1, 5)), {("one", 4), ("one", 5)}),
        (Filters(end=datetime(2020, 1, 1, tzinfo=UTC), sensors=("naip",)), {("one", 0), ("two", 0)}),
        (Filters(gsd=(5.0, 9.0)), {("one", 5)}),
        (Filters(scenes=("two's.tif",), sensors=("landsat", "other")), {("two", 1), ("two", 3)}),
    ):
        in_memory = Archive.open(archive.uri)
        in_memory.load()
        for exact in (True, False):
            assert found(archive, filters, exact=exact) == found(in_memory, filters, exact=exact) == expected, filters


def test_a_polygon_is_searched_until_there_are_enough(tmp_path):
    archive = Archive.create(tmp_path / "a", width=WIDTH, model="m", weights_hash="0")
    archive.replace_scene("s", "f", row_of_tiles("s", 28, step=0.001), unit(28))
    rows = [(at, float(unit(28)[at] @ unit(1)[0])) for at in (0, 27)]
    ends = shapely.MultiPolygon([shapely.box(9, 50, 10.0005, 51), shapely.box(10.0275, 50, 11, 51)]).convex_hull
    ends = ends.difference(shapely.box(10.0006, 49, 10.0274, 52)).wkb  # its bounds meet all, it meets two
    hits = archive.search(unit(1)[0], filters=Filters(polygon=ends), k=2)
    assert [hit.tile.window[0] // 64 for hit in hits] == [at for at, _ in sorted(rows, key=lambda one: -one[1])]


def test_many_candidates_go_through_the_index_and_few_are_exact(archive, monkeypatch):
    monkeypatch.setattr(searching, "CANDIDATES", 3)
    assert len(found(archive, Filters(sensors=("naip",)))) == 5
    monkeypatch.setattr(writing, "APPROXIMATE", 256)
    rows = unit(300, 5)
    archive.replace_scene("large", "f", [Tile(scene="large", window=(at, 0, 1, 1)) for at in range(300)], rows)
    archive.build_index()
    indices = [archive._tiles.index_stats(one.name) for one in archive._tiles.list_indices()]
    assert len(indices) == 6 and not any(one.num_unindexed_rows for one in indices)
    assert archive._approximate and archive.search(rows[7], k=1)[0].tile.window[0] == 7
    assert archive.search(rows[7], k=1, filters=Filters(scenes=("large",)))[0].score == pytest.approx(1, abs=1e-4)


def test_texts_and_vectors_are_fused(archive):
    hits = archive.search(unit(6)[2], text="5 ships", k=3)
    both = next(hit for hit in hits if hit.tile.caption == "a harbour with 5 ships")
    assert hits[0].tile.window[0] // 64 in (2, 5) and both.text_score > 1
    assert both.score == pytest.approx(float(unit(6)[5] @ unit(6)[2]), abs=1e-6)
    alone = archive.search(unit(6)[2], text="5", filters=Filters(scenes=("two's.tif",)))
    assert {hit.tile.scene for hit in alone} == {"two's.tif"} and alone[0].text_score is None


def test_a_scene_is_replaced_whole_and_the_same_call_changes_nothing(archive):
    for _ in range(2):
        archive.replace_scene("one.tif", "g", row_of_tiles("one.tif", 2), unit(2, 9))
        assert archive.facts.rows == 6 and archive.fingerprints == {"one.tif": "g", "two's.tif": "f"}
    assert archive.search(unit(2, 9)[1], k=1)[0].score == pytest.approx(1, abs=1e-6)
    archive.replace_scene("empty.tif", "f", [], np.zeros((0, WIDTH)))
    assert archive.facts.scenes == 3 and archive.facts.rows == 6
    with pytest.raises(BadInput, match=r"x has vectors of shape \(2, 3\) for 1 tiles; .* one of 8 numbers for each"):
        archive.replace_scene("x", "f", row_of_tiles("x", 1), np.zeros((2, 3)))


def test_older_versions_can_be_read_until_they_are_compacted(archive):
    full = archive.versions()[-1]
    assert full.rows == 10
    assert archive.delete(Filters(boxes=((9.0, 49.0, 10.015, 51.0),))) == 2
    assert archive.delete(Filters(polygon=shapely.box(10.021, 50, 10.022, 51).wkb)) == 1
    assert archive.facts.rows == 7 and archive.facts.scenes == 2
    old = Archive.open(archive.uri, version=full.number)
    assert old.facts.rows == 10 and old.facts.scenes == 2
    with pytest.raises(BadInput, match="opened at an older version, which cannot be written"):
        old.replace_scene("x", "f", [], np.zeros((0, WIDTH)))
    assert archive.delete(Filters(scenes=("two's.tif",))) == 4 and archive.facts.scenes == 1
    archive.compact(keep=timedelta(0))
    assert len(archive.versions()) < 3 and archive.facts.rows == 3
    with pytest.raises(BadInput, match=f"has no version {full.number} "):
        Archive.open(archive.uri, version=full.number)
    with pytest.raises(BadInput, match="Every row would be deleted: say which"):
        archive.delete(Filters())


def test_what_a_killed_writer_left_is_taken_out(archive, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing.Writer, "record", killed)
    with pytest.raises(KeyboardInterrupt):
        archive.replace_scene("three.tif", "f", row_of_tiles("three.tif", 3), unit(3, 2))
    monkeypatch.undo()
    assert Archive.open(archive.uri).facts.rows == 13
    assert Archive.open(archive.uri).check().sentences == ["1 scenes have rows but no record (first scene: three.tif)"]
    archive.close()
    again = Archive.open(archive.uri)
    assert "three.tif" not in again.fingerprints and again.facts.rows == 10 and again.check().sentences == []


def test_check_finds_and_repair_mends(archive):
    assert archive.check().rows == 10 and archive.repair(archive.check()) == 0
    archive._tiles.add(archive._tiles.search().where("scene = 'one.tif'").limit(6).to_arrow())
    archive._tiles.update(where="scene = 'two''s.tif' AND gsd > 3", values={"vector": [2.0] * WIDTH})
    faults = archive.check()
    assert (len(faults.broken), len(faults.twice), faults.uncounted) == (1, 6, ("one.tif",))
    assert faults.sentences[1] == f"6 ids belong to more than one row (first row: {faults.twice[0]})"
    assert archive.repair(faults) == 13 and archive.check().sentences == []
    assert archive.fingerprints == {"one.tif": "", "two's.tif": ""}, "so that they are made again"


def test_one_process_writes(archive):
    other = Archive.open(archive.uri)
    assert other.search(unit(1)[0], k=1)
    with pytest.raises(BadInput, match=r"Another process writes to .* wait until it has ended"):
        other.replace_scene("x", "f", [], np.zeros((0, WIDTH)))
    archive.close()
    other.replace_scene("x", "f", row_of_tiles("x", 1), unit(1))
    other.close()
    late = Archive.open(archive.uri)
    late._writer._version -= 1  # as where no lock keeps another writer away
    with pytest.raises(BadInput, match="Another process writes to"):
        late.replace_scene("y", "f", row_of_tiles("y", 1), unit(1))


def test_what_is_no_archive_is_refused(archive, tmp_path):
    import lancedb

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "scene.tif").write_bytes(b"")
    lancedb.connect(tmp_path / "foreign").create_table("tiles", [{"a": 1}])
    for make, says in (
        (lambda: Archive.open(tmp_path / "none"), "none is no archive; make one with: rsvlm index FOLDER --out"),
        (lambda: Archive.open(tmp_path / "other"), "other is no archive"),
        (lambda: Archive.open(tmp_path / "foreign"), "foreign is a LanceDB database, but no archive of rsvlm"),
        (lambda: Archive.create(archive.uri, width=8, model="m", weights_hash=""), "is an archive already"),
        (lambda: Archive.create(tmp_path / "other", width=8, model="m", weights_hash=""), "holds something else"),
        (lambda: archive.search(np.zeros(WIDTH)), "has no direction"),
        (lambda: archive.search(np.ones(9)), r"holds vectors of 8 numbers \(colours\), not of 9"),
        (lambda: archive.vectors_of(["nothing"]), "holds no row nothing"),
        (lambda: archive.check_model("mini", "9876", 256),
         r"vectors of colours \(8 numbers, weights 0123\), these are of mini \(256 numbers, weights 9876\)"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=says):
            make()
    archive.check_model("another name", "0123")
    newer = json.dumps({"format": "2", "model": "m", "weights": "", "width": "8"}).encode()
    schema = archive._tiles.schema.with_metadata({b"rsvlm": newer})
    lancedb.connect(tmp_path / "newer").create_table("tiles", schema=schema)
    lancedb.connect(tmp_path / "newer").create_table("scenes", schema=archive._scenes.schema)
    with pytest.raises(BadInput, match=r"written by a newer rsvlm \(layout 2, this one reads up to 1\); upgrade"):
        Archive.open(tmp_path / "newer")


def test_an_absent_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "lancedb", None)
    monkeypatch.delitem(sys.modules, "rsvlm.index.store")
    with pytest.raises(MissingPart, match=r"'lancedb' is not installed; run: pip install 'rsvlm\[archive\]'"):
        importlib.import_module("rsvlm.index.store")


FULL = """
import resource, signal, sys
import numpy as np
from rsvlm.errors import BadInput
from rsvlm.index.archive import Archive
from rsvlm.index.rows import Tile

archive = Archive.open(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
rows = np.eye(8, dtype=np.float32)[np.arange(999) % 8]
try:
    archive.replace_scene("big", "f", [Tile(scene="big", window=(at, 0, 1, 1)) for at in range(999)], rows)
except BadInput as error:
    print(error)
"""


def test_a_full_disk_leaves_the_last_commit(archive):
    archive.close()
    ran = subprocess.run([sys.executable, "-c", FULL, archive.uri], capture_output=True, text=True)
    assert ran.stdout == (
        f"There is no space left to write {archive.uri}; it is as it was at its last commit: make room, then run "
        "again.\n"
    ), ran.stderr
    again = Archive.open(archive.uri)
    assert again.facts.rows == 10 and again.check().sentences == []
    again.replace_scene("big", "f", row_of_tiles("big", 1), unit(1))
    assert again.facts.rows == 11
