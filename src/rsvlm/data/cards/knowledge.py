"""Sets whose answers need knowledge of the world: RSWK."""

from functools import partial

from rsvlm.data.cards import DatasetCard
from rsvlm.data.sources import rswk

_TASKS = ("caption", "scene", "vqa")

# fmt: off
CARDS = (
    DatasetCard(
        name="rswk", title="RSWK (full)", folder="DATASET_FULL",
        also=("DATASET/DATASET_FULL", "RSWK/DATASET_FULL", "RSWK"),
        files=("image_{captioning,classification}/*_full_*.jsonl", "vqa/vqa_{c,rsk,wk}/*_full_*", "images/*.png"),
        splits="published: train and test", licence="none given", source="arXiv:2504.04988",
        reader=partial(rswk.read, size="full"), tasks=_TASKS,
    ),
    DatasetCard(
        name="rswk_mini", title="RSWK (mini)", folder="DATASET_MINI",
        also=("DATASET/DATASET_MINI", "RSWK/DATASET_MINI", "RSWK"),
        files=("test/image_{captioning,classification,vqa}_mini_test_*.jsonl", "train/mini_train_*.jsonl", "images/*"),
        splits="published: train and test", licence="none given", source="arXiv:2504.04988",
        reader=partial(rswk.read, size="mini"), tasks=_TASKS,
    ),
)
# fmt: on
