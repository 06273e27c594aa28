"""Sets that pictures and texts are matched on: retrieval, localisation by a text, and SkyScript's benchmark."""

from rsvlm.data.cards import DatasetCard
from rsvlm.data.sources import air_slt, karpathy, skyscript_benchmark


def _skyscript(name: str, title: str, folder: str) -> DatasetCard:
    return DatasetCard(
        name=name, title=title, folder=folder, also=(f"SkyScript/{folder}", f"benchmark/{folder}"),
        files=("img_txt_pairs_<split>.csv", "classnames*.txt", "the pictures its filepath names"),
        splits="all test: the published file is the test set", licence="unknown; imagery terms differ by source",
        source="arXiv:2312.12856", reader=skyscript_benchmark.read, tasks=("scene",),
    )  # fmt: skip


# fmt: off
CARDS = (
    DatasetCard(
        name="rsitmd", title="RSITMD", folder="RSITMD", files=("dataset_RSITMD.json", "images/*.tif"),
        splits="published: train and test", licence="research", source="https://github.com/xiaoyuan1996/AMFMN",
        reader=karpathy.read, tasks=("caption",), counts={"test": 452},
    ),
    DatasetCard(
        name="air_slt", title="AIR-SLT (semantic localisation)", folder="AIR-SLT", also=("AIR_SLT", "test_data"),
        files=("annotations/anno.json", "imgs/N.jpg"), splits="all test", licence="research", source="arXiv:2209.06515",
        reader=air_slt.read, tasks=("locate",), counts={"test": 22},
    ),
    _skyscript("skyscript_cls", "SkyScript classes (70)", "SkyScript_cls"),
    _skyscript("skyscript_roof_shape", "SkyScript roof shapes", "roof_shape"),
    _skyscript("skyscript_smoothness", "SkyScript road smoothness", "smoothness"),
    _skyscript("skyscript_surface", "SkyScript road surfaces", "surface"),
)
# fmt: on
