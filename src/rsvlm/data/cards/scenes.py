"""Scene sets: one class an image."""

from rsvlm.data.cards import HASHED, DatasetCard
from rsvlm.data.sources import folders

# fmt: off
CARDS = (
    DatasetCard(
        name="eurosat", title="EuroSAT RGB", folder="EuroSAT_RGB", also=("EuroSAT", "2750"), files=("<class>/*.jpg",),
        splits=HASHED, licence="MIT", source="arXiv:1709.00029", reader=folders.read, tasks=("scene",),
        counts={"all": 27000},
    ),
    DatasetCard(
        name="aid", title="AID", folder="AID", also=("RSICD",), files=("<class>/*.jpg",),
        splits=f"{HASHED}; RSICD's where its pictures are read from RSICD", licence="research",
        source="arXiv:1608.05167", reader=folders.read_aid, tasks=("scene",), counts={"all": 10000},
    ),
    DatasetCard(
        name="ucm_scenes", title="UC Merced Land Use", folder="UCMerced_LandUse", also=("UCM_captions",),
        files=("Images/<class>/*.tif", "or UCM-Captions with classes.txt"),
        splits=f"{HASHED}; UCM-Captions' where it is there", licence="imagery USGS public domain",
        source="http://weegee.vision.ucmerced.edu/datasets/landuse.html", reader=folders.read_ucm, tasks=("scene",),
        counts={"all": 2100},
    ),
    DatasetCard(
        name="rsscn7", title="RSSCN7", folder="RSSCN7", files=("<class>/*.jpg",), splits=HASHED, licence="research",
        source="https://github.com/palewithout/RSSCN7", reader=folders.read, tasks=("scene",), counts={"all": 2800},
    ),
)
# fmt: on
