"""Box dialects: the golden answers, byte-exact text, the round trip, and a decoder that no text can break."""

import json
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake.golden import OWN, golden
from rsvlm.data.box_codecs import DIALECTS, decode, encode, smart_resize
from rsvlm.errors import BadInput

GOLDEN = golden("box_parse.json")
OWN_WHYS = {case["why"] for case in json.loads((OWN / "box_parse.json").read_text(encoding="utf-8"))["malformed"]}
CASES = GOLDEN["well_formed"] + GOLDEN["malformed"]
GRID = {"geochat": 100, "vrsbench": 100, "minigpt": 100, "lhrs": 100, "nova": 100}


def sizes(case):
    return tuple(case["input_size"]) if "input_size" in case else None


def test_golden_has_every_dialect():
    assert {case["dialect"] for case in CASES} == set(DIALECTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['dialect']}-{case['text'][:30]}")
def test_golden(case):
    found = decode(case["text"], case["dialect"], input_size=sizes(case)).boxes
    expected = case["boxes"] or []
    assert [len(box) for box in found] == [len(box) for box in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("case", GOLDEN["malformed"], ids=lambda case: case["why"])
def test_every_repair_is_reported(case):
    quiet = {"empty answer", "refusal", "zero area is kept", "blanks and line breaks inside are ignored"}
    quiet |= {"HTML entities are decoded", "duplicates are kept", "dangling delimiter", "negative angle is kept"}
    quiet |= {"<unk> removed (as MiniGPT-v2 does)", "nested list", "bare decimal points", "no braces", "wrong bracket"}
    quiet |= {
        "other dialect: no guessing",
        "opening tag missing",
        "no brackets",
        "no box tag",
        "no comma between the points",
    }
    quiet |= {"single instead of double brackets", "reasoning ignored, single quotes accepted", "cut off"}
    quiet |= {"truncated JSON: complete boxes kept", "no closing brace and text follows"}
    decoded = decode(case["text"], case["dialect"], input_size=sizes(case))
    if case["why"] in OWN_WHYS - quiet:  # other recordings may be spoilt in ways that need no repair
        assert decoded.problems


# The texts of the golden file that have the canonical form: decoding and encoding gives them back byte for byte.
def fenced(numbers, label):
    listed = ",\n\t\t\t".join(map(str, numbers))
    return f'```json\n[\n\t{{\n\t\t"bbox_2d": [\n\t\t\t{listed}\n\t\t],\n\t\t"label": "{label}"\n\t}}\n]\n```'


CANONICAL = [
    ("geochat", "{<20><57><82><70>|<90>}{<33><33><75><86>|<45>}", None, ()),
    ("vrsbench", "{<49><13><62><59>}{<4><52><61><96>}", None, ()),
    ("minigpt", "{<4><7><26><56>}<delim>{<0><36><43><59>}", None, ()),
    ("lhrs", "[0.48, 0.21, 0.59, 0.98] and [0.09, 0.27, 0.88, 0.53]", None, ()),
    ("nova", "<bbox>[0.32,0.34,0.48,0.74]</bbox><bbox>[0.06,0.58,0.49,0.65]</bbox>", None, ()),
    (
        "qwen2vl",
        "<|object_ref_start|>bridge<|object_ref_end|><|box_start|>(589,161),(968,417)<|box_end|>"
        "<|object_ref_start|>bridge<|object_ref_end|><|box_start|>(37,39),(629,509)<|box_end|>",
        None,
        ("bridge", "bridge"),
    ),
    (
        "qwen3vl",
        fenced((438, 245, 733, 854), "bridge"),
        None,
        ("bridge",),
    ),
    (
        "qwen25vl",
        fenced((346, 495, 449, 989), "airplane"),
        (504, 1036),
        ("airplane",),
    ),
    ("internvl", "<ref>bridge</ref><box>[[414,167,650,799]]</box>", None, ("bridge",)),
    (
        "internvl",
        "<ref>a</ref><box>[[1,2,3,4],[5,6,7,8]]</box><ref>b</ref><box>[[1,1,2,2]]</box>",
        None,
        ("a", "a", "b"),
    ),
    ("falcon", "<quad><387><265><374><294><352><284><365><255></quad>", None, ()),
    ("falcon", "<box><61><88><692><176></box><box><336><629><622><682></box>", None, ()),
]


@pytest.mark.parametrize(("dialect", "text", "input_size", "labels"), CANONICAL)
def test_bytes(dialect, text, input_size, labels):
    size = (640, 480)
    boxes = decode(text, dialect, input_size=input_size).pixels(size)
    assert encode(boxes, dialect, size=size, input_size=input_size, labels=labels) == text


def test_every_dialect_has_a_canonical_text():
    assert {dialect for dialect, *_ in CANONICAL} == set(DIALECTS)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("size", [(64, 97), (256, 256), (800, 600), (1000, 1000), (4000, 3001)])
def test_round_trip(dialect, size):
    """10^5 boxes per dialect over five sizes: half a step of the grid, and 0.5 px wherever the grid allows it."""
    rng = np.random.default_rng(7)
    corners = rng.uniform(0, 1, (20_000, 2, 2)) * np.array(size)
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    input_size = (size[0] + 13, size[1] + 28) if dialect == "qwen25vl" else None
    decoded = decode(encode(boxes.tolist(), dialect, size=size, input_size=input_size), dialect, input_size=input_size)
    assert not decoded.problems
    error = np.abs(np.array(decoded.pixels(size)) - boxes).max(axis=0)
    scale = np.array(input_size or (GRID.get(dialect, 1000),) * 2)
    half_step = np.tile(np.array(size) / scale / 2, 2)
    assert (error <= half_step + 1e-9).all()
    allowed = half_step <= 0.5
    assert (error[allowed] <= 0.5).all()
    assert allowed.any() or max(size) > GRID.get(dialect, 1000)


def test_quads_and_angles_round_trip():
    rng = np.random.default_rng(3)
    quads = rng.uniform(0, 500, (2000, 8)).tolist()
    back = decode(encode(quads, "falcon", size=(500, 500)), "falcon").pixels((500, 500))
    assert np.abs(np.array(back) - np.array(quads)).max() <= 0.5
    turned = [(10.0, 20.0, 30.0, 40.0, -45.0)]
    assert decode(encode(turned, "geochat", size=(100, 100)), "geochat").pixels((100, 100))[0] == pytest.approx(
        turned[0]
    )


def test_the_released_truncation_is_a_switch():
    box = [(5.9, 5.9, 99.9, 99.9)]
    assert encode(box, "minigpt", size=(100, 100)) == "{<6><6><100><100>}"
    assert encode(box, "minigpt", size=(100, 100), rounding="released") == "{<5><5><99><99>}"
    assert encode(box, "qwen2vl", size=(100, 100), rounding="released").count("59") == 2


PIECES = [
    *"{}<>|[](),.- \n0½３",
    "12",
    "345",
    "999999",
    "&lt;",
    '"bbox_2d":',
    "'bbox':",
    "<delim>",
    "<unk>",
    "e5",
    "nan",
]
PIECES += [f"<{slash}{tag}>" for tag in ("box", "bbox", "quad", "think", "answer") for slash in ("", "/")]


@given(text=st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=60).map("".join)))
@settings(max_examples=400, deadline=None)
def test_no_text_breaks_the_decoder(text):
    for dialect in DIALECTS:
        for box in decode(text, dialect, input_size=(640, 480)).boxes:
            assert len(box) in (4, 5, 8)
            assert all(0 <= n <= 1 for n in (box[:4] if len(box) == 5 else box))
            if len(box) < 8:
                assert box[0] <= box[2] and box[1] <= box[3]


def cpu_seconds(text, dialect):
    """The least CPU time of this thread in three calls: what else the machine does is not in it."""
    spent = []
    for _ in range(3):
        start = time.thread_time()
        decode(text, dialect, input_size=(10, 10))
        spent.append(time.thread_time() - start)
    return min(spent)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_work_grows_with_hostile_text_and_not_with_its_square(dialect):
    """Eight times the text: eight times the work, where a search that starts anew at every tag takes 64 times."""
    for piece in ("{", "[", "<think>", "<box>", "<bbox>", "<quad><", "(1,", "((((", "[[1,", "<answer>", "{<1>"):
        short, long = (cpu_seconds(piece * count, dialect) for count in (2_500, 20_000))
        assert long < 24 * short + 0.02, (piece, short, long)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: decode("x", "qwen3"), "qwen3vl"),
        (lambda: decode("x", "qwen25vl"), "input_size"),
        (lambda: encode([(0, 0, 1, 1)], "qwen25vl", size=(9, 9)), "input_size"),
        (lambda: encode([(0, 0, 1, 1, 30)], "lhrs", size=(9, 9)), "5 numbers"),
        (lambda: encode([(0, 0, 1, float("nan"))], "lhrs", size=(9, 9)), "finite"),
        (lambda: encode([(0, 0, 1, 1)], "lhrs", size=(0, 9)), "size"),
        (lambda: encode([(0, 0, 1, 1)], "qwen3vl", size=(9, 9), labels=("a", "b")), "labels"),
    ],
)
def test_bad_calls(call, says):
    with pytest.raises(BadInput, match=says):
        call()


def test_smart_resize_keeps_the_limits():
    # Pinned by transformers.models.qwen2_vl.image_processing_qwen2_vl.smart_resize , its limits.
    expected = {(1000, 1000): (980, 980), (640, 480): (644, 476), (30, 30): (56, 56), (8000, 500): (4004, 224)}
    assert {size: smart_resize(size) for size in expected} == expected
    assert all(side % 28 == 0 for size in expected for side in smart_resize(size))
    areas = [np.prod(smart_resize((side, side))) for side in range(100, 1500, 100)]
    assert all(a <= b for a, b in pairwise(areas)) and max(areas) <= 14 * 14 * 4 * 1280
    with pytest.raises(BadInput, match="200-fold"):
        smart_resize((1, 300))
