"""METER-ML (arXiv 2207.11166): `<split>_dataset.geojson` over `<split>_images/.../<id>/naip.png`.

Layout from the loaders of others (USat, LHRS-Bot); not verified on the real files. The NAIP picture is a PNG whose
alpha channel is near infrared: reading RGB drops it. A place may have several types ("CAFOs-Landfills").
"""

from collections.abc import Iterator
from pathlib import Path

from rsvlm.data.sources.layout import SPLITS, find_optional, read_json
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Sample, Turn

NAMES = {
    "CAFOs": "concentrated animal feeding operation", "Landfills": "landfill", "Mines": "coal mine",
    "ProcessingPlants": "natural gas processing plant", "ProcPlants": "natural gas processing plant",
    "RefineriesAndTerminals": "refinery or petroleum terminal", "R&Ts": "refinery or petroleum terminal",
    "WWTreatment": "wastewater treatment plant", "WWTPs": "wastewater treatment plant",
    "Negative": "other", "Roundabout": "other",
}  # fmt: skip


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per place. `kind` is the type as published; each of its types in words is an accepted answer.

    Raises BadInput where no GeoJSON is there, a feature is of another form, or a type is unknown.
    """
    found = False
    for split in SPLITS:
        path = find_optional(folder, f"{split}_dataset.geojson", f"{split}.geojson")
        if path is None:
            continue
        found = True
        there = {
            file.parent.name: str(file) for file in sorted((folder / f"{split}_images").resolve().rglob("naip.png"))
        }
        try:
            for feature in read_json(path)["features"]:
                place = Path(feature["properties"]["Image_Folder"]).name
                kind = feature["properties"]["Type"]
                types = tuple(dict.fromkeys(NAMES[part.strip()] for part in kind.split("-")))
                expected = str(folder.resolve() / f"{split}_images" / place / "naip.png")
                turn = Turn(task="scene", question="", answer=types[0], kind=kind, references=types)
                yield Sample(
                    id=f"{name}/{split}/{place}", images=(Image(path=there.get(place, expected)),), turns=(turn,),
                    source=name, split=split,
                )  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise BadInput(
                f"{path} is not METER-ML's list ({type(error).__name__}: {error}); expected features with Image_Folder "
                f"and Type (one of {', '.join(NAMES)}, joined by '-')."
            ) from error
    if not found:
        raise BadInput(
            f"{folder} holds no test_dataset.geojson; give the folder of METER-ML as its authors publish it."
        )
