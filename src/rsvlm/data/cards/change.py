"""Sets about two dates of one place: captions, instructions, questions and masks of change."""

from functools import partial

from rsvlm.data.cards import HASHED, DatasetCard
from rsvlm.data.sources import cdvqa, change_captions, change_masks, change_scenes, changechat

_CHANGECHAT = ("change_caption", "change_class", "change_count", "change_locate", "change_qa", "change_dialogue")

# fmt: off
CARDS = (
    DatasetCard(
        name="levir_cc", title="LEVIR-CC", folder="LEVIR-CC", also=("Levir-CC-dataset", "LEVIR_CC", "Levir_CC"),
        files=("LevirCCcaptions.json", "images/<split>/{A,B}/*.png"), splits="published",
        licence="research, non-commercial", source="https://github.com/Chen-Yang-Liu/LEVIR-CC-Dataset",
        reader=change_captions.read_levir, tasks=("change_caption",),
        counts={"train": 6815, "val": 1333, "test": 1929},
    ),
    DatasetCard(
        name="levir_mci", title="LEVIR-MCI", folder="LEVIR-MCI", also=("Levir-MCI-dataset", "LEVIR-MCI-dataset"),
        files=("LevirCCcaptions.json", "images/<split>/{A,B,label}/*.png"), splits="published",
        licence="research, non-commercial", source="arXiv:2403.19646",
        reader=partial(change_captions.read_levir, masks=True), tasks=("change_caption", "change_mask"),
        counts={"train": 6815, "val": 1333, "test": 1929},
    ),
    DatasetCard(
        name="second_cc", title="SECOND-CC", folder="SECOND-CC", also=("SECOND-CC-AUG", "SECOND_CC_dataset"),
        files=("SECOND-CC-AUG.json", "<split>/{rgb,sem}/{A,B}/*.png"), splits="published",
        licence="unknown; see Zenodo 10.5281/zenodo.16937571", source="arXiv:2501.10075",
        reader=change_captions.read_second, tasks=("change_caption",), counts={"all": 6041},
    ),
    DatasetCard(
        name="changechat", title="ChangeChat-105k", folder="ChangeChat-105k", also=("changechat-105k", "changechat"),
        files=("annotations/changechat_105k_{train,test,test_*}.json", "images/ of LEVIR-CC"),
        splits="published, no validation part", licence="text CC BY 4.0; LEVIR-CC's images non-commercial",
        source="arXiv:2507.22346", reader=changechat.read, tasks=_CHANGECHAT, counts={"train": 6815, "test": 1929},
    ),
    DatasetCard(
        name="cdvqa", title="CDVQA", folder="CDVQA",
        files=("{Train,Val,Test,Test2}_{images,questions,answers}.json", "im1/*.png and im2/*.png of SECOND"),
        splits="published, two test sets over the same pairs", licence="text Apache-2.0; SECOND's images research",
        source="https://github.com/YZHJessica/CDVQA", reader=cdvqa.read, tasks=("change_qa",),
        counts={"train": 1600, "val": 400, "test": 968},
    ),
    DatasetCard(
        name="levir_cd", title="LEVIR-CD", folder="LEVIR-CD", also=("change_pairs/LEVIR-CD-samples",),
        files=("[<split>/]{A,B,label}/*.png",), splits="published, by folder, list or file name; else by hash",
        licence="research, non-commercial", source="https://justchenhao.github.io/LEVIR/", reader=change_masks.read,
        tasks=("change_mask",),
    ),
    DatasetCard(
        name="dsifn", title="DSIFN", folder="DSIFN", also=("DSIFN-Dataset", "change_pairs/DSIFN-samples"),
        files=("[<split>/]{t1,t2,mask}/* or {A,B,label}/*",), splits="published, by folder or list; else by hash",
        licence="research", source="https://doi.org/10.1016/j.isprsjprs.2020.06.003", reader=change_masks.read,
        tasks=("change_mask",),
    ),
    DatasetCard(
        name="xbd", title="xBD", folder="xBD", also=("xbd", "xview2"),
        files=("images/<scene>_{pre,post}_disaster.*", "labels/<scene>_post_disaster.json"), splits=HASHED,
        licence="CC BY-NC-SA 4.0", source="arXiv:1911.09296", reader=change_scenes.read_xbd, tasks=("change_mask",),
    ),
    DatasetCard(
        name="oscd", title="OSCD", folder="OSCD", also=("Onera",),
        files=("<city>/pair/img{1,2}.*", "<city>/cm/cm.png"),
        splits="published cities; of the training part beihai, bordeaux and paris are val, which is ours",
        licence="CC BY-NC-SA 4.0", source="https://rcdaudt.github.io/oscd/", reader=change_scenes.read_oscd,
        tasks=("change_mask",),
    ),
    DatasetCard(
        name="sztaki", title="SZTAKI AirChange", folder="SZTAKI_AirChange", also=("SZTAKI",),
        files=("<set>/[<n>/]im{1,2}.*", "<set>/[<n>/]gt.*"), splits="ours: Szada/2 and Tiszadob/2 are val",
        licence="research", source="https://doi.org/10.1109/TGRS.2009.2022633", reader=change_scenes.read_sztaki,
        tasks=("change_mask",),
    ),
)
# fmt: on
