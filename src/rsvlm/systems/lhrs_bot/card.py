"""LHRS-Bot (branch `main` of its repository, commit 84d9fdd)."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="lhrs_bot", title="LHRS-Bot",
    what="A chat model for overhead pictures: three feature levels of CLIP are read by more queries the shallower they "
    "are, and LLaMA-2 is tuned with LoRA in a curriculum of three stages.",
    year=2024, arxiv="2402.02544", venue="ECCV 2024", repository="https://github.com/NJU-LHRS/LHRS-Bot",
    figure="image -> vision levels -> MultiLevelPerceiver (64 > 48 > 32 queries) -> language model with LoRA -> text",
    parts=("vision.clip.CLIPLevels", "bridges.perceiver.MultiLevelPerceiver", "language.model.LanguageModel"),
    abilities=("answers", "grounds"),
    published=(
        "Code, with the configuration of each stage.",
        "Weights of each stage, `FINAL.pt` and from stage 2 on a folder `TextLoRA/`, on Google Drive and Baidu.",
        "Annotations of all stages and of LHRS-Bench (`PumpkinCat/LHRS_Data` on Hugging Face).",
    ),
    missing=(
        "The pictures of LHRS-Align: they are to be fetched from Google Earth by the coordinates in their names.",
        "The size of the set of stage 2, and with it the number of steps.",
    ),
    ours=(
        "Stage 2 runs for 10,000 steps, because one epoch of a set of unknown size is no number.",
        "Stage 1 uses AdamW with betas 0.9 and 0.95; the original uses Adan, which has three.",
        "Training is in bfloat16, without quantisation; the original uses fp16 and loads the language model in 8 bit "
        "in stages 2 and 3.",
        "The tag head (`num_tags`) and the box head (`boxes`) that `mini` has; without them the system is the "
        "published one.",
    ),
    switches={
        "frame: llava_llama_2": "The conversation of stages 2 and 3, in which the weights are asked; stage 1 is "
        "`plain`, a caption without a question.",
        "num_tags, boxes": "Our two heads; 0 and absent in the published form.",
    },
    traps=(
        "The published grounding figures (88.10 on DIOR-RSVG) come of a script that adds 1 to the sides of boxes in 0 "
        "to 1, so that almost any box passes. Measured in pixels by others, the same weights reach about 13. Ours "
        "measures in pixels; the script's rule is the protocol `dior_rsvg/lhrs-legacy@1`.",
        "As released, stage 1 does not freeze the language model, and does not save what it changed either. Here it "
        "is frozen, as the configuration intends.",
        "The scripts of stages 2 and 3 set a path to the weights of the stage before and never pass it on: run as "
        "they are, they begin with a random perceiver. Here stages hand over by themselves.",
        "Batched answers of the released code differ from single ones: with padding on the left, its attention mask "
        "hides words instead of padding. Here a batch gives what each question gives alone.",
        "Its classification script prepares pictures as for ImageNet, not as for CLIP, with which the model was "
        "trained. Here every picture is prepared as in training.",
        "Its rule for RSVQA takes any part of the reference for right, also an empty reply (`rsvqa_lr/lhrs-legacy@1`).",
        "In LHRS-Bench its script drops the article \"a\", so that any reply that starts with a mark is right where A "
        "is (`lhrs_bench/lhrs-legacy@1`).",
        "From transformers 5 on, the tower's names lack `vision_model.`: a loader that is not strict then loads "
        "nothing and says nothing. Ours accounts for every tensor.",
    ),
    licences={
        "code": "Apache-2.0", "weights": "unknown", "data": "annotations MIT by their page; the pictures are Google's",
        "language model": "Llama 2 Community License; `meta-llama/Llama-2-7b-chat-hf` is gated",
    },
    weights=(
        "Fetch the folder of a stage from the Google Drive or Baidu link in the repository's README: `FINAL.pt` and, "
        "for stages 2 and 3, `TextLoRA/` beside it. The vision tower is in `FINAL.pt`.",
        "Accept the licence of `meta-llama/Llama-2-7b-chat-hf` on Hugging Face and fetch that model.",
        "Convert (below). Stage 1 has no adapters: add `--no-lora`.",
    ),
    stages=(
        Phase(name="align", moves=("bridge",), data="LHRS-Align, 1.15 M captions made of OpenStreetMap features"),
        Phase(name="multi_task", moves=("bridge", "language.lora"),
              data="instructions made of RSVQA, NWPU, RSICD, RSITMD, UCM, DIOR-RSVG, RSVG, fMoW and METER-ML"),
        Phase(name="instruct", moves=("language.lora",),
              data="LHRS-Instruct with 20 k of LLaVA's instructions and text about geography"),
    ),
    parameters={"bridge": 79_935_488, "total": "7 B"},
    counted="the perceiver counted on the original module; 7 B is what the paper calls the whole",
    recordings=("lhrs_bot/attn_pooler", "lhrs_bot/attn_pooler_inproj"),
    commands={
        "convert": "rsvlm weights convert Stage3/FINAL.pt --system lhrs_bot --language-model Llama-2-7b-chat-hf "
        "--out lhrs-bot",
        "train": "rsvlm train lhrs_bot/paper --data path/to/data --out runs/lhrs_bot",
        "evaluate": "rsvlm evaluate lhrs_bench --data path/to/data --model lhrs-bot --out results/lhrs_bot",
        "ask": 'rsvlm ask scene.tif "Describe this image." --model lhrs-bot',
    },
)
# fmt: on

SOURCE = Source("github.com/NJU-LHRS/LHRS-Bot, branch main", "Apache-2.0", base="meta-llama/Llama-2-7b-chat-hf")
