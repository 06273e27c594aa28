"""Miniatures of mixed benchmarks: VRSBench, GeoChat-Bench, LHRS-Bench, GEOBench-VLM, XLRS-Bench-lite."""

import json
from pathlib import Path

from fake.pictures import picture, write_json


def vrsbench(root: Path) -> Path:
    """Two val patches (one of DIOR, one of DOTA) and one training patch, with the spelling traps of the release."""
    for file in ("00011_0000.png", "P0003_0002.png"):
        picture(root / "Images_val" / file, size=(64, 64))
    picture(root / "Images_train" / "00002_0001.png", size=(64, 64))
    captions = [
        {"image_id": file, "question": "Describe the image in detail", "ground_truth": f"A scene called {file[:5]} .",
         "question_id": n, "type": "caption", "dataset": "RSBench"}
        for n, file in enumerate(("00011_0000.png", "P0003_0002.png"))
    ]  # fmt: skip
    asked = (
        ("00011_0000.png", "Is there a ship?", "No", "object existence"),
        ("00011_0000.png", "How many planes are visible?", "2", "object quantity"),
        ("P0003_0002.png", "What is the scene?", "Harbor", "scene type"),
        ("P0003_0002.png", "Is it rural or urban?", "urban", "Rural or Urban "),
    )
    questions = [
        {"image_id": file, "question": q, "ground_truth": a, "type": kind, "question_id": n, "dataset": "RSBench"}
        for n, (file, q, a, kind) in enumerate(asked)
    ]
    square = [0.109, 0.209, 0.509, 0.209, 0.509, 0.609, 0.109, 0.609]  # cut off, not rounded: <10><20><50><60>
    referring = [
        {"image_id": "00011_0000.png", "question": "The large plane", "ground_truth": "{<10><20><50><60>}",
         "unique": True, "obj_corner": square, "obj_cls": "Airplane", "obj_ids": [0], "size_group": "large",
         "type": "ref", "dataset": "RSBench", "question_id": 0},
        {"image_id": "P0003_0002.png", "question": "The small ship on the left", "ground_truth": "{<5><5><15><25>}",
         "is_unique": False, "obj_cls": "ship", "obj_ids": [0], "size_group": "small", "type": "ref",
         "dataset": "RSBench", "question_id": 1},
    ]  # fmt: skip
    write_json(root / "VRSBench_EVAL_Cap.json", captions)
    write_json(root / "VRSBench_EVAL_vqa.json", questions)
    (root / "VRSBench_EVAL_referring.json").write_text(
        "\n".join(map(json.dumps, referring))
    )  # lines, as notebooks read
    train = {
        "image": "00002_0001.png", "caption": "A harbour .",
        "qa_pairs": [{"ques_id": 1, "question": "Is there a ship?", "answer": "Yes", "type": "object existence"}],
        "objects": [{"obj_id": 0, "referring_sentence": "The ship", "obj_corner": square, "obj_cls": "ship",
                     "obj_size": "medium", "is_unique": True}],
    }  # fmt: skip
    write_json(root / "Annotations_train" / "00002_0001.json", train)
    return root


def geochat_bench(root: Path) -> Path:
    """Referring with one and two targets, and a region caption, as JSON lines."""
    for file in ("P0003_0002", "00011_0000"):
        picture(root / "images" / f"{file}.png", size=(40, 30))
    box = [[4, 4], [20, 4], [20, 14], [4, 14]]
    referring = [
        {"question_id": 0, "image_id": "P0003_0002", "question": "1 large ship at the left", "ground_truth": [box],
         "type": "ref", "dataset": "SOTA", "obj_ids": [0], "size_group": "large"},
        {"question_id": 1, "image_id": "00011_0000.png", "question": "2 small planes",
         "ground_truth": [box, [[24, 16], [30, 14], [33, 20], [27, 22]]], "type": "grounding", "dataset": "SIOR",
         "obj_ids": [1, 2], "size_group": "small"},
    ]  # fmt: skip
    regions = [
        {"question_id": 2, "image_id": "P0003_0002", "question": "{<10><13><50><46>|<0>}",
         "ground_truth": "1 large ship", "type": "identify", "dataset": "SOTA", "obj_ids": [0], "size_group": "large"},
    ]  # fmt: skip
    (root / "referring.jsonl").write_text("".join(json.dumps(row) + "\n" for row in referring))
    (root / "region_captioning.jsonl").write_text("".join(json.dumps(row) + "\n" for row in regions))
    return root


def lhrs_bench(root: Path) -> Path:
    """Two images; a question of two types, one with an abbreviation in an option, one whose answer is the article A."""
    for file in ("imgs_jpg/0.jpg", "imgs_png/1.png"):
        picture(root / file)
    first = [
        {"question": "What is shown?", "choices": "A. airport B. U.S. base, E. wing C. harbour", "answer": "B",
         "type": ["1", "11"]},
        {"question": "Which colour?", "choices": "A. red B. green", "answer": "A", "type": ["2"]},
    ]  # fmt: skip
    second = [{"question": "How many?", "choices": "A. 1 B. 2 C. 3 D. 4", "answer": "D.", "type": ["5"]}]
    data = [{"filename": "0.jpg", "qa_pairs": first}, {"filename": "1.png", "qa_pairs": second}]
    names = {"1 identity": "", "2 color": "", "5 quantity": "", "11 reasoning": ""}
    write_json(root / "qa.json", {"qtype": names, "data": data})
    return root


def geobench_vlm(root: Path) -> Path:
    """Questions of one image, one of a sequence (first and last count), a referring expression with two targets."""
    options = ["harbour", "airport", "farm", "forest", "beach"]
    text = "   ".join(f"{letter}. {option}" for letter, option in zip("ABCDE", options, strict=True))
    shared = {"options_list": options, "options": text, "cls_description": "", "ground_truth": "airport",
              "ground_truth_option": "B"}  # fmt: skip
    prompts = [f"Which scene is it, wording {n}?" for n in range(5)]
    single = {"image_path": "Single/images/scene_0.png", "task": "Scene Classification", "question_id": 0,
              "prompts": prompts} | shared  # fmt: skip
    other = single | {"image_path": "Single/images/scene_1.png", "ground_truth": "beach", "ground_truth_option": "E",
                      "question_id": 1, "task": "Crop Type Classification"}  # fmt: skip
    frames = [f"Temporal/images/pond_{n}.png" for n in range(3)]
    temporal = {
        "image_path": frames,
        "task": "Farm Pond Change Detection",
        "question_id": 0,
        "prompts": prompts,
    } | shared
    rings = [[[1, 1], [9, 1], [9, 9], [1, 9]], [[10, 2], [15, 2], [15, 8], [10, 8]]]
    found = {"image_path": "Ref-Det/images/ref_det_0.png", "question_id": 0, "task": "Referring Expression Detection",
             "prompts": ["Find the two ships."], "ground_truth": rings}  # fmt: skip
    for file in (single["image_path"], other["image_path"], *frames, found["image_path"]):
        picture(root / file)
    for part, records in (("Single", [single, other]), ("Temporal", [temporal]), ("Ref-Det", [found])):
        write_json(root / part / "qa.json", records)
    return root


def xlrs_bench_lite(root: Path, kind: str = "arrow") -> Path:
    """Two questions with embedded pictures (one over a pair) and one with two right options."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    rows = []
    for number, (answer, category, pictures) in enumerate((
        ("B", "Counting/Overall counting", 1), ("C", "Counting/Counting with changing detection", 2),
        ("AC", "Land use classification/Overall Land use classification", 1),
    )):  # fmt: skip
        images = []
        for k in range(pictures):
            path = picture(root.parent / f"xlrs_{number}_{k}.png", number + k)
            images.append({"bytes": path.read_bytes(), "path": path.name})
            path.unlink()
        rows.append({
            "index": str(number), "question": f"Question {number}?", "answer": answer, "category": category,
            "multi-choice options": [f"({letter}) option {letter}{number}" for letter in "ABCD"],
            "l2-category": "", "image": images,
        })  # fmt: skip
    root.mkdir(parents=True, exist_ok=True)
    table = arrow.Table.from_pylist(rows)
    if kind == "parquet":
        parquet.write_table(table, root / "train-00000-of-00001.parquet")
        return root
    (root / "train").mkdir()
    path = str(root / "train" / "data-00000-of-00001.arrow")
    with arrow.OSFile(path, "wb") as file, arrow.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    write_json(root / "train" / "state.json", {"_split": "train"})
    write_json(root / "dataset_dict.json", {"splits": ["train"]})
    return root
