"""The BLIP-2 of GAIA, of which little more is known than that there is one."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="gaia_blip2", title="GAIA's BLIP-2",
    what="BLIP-2 fine-tuned for captions on GAIA: a Q-Former learns to say to a frozen language model what a frozen "
    "tower sees.",
    year=2025, arxiv="2502.09598", venue="IEEE GRSM 14(2), 2026", repository="https://github.com/Orion-AI-Lab/GAIA",
    figure="image -> EVA-CLIP -> Q-Former, 32 queries -> linear -> OPT -> caption",
    parts=("vision.eva.EVACLIP", "bridges.qformer.QFormerBridge", "language.model.LanguageModel"),
    abilities=("answers",),
    published=("The data set as addresses of pictures with their captions, and the notebook that asked for these.",),
    missing=(
        "Weights: the README says that they come soon.",
        "The code of the fine-tuning, the language model of the BLIP-2, which of its parts moved, and every number of "
        "its training.",
        "Its tables, whose text could not be read.",
    ),
    ours=(
        "All of the recipe: BLIP-2 with OPT-2.7B, its Q-Former and its linear map moving, and the optimiser that LAVIS "
        "fine-tunes BLIP-2 with on COCO.",
        "One of the five captions at random a visit, without a prompt; `turns: 5` takes all five at once, which share "
        "the picture's tokens.",
        "Captions are learned as they are written; LAVIS writes them small and without most punctuation.",
        "The start token behind the picture is given, and not learned as in LAVIS.",
    ),
    switches={
        "vision.norm_eps": "1e-5 as LAVIS trained the norm behind the tower, 1e-6 as transformers computes it.",
        "stages.trainable": "`bridge`, as BLIP-2's second stage; add `vision` for its fine-tuning on COCO, which moves "
        "the tower, too.",
    },
    weights=(
        "There are none of GAIA's. Fetch BLIP-2, all files of `Salesforce/blip2-opt-2.7b` from Hugging Face: 15 GB.",
        "Convert it (below). Its language model and tokenizer come out in the folder `language`, so leave the model "
        "where it was made.",
        "To train from it, copy the recipe and write `start: models/blip2` in the place of `model`.",
    ),
    traps=(
        "It captions whatever it is asked: a question is not read, and an answer to it is a caption all the same.",
        "The captions lie in the JSON of a sample; its text file is the picture's alt text.",
        "GAIA's captions begin with \"The image showcases:\" and are several sentences long: allow for them.",
        "A whole file has biases of the keys, which softmax takes out again; they are left out and counted so.",
        "The README counts 205,150 pairs of 41,030 pictures, a later abstract 201,005 of 40,201; links rot.",
    ),
    licences={
        "code": "MIT", "weights": "none are published; BLIP-2: MIT",
        "data": "MIT (captions); the pictures belong to those whom each names",
        "language model": "OPT-2.7B, `facebook/opt-2.7b`: OPT-175B licence, not for commercial use",
    },
    stages=(
        Phase(name="captions", moves=("bridge",), data="GAIA's training split, 28.9 k pictures, five captions each"),
    ),
    parameters={"total": "unknown"},
    counted="nothing; the sizes are ours",
    recordings=("deltavlm/eva_vit",),
    commands={
        "convert": "rsvlm weights convert path/to/blip2-opt-2.7b --system gaia_blip2 --out models/blip2",
        "train": "rsvlm train gaia_blip2/paper --data path/to/data --out runs/gaia_blip2",
        "evaluate": "rsvlm evaluate rsicd_captions --data path/to/data --model runs/gaia_blip2/model --out "
        "results/gaia_blip2",
        "ask": 'rsvlm ask scene.tif "Describe this image." --model runs/gaia_blip2/model',
    },
)
# fmt: on

SOURCE = Source("github.com/Orion-AI-Lab/GAIA", "MIT", base="facebook/opt-2.7b")
