"""Scene sets: one class an image."""

from rsvlm.data.cards import HASHED, DatasetCard
from rsvlm.data.sources import fmow, folders, meter_ml
from rsvlm.data.sources.scene_classes import CLASSES

# fmt: off
CARDS = (
    DatasetCard(
        name="eurosat", title="EuroSAT RGB", folder="EuroSAT_RGB", also=("EuroSAT", "2750"), files=("<class>/*.jpg",),
        splits=HASHED, licence="MIT", source="arXiv:1709.00029", reader=folders.read, tasks=("scene",),
        counts={"all": 27000},
        classes=CLASSES["eurosat"],
    ),
    DatasetCard(
        name="aid", title="AID", folder="AID", also=("RSICD",), files=("<class>/*.jpg",),
        splits=f"{HASHED}; RSICD's where its pictures are read from RSICD", licence="research",
        source="arXiv:1608.05167", reader=folders.read_aid, tasks=("scene",), counts={"all": 10000},
        classes=CLASSES["aid"],
    ),
    DatasetCard(
        name="ucm_scenes", title="UC Merced Land Use", folder="UCMerced_LandUse", also=("UCM_captions",),
        files=("Images/<class>/*.tif", "or UCM-Captions with classes.txt"),
        splits=f"{HASHED}; UCM-Captions' where it is there", licence="imagery USGS public domain",
        source="http://weegee.vision.ucmerced.edu/datasets/landuse.html", reader=folders.read_ucm, tasks=("scene",),
        counts={"all": 2100},
        classes=CLASSES["ucm_scenes"],
    ),
    DatasetCard(
        name="rsscn7", title="RSSCN7", folder="RSSCN7", files=("<class>/*.jpg",), splits=HASHED, licence="research",
        source="https://github.com/palewithout/RSSCN7", reader=folders.read, tasks=("scene",), counts={"all": 2800},
        classes=CLASSES["rsscn7"],
    ),
    DatasetCard(
        name="nwpu_resisc45", title="NWPU-RESISC45", folder="NWPU-RESISC45", files=("<class>/*.jpg",), splits=HASHED,
        licence="research", source="arXiv:1703.00121", reader=folders.read, tasks=("scene",), counts={"all": 31500},
        classes=CLASSES["nwpu_resisc45"],
    ),
    DatasetCard(
        name="whu_rs19", title="WHU-RS19", folder="WHU-RS19", files=("<class>/*.jpg",), splits=HASHED,
        licence="research", source="https://captain-whu.github.io/BED4RS/", reader=folders.read, tasks=("scene",),
        classes=CLASSES["whu_rs19"],
    ),
    DatasetCard(
        name="siri_whu", title="SIRI-WHU (12 classes)", folder="SIRI-WHU", also=("12class_tif",),
        files=("12class_tif/<class>/*.tif",), splits="none published: 80/20 train/val by SHA-256 of class and file",
        licence="research", source="https://doi.org/10.1109/TGRS.2015.2496185", reader=folders.read_numbered,
        tasks=("scene",), counts={"all": 2400},
        classes=CLASSES["siri_whu"],
    ),
    DatasetCard(
        name="meter_ml", title="METER-ML", folder="METER-ML", also=("meter-ml",),
        files=("<split>_dataset.geojson", "<split>_images/<id>/naip.png"), splits="published",
        licence="unknown", source="arXiv:2207.11166", reader=meter_ml.read, tasks=("scene",),
    ),
    DatasetCard(
        name="fmow", title="Functional Map of the World, RGB", folder="fMoW", also=("fmow-rgb", "fMoW-rgb"),
        files=("<split>/<category>/<category>_<n>/*_rgb.jpg", "*_rgb.json"), splits="published; test from test_gt/",
        licence="its own, see the source", source="arXiv:1711.07846",
        reader=fmow.read, tasks=("scene",),
    ),
)
# fmt: on
