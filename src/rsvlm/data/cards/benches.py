"""Mixed benchmarks: several tasks over one set of pictures."""

from rsvlm.data.cards import DatasetCard
from rsvlm.data.sources import geobench_vlm, geochat_bench, lhrs_bench, vrsbench, xlrs_bench

# fmt: off
CARDS = (
    DatasetCard(
        name="vrsbench", title="VRSBench", folder="VRSBench",
        files=("VRSBench_EVAL_{Cap,vqa,referring}.json", "Images_val/*.png", "Annotations_train/*.json"),
        splits="published: a training and a validation part", licence="text CC BY 4.0; DOTA's images academic use only",
        source="arXiv:2406.12384", reader=vrsbench.read, tasks=("caption", "vqa", "ground"), counts={"val": 9350},
    ),
    DatasetCard(
        name="geochat_bench", title="GeoChat-Bench (region tasks)", folder="GeoChat-Bench",
        files=("referring.jsonl", "region_captioning.jsonl", "images/*.png of GeoChat_Instruct"),
        splits="all test", licence="research; DOTA's images academic use only", source="arXiv:2311.15826",
        reader=geochat_bench.read, tasks=("ground", "region_caption"),
    ),
    DatasetCard(
        name="lhrs_bench", title="LHRS-Bench", folder="LHRS-Bench", files=("qa.json", "imgs_jpg/*", "imgs_png/*"),
        splits="all test", licence="MIT", source="arXiv:2402.02544", reader=lhrs_bench.read, tasks=("choice",),
        counts={"test": 108},
    ),
    DatasetCard(
        name="geobench_vlm", title="GEOBench-VLM", folder="GEOBench-VLM",
        files=("Single/qa.json", "Temporal/qa.json", "Ref-Det/qa.json", "<part>/images/*"), splits="all test",
        licence="Apache-2.0; the xBD images must be fetched from their authors", source="arXiv:2411.19325",
        reader=geobench_vlm.read, tasks=("choice", "ground"),
    ),
    DatasetCard(
        name="xlrs_bench_lite", title="XLRS-Bench-lite", folder="XLRS-Bench-lite", also=("XLRS-Bench",),
        files=("*.arrow or *.parquet", "or *.json with images/<index>.png"), splits="all test", licence="unknown",
        source="arXiv:2503.23771", reader=xlrs_bench.read, tasks=("choice",),
    ),
)
# fmt: on
