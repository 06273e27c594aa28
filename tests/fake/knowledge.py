"""Miniatures of RSWK, whole and small, with the file names and picture names of its authors."""

import json
import unicodedata
from pathlib import Path

from fake.pictures import picture, write_json

ASKED = "What is the category of the site in the remote image? Answer from the following 16 categories: Park, Forest."
LANDMARKS = ("Þórsmörk", "St. Mary Cathedral Basilica", 'Estadio Monumental "U"')


def _lines(path: Path, rows: list[tuple[str, str, str]], task: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    named = {"task": task} if task else {}
    records = [
        {
            "messages": [{"role": "user", "content": f"<image>{q}"}, {"role": "assistant", "content": a}],
            "images": [file],
        }
        | named
        for file, q, a in rows
    ]
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def _caption(name: str) -> tuple[str, str]:
    return "Describe the site in detail.", f"This is a remote sensing image of {name}. It shows trees. Park and forest."


def _pictures(root: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        picture(root / "images" / unicodedata.normalize("NFD", name), number)  # as some file systems spell accents


def rswk(root: Path) -> Path:
    """Three test pictures by landmark and two by number; the training captions are called test, as published."""
    files = [f"{name}.png" for name in LANDMARKS]
    _pictures(root, [*files, "Salts Mill.png", "012248.png", "012249.png", "000001.png"])
    base = root / "image_captioning"
    _lines(base / "image_captioning_full_test_2993.jsonl",
           [(f, *_caption(f)) for f in ("012248.png", "012249.png")], "Image Captioning")  # fmt: skip
    _lines(
        base / "image_captioning_full_test_11827.jsonl", [("000001.png", *_caption("Salts Mill"))], "Image Captioning"
    )
    for split, pictures in (("test_2993", files), ("train_11827", ["Salts Mill.png"])):
        classes = [(file, ASKED, ("Forest", "Historic Site", "Park")[i]) for i, file in enumerate(pictures)]
        _lines(
            root / "image_classification" / f"image_classification_full_{split}.jsonl", classes, "Image Classification"
        )
        for kind, question, answer in (
            ("rsk", "What is the ALBEDO value for January 2019?", "0.4{} of all the light"),
            ("wk", "What is its name?", "The old park of Oslo, as of 200{}"),
        ):
            rows = [(file, question, answer.format(i + 4)) for i, file in enumerate(pictures)]
            _lines(root / "vqa" / f"vqa_{kind}" / f"vqa_{kind}_full_{split}.jsonl", rows, "Visual Question Answering")
    common = [
        {"image_name": LANDMARKS[1], "gpt_output": [{"question": "Is it dry?", "answer": "It is dry in the summer."},
                                                    {"question": "Is it hot?", "answer": "It is hot in the summer."}]},
        {"image_name": LANDMARKS[2], "gpt_output": "```json\n[{\"question\": \"cut off"},
    ]  # fmt: skip
    write_json(root / "vqa" / "vqa_c" / "vqa_c_full_test_4501.json", common)
    write_json(root / "vqa" / "vqa_c" / "vqa_c_full_total.json", common)
    return root


def rswk_mini(root: Path) -> Path:
    """Pictures by somebody's absolute path, records without a task."""
    away = "/data/someone/images"
    files = [f"{name}.png" for name in LANDMARKS]
    _pictures(root, [*files, "Salts Mill.png"])
    test = root / "test"
    _lines(test / "image_captioning_mini_test_1496.jsonl", [(f"{away}/{f}", *_caption(f)) for f in files[:2]])
    _lines(
        test / "image_classification_mini_test_1600.jsonl",
        [(f"{away}/{f}", ASKED, ("Forest", "Park")[i % 2]) for i, f in enumerate(files)],
    )
    _lines(test / "image_vqa_mini_test_5242.jsonl",
           [(f"{away}/{f}", "What was measured?", f"12.5{i} mm of rain") for i, f in enumerate(files)])  # fmt: skip
    mill = f"{away}/Salts Mill.png"
    _lines(root / "train" / "mini_train_29988.jsonl",
           [(mill, *_caption("Salts Mill")), (mill, ASKED, "Park"), (mill, "Where is it?", "In Bradford")])  # fmt: skip
    return root


def rswk_knowledge(root: Path) -> Path:
    """What is known of a park (test), a mill (train, whose picture is called by its ID) and a place without picture."""
    _pictures(root, ["Þórsmörk.png", "000007.png"])
    park = {"Name": "Þórsmörk", "Category": "Park", "Historical_Background": "Woods below glaciers in Iceland."}
    mill = {"Name": "Salts Mill", "Category": "Museum", "Historical_Background": "A mill of 1853 in Saltaire."}
    write_json(root / "ori_data_test.json", [{"ID": "3", "image_name": "Þórsmörk", "world knowledge": park}])
    write_json(root / "ori_data_train.json", [{"ID": "000007", "image_name": "Salts Mill", "world knowledge": mill}])
    name = unicodedata.normalize("NFD", "Þórsmörk")
    write_json(root / "image_descriptions.json", [{"image_name": f"{name}.png", "description": "Trees and ice."}])
    months = {"image_name": "Þórsmörk", "monthly expert knowledge": {"ALBEDO 2019 January": "0.45"}}
    write_json(root / "monthly_knowledge.json", [months, {"image_name": "Nowhere", "monthly expert knowledge": {}}])
    return root
