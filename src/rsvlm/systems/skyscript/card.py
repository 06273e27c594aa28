"""SkyCLIP, from the code and the paper of SkyScript."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="skyscript", title="SkyCLIP (SkyScript)",
    what="CLIP trained on with SkyScript: pictures of Earth Engine whose captions are made of OpenStreetMap's tags, "
    "29,000 distinct ones.",
    year=2023, arxiv="2312.12856", venue="AAAI 2024", repository="https://github.com/wangzhecheng/SkyScript",
    figure="image -> ViT -> class token -> linear | linear <- end of text <- transformer <- text",
    parts=("vision.clip.CLIPLevels", "text.clip.CLIPText", "vision_text.VisionTextDualEncoder"),
    abilities=("matches",),
    published=(
        "Weights of five SkyCLIPs and of CLIP-laion-RS, each in an archive.",
        "The code of training and tests (open_clip 2.20), pictures, captions, tags and benchmarks.",
    ),
    missing=(
        "What the files in the archives are called.",
        "The code that made the captions, and the classifiers of tags and of LAION-RS.",
        "The appendix of the paper could not be read.",
    ),
    ours=(
        "Parts of pictures are resampled bicubically in training, theirs so or bilinearly, by chance.",
    ),
    switches={
        "activation": "`quick_gelu` for L/14, which starts from OpenAI's weights, `gelu` for B/32, which starts from "
        "LAION's: the tensors fit both, and do not tell.",
    },
    traps=(
        "L/14 is tested with `--force-quick-gelu`, B/32 must not be: the wrong activation lowers the accuracy without "
        "a word.",
        "The last row of the README's table is the L/14 of the 50 %, though it names the B/32.",
        "Two prompts a set, the second without a full stop; each is normalised before they are averaged, which "
        "GeoRSCLIP does not do.",
        "In retrieval captions begin with \"a satellite image. \", and equal ones are merged: UCM has 377 texts, not "
        "1,050. Its figures and GeoRSCLIP's are of two protocols.",
        "A rate of 3e-9 is near what float32 can add to a weight: large weights stand still. Keep them in float32.",
        "Its benchmark `rsicb` fails in the released code, whose prompts know it as `rsicb256`.",
    ),
    licences={
        "code": "MIT; open_clip, which is in it, MIT", "weights": "unknown",
        "data": "unknown; captions are made of OpenStreetMap's tags (ODbL), the terms of the pictures differ by source",
        "language model": "none; the towers start from OpenAI's CLIP (MIT) or LAION's (MIT)",
    },
    weights=(
        "Fetch an archive `opendatasharing.s3.us-west-2.amazonaws.com/SkyScript/ckpt/<name>.zip` and unpack it into a "
        "folder of its name: the name says the size and the activation (the table of published CLIPs is in [Published "
        "weights](../weights.md)).",
        "Run `rsvlm setup --train` for CLIP's vocabulary, so that the tokenizer is put beside the weights.",
        "Convert (below). `--recipe` gives the sizes and the activation of a file under another name.",
    ),
    stages=(
        Phase(name="pretrain", moves=("vision", "text", "image_projection", "text_projection", "logit_scale"),
              data="the 30 % of SkyScript whose captions fit best, 1,518,890 pairs, 20 epochs"),
    ),
    parameters={"total": "unknown"},
    counted="nothing; the sizes are open_clip's ViT-L-14 and ViT-B-32 (151,277,313)",
    recordings=("clip/clip_quickgelu", "clip/clip_gelu", "clip/clip_loss", "clip/zero_shot_classifier"),
    commands={
        "convert": "rsvlm weights convert SkyCLIP_ViT_L14_top50pct --system skyscript --out skyclip",
        "train": "rsvlm train skyscript/paper --data path/to/data --out runs/skyclip",
        "evaluate": "rsvlm evaluate skyscript_roof_shape/label-v1@1 --data path/to/data --model skyclip --out "
        "results/skyclip",
        "match": 'rsvlm match scene.tif "a harbour" "a forest" --model skyclip --out answer',
    },
)
# fmt: on

SOURCE = Source("github.com/wangzhecheng/SkyScript", "MIT")
