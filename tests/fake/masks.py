"""Miniatures of sets with masks: RRSIS-D, RefSegRS, GeoPixInstruct, Dubai."""

import json
import pickle
from pathlib import Path

import numpy as np
from PIL import Image

from fake.change import block, label
from fake.pictures import picture, write_json
from rsvlm.data.masks import encode_rle

SPLITS = ("train", "val", "test")


def rrsis_d(root: Path) -> Path:
    """A pickle of references; the box of an annotation is corners, and one reference has two sentences."""
    images, annotations, refs = [], [], []
    for number, split in enumerate(SPLITS, 1):
        file = f"{number:05d}.jpg"
        picture(root / "images" / "rrsisd" / "JPEGImages" / file, number)
        images.append({"id": number, "file_name": file, "height": 12, "width": 16})
        mask = encode_rle(block(1, number, 3) > 0)
        annotations.append(
            {"id": number + 50, "image_id": number, "categories_id": 1, "bbox": [3, number, 7, number + 4], "area": 16,
             "segmentation": [mask], "iscrowd": 0}
        )  # fmt: skip
        phrases = ["A plane on the left", "the only plane"][: 2 if split == "test" else 1]
        refs.append(
            {"ref_id": number, "ann_id": number + 50, "image_id": number, "category_id": 1, "split": split,
             "file_name": file, "sent_ids": [number],
             "sentences": [{"sent_id": i, "sent": text, "tokens": text.split()} for i, text in enumerate(phrases)]}
        )  # fmt: skip
    folder = root / "rrsisd"
    write_json(
        folder / "instances.json",
        {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "airplane"}]},
    )
    (folder / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    return root


def refsegrs(root: Path) -> Path:
    """Two phrases a split, the second about a mask of 0/1 (the first is 0/255), pictures and masks TIFF."""
    for split in SPLITS:
        lines = []
        for number in range(2):
            key = f"{split}{number}"
            picture(root / "images" / f"{key}.tif", number)
            label(root / "masks" / f"{key}.tif", block((255, 1)[number], number + 1, 4))
            lines.append(f"{key} road along the {('left', 'right')[number]} vehicle\n")
        (root / f"output_phrase_{split}.txt").write_text("".join(lines))
    return root


def geopix_instruct(root: Path) -> Path:
    """Parts of two splits as JSON and JSON lines; an instance without description, which is no question."""
    for split in ("train", "valid"):
        for part in ("SIOR", "SOTA"):
            file = f"{part}/{split}1.jpg"
            picture(root / "images" / file)
            instances = [
                {"instance_id": f"{part}_{split}_{n}", "category": "storage tank", "category_id": 17,
                 "bbox": [0, 0, 1, 1], "description": text, "mask": encode_rle(block(1, n, 2 * n) > 0)}
                for n, text in enumerate(("the storage tank in the top", "the smaller storage tank", ""))
            ]  # fmt: skip
            record = {"image_id": f"{split}1", "image_path": file, "instances": instances}
            path = root / f"{split}.{part}_T.json{'l' if part == 'SOTA' else ''}"
            path.write_text(json.dumps(record) + "\n" if part == "SOTA" else json.dumps([record]))
    return root


def _rgb(*colours: int) -> np.ndarray:
    """(12, 16, 3): bands of equal height in these colours."""
    rows = np.repeat(np.array(colours), 12 // len(colours))
    return np.stack([rows >> shift & 255 for shift in (16, 8, 0)], axis=1).astype(np.uint8)[:, None].repeat(16, axis=1)


def dubai(root: Path) -> Path:
    """Two tiles with parts of one name; one mask is palette PNG, one has a black border as some of the published."""
    colours = (0x3C1098, 0x6EC1E4, 0x9B9B9B)
    for tile in ("Tile 1", "Tile 2"):
        for number in (1, 2):
            name = f"image_part_00{number}"
            picture(root / tile / "images" / f"{name}.jpg", number)
            rows = _rgb(*(colours if number == 1 else (0x8429F6, 0xFEDD3A, 0xE2A929, 0x6EC1E4)))
            if tile == "Tile 2":
                rows[:, 0] = 0 if number == 2 else rows[:, 0]
            whole = Image.fromarray(rows)
            path = root / tile / "masks" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            (whole.quantize(8) if (tile, number) == ("Tile 1", 2) else whole).save(path)
    return root
