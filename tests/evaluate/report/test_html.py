"""The page of a run: nothing from outside, nothing of a reply that runs, and everything a reader must see."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import PIL.Image
import pytest

from fake.results import picture, result, shown
from rsvlm.data.masks import encode_rle
from rsvlm.evaluate.report import html as pages
from rsvlm.evaluate.report.html import page
from rsvlm.evaluate.report.plots import Lane, lanes, reliability, risk_coverage
from rsvlm.evaluate.solvers import write_map
from rsvlm.sample import Image, Region

HOSTILE = "<script>alert(1)</script>\"'><img src=http://x.org/a.png onerror=alert(2)>"


class Tags(HTMLParser):
    """Every tag with its attributes, and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str, **wanted) -> list[dict]:
        found = [attributes for name, attributes in self.tags if name == tag]
        return [a for a in found if all(a.get(key) == value for key, value in wanted.items())]


def test_a_page_loads_nothing_and_runs_only_its_own_script(tmp_path):
    image = picture(tmp_path / "a.png")
    text = page("A title", result(), [shown(n, (image,)) for n in range(3)])
    tags = Tags(text)
    assert "http" not in text.replace("http-equiv", "")
    outside = [a for _, attributes in tags.tags for key, a in attributes.items() if key in ("src", "href")]
    assert outside
    assert all(link.startswith(("data:image/", "#")) for link in outside)
    (policy,) = tags.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:;")
    assert "sha256-" in policy["content"]
    assert len(tags.all("script")) == 1
    assert not [key for _, attributes in tags.tags for key in attributes if key.startswith("on")]


def test_a_hostile_reply_stays_text(tmp_path):
    image = picture(tmp_path / "a.png")
    region = Region(label=HOSTILE, box=(1, 2, 9, 9))
    one = shown(
        0, (image,), row={"answer": HOSTILE, "confidence": 0.5}, parsed=HOSTILE, kind=HOSTILE, regions=(region,)
    )
    other = shown(1, (Image(path=HOSTILE),), row={"answer": "", "error": HOSTILE}, parsed=None, wrong=True)
    half = shown(2, row={"answer": "half \ud800"}, parsed="half")
    metrics = {HOSTILE: {"value": 0.5, "stderr": 0.1, "low": 0.4, "high": 0.6, "note": HOSTILE}}
    run = result(
        protocol=HOSTILE, model=HOSTILE, split=HOSTILE, legacy=HOSTILE, notes=[HOSTILE], trace={HOSTILE: HOSTILE},
        metrics=metrics, headline=[HOSTILE], per_item=HOSTILE, baselines={HOSTILE: {HOSTILE: 0.1}},
        problems={HOSTILE: {"count": 1, "examples": [HOSTILE]}},
    )  # fmt: skip
    text = page(HOSTILE, run, [one, other, half])
    tags = Tags(text)
    assert len(tags.all("script")) == 1
    assert tags.all("img") == []
    assert HOSTILE in tags.text
    assert not [key for _, attributes in tags.tags for key in attributes if key.startswith("on")]
    text.encode("utf-8")  # half a surrogate pair would not go into a file


def test_the_numbers_stand_beside_the_baselines():
    leak = {"test": 8, "train": 90, "flat": 0, "leaked": 2, "share": 0.25}
    text = Tags(page("t", result(legacy="It adds 1.", leak=leak, failed=2), [shown()])).text
    for sentence in (
        "0.700", "0.430 to 0.930", "most frequent", "blind", "Not a fair figure: It adds 1.", "1 more metrics",
        "2 of 8 scored pictures (25.0%) lie among", "2 of 10 questions got no reply",
    ):  # fmt: skip
        assert sentence in text


def test_samples_carry_what_they_are_filtered_and_sorted_by():
    samples = [
        shown(0, kind="count"),
        shown(1, kind="presence", score=0.0, wrong=True, row={"answer": "no", "confidence": 0.25}, parsed="no"),
        shown(2, kind="count", score=0.0, wrong=True, row={"answer": "hm", "confidence": 0.5}, parsed=None),
        shown(3, score=0.0, wrong=True, row={"answer": "", "confidence": 0.0, "error": "timed out"}, parsed=None),
    ]
    text = page("t", result(), samples)
    tags = Tags(text)
    rows = [a for a in tags.all("tr") if "data-score" in a]
    assert [row["class"] for row in rows] == ["right", "wrong", "wrong unread", "wrong unread failed"]
    assert [row["data-confidence"] for row in rows] == ["0.75", "0.25", "0.5", "0"]
    assert [row["data-kind"] for row in rows] == ["0", "1", "0", ""]
    for option in ("all (4)", "right (1)", "wrong (3)", "not read (2)", "no reply (1)", "count", "presence",
                   "confidence, lowest first", "score, highest first", "no reply: timed out"):  # fmt: skip
        assert option in tags.text
    assert "overall by kind of question" in tags.text
    assert "On the pictures" not in tags.text  # nothing is marked on any


def test_scores_that_are_not_right_or_wrong_are_not_called_so():
    text = page("t", result(), [shown(0, score=0.3, wrong=True), shown(1, score=float("nan"))])
    assert "poor score (1)" in text
    assert "wrong (1)" not in text
    assert 'data-score="nan"' in text


def test_each_picture_is_there_once_and_marks_lie_in_its_pixels(tmp_path):
    image, before = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", (20, 20))
    mask = np.zeros((30, 40), bool)
    mask[5:20, 10:30] = True
    boxes = {
        "boxes": [[1, 2, 11, 12], [float("nan"), 0, 1, 1], [10, 10, 20, 20, 30.0], [0, 0, 4, 0, 4, 4, 0, 4], [1, 2]]
    }
    samples = [
        shown(0, (image,), regions=(Region(label="x", box=(2, 3, 12, 9)),), row=boxes, parsed=boxes["boxes"]),
        shown(1, (image,), regions=(Region(label="x", box=(2, 3, 12, 9), angle=90.0),)),
        shown(2, (image,), regions=(Region(label="x", box=(0, 0, 1, 1), polygon=((0, 0), (9, 0), (9, 9))),)),
        shown(3, (before, image), regions=(Region(label="x", box=(0, 0, 1, 1), mask=encode_rle(mask), image=1),),
              row={"mask": encode_rle(mask)}, parsed=encode_rle(mask)),
        shown(4, (image,), row={"mask": {"size": [1, 1], "counts": [1]}}, parsed=None),
        shown(5, (image,), row={"map": (heat := write_map(np.zeros((30, 40), np.uint8)))}, parsed=heat),
        shown(6, (), row={"vector": "A" * 1000}, parsed="A" * 1000),
    ]  # fmt: skip
    text = page("t", result(), samples)
    tags = Tags(text)
    assert text.count("data:image/jpeg") == 2
    assert text.count("data:image/png") == 3  # the target, what was marked, and the map; the unread mask is not drawn
    assert len(tags.all("use", href="#p0")) == 6
    assert len(tags.all("svg", viewbox="0 0 40 30")) == 6
    rects = [(a["x"], a["y"], a["width"], a["height"], a.get("transform")) for a in tags.all("rect")]
    assert rects == [
        ("2", "3", "10", "6", None), ("1", "2", "10", "10", None), ("10", "10", "10", "10", "rotate(-30 15 15)"),
        ("2", "3", "10", "6", "rotate(-90 7 6)"),
    ]  # fmt: skip
    assert [a["points"] for a in tags.all("polygon")] == ["0 0 4 0 4 4 0 4", "0 0 9 0 9 9"]
    assert {a["stroke"] for a in tags.all("rect")} == {"#14c45a", "#f02828"}
    assert "On the pictures" in tags.text


def test_a_picture_that_cannot_be_read_is_said_not_raised(tmp_path):
    broken = tmp_path / "b.png"
    broken.write_bytes(b"no picture")
    text = Tags(
        page("t", result(), [shown(0, (Image(path=str(broken)),)), shown(1, (Image(path="/nowhere.png"),))])
    ).text
    assert text.count("no picture") == 2
    assert "2 pictures cannot be shown, the first because:" in text


def test_a_large_run_is_thinned_out_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "MOST", 10)
    image = picture(tmp_path / "a.png")
    single = page("t", result(), [shown(n, (image,)) for n in range(25)])
    assert [int(n) for n in re.findall(r">q(\d+)</span>", single)] == list(range(0, 25, 3))
    assert "9 of 25 samples are shown, evenly spread; all are in answers.jsonl" in single
    pairs = page("t", result(), [shown(n, (image, image)) for n in range(25)])
    assert "5 of 25 samples" in pairs
    assert "samples are shown" not in page("t", result(), [shown(n, (image,)) for n in range(10)])


def test_a_full_page_of_busy_pictures_stays_small(tmp_path):
    rng, samples = np.random.default_rng(0), []
    for number in range(pages.MOST):
        path = tmp_path / f"{number}.png"
        PIL.Image.fromarray(rng.integers(0, 255, (160, 160, 3), dtype=np.uint8)).save(path, compress_level=0)
        samples.append(shown(number, (Image(path=str(path)),)))
    assert len(page("t", result(), samples)) < 6_000_000


def test_long_replies_are_cut():
    text = page("t", result(), [shown(row={"answer": "word " * 10_000, "confidence": 0.5}, parsed="word")])
    assert len(text) < 40_000
    assert "(50000 letters)" in text


def test_a_run_without_samples():
    assert "Samples" in page("t", result(n=0, headline=[], metrics={}), [])


# ---- plots ----


def parsed(figure: str) -> ElementTree.Element:
    return ElementTree.fromstring(figure)


def circles(figure: str) -> list[tuple[float, float]]:
    return [(float(c.get("cx")), float(c.get("cy"))) for c in parsed(figure).iter("circle")]


def test_lanes_place_values_on_their_axis():
    rows = [
        Lane(label="low", value=0.0, low=0.0, high=0.2, beside={"blind": 1.0}),
        Lane(label="high", value=1.0, low=0.9, high=1.0),
        Lane(label="cider_d", value=2.5, low=2.0, high=3.0),
        Lane(label="kappa", value=-0.2, low=-0.3, high=0.0),
    ]
    figure = lanes("t", rows)
    (left, _), (right, _), (middle, _), (below, _) = circles(figure)
    assert middle == pytest.approx((left + right) / 2)  # 2.5 of 5
    assert left < below < right
    texts = [text.text for text in parsed(figure).iter("text")]
    assert "5" in texts
    assert "-0.5" in texts
    assert texts.count("1") == 2  # equal axes are numbered once
    assert lanes("t", []) == ""


def test_curves_are_drawn_in_a_unit_square():
    curve = {"confidence": [0.0, 1.0], "accuracy": [0.0, 1.0], "count": [1.0, 9.0]}
    (x0, y0), (x1, y1) = circles(reliability(curve))
    assert x1 > x0
    assert y1 < y0  # up is more
    assert "path" in risk_coverage({"coverage": [0.5, 1.0], "risk": [0.0, 0.5]})


def test_calibration_is_plotted_where_it_is_known():
    curves = {
        "reliability": {"confidence": [0.5], "accuracy": [0.7], "count": [10]},
        "risk_coverage": {"coverage": [1.0], "risk": [0.3]},
    }
    calibration = {"ece": {"value": 0.2, "stderr": 0.1, "low": 0.1, "high": 0.3}, "curves": curves}
    text = page("t", result(calibration=calibration), [shown()])
    assert "Is it as sure as it is right?" in text
    assert "0.100 to 0.300" in text
    assert "Is it as sure" not in page("t", result(), [shown()])
