"""Miniatures of grounding sets: DIOR-RSVG and RSVG, in the layout their authors publish."""

from pathlib import Path

from fake.pictures import picture

Object = tuple[str, tuple[int, int, int, int], str]  # class, box, phrase


def rsvg_xml(path: Path, name: str, objects: list[Object], size: tuple[int, int] = (16, 12)) -> Path:
    """VOC XML whose objects carry a description, in the order of tags that the authors' loader counts on."""
    inner = "".join(
        f"<object><name>{kind}</name><pose>Unspecified</pose><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox><description>{phrase}</description></object>"
        for kind, (x1, y1, x2, y2), phrase in objects
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<annotation><filename>{name}</filename><size><width>{size[0]}</width><height>{size[1]}</height>"
        f"<depth>3</depth></size>{inner}</annotation>"
    )
    return path


def dior_rsvg(root: Path) -> Path:
    """Five expressions in three images; image 00002 has one in train and one in test. Number 4 is in no list."""
    phrases = {
        "00002": [("ship", (1, 2, 9, 8), "A ship on the left"), ("ship", (10, 2, 15, 8), "A gray ship on the right")],
        "00011": [("airplane", (0, 0, 8, 6), "A large airplane"), ("vehicle", (3, 3, 5, 5), "A small red vehicle")],
        "00020": [("dam", (2, 2, 12, 10), "The dam in the middle")],
    }
    for number, objects in phrases.items():
        picture(root / "JPEGImages" / f"{number}.jpg", int(number))
        rsvg_xml(root / "Annotations" / f"{number}.xml", f"{number}.jpg", objects)
    for split, numbers in (("train", (0, 2)), ("val", (3,)), ("test", (1,))):
        (root / f"{split}.txt").write_text("".join(f"{number}\n" for number in numbers))
    return root


def rsvg(root: Path) -> Path:
    """Pickled lists, as published, of the test split only a JSON copy: no PyTorch is needed for it."""
    import json

    import torch

    for split in ("train", "val", "test"):
        name = f"sport_{split}.jpg"
        picture(root / "images" / name)
        rows = [(name, [1, 2, 9, 10], f"the {split} field", ["extra"]), (name, [0.0, 0.0, 4.0, 4.0], "a small one", [])]
        if split == "test":
            (root / "rsvg_test.json").write_text(json.dumps(rows))
        else:
            torch.save(rows, root / f"rsvg_{split}.pth")
    return root
