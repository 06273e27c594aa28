"""Grounding sets: a phrase and where it is in the picture."""

from rsvlm.data.cards import DatasetCard
from rsvlm.data.sources import dior_rsvg, rsvg

# fmt: off
CARDS = (
    DatasetCard(
        name="dior_rsvg", title="DIOR-RSVG", folder="DIOR_RSVG", also=("DIOR-RSVG",),
        files=("Annotations/*.xml", "JPEGImages/*.jpg", "{train,val,test}.txt"),
        splits="published, by expression: an image may have expressions in two splits", licence="research",
        source="arXiv:2210.12634", reader=dior_rsvg.read, tasks=("ground",),
        counts={"train": 26991, "val": 3829, "test": 7500},
    ),
    DatasetCard(
        name="rsvg", title="RSVG", folder="RSVG", also=("rsvg",), files=("rsvg_{train,val,test}.pth", "images/*"),
        splits="published", licence="research", source="https://sunyuxi.github.io/publication/GeoVG", reader=rsvg.read,
        tasks=("ground",), counts={"train": 5505, "val": 1201, "test": 1227},
    ),
)
# fmt: on
