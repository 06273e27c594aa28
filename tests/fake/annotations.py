"""Miniatures of every published annotation layout: a few generated pictures and files of a few hundred bytes.

`make(name, root)` writes the layout of a data set of the catalogue below `root`, under the folder name of its card.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from fake import benches, change, grounding, knowledge, masks, matching, scenes
from fake.pictures import picture, write_json
from rsvlm.data.catalogue import DATASETS, load
from rsvlm.errors import BadInput

UCM_CLASSES = ("agricultural", "airplane", "storagetanks")


def karpathy(root: Path, images: str, listing: str, names: dict[str, str]) -> Path:
    """A caption set: `names` maps file name to split; each picture has five captions."""
    items = []
    for number, (name, split) in enumerate(names.items()):
        picture(root / images / name, number)
        sentences = [{"raw": f"caption {k} of {name} .", "tokens": ["caption"], "imgid": number} for k in range(5)]
        items.append({"filename": name, "imgid": number, "split": split, "sentences": sentences})
    write_json(root / listing, {"images": items, "dataset": root.name})
    return root


def ucm_captions(root: Path) -> Path:
    names = {
        f"{n}.tif": split
        for n, split in zip((1, 100, 101, 201, 300), ("train", "val", "train", "test", "train"), strict=True)
    }
    karpathy(root, "imgs", "dataset.json", names)
    (root / "classes.txt").write_text("\n".join(UCM_CLASSES) + "\n")
    return root


def rsicd(root: Path) -> Path:
    names = {"airport_1.jpg": "train", "denseresidential_2.jpg": "val", "00623.jpg": "train", "port_3.jpg": "test"}
    return karpathy(root, "RSICD_images", "dataset_rsicd.json", names)


def sydney_captions(root: Path) -> Path:
    return karpathy(root, "imgs", "dataset.json", {"1.tif": "train", "2.tif": "restval", "3.tif": "test"})


def nwpu_captions(root: Path) -> Path:
    entries = {}
    for group in ("airplane", "sea_ice"):
        entries[group] = [
            {"filename": f"{group}_{n}.jpg", "split": split, "imgid": n, "raw": f"a {group} .", "raw_tokens": ["a"]}
            | {f"raw_{k}": f"{k} {group} ." for k in range(1, 5)}
            for n, split in enumerate(("train", "val", "test"))
        ]
        for item in entries[group]:
            picture(root / "NWPU_images" / group / item["filename"])
    write_json(root / "dataset_nwpu.json", entries)
    return root


def class_folders(root: Path, names: tuple[str, ...], pattern: str, count: int = 10) -> Path:
    for name in names:
        for number in range(count):
            picture(root / name / pattern.format(name=name, number=number), number)
    return root


def eurosat(root: Path) -> Path:
    return class_folders(root, ("AnnualCrop", "SeaLake"), "{name}_{number}.jpg")


def aid(root: Path) -> Path:
    return class_folders(root, ("Airport", "BareLand"), "{name}_{number}.jpg")


def ucm_scenes(root: Path) -> Path:
    class_folders(root / "Images", UCM_CLASSES, "{name}{number:02d}.tif")
    return root


def rsscn7(root: Path) -> Path:
    return class_folders(root, ("aGrass", "dRiverLake"), "{name}_{number}.jpg")


def rsivqa(root: Path) -> Path:
    ucm_captions(root.parent / "UCM_captions")
    root.mkdir(parents=True)
    lines = [
        "1.tif:What is the theme of this picture?farmland", "1.tif:Does this picture contain trees?yes",
        "1.tif:How many trees in the picture?one", "1.tif:How many  in the picture?two",
        "100.tif:What is the location of the trees in this picture?top left corner", "101.tif:How many broken?x",
    ]  # fmt: skip
    (root / "ucm_res.txt").write_text("\n".join(lines) + "\n")
    (root / "ucm_vqa.txt").write_text("101.tif:what is the theme of this picture?airplane\n")
    write_json(root / "garbled.json", [["1.tif", "How many  in the picture?"], ["101.tif", "How many broken?"]])
    return root


def rsvqa(root: Path, prefix: str, images: str, splits: tuple[str, ...]) -> Path:
    number = 0
    for split in splits:
        listed, questions, answers = [], [], []
        for _ in range(2):
            asked = [number * 10, number * 10 + 1]
            listed.append({"id": number, "questions_ids": asked, "sensor": "x", "active": True})
            for place, (kind, answer) in zip(asked, (("count", 3), ("presence", "yes")), strict=True):
                question = {"id": place, "img_id": number, "type": kind, "question": f"{kind}?", "answers_ids": [place]}
                questions.append(question | {"active": True})
                answers.append({"id": place, "question_id": place, "answer": answer, "active": True})
            picture(root / images / f"{number}.tif", number)
            number += 1
        for things in (listed, questions, answers):
            things.append({"id": 999, "active": False})
        for part, things in (("images", listed), ("questions", questions), ("answers", answers)):
            write_json(root / f"{prefix}_split_{split}_{part}.json", {part: things})
    return root


def rsvqa_lr(root: Path) -> Path:
    return rsvqa(root, "LR", "Images_LR", ("train", "val", "test"))


def rsvqa_hr(root: Path) -> Path:
    return rsvqa(root, "USGS", "Data", ("train", "val", "test", "test_phili"))


def voc_xml(path: Path, filename: str, boxes: list[tuple[str, int, int, int, int]], size: tuple[int, int]) -> Path:
    objects = "".join(
        f"<object><name>{name}</name><difficult>{int(x1 == 1)}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, x1, y1, x2, y2 in boxes
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<annotation><filename>{filename}</filename><size><width>{size[0]}</width><height>{size[1]}</height>"
        f"<depth>3</depth></size>{objects}</annotation>"
    )
    return path


def voc(root: Path) -> Path:
    for number in range(3):
        picture(root / "JPEGImages" / f"{number:05d}.jpg", number)
        voc_xml(root / "Annotations" / f"{number:05d}.xml", f"{number:05d}.jpg", [("Ship", 1, 1, 16, 12)], (16, 12))
    for number, split in enumerate(("train", "val", "test")):
        path = root / "ImageSets" / "Main" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number:05d}\n")
    return root


def ships(root: Path) -> Path:
    for number in range(6):
        picture(root / "images" / f"boat{number}.jpg", number)
        voc_xml(root / "annotations" / f"boat{number}.xml", f"boat{number}.png", [("boat", 2, 3, 9, 8)], (16, 12))
    return root


def coco_items(files: list[str], key: str = "file_name") -> tuple[list[dict], list[dict]]:
    images = [{"id": n + 7, key: file, "width": 16, "height": 12} for n, file in enumerate(files)]
    boxes = [
        {"id": n, "image_id": n + 7, "category_id": 0, "bbox": [1, 2, 3, 4], "area": 12,
         "segmentation": [[1, 2, 4, 2, 4, 6, 1, 6]]}
        for n in range(len(files))
    ]  # fmt: skip
    return images, boxes


def hit_uav(root: Path) -> Path:
    files = [f"0_60_{n}.jpg" for n in range(5)]
    images, boxes = coco_items(files, "filename")
    boxes.append({"id": 90, "image_id": 7, "category_id": 4, "bbox": [0, 0, 2, 2], "segmentation": []})
    categories = [{"id": 0, "name": "OtherVehicle", "supercategory": "Vehicle"}, {"id": 4, "name": "DontCare"}]
    for file in files:
        picture(root / "images" / file)
    write_json(root / "instances.json", {"images": images, "annotation": boxes, "categories": categories})
    return root


def coco(root: Path) -> Path:
    for split in ("train", "val"):
        files = [f"{split}{n}.jpg" for n in range(2)]
        images, boxes = coco_items(files)
        boxes[0] |= {"segmentation": [[1, 2, 4, 2, 3, 6]]}
        boxes[1] |= {"segmentation": {"counts": "abc", "size": [12, 16]}}
        boxes.append({"id": 99, "image_id": 7, "category_id": 0, "bbox": [0, 0, 5, 5], "iscrowd": 1})
        for file in files:
            picture(root / f"{split}2017" / file)
        listing = {"images": images, "annotations": boxes, "categories": [{"id": 0, "name": "small-vehicle"}]}
        write_json(root / "annotations" / f"instances_{split}2017.json", listing)
    return root


def dota(root: Path) -> Path:
    for split in ("train", "val"):
        picture(root / split / "images" / f"P{split}.png")
        label = root / split / "labelTxt" / f"P{split}.txt"
        label.parent.mkdir(parents=True)
        label.write_text(
            "imagesource:GoogleEarth\ngsd:0.146\n1.0 2.0 5.0 1.0 6.0 4.0 2.0 5.0 small-vehicle 0\n"
            "0 0 4 0 4 4 0 4 ship 1\n"
        )
    return root


def llava(root: Path) -> Path:
    talk = [
        {"from": "human", "value": "<image>\nWhat is shown?"}, {"from": "gpt", "value": "A harbour."},
        {"from": "human", "value": "Any ships?"}, {"from": "gpt", "value": "Yes, two."},
    ]  # fmt: skip
    entries = [{"id": str(n), "image": f"part/{n}.jpg", "conversations": talk, "model": "x"} for n in range(12)]
    for entry in entries:
        picture(root / "images" / entry["image"])
    write_json(root / "instruct.json", entries)
    return root


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    function.__name__: function
    for function in (
        ucm_captions, rsicd, sydney_captions, nwpu_captions, eurosat, aid, ucm_scenes, rsscn7, rsivqa, rsvqa_lr,
        rsvqa_hr, ships, hit_uav, voc, coco, dota, llava,
        scenes.nwpu_resisc45, scenes.whu_rs19, scenes.siri_whu, scenes.meter_ml, scenes.fmow, scenes.floodnet_vqa,
        grounding.dior_rsvg, grounding.rsvg, benches.vrsbench, benches.geochat_bench, benches.lhrs_bench,
        benches.geobench_vlm, benches.xlrs_bench_lite,
        change.levir_cc, change.levir_mci, change.second_cc, change.changechat, change.cdvqa, change.levir_cd,
        change.dsifn, change.xbd, change.oscd, change.sztaki,
        masks.rrsis_d, masks.refsegrs, masks.geopix_instruct, masks.dubai, matching.rsitmd,
        matching.air_slt, matching.skyscript_cls, matching.skyscript_roof_shape, matching.skyscript_smoothness,
        matching.skyscript_surface, knowledge.rswk, knowledge.rswk_mini,
    )
}  # fmt: skip


def make(name: str, root: Path, folder: str = "") -> Path:
    """The layout of data set `name` under `root / folder`; without one, where its card says."""
    return LAYOUTS[name](root / (folder or DATASETS[name].folder))


BESIDE = {"vrsbench": ("dior_rsvg",), "rsivqa": ("ucm_captions",)}  # sets whose pictures another one is about


def make_all(root: Path, names: Iterable[str]) -> Path:
    """`root` with the data sets `names`, and those that they need beside them."""
    for name in sorted(names):
        for one in (name, *BESIDE.get(name, ())):
            if not (root / DATASETS[one].folder).exists():
                make(one, root)
    return root


def refusal(name: str, root: Path, file: str, text: str) -> str:
    """What the reader of `name` says, in one sentence, where one `file` of the data set holds `text`."""
    folder = make(name, root)
    (folder / file).write_text(text)
    try:
        load(name, folder, "all")
    except BadInput as error:
        assert "\n" not in str(error)
        return str(error)
    raise AssertionError(f"{file} of {name} was read: {text}")
