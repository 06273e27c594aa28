"""Sets with masks: the pixels that a phrase or a class means."""

from rsvlm.data.cards import DatasetCard
from rsvlm.data.sources import dubai, geopix_instruct, refsegrs, rrsis_d

# fmt: off
CARDS = (
    DatasetCard(
        name="rrsis_d", title="RRSIS-D", folder="RRSIS-D", also=("rrsis_d",),
        files=("rrsisd/refs(unc).p", "rrsisd/instances.json", "images/rrsisd/JPEGImages/*.jpg"), splits="published",
        licence="research", source="arXiv:2312.12470", reader=rrsis_d.read, tasks=("segment",),
        counts={"train": 12181, "val": 1740, "test": 3481},
    ),
    DatasetCard(
        name="refsegrs", title="RefSegRS", folder="RefSegRS",
        files=("output_phrase_<split>.txt", "images/*.tif", "masks/*.tif"), splits="published", licence="CC BY 4.0",
        source="arXiv:2306.08625", reader=refsegrs.read, tasks=("segment",), counts={"all": 4420},
    ),
    DatasetCard(
        name="geopix_instruct", title="GeoPixInstruct", folder="GeoPixInstruct", also=("GeoPixInstruct-Anno",),
        files=("{train,valid}.{SIOR,FAST,SOTA}_T.json or .parquet", "{SIOR,FAST,SOTA}/* images of SAMRS"),
        splits="published", licence="text MIT; DIOR's, FAIR1M's and DOTA's images academic use only",
        source="arXiv:2501.06828", reader=geopix_instruct.read, tasks=("segment",),
        counts={"train": 54694, "val": 3649},
    ),
    DatasetCard(
        name="dubai", title="Dubai semantic segmentation", folder="Dubai", also=("Semantic segmentation dataset",),
        files=("Tile N/images/*.jpg", "Tile N/masks/*.png"), splits="none published: 80/20 by SHA-256 of tile and part",
        licence="published as CC0", source="https://humansintheloop.org/semantic-segmentation-dataset-2/",
        reader=dubai.read, tasks=("segment",),
    ),
)
# fmt: on
