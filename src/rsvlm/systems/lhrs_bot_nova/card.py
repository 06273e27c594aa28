"""LHRS-Bot-Nova (branch `nova` of LHRS-Bot's repository, commit cbc390b)."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="lhrs_bot_nova", title="LHRS-Bot-Nova",
    what="LHRS-Bot with SigLIP, which moves in stage 1, a perceiver with positions and from stage 2 on with experts, "
    "and LLaMA-3.",
    year=2024, arxiv="2411.09301", venue="ISPRS J. 2025",
    repository="https://github.com/NJU-LHRS/LHRS-Bot/tree/nova",
    figure="image -> SigLIP levels -> PositionedPerceiver (112 > 96 > 64 queries, experts) -> language model with LoRA "
    "-> text",
    parts=(
        "vision.siglip.SigLIPLevels", "bridges.positioned_perceiver.PositionedPerceiver", "experts.Experts",
        "language.model.LanguageModel",
    ),
    abilities=("answers", "grounds"),
    published=(
        "Code, with the configuration of each stage.",
        "Weights (`LHRS/LHRS-Bot-Nova` on Hugging Face): a folder a stage with `FINAL.pt` and `TextLoRA/`, and "
        "`Stage3_HF`, the same under other names.",
        "A set of instructions (`LHRS/LHRSBotv2` on Hugging Face), which is probably the one it was trained on.",
    ),
    missing=(
        "Which sets stages 2 and 3 saw, and how many samples.",
        "The pictures of LHRS-Align-Recap, and the prompt that its captions were rewritten with.",
        "In which names `Stage3_HF` differs; figures of the paper are not in the repository.",
    ),
    ours=(
        "Steps: one epoch of counts that a catalogue gives (2.64 M captions, 320 k instructions), because the paper's "
        "are unknown to us.",
        "At most 2048 tokens of text; the original's limit never cuts.",
        "A tensor of `Stage3_HF` is taken by its name within its module, whatever stands around it.",
        "The router's noise starts at zero, as its code says; there a later line overwrites it.",
    ),
    switches={
        "bridge.expert_activation": "`none` (the paper's recipe): experts without activation, as the released weights "
        "were trained; `gelu`: with the one that the code defines and never calls.",
        "bridge.experts": "0 gives the dense perceiver of stage 1, whose MLPs become the experts of stage 2.",
        "frame: llama3": "The released conversation, with its misspelt sentence and its two start tokens.",
    },
    traps=(
        "The experts are affine maps: a GELU is defined and never called. Loaded with one, the released weights give "
        "other answers.",
        "Made into experts, the MLPs of stage 1 lose their GELU, so that stage 2 does not begin where stage 1 ended.",
        "The router adds noise while training. A model that was not set to evaluation answers at random.",
        "Each prompt begins with two start tokens: one in the text, one of the tokenizer. The weights were trained so.",
        "\"If your don't know\" in the system's sentence and the tag `[CONSIZE]` are how the weights were trained; "
        "mended, they are other prompts.",
        "Its loader takes what fits and drops the rest. A file of one branch read as the other's shows in the queries: "
        "144 of width 1024 (LHRS-Bot) or 272 of 1152 (Nova). Ours says which it is.",
        "The paper's figure says SigLIP-L/14; code and weights are SigLIP so400m, patch 14, 384 pixels.",
        "Its grounding script still adds 1 to boxes in 0 to 1, as LHRS-Bot's (`dior_rsvg/lhrs-legacy@1`).",
        "Boxes stand in `<bbox>[x1,y1,x2,y2]</bbox>`, in 0 to 1, and are asked for with `[DET]`, not with `[VG]`.",
    ),
    licences={
        "code": "Apache-2.0", "weights": "unknown", "data": "unknown; the pictures are Google's",
        "language model": "Llama 3 Community License; `meta-llama/Meta-Llama-3-8B-Instruct` is gated",
    },
    weights=(
        "Fetch a folder of `LHRS/LHRS-Bot-Nova` from Hugging Face, such as `Stage3`: `FINAL.pt` and `TextLoRA/` "
        "beside it. The vision tower is in `FINAL.pt`.",
        "Accept the licence of `meta-llama/Meta-Llama-3-8B-Instruct` on Hugging Face and fetch that model.",
        "Convert (below). Stage 1 has no adapters: add `--no-lora`.",
    ),
    stages=(
        Phase(name="align", moves=("vision", "bridge"), data="LHRS-Align-Recap, captions rewritten by a captioner"),
        Phase(name="multi_task", moves=("bridge", "language.lora"), data="unknown which instructions"),
        Phase(name="instruct", moves=("bridge", "language.lora"), data="other instructions than before, unknown which"),
    ),
    parameters={"bridge": 291_960_160, "language": "8 B"},
    counted="the perceiver counted on the original module (100,698,112 without experts, stage 1); 8 B is the name of "
    "its language model",
    recordings=(
        "lhrs_bot_nova/attn_pooler_dense", "lhrs_bot_nova/attn_pooler_moe", "lhrs_bot_nova/moe_layer",
        "lhrs_bot_nova/upcycling",
    ),
    commands={
        "convert": "rsvlm weights convert Stage3/FINAL.pt --system lhrs_bot_nova --language-model "
        "Meta-Llama-3-8B-Instruct --out nova",
        "train": "rsvlm train lhrs_bot_nova/paper --data path/to/data --out runs/lhrs_bot_nova",
        "evaluate": "rsvlm evaluate dior_rsvg --data path/to/data --model nova --out results/nova",
        "ask": 'rsvlm ask scene.tif "[CONSIZE] Is there water? Answer in a single word. Answer:" --model nova',
    },
)
# fmt: on

SOURCE = Source("github.com/NJU-LHRS/LHRS-Bot, branch nova", "Apache-2.0", base="meta-llama/Meta-Llama-3-8B-Instruct")
