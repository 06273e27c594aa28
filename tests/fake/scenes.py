"""Miniatures of scene and question sets that are more than class folders of their own."""

from pathlib import Path

from fake.pictures import picture, write_json


def nwpu_resisc45(root: Path) -> Path:
    for kind in ("golf_course", "sea_ice"):
        for number in range(1, 11):
            picture(root / kind / f"{kind}_{number:03d}.jpg", number)
    return root


def whu_rs19(root: Path) -> Path:
    for kind, stem in (("footballField", "footballField"), ("Park", "park")):
        for number in range(1, 11):
            picture(root / kind / f"{stem}_{number:02d}.jpg", number)
    return root


def siri_whu(root: Path) -> Path:
    """The pictures of every class are numbered alike."""
    for kind in ("pond", "idle_land"):
        for number in range(1, 11):
            picture(root / "12class_tif" / kind / f"{number:04d}.tif", number)
    return root


def meter_ml(root: Path) -> Path:
    """A place of two types, a negative one, and the training pictures one folder deeper."""
    kinds = {"train": ["CAFOs", "Negative"], "val": ["Mines"], "test": ["CAFOs-Landfills", "WWTreatment"]}
    for split, types in kinds.items():
        deeper = f"{split}_images/{split}_images_1" if split == "train" else f"{split}_images"
        features = []
        for number, kind in enumerate(types):
            picture(root / deeper / f"{split}{number}" / "naip.png", number)
            place = {"Image_Folder": f"{split}_images/{split}{number}", "Type": kind}
            features.append({"type": "Feature", "geometry": None, "properties": place})
        write_json(root / f"{split}_dataset.geojson", {"type": "FeatureCollection", "features": features})
    return root


def fmow(root: Path) -> Path:
    """Two views of an airport hangar, a false detection, and test pictures whose categories are in test_gt."""
    box = {"ID": 7, "category": "airport_hangar", "box": [2, 3, 8, 6]}
    listed = {
        "train/airport_hangar/airport_hangar_0/airport_hangar_0_0": [{"ID": -1, "box": [0, 0, 16, 12]}, box],
        "train/false_detection/false_detection_0/false_detection_0_0": [box | {"category": "false_detection"}],
        "val/airport_hangar/airport_hangar_1/airport_hangar_1_0": [box],
        "test_gt/car_dealership/car_dealership_0/car_dealership_0_0": [box | {"category": "car_dealership"}],
    }
    for place, boxes in listed.items():
        for kind in ("rgb", "msrgb"):
            picture(root / f"{place}_{kind}.jpg")
            write_json(root / f"{place}_{kind}.json", {"gsd": 0.5, "bounding_boxes": boxes})
    picture(root / "test" / "0011978" / "0011978_0_rgb.jpg")
    return root


def floodnet_vqa(root: Path) -> Path:
    """The challenge's own files: only the training questions are answered; counts are numbers, the rest is text."""
    kinds = (
        ("Yes_No", "Yes"),
        ("Simple_Counting", 4),
        ("Complex_Counting", 2),
        ("Condition_Recognition", "flooded,non flooded"),
    )
    asked = {}
    for number in range(10):
        picture(root / "Images" / "Train_Image" / f"{6000 + number}.JPG", number)
        kind, answer = kinds[number % 4]
        asked[str(number)] = {
            "Image_ID": f"{6000 + number}.JPG", "Question": f"{kind} {number}?", "Ground_Truth": answer,
            "Question_Type": kind,
        }  # fmt: skip
    asked["10"] = asked["0"] | {"Question": "Is the entire road flooded?"}
    write_json(root / "Questions" / "Training Question.json", asked)
    picture(root / "Images" / "Valid_Image" / "9000.JPG")
    blind = {"0": {"Image_ID": "9000.JPG", "Question": "How many?", "Question_Type": "Simple_Counting"}}
    write_json(root / "Questions" / "Valid Question.json", blind)
    write_json(root / "Questions" / "Test_Question.json", blind)
    return root
