"""Question sets: questions of several types about an image."""

from rsvlm.data.cards import DatasetCard
from rsvlm.data.sources import floodnet, rsivqa, rsvqa

# fmt: off
CARDS = (
    DatasetCard(
        name="rsivqa", title="RSIVQA (UCM part)", folder="RSIVQA", files=(*rsivqa.FILES, "garbled.json"),
        splits="UCM-Captions', by shared image", licence="research", source="https://github.com/spectralpublic/RSIVQA",
        reader=rsivqa.read, tasks=("vqa",), counts={"all": 2100},
    ),
    DatasetCard(
        name="rsvqa_lr", title="RSVQA low resolution", folder="RSVQA_LR",
        files=("LR_split_<split>_{images,questions,answers}.json", "Images_LR/N.tif"), splits="published",
        licence="CC BY 4.0", source="https://rsvqa.sylvainlobry.com", reader=rsvqa.read, tasks=("vqa",),
        counts={"train": 572, "val": 100, "test": 100},
    ),
    DatasetCard(
        name="rsvqa_hr", title="RSVQA high resolution", folder="RSVQA_HR",
        files=("USGS_split_<split>_{images,questions,answers}.json", "Data/N.tif"), splits="published, two test sets",
        licence="CC BY 4.0", source="https://rsvqa.sylvainlobry.com", reader=rsvqa.read, tasks=("vqa",),
        counts={"all": 10659},
    ),
    DatasetCard(
        name="floodnet_vqa", title="FloodNet-VQA", folder="FloodNet", also=("FloodNet-VQA", "FloodNet Challenge"),
        files=("Questions/{Training,Valid} Question.json", "Images/{Train,Valid,Test}_Image/*.JPG"),
        splits="published where the files have answers, else 80/20 train/val of the training pictures by SHA-256",
        licence="research", source="arXiv:2012.02951", reader=floodnet.read, tasks=("vqa",),
    ),
)
# fmt: on
