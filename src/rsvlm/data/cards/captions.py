"""Caption sets: one or more sentences an image."""

from rsvlm.data.cards import DatasetCard
from rsvlm.data.sources import karpathy

# fmt: off
CARDS = (
    DatasetCard(
        name="ucm_captions", title="UCM-Captions", folder="UCM_captions", files=("dataset.json", "imgs/N.tif"),
        splits="published", licence="imagery USGS public domain; captions for research",
        source="https://github.com/201528014227051/RSICD_optimal", reader=karpathy.read, tasks=("caption",),
        counts={"train": 1680, "val": 210, "test": 210},
    ),
    DatasetCard(
        name="rsicd", title="RSICD", folder="RSICD", files=("dataset_rsicd.json", "RSICD_images/*.jpg"),
        splits="published", licence="research", source="arXiv:1712.07835", reader=karpathy.read, tasks=("caption",),
        counts={"train": 8734, "val": 1094, "test": 1093},
    ),
    DatasetCard(
        name="sydney_captions", title="Sydney-Captions", folder="Sydney_captions", files=("dataset.json", "imgs/N.tif"),
        splits="published", licence="research", source="https://github.com/201528014227051/RSICD_optimal",
        reader=karpathy.read, tasks=("caption",), counts={"train": 497, "val": 58, "test": 58},
    ),
    DatasetCard(
        name="nwpu_captions", title="NWPU-Captions", folder="NWPU_captions",
        files=("dataset_nwpu.json", "NWPU_images/<class>/*.jpg"), splits="published", licence="research",
        source="https://github.com/HaiyanHuang98/NWPU-Captions", reader=karpathy.read, tasks=("caption",),
        counts={"train": 25200, "val": 3150, "test": 3150},
    ),
)
# fmt: on
