"""The CLIP of GAIA, of which little more is known than that there is one."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="gaia", title="GAIA's CLIP",
    what="CLIP fine-tuned on GAIA: 41,030 pictures of many sensors and scales from the web, each with five captions by "
    "GPT-4o. The paper's BLIP-2 is `gaia_blip2`.",
    year=2025, arxiv="2502.09598", venue="IEEE GRSM 14(2), 2026", repository="https://github.com/Orion-AI-Lab/GAIA",
    figure="image -> ViT -> class token -> linear | linear <- end of text <- transformer <- text",
    parts=("vision.clip.CLIPLevels", "text.clip.CLIPText", "vision_text.VisionTextDualEncoder"),
    abilities=("matches",),
    published=("The data set as addresses of pictures with their captions, and the notebook that asked for these.",),
    missing=(
        "Weights: the README says that they come soon.",
        "The code of the fine-tuning, the size of the CLIP, and every number of its training.",
        "Its tables, whose text could not be read.",
    ),
    ours=(
        "All of the recipe: OpenAI's ViT-B/32, and CLIP's own optimiser at a small rate.",
        "One of the five captions at random a visit, so that no other caption of a picture is its false negative.",
    ),
    switches={"activation": "`quick_gelu`, for it starts from OpenAI's weights here."},
    traps=(
        "Captions are several sentences long, and CLIP reads 77 tokens: the rest is cut.",
        "The captions lie in the JSON of a sample; its text file is the picture's alt text.",
        "The README counts 205,150 pairs of 41,030 pictures, a later abstract 201,005 of 40,201; links rot.",
        "Places come from a language model and may be wrong by a continent.",
        "\"GAIA\" is a benchmark of agents and a space mission, too.",
    ),
    licences={
        "code": "MIT", "weights": "none are published",
        "data": "MIT (captions); the pictures belong to those whom each names",
        "language model": "none; the towers start from OpenAI's CLIP (MIT)",
    },
    stages=(
        Phase(name="finetune", moves=("vision", "text", "image_projection", "text_projection", "logit_scale"),
              data="GAIA's training split, 28.9 k pictures with five captions each"),
    ),
    parameters={"total": "unknown"},
    counted="nothing; the size is ours",
    recordings=("clip/clip_quickgelu", "clip/clip_loss"),
    commands={
        "train": "rsvlm train gaia/paper --data path/to/data --out runs/gaia",
        "evaluate": "rsvlm evaluate rsicd_retrieval/grouped-captions@1 --data path/to/data --model runs/gaia/model "
        "--out results/gaia",
        "match": 'rsvlm match scene.tif "a harbour" "a forest" --model runs/gaia/model --out answer',
    },
)
# fmt: on

SOURCE = Source("github.com/Orion-AI-Lab/GAIA", "MIT")
