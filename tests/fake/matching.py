"""Miniatures of sets for matching: RSITMD, AIR-SLT, SkyScript's benchmark."""

from pathlib import Path

from fake.pictures import picture, write_json


def rsitmd(root: Path) -> Path:
    """Two pictures to train on, twelve to test; one sentence is shared by all of them, one is blank."""
    items = []
    for number, split in enumerate(("train",) * 2 + ("test",) * 12):
        name = f"airport_{number}.tif"
        picture(root / "images" / name, number)
        texts = [f"sentence {k} of picture {number} ." for k in range(4)] + ["many planes are parked ."]
        if split == "train":
            texts[0] = " "
        sentences = [
            {"raw": text, "tokens": text.split(), "imgid": number, "sentid": k} for k, text in enumerate(texts)
        ]
        items.append(
            {"filename": name, "imgid": number, "split": split, "sentences": sentences, "class": "airport",
             "keywords": ["plane"]}
        )  # fmt: skip
    write_json(root / "dataset_RSITMD.json", {"images": items, "dataset": "RSITMD"})
    return root


def air_slt(root: Path) -> Path:
    """Three texts over two pictures, the first with a line break, the second with two regions."""
    for number in range(2):
        picture(root / "imgs" / f"{number}.jpg", number, (480, 320))
    square = [[10.5, 10.0], [140.0, 10.0], [140.0, 140.0], [10.5, 140.0]]
    other = [[260.0, 120.0], [400.0, 120.0], [400.0, 250.0], [260.0, 250.0]]
    write_json(
        root / "annotations" / "anno.json",
        [
            {"caption": "there is a green pond.\n", "jpg_name": "0.jpg", "points": [square]},
            {"caption": "white houses", "jpg_name": "0.jpg", "points": [square, other]},
            {"caption": "a gray road", "jpg_name": "1.jpg", "points": [other]},
        ],
    )
    return root


def _skyscript(root: Path, classes: tuple[str, ...], rows: list[tuple[str, ...]], columns: str) -> Path:
    files = [f"{root.name}/images/{number}.png" for number in range(len(rows))]
    for number, file in enumerate(files):
        picture(root.parent / file, number)
    lines = [f"{file},{','.join(row)}" for file, row in zip(files, rows, strict=True)]
    name = "img_txt_pairs_val.csv" if "v1" not in columns else "img_txt_pairs_test.csv"
    (root / name).write_text("\n".join([f"filepath,{columns}", *lines]) + "\n")
    second = columns.endswith("v2")
    for version in ("_v1", "_v2") if second else ("",):
        named = (f"{one} one" for one in classes) if version == "_v2" else classes
        (root / f"classnames{version}.txt").write_text("\n".join(named) + "\n")
    return root


def skyscript_cls(root: Path) -> Path:
    """Labels by name and by number; a row without one is not counted."""
    return _skyscript(root, ("bridge", "wind farm"), [("bridge",), ("1",), ("",), ("wind farm",)], "label")


def _attribute(root: Path, classes: tuple[str, ...]) -> Path:
    rows = [(one, f"{one} one") for one in classes] + [(classes[0], f"{classes[0]} one")]
    return _skyscript(root, classes, rows, "label_v1,label_v2")


def skyscript_roof_shape(root: Path) -> Path:
    return _attribute(root, ("flat", "hipped", "gabled", "dome", "pyramidal", "round"))


def skyscript_smoothness(root: Path) -> Path:
    return _attribute(root, ("excellent", "good", "intermediate", "bad", "very bad"))


def skyscript_surface(root: Path) -> Path:
    return _attribute(root, ("asphalt", "concrete", "grass", "gravel", "sand"))
