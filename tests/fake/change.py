"""Miniatures of sets about two dates: captions, instructions, questions, masks."""

from pathlib import Path

import numpy as np
from PIL import Image

from fake.pictures import picture, write_json
from rsvlm.data.semantic_maps import PALETTE

NO_CHANGE = (
    "there is no difference", "the two scenes seem identical", "the scene is the same as before",
    "no change has occurred", "almost nothing has changed",
)  # fmt: skip
CHANGE = (
    "a road is built and two houses appear along it", "two houses and a road replace the trees",
    "houses with a road are built on the bareland", "some trees are removed for a road and houses",
    "a residential road with houses appears in the scene",
)  # fmt: skip


def label(path: Path, rows: np.ndarray) -> Path:
    """A label picture of these numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rows.astype(np.uint8)).save(path)
    return path


def block(value: int, top: int, left: int, size: tuple[int, int] = (12, 16)) -> np.ndarray:
    """(H, W) of zeros with a block of 4 x 4 pixels of `value`."""
    rows = np.zeros(size, np.uint8)
    rows[top : top + 4, left : left + 4] = value
    return rows


def changes(number: int) -> tuple[str, ...]:
    """Five sentences about a changed pair, other ones for an even than for an odd number."""
    return tuple(
        text + ("", " beside the old river", " near the northern lake", " on a slope")[number % 4] for text in CHANGE
    )


def semantic_map(path: Path, number: int, date: str) -> Path:
    """A map of SECOND-CC, as large as the pictures: white, with a block of a class where a changed pair changed."""
    rows = block((0, 1, 5)[number] if date == "A" else (0, 4, 3)[number], 2, 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(list(PALETTE.values()), np.uint8)[rows]).save(path)
    return path


def captions(item: dict, changed: bool, number: int) -> dict:
    references = changes(number) if changed else NO_CHANGE
    references = references[number % 5 :] + references[: number % 5]
    return item | {
        "changeflag": int(changed),
        "sentences": [{"raw": f" {text} .", "tokens": text.split(), "sentid": i} for i, text in enumerate(references)],
    }


def _levir(root: Path, masks: bool) -> Path:
    """Four pairs a split of which two are unchanged; of LEVIR-MCI the second changed pair has no road."""
    items = []
    for split in ("train", "val", "test"):
        for number in range(4):
            file = f"{split}_{number + 1:06d}.png"
            item = {"filepath": split, "filename": file, "imgid": number, "split": split}
            items.append(captions(item, number >= 2, number))
            for date, seed in (("A", number), ("B", number + 10)):
                picture(root / "images" / split / date / file, seed)
            if masks:
                rows = block(255, 2, 2) if number >= 2 else block(0, 0, 0)
                label(root / "images" / split / "label" / file, rows + (block(128, 7, 9) if number == 2 else 0))
    write_json(root / "LevirCCcaptions.json", {"images": items})
    return root


def levir_cc(root: Path) -> Path:
    return _levir(root, masks=False)


def levir_mci(root: Path) -> Path:
    return _levir(root, masks=True)


def second_cc(root: Path) -> Path:
    """Two changed pairs and an unchanged one a split, the same file names in each; the last is worded its way."""
    items = []
    for split in ("train", "val", "test"):
        for number in range(3):
            file = f"0000{number}_0_0.png"
            item = captions({"filename": file, "split": split}, bool(number), number)
            if not number:
                item["sentences"][1]["raw"] = "no change is occurred"
            items.append(item)
            for date in "AB":
                picture(root / split / "rgb" / date / file, number)
                semantic_map(root / split / "sem" / date / file, number, date)
    write_json(root / "SECOND-CC-AUG.json", {"images": items})
    return root


COUNTED = ("No roads has changed, and no buildings has changed.", "There are 1 new roads and 2 new buildings.")
WHERE = ("roads: [] buildings: []", "roads: ['top-left'] buildings: ['center-right', 'bottom-right']")
ASKED = {
    "test_binary": "Please judge whether these two images have changed. Please answer yes or no.",
    "test_count": "Please determine how many roads and buildings have changed?",
    "test_loc": "Please indicate the locations where changes have occurred in the buildings and roads, using a 3x3 "
    "grid (namely, 'top', 'center', and 'bottom' vertically and 'left', 'center', 'right' horizontally).",
    "test_open": "What was built on the bareland?",
}  # fmt: skip
CAPTION = "Please briefly describe the changes in these two images."
TALK = (
    ASKED["test_binary"], "If changes have occurred, count the number of road and building changes separately.",
    "Based on the above analysis, please describe the changes of these two images in detail.",
)  # fmt: skip


def _spoken(images: list[str], flag: int, *pairs: tuple[str, str]) -> dict:
    talk = []
    for number, (question, answer) in enumerate(pairs):
        talk += [
            {"from": "human", "value": ("<image> <image> " if not number else "") + question},
            {"from": "gpt", "value": answer},
        ]
    return {"id": 0, "image": images, "changeflag": flag, "conversations": talk}


def changechat(root: Path) -> Path:
    """Four pairs to test and four to train on, the training file with all tasks mixed and five captions a pair."""
    files: dict[str, list[dict]] = {key: [] for key in ("train", "train_loc", "test", *ASKED, "test_dialog")}
    for split, count in (("train", 4), ("test", 4)):
        for number in range(count):
            flag = number % 2
            images = [f"{split}/{date}/{split}_{number + 1:06d}.png" for date in "AB"]
            for seed, file in enumerate(images):
                picture(root / "images" / file, number * 2 + seed)
            references = [text.capitalize() + "." for text in (changes(number // 2) if flag else NO_CHANGE)]
            said = {
                "test_binary": ("No", "Yes")[flag], "test_count": COUNTED[flag], "test_loc": WHERE[flag],
                "test_open": ("Nothing was built.", "Two houses and a road.")[flag],
            }  # fmt: skip
            talk = list(zip(TALK, (said["test_binary"], said["test_count"], references[0]), strict=True))
            if split == "train":
                files["train"] += [_spoken(images, flag, (CAPTION, text)) for text in references]
                files["train"] += [_spoken(images, flag, (ASKED[key], said[key])) for key in ASKED]
                files["train"].append(_spoken(images, flag, *talk))
            else:
                files["test"].append(
                    {"image_A": images[0], "image_B": images[1], "captions": references, "changeflag": flag}
                )
                for key in ASKED:
                    files[key].append(_spoken(images, flag, (ASKED[key], said[key])))
                files["test_dialog"].append(_spoken(images, flag, *talk))
    files["train_loc"] = files["train"]
    for key, items in files.items():
        write_json(root / "annotations" / f"changechat_105k_{key}.json", items)
    return root


def cdvqa(root: Path) -> Path:
    """Two pairs a set; a pair is listed once for each template of questions, as by its authors."""
    asked = (
        ("change_or_not", "Did the areas of trees change?", "yes"),
        ("increase_or_not", "Have the regions of water increased?", "no"),
        ("largest_change", "What is the largest change?", "NVG_surface"),
        ("change_ratio", "What is the percentage of changed areas?", "0_to_10"),
        ("change_ratio", "How much of the area has not changed?", "0"),
    )
    for part, names in {"Train": "ab", "Val": "c", "Test": "de", "Test2": "de"}.items():
        images, questions, answers = [], [], []
        for file in names:
            for date in ("im1", "im2"):
                picture(root / date / f"{file}.png", ord(file))
            for kind, question, answer in asked:
                key, number = len(images), len(questions)
                images.append({"id": key, "file_name": f"{file}.png", "questions_ids": [number], "active": True})
                questions.append({"id": number, "img_id": key, "type": kind, "question": question, "active": True})
                answers.append({"id": number, "question_id": number, "answer": answer, "active": True})
        for kind, items in (("images", images), ("questions", questions), ("answers", answers)):
            write_json(root / f"{part}_{kind}.json", {kind: items})
    return root


def levir_cd(root: Path) -> Path:
    """Split folders; one pair of each split is unchanged, one is not labelled; train's labels are 0/1."""
    for split in ("train", "val", "test"):
        for number in range(3):
            for date in "AB":
                picture(root / split / date / f"{split}_{number}.png", number)
        value = 1 if split == "train" else 255
        label(root / split / "label" / f"{split}_0.png", block(value, 3, 5))
        label(root / split / "label" / f"{split}_1.png", block(0, 0, 0))
    return root


def dsifn(root: Path) -> Path:
    """Folders t1, t2, mask in the split folders, pictures JPEG and labels PNG."""
    for split in ("train", "val", "test"):
        for number in range(2):
            for date in ("t1", "t2"):
                picture(root / split / date / f"{number}_1.jpg", number)
            label(root / split / "mask" / f"{number}_1.png", block(255, number * 3, 5))
    return root


def xbd(root: Path) -> Path:
    """Three scenes; of two's buildings one is destroyed, one as before and one not graded."""
    ring = "(({0} {0}, {1} {0}, {1} {1}, {0} {1}, {0} {0}))"
    grades = (("destroyed", 2, 6), ("no-damage", 8, 10), ("un-classified", 1, 3))
    for number in range(3):
        scene = f"storm_{number:08d}"
        for date in ("pre", "post"):
            picture(root / "images" / f"{scene}_{date}_disaster.png", number)
        found = [
            {"properties": {"feature_type": "building", "subtype": grade}, "wkt": "POLYGON " + ring.format(low, high)}
            for grade, low, high in grades
            if number < 2
        ]
        write_json(root / "labels" / f"{scene}_post_disaster.json", {"features": {"lng_lat": [], "xy": found}})
    return root


def oscd(root: Path) -> Path:
    """Four cities: two to train with, one held back here, one held back by the authors."""
    for number, city in enumerate(("abudhabi", "rennes", "paris", "rio")):
        for date in ("img1", "img2"):
            picture(root / city / "pair" / f"{date}.png", number)
        label(root / city / "cm" / "cm.png", block(255, 3, number))
    return root


def sztaki(root: Path) -> Path:
    """Three pairs below a folder of their strip and one without: Archieve, Szada/1 (test), Szada/2 (val), Szada/3."""
    for number, place in enumerate(("Archieve", "Szada/1", "Szada/2", "Szada/3")):
        for date in ("im1", "im2"):
            picture(root / place / f"{date}.png", number)
        label(root / place / "gt.png", block(255 if number else 0, 3, number))
    return root
