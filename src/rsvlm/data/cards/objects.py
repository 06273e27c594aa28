"""Sets with boxes: what is to be detected, counted or grounded."""

from functools import partial

from rsvlm.data.cards import HASHED, DatasetCard
from rsvlm.data.sources import coco, voc
from rsvlm.data.sources import split_groups as together

# Boats on open water from above, and people and cars on streets and campuses, seldom show these. An assumption.
_UNSEEN = ("airplane", "storage tank", "tennis court", "baseball field")

# fmt: off
CARDS = (
    DatasetCard(
        name="ships", title="Ships in aerial images", folder="Ships", files=("annotations/*.xml", "images/*"),
        splits=f"{HASHED}; near-duplicates together", licence="said to be CC0",
        source="https://www.kaggle.com/datasets/andrewmvd/ship-detection",
        reader=partial(voc.read, first_pixel=0, split_of=together.ships), tasks=("detect",), counts={"all": 621},
        labels=("boat",), absent=(*_UNSEEN, "person", "car", "bicycle", "other vehicle"),
    ),
    DatasetCard(
        name="hit_uav", title="HIT-UAV", folder="HIT-UAV", files=("instances.json", "images/*.jpg"),
        splits=f"by file name, else {HASHED}; frames of one flight together", licence="CC BY 4.0",
        source="arXiv:2204.03245", reader=partial(coco.read, split_of=together.hit_uav), tasks=("detect",),
        counts={"all": 2898}, labels=("person", "car", "bicycle", "other vehicle"), absent=(*_UNSEEN, "boat"),
    ),
)
# fmt: on
