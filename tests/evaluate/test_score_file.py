"""A user's own answers: what is asked is written without its answers, and no fault of a file is ever right."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake import annotations
from fake.pictures import picture, write_json
from rsvlm.data.catalogue import load
from rsvlm.data.images import picture_size
from rsvlm.data.masks import decode_rle, encode_rle
from rsvlm.errors import BadInput
from rsvlm.evaluate import answer_entries as answer_file
from rsvlm.evaluate.benchmarks import find
from rsvlm.evaluate.score_file import questions, score
from rsvlm.evaluate.solvers import write_vector

SETS = {
    "rsivqa": "RSIVQA", "ucm_captions": "UCM_captions", "dior_rsvg": "DIOR_RSVG", "rrsis_d": "RRSIS-D",
    "air_slt": "AIR-SLT", "levir_cd": "LEVIR-CD",
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """One data root; the caption set has enough pictures that another split can be recognised by its ids."""
    folder = tmp_path_factory.mktemp("data")
    for name, place in SETS.items():
        if not (folder / place).exists():
            annotations.make(name, folder, place)
    names = {f"{n}.tif": "train" if n < 30 else "test" if n < 42 else "val" for n in range(1, 48)}
    annotations.karpathy(folder / "UCM_captions", "imgs", "dataset.json", names)
    return folder


@pytest.fixture
def scored(root, tmp_path):
    """Write answers as lines and score them; lines may be objects, text or bytes."""

    def call(benchmark: str, *lines: object, **options):
        path = tmp_path / "answers.jsonl"
        texts = [line if isinstance(line, str | bytes) else json.dumps(line) for line in lines]
        path.write_bytes(b"\n".join(t if isinstance(t, bytes) else t.encode() for t in texts))
        return score(benchmark, path, root, **options)

    return call


def asked(benchmark: str, root: Path, split: str = ""):
    protocol = find(benchmark)
    return protocol.ask(load(protocol.dataset, root, split or protocol.split))


def right(root, split: str = "") -> list[dict]:
    """All captions of the split, right word for word."""
    return [{"id": item.id, "answer": item.references[0]} for item in asked("ucm_captions", root, split)]


def counts(result) -> dict[str, int]:
    for problem in result["problems"].values():
        assert 1 <= len(problem["examples"]) == min(problem["count"], answer_file.EXAMPLES)
    return {kind: problem["count"] for kind, problem in result["problems"].items()}


# -- from question to score --------------------------------------------------------------------------------------------


def test_questions_are_filled_in_and_scored(root, tmp_path):
    out = tmp_path / "questions.jsonl"
    assert questions("ucm_captions", root, out, split="val", limit=4) == 4
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert list(lines[0]) == ["id", "images", "question", "kind", "answer"]
    assert (root / lines[0]["images"][0]).is_file() and lines[0]["question"] == "Describe this image."
    assert " of 4" not in out.read_text()  # every reference is "caption K of NAME ."
    out.write_text("".join(json.dumps(line | {"answer": "caption 0 of a picture"}) + "\n" for line in lines))
    result = score("ucm_captions", out, root, split="val", limit=4, out=tmp_path / "run", name="mine")
    assert result["model"] == "mine" and result["n"] == 4 and result["problems"] == {}
    assert 0 < result["metrics"]["bleu_1"]["value"] < 1 and "most_frequent" in result["baselines"]
    assert json.loads((tmp_path / "run" / "result.json").read_text())["metrics"] == result["metrics"]


def test_a_question_says_all_and_betrays_nothing(root, tmp_path):
    for benchmark, key in (
        ("rrsis_d", "mask"),
        ("dior_rsvg", "boxes"),
        ("air_slt", "map"),
        ("ucm_retrieval", "vector"),
    ):
        questions(benchmark, root, tmp_path / "q.jsonl")
        first = json.loads((tmp_path / "q.jsonl").read_text().splitlines()[0])
        assert first.keys() == {"id", "images", "question", "kind", key} and first[key] is None
    questions("dior_rsvg", root, tmp_path / "q.jsonl")
    assert "Locate in the image: A gray ship" in (tmp_path / "q.jsonl").read_text()
    questions("levir_cd", root, tmp_path / "q.jsonl")
    assert '"kind": ""' in (tmp_path / "q.jsonl").read_text()  # it would say whether anything has changed


def test_pictures_are_named_from_the_data_root_on(root, tmp_path, monkeypatch):
    """However the root is given: relative, with a step back, or through a link."""
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    for data in ("link", tmp_path / "link", "../" + tmp_path.name + "/link", root):
        questions("ucm_captions", data, "q.jsonl", limit=1)
        assert json.loads(Path("q.jsonl").read_text())["images"] == ["UCM_captions/imgs/30.tif"], data


def test_questions_are_written_whole_or_not_at_all(root, tmp_path):
    with pytest.raises(BadInput, match="at least 1"):
        questions("ucm_captions", root, tmp_path / "q.jsonl", limit=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        questions("ucm_captions", root, tmp_path / "file" / "q.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_list_and_lines_and_other_words_for_the_same(root, tmp_path, scored):
    lines = right(root)
    want = scored("ucm_captions", *lines)
    assert want["metrics"]["bleu_4"]["value"] == pytest.approx(1) and counts(want) == {}
    path = write_json(tmp_path / "list.json", [{"question_id": one["id"], "text": one["answer"]} for one in lines])
    assert score("ucm_captions", path, root)["metrics"] == want["metrics"]
    marked = b"\xef\xbb\xbf" + json.dumps({"id": lines[0]["id"], "prediction": lines[0]["answer"]}).encode()
    assert scored("ucm_captions", marked, *lines[1:])["metrics"] == want["metrics"]
    assert len(want["trace"]["answers"]) == 16 and want["model"] == "answers.jsonl"


def test_confidences_are_checked(root, scored):
    items = asked("rsivqa", root, "train")
    lines = [{"id": item.id, "answer": item.references[0], "confidence": 0.9} for item in items]
    result = scored("rsivqa", *lines, split="train")
    assert result["calibration"] and counts(result) == {}
    bad = [one | {"confidence": c} for one, c in zip(lines, (float("nan"), "high", 1.5, True, -1), strict=False)]
    result = scored("rsivqa", *bad, split="train")
    assert counts(result) == {"unreadable_confidence": len(bad)}
    assert result["metrics"]["overall"]["value"] == 1.0


# -- lines and ids -----------------------------------------------------------------------------------------------------


def test_lines_that_are_no_answers_are_named_and_counted(root, scored):
    good = right(root)
    deep = "[" * 100_000
    lines = [b'{"id": "\xff"}', "{half", deep, [1, 2], "3", {"answer": "who?"}, {"id": True}, {"id": "nobody"}, b"  "]
    result = scored("ucm_captions", *lines, *good)
    assert counts(result) == {"not_utf8": 1, "not_json": 2, "not_an_object": 2, "no_id": 2, "unknown_id": 1}
    assert result["problems"]["not_utf8"]["examples"][0].startswith("line 1: byte 9")
    assert "line 8, id nobody" in result["problems"]["unknown_id"]["examples"][0]
    assert result["metrics"]["bleu_4"]["value"] == pytest.approx(1)


def test_twice_the_same_counts_once_and_two_answers_count_as_none(root, scored):
    first, second, *rest = right(root)
    other = second | {"answer": "something else"}
    result = scored("ucm_captions", first, second, other, first, second, *rest)
    assert counts(result) == {"repeated": 2, "conflicting": 1}
    assert result["failed"] == 1 and result["parse_failures"] == 1
    assert result["n"] == len(rest) + 2


def test_missing_and_empty_answers_are_never_right(root, scored, tmp_path):
    first, second, third, fourth, *rest = right(root)
    bad = [second | {"answer": "  "}, third | {"answer": None}, fourth | {"answer": ["a", "list"]}]
    result = scored("ucm_captions", *bad, *rest, out=tmp_path / "run")
    assert counts(result) == {"empty": 2, "unreadable_answer": 1, "missing": 1}
    assert first["id"] in result["problems"]["missing"]["examples"][0]
    assert result["failed"] == result["parse_failures"] == 4
    rows = [json.loads(line) for line in (tmp_path / "run" / "answers.jsonl").read_text().splitlines()]
    assert {row["id"] for row in rows if row.get("error")} == {one["id"] for one in (first, second, third, fourth)}


def test_a_legacy_rule_that_takes_nothing_for_right_does_not_get_it(root, scored):
    """LHRS-Bot's rule takes any part of the reference for right, an empty reply too."""
    items = asked("rsivqa", root, "train")
    result = scored("rsivqa", *({"id": item.id, "answer": ""} for item in items), split="train")
    assert result["metrics"]["overall"]["value"] == 0.0 and counts(result) == {"empty": len(items)}


def test_half_a_surrogate_pair_breaks_no_file(root, scored, tmp_path):
    first, *rest = right(root)
    lines = [first | {"answer": "\ud800"}, {"id": "\udfff"}]
    result = scored("ucm_captions", *lines, *rest, out=tmp_path / "run")
    assert counts(result) == {"unreadable_answer": 1, "unknown_id": 1}
    assert json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))["failed"] == 1


def test_answers_to_another_split_are_refused_by_its_name(root, scored):
    with pytest.raises(BadInput, match=r"looks like answers to the train split .* --split train"):
        scored("ucm_captions", *right(root, "train"))
    with pytest.raises(BadInput, match="looks like answers to the train split"):
        scored("ucm_captions", *right(root, "train"), right(root)[0])
    result = scored("ucm_captions", right(root, "train")[0], *right(root))
    assert counts(result) == {"other_split": 1}
    assert counts(scored("ucm_captions", *right(root, "train"), split="all"))["missing"] == 18


def test_answers_beyond_the_limit_are_no_problem(root, scored):
    result = scored("ucm_captions", *right(root), limit=3)
    assert result["n"] == 3 and counts(result) == {} and any("beyond the limit" in note for note in result["notes"])


@pytest.mark.parametrize(
    "content, sentence",
    [(b"", "is empty"), (b" \n\n", "is empty"), (b"[]", "holds no answer"), (b'[{"id": 1},', "begins like a JSON list"),
     (b'{"id": "x", "answer": "y"}', "1 unknown id.*expected ids like 'ucm_captions/30.tif#0'"),
     ("{}".encode("utf-16"), "not utf8"), (b"[1, 2]\n[3]", "2 not an object")],
)  # fmt: skip
def test_a_file_without_an_answer(root, tmp_path, content, sentence):
    path = tmp_path / "answers.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=sentence):
        score("ucm_captions", path, root, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_not_there_and_options_that_do_not_fit(root, tmp_path, scored):
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(BadInput, match="cannot be read"):
            score("ucm_captions", path, root)
    with pytest.raises(BadInput, match="asks for no boxes"):
        scored("ucm_captions", *right(root), dialect="geochat")
    with pytest.raises(BadInput, match="Did you mean 'geochat'"):
        scored("dior_rsvg", {"id": "x"}, dialect="geochatt")
    with pytest.raises(BadInput, match="id you mean 'ucm_captions'"):
        scored("ucm_caption", *right(root))


# -- places in the picture ---------------------------------------------------------------------------------------------


def test_boxes_in_pixels_or_in_words(root, scored):
    (item,) = asked("dior_rsvg", root)
    x1, y1, x2, y2 = item.regions[0].box
    for boxes in ([[x1, y1, x2, y2]], [x1, y1, x2, y2], [[x1, y1, x2, y1, x2, y2, x1, y2]]):
        result = scored("dior_rsvg", {"id": item.id, "boxes": boxes})
        assert result["metrics"]["miou"]["value"] == pytest.approx(1) and counts(result) == {}
    words = {"id": item.id, "answer": f"{{<{x1 / 0.16:.0f}><{y1 / 0.12:.0f}><{x2 / 0.16:.0f}><{y2 / 0.12:.0f}>}}"}
    assert scored("dior_rsvg", words, dialect="geochat")["metrics"]["acc@0.5"]["value"] == 1
    with pytest.raises(BadInput, match="--dialect"):
        scored("dior_rsvg", words)


@pytest.mark.parametrize(
    "boxes",
    [[[float("nan"), 2, 15, 8]], [[10, 2, float("inf"), 8]], [[15, 2, 10, 8]], [[10, 2, 5]], "[10, 2, 15, 8]",
     [["10", 2, 15, 8]], {"x": 1}, [[10**400, 2, 15, 8]], [[0, 0, -1, 1], [10, 2, 15, 8]], 5, [[[[10, 2, 15, 8]]]]],
)  # fmt: skip
def test_a_box_that_is_none_is_not_right(root, scored, boxes):
    (item,) = asked("dior_rsvg", root)
    result = scored("dior_rsvg", {"id": item.id, "boxes": boxes})
    assert counts(result) == {"unreadable_boxes": 1} and result["metrics"]["miou"]["value"] == 0.0


def test_no_box_at_all_is_an_answer_and_a_miss(root, scored):
    (item,) = asked("dior_rsvg", root)
    result = scored("dior_rsvg", {"id": item.id, "boxes": []})
    assert counts(result) == {} and result["metrics"]["miou"]["value"] == 0.0


def test_masks_in_every_form(root, scored, tmp_path):
    one, two = asked("rrsis_d", root)
    mask = decode_rle(one.regions[0].mask)
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "grey.png")
    Image.fromarray(mask).save(tmp_path / "bits.png")
    Image.fromarray(np.stack([mask * 0, mask * 90, mask * 0], axis=2).astype(np.uint8)).save(tmp_path / "rgb.png")
    runs = {"size": [12, 16], "counts": [0 if mask.T.flat[0] else int(np.argmax(mask.T)), 1]}
    runs["counts"] = [*runs["counts"], mask.size - sum(runs["counts"])]
    rows = mask.astype(int).tolist()
    for form in (encode_rle(mask), rows, "grey.png", "bits.png", "rgb.png"):
        result = scored("rrsis_d", {"id": one.id, "mask": form}, {"id": two.id, "mask": form})
        assert result["metrics"]["oiou"]["value"] == pytest.approx(1) and counts(result) == {}, form
    for form in (runs, [[0, 0, 5, 0, 5, 5]], []):
        assert counts(scored("rrsis_d", {"id": one.id, "mask": form}, {"id": two.id, "mask": rows})) == {}


def bomb() -> bytes:
    """A PNG of a few bytes whose header promises 60000 x 60000 pixels."""
    with io.BytesIO() as file:
        Image.new("L", (1, 1)).save(file, "PNG")
        data = bytearray(file.getvalue())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    "mask",
    [{"size": [12, 17], "counts": [204]}, {"size": [60000, 60000], "counts": "o0"}, {"size": [12, 16], "counts": [5]},
     {"size": [12, 16], "counts": "\x7f"}, {}, [[1, 2, 3]], [[float("nan")] * 6], [[0, 1], [1, 0]], 7, "none.png",
     "../outside.png", "/etc/hosts.png", "small.png", "bomb.png", "text.png", "folder.png", "nul\0.png", "abc",
     ["a", "b"], [[]]],
    ids=str,
)  # fmt: skip
def test_a_mask_that_is_none_is_not_right(root, scored, tmp_path, mask):
    (tmp_path / "small.png").write_bytes(picture(tmp_path / "s" / "a.png", 1, (3, 3)).read_bytes())
    picture(tmp_path.parent / "outside.png")  # of the right size, but not the user's to name
    (tmp_path / "bomb.png").write_bytes(bomb())
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "folder.png").mkdir()
    one, two = asked("rrsis_d", root)
    result = scored("rrsis_d", {"id": one.id, "mask": mask}, {"id": two.id, "mask": two.regions[0].mask})
    assert counts(result) == {"unreadable_mask": 1} and result["metrics"]["miou"]["value"] == pytest.approx(0.5)


def test_maps_by_path_and_in_the_line(root, scored, tmp_path):
    items = asked("air_slt", root)
    heat = np.zeros(picture_size(items[0].image)[::-1], np.uint8)
    heat[15:35, 15:35] = 255
    Image.fromarray(heat).save(tmp_path / "heat.png")
    coded = base64.b64encode((tmp_path / "heat.png").read_bytes()).decode()
    lines = [{"id": item.id, "map": form} for item, form in zip(items, ("heat.png", coded, "heat.png"), strict=True)]
    assert counts(scored("air_slt", *lines)) == {}
    (tmp_path / "bomb.png").write_bytes(bomb())
    bad = [{"id": item.id, "map": form} for item, form in zip(items, ("!", 3, "bomb.png"), strict=True)]
    result = scored("air_slt", *bad)
    assert counts(result) == {"unreadable_map": 3} and result["metrics"]["rmi"]["value"] == 0.0


# -- vectors -----------------------------------------------------------------------------------------------------------


def test_vectors_in_both_forms(root, scored):
    items = asked("ucm_retrieval", root)
    number = {item.id: at for at, item in enumerate(item for item in items if item.images)}
    rows = np.eye(len(number))[[number[item.meta["image"]] for item in items]]
    lines = [{"id": item.id, "vector": row.tolist()} for item, row in zip(items, rows, strict=True)]
    result = scored("ucm_retrieval", *lines)
    assert result["metrics"]["t2i_recall@1"]["value"] == pytest.approx(1) and counts(result) == {}
    coded = [{"id": item.id, "vector": write_vector(row)} for item, row in zip(items, rows, strict=True)]
    assert scored("ucm_retrieval", *coded)["metrics"] == result["metrics"]


def test_a_vector_that_is_none_matches_nothing(root, scored):
    items = asked("ucm_retrieval", root)
    texts = [item for item in items if not item.images]
    forms = ["?", "AAA", 4, [float("nan")] * 3, [1e300, 1, 1], [[1, 2, 3]], ["a"], [1, [2], 3], {}, [0, 0, 0], [1, 2]]
    bad = {item.id: form for item, form in zip(texts, forms, strict=False)}
    result = scored("ucm_retrieval", *({"id": item.id, "vector": bad.get(item.id, [1.0, 2.0, 3.0])} for item in items))
    assert counts(result) == {"unreadable_vector": len(forms)}
    assert all(np.isfinite(metric["value"]) for metric in result["metrics"].values())
