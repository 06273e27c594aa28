"""Readers of sets with masks."""

import json
import os
import pickle
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake import annotations
from fake.change import block
from rsvlm.data.catalogue import load
from rsvlm.data.masks import decode_rle, encode_rle
from rsvlm.data.sources.label_files import mask_box
from rsvlm.data.sources.plain_pickle import load_plain
from rsvlm.errors import BadInput

REAL = Path(os.environ.get("RSVLM_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def test_rrsis_d_has_a_sample_a_sentence_and_the_box_of_its_pixels(tmp_path):
    one, two = load("rrsis_d", annotations.make("rrsis_d", tmp_path), "test")
    assert (one.id, two.id) == ("rrsis_d/3/0", "rrsis_d/3/1") and one.regions == two.regions
    assert (one.turns[0].task, one.turns[0].question, one.turns[0].answer) == ("segment", "A plane on the left", "")
    (region,) = one.regions
    assert region.label == "airplane" and region.box == (3, 3, 7, 7)
    assert (decode_rle(region.mask) == (block(1, 3, 3) > 0)).all()


def test_rrsis_d_takes_a_json_copy_polygons_and_several_parts(tmp_path):
    folder = annotations.make("rrsis_d", tmp_path) / "rrsisd"
    refs = pickle.loads((folder / "refs(unc).p").read_bytes())  # ours, written by the miniature
    (folder / "refs(unc).p").unlink()
    (folder / "refs(unc).json").write_text(json.dumps(refs))
    data = json.loads((folder / "instances.json").read_text())
    data["annotations"][0]["segmentation"] = [[2, 2, 6, 2, 6, 6, 2, 6]]
    data["annotations"][1]["segmentation"] = [encode_rle(block(1, 0, 0) > 0), encode_rle(block(1, 8, 12) > 0)]
    (folder / "instances.json").write_text(json.dumps(data))
    samples = load("rrsis_d", folder.parent, "all")
    assert [s.regions[0].box for s in samples[:2]] == [(2, 2, 6, 6), (0, 0, 16, 12)]
    assert decode_rle(samples[1].regions[0].mask).sum() == 32


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("the pickle ran code",))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_never_runs(protocol, tmp_path):
    path = tmp_path / "refs(unc).p"
    path.write_bytes(pickle.dumps([{"ref_id": 1, "sent": "a", "x": (1.5, None, {2}, b"c")}], protocol=protocol))
    if protocol > 3:  # older ones write sets and bytes as calls
        assert load_plain(path) == [{"ref_id": 1, "sent": "a", "x": (1.5, None, {2}, b"c")}]
    path.write_bytes(pickle.dumps([{"ref_id": 7, "sent": "é"}], protocol=protocol))
    assert load_plain(path) == [{"ref_id": 7, "sent": "é"}]
    path.write_bytes(pickle.dumps([Evil()], protocol=protocol))
    with pytest.raises(BadInput, match="not a pickle of plain data") as caught:
        load_plain(path)
    assert "it asks for" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"abc", b"\x80\x02]q\x00(K", b"cos\nsystem\n(S'true'\ntR.", b"\x82\x01.", b"P1\n."]
)
def test_a_damaged_pickle_is_one_sentence(data, tmp_path):
    path = tmp_path / "refs(unc).p"
    path.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        load_plain(path)
    assert "\n" not in str(caught.value)


def test_refsegrs(tmp_path):
    samples = load("refsegrs", annotations.make("refsegrs", tmp_path), "train")
    assert [s.turns[0].question for s in samples] == ["road along the left vehicle", "road along the right vehicle"]
    assert [s.regions[0].box for s in samples] == [(4, 1, 8, 5), (4, 2, 8, 6)]  # 0/255 and 0/1
    assert samples[0].images[0].path.endswith("train0.tif") and samples[0].images[0].height == 12


def test_geopix_takes_the_pixels_for_the_box(tmp_path):
    samples = load("geopix_instruct", annotations.make("geopix_instruct", tmp_path), "all")
    assert Counter((s.split, s.meta["part"]) for s in samples) == dict.fromkeys(
        [("train", "SIOR"), ("train", "SOTA"), ("val", "SIOR"), ("val", "SOTA")], 2
    )
    assert [s.regions[0].box for s in samples[:2]] == [(0, 0, 4, 4), (2, 1, 6, 5)]
    assert samples[1].turns[0].question == "the smaller storage tank" and samples[0].images[0].width == 16


def test_geopix_reads_parquet(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder = annotations.make("geopix_instruct", tmp_path)
    path = folder / "valid.SIOR_T.json"
    rows = json.loads(path.read_text())
    before = load("geopix_instruct", folder, "val")
    parquet.write_table(arrow.Table.from_pylist(rows), folder / "valid.SIOR_T-00000-of-00001.parquet")
    path.unlink()
    assert sorted(s.id for s in load("geopix_instruct", folder, "val")) == sorted(s.id for s in before)


def test_dubai_colours_palettes_and_black_places(tmp_path):
    samples = {s.id: s for s in load("dubai", annotations.make("dubai", tmp_path), "all")}
    first, second = samples["dubai/Tile1_image_part_001"], samples["dubai/Tile1_image_part_002"]
    assert [r.label for r in first.regions] == ["building", "road"] and first.regions[0].box == (0, 0, 16, 4)
    assert decode_rle(first.meta["ignore_mask"]).sum() == 16 * 4  # unlabelled
    assert [r.label for r in second.regions] == ["land", "road", "vegetation", "water"]  # of a palette PNG
    black = samples["dubai/Tile2_image_part_002"]
    assert decode_rle(black.meta["ignore_mask"])[:, 0].all() and black.regions[0].box[0] == 1
    assert [t.question for t in first.turns] == ["building", "land", "road", "vegetation", "water"]


def test_dubai_refuses_other_colours_and_sizes(tmp_path):
    folder = annotations.make("dubai", tmp_path)
    path = folder / "Tile 1" / "masks" / "image_part_001.png"
    right = path.read_bytes()
    Image.new("RGB", (16, 12), "#50E3C2").save(path)
    with pytest.raises(BadInput, match=r"100% of its pixels .* #50E3C2; .*not those of classes\.json"):
        load("dubai", folder, "all")
    Image.new("RGB", (8, 6), "#3C1098").save(path)  # as tile 8 at half size
    with pytest.raises(BadInput, match="has 8 x 6 pixels and its picture has not"):
        load("dubai", folder, "all")
    path.write_bytes(right)
    (folder / "Tile 2" / "masks" / "image_part_002.png").unlink()
    with pytest.raises(BadInput, match="has no mask"):
        load("dubai", folder, "all")


@pytest.mark.parametrize("seed", range(20))
def test_the_box_of_run_lengths_is_that_of_the_pixels(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((11, 17), bool)
    top, left = rng.integers(0, 11), rng.integers(0, 17)
    mask[top : top + rng.integers(1, 12), left : left + rng.integers(1, 5)] = True
    mask &= rng.random(mask.shape) < 0.7
    rows, columns = np.nonzero(mask)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else (0, 0, 0, 0)
    assert mask_box(encode_rle(mask)) == box


def test_a_run_over_the_end_of_a_column_reaches_from_edge_to_edge():
    mask = np.zeros((11, 17), bool)
    mask[9:, 2] = mask[:3, 3] = True  # one run of run lengths, which go down the columns
    assert mask_box(encode_rle(mask)) == (2, 0, 4, 11)


@pytest.mark.parametrize(
    ("name", "file", "text", "says"),
    [
        ("rrsis_d", "rrsisd/instances.json", '{"images": [], "annotations": [], "categories": []}', "not RRSIS-D's"),
        ("refsegrs", "output_phrase_val.txt", "val0\n", "line 1 holds no phrase"),
        ("refsegrs", "output_phrase_val.txt", "\nval9 a road\n", "line 2 names val9"),
        ("geopix_instruct", "train.SIOR_T.json", '[{"image_path": "a.jpg"}]', "record 0"),
        (
            "geopix_instruct", "train.SIOR_T.json",
            '[{"image_path": "a", "instances": [{"description": "a", "instance_id": "1", "category": "b", '
            '"mask": {"size": [2, 2], "counts": "1"}}]}]',
            "do not fill its 2 x 2",
        ),
        ("dubai", "Tile 1/masks/image_part_001.png", "x", "cannot be read as a label picture"),
    ],
)  # fmt: skip
def test_bad_files_are_one_sentence(name, file, text, says, tmp_path):
    said = annotations.refusal(name, tmp_path, file, text)
    assert re.search(says, said)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL}; set RSVLM_DATA")
def test_real_masks():
    dubai = load("dubai", REAL, "all")
    assert len(dubai) == 54 and {r.label for s in dubai for r in s.regions} == {t.kind for t in dubai[0].turns}
    for sample in dubai[::9]:
        ignored = decode_rle(sample.meta["ignore_mask"])
        assert (ignored.astype(int) + sum(decode_rle(r.mask) for r in sample.regions) == 1).all()
    assert Counter(s.split for s in load("levir_cd", REAL, "all")) == {"test": 5, "train": 2}
    assert len(load("dsifn", REAL, "all")) == 7
