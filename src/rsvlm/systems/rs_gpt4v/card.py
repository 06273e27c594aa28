"""RS-GPT4V: a data set of instructions, and LLaVA-1.5 tuned on it."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="rs_gpt4v", title="RS-GPT4V",
    what="LLaVA-1.5 fine-tuned in one stage on instructions that GPT-4V wrote or that were made of older sets, in one "
    "of three ways: in full, by LoRA, by LoRA experts.",
    year=2024, arxiv="2406.12479", venue="arXiv, June 2024", repository="https://github.com/GeoX-Lab/RS-GPT4V",
    figure="image -> CLIP-L/14-336, last but one hidden state -> MLP -> Vicuna, tuned in full, by LoRA or by LoRA "
    "experts -> text",
    parts=(
        "vision.clip.CLIPLevels", "bridges.projector.MLPProjector", "language.lora_experts.LoRAExperts",
        "language.model.LanguageModel",
    ),
    abilities=("answers", "grounds"),
    published=("The data set: 991,206 questions about 91,937 pictures for training, on OneDrive and Baidu.",),
    missing=(
        "RS-GPT4V's code and weights. The README promises both.",
        "Every number of the training, and everything about MoE-LoRA but its name.",
        "The wording of its questions and how its boxes are written, as far as we could see.",
    ),
    ours=(
        "All parts and numbers are LLaVA-1.5's, the model that the paper tunes.",
        "MoE-LoRA: four experts of rank 32 (the budget of one LoRA of rank 128), a router that weighs all of them for "
        "each token, no balancing loss.",
        "7,800 steps: about one epoch in batches of 128.",
        "How it is asked for boxes (`speech: llava`): fractions of the padded square with two decimals.",
    ),
    switches={
        "language.lora": "Absent: full tuning, with `language` in the stage's `trainable`. With `experts`: MoE-LoRA. "
        "Without: LoRA.",
        "speech": "`llava`, or `geochat` for its tags and turned boxes {<x1><y1><x2><y2>|<angle>}.",
        "vision.align_corners": "How the 577 positions of CLIP become 1297 at 504 px: true as GeoChat's code, false as "
        "transformers.",
        "vision.fit": "`pad`, as LLaVA shows pictures that are no squares.",
    },
    weights=(
        "The same parts load LLaVA-1.5 and GeoChat (arXiv:2311.15826), whose weights are public: fetch all files of "
        "`liuhaotian/llava-v1.5-7b` or `MBZUAI/geochat-7B` from Hugging Face into a folder, and the tower "
        "`openai/clip-vit-large-patch14-336` into another.",
        "Of a LoRA folder (`adapter_model`, `non_lora_trainables.bin`), fetch its base model, too, and give it as "
        "`--language-model`.",
        "GeoChat (504 px) has a recipe of its own, rs_gpt4v/geochat; LLaVA-1.5's sizes are in paper.yaml.",
    ),
    traps=(
        "\"RS-GPT4V\" names a data set. A model that somebody trained on it is not the paper's.",
        "The download is a personal drive that no program can fetch from: check what you got by its counts, 91,937 and "
        "15,999 pictures, 991,206 and 258,419 questions.",
        "RSVQA-HR is most of any mixture without weights.",
        "A model tuned on it has seen the training parts of UCM, RSICD, NWPU and RSVQA: its figures there are not "
        "zero-shot. RSICD and RSITMD share pictures.",
        "A catalogue gives another arXiv id, 2406.09385; 2406.12479 is right.",
    ),
    licences={
        "code": "Apache-2.0; no code is there",
        "weights": "none are published; LLaVA-1.5: Llama 2 licence; GeoChat: unknown",
        "data": "Apache-2.0 by the repository; its source sets and GPT-4V's texts have terms of their own",
        "language model": "Vicuna-7B v1.5, `lmsys/vicuna-7b-v1.5`: Llama 2 Community License",
    },
    stages=(
        Phase(name="tune", moves=("bridge", "language.lora"), data="RS-GPT4V's instructions, which come as LLaVA JSON"),
    ),
    parameters={"language": "7 B"},
    counted="7 B is the name of its language model; the paper's adapters are unknown",
    commands={
        "convert": "rsvlm weights convert path/to/geochat-7B --system rs_gpt4v --recipe rs_gpt4v/geochat "
        "--vision path/to/clip-vit-large-patch14-336 --out models/geochat",
        "train": "rsvlm train rs_gpt4v/paper --data path/to/data --out runs/rs_gpt4v",
        "evaluate": "rsvlm evaluate rsicd_captions --data path/to/data --model runs/rs_gpt4v/model --out "
        "results/rs_gpt4v",
        "ask": 'rsvlm ask scene.tif "Describe this image in detail." --model runs/rs_gpt4v/model',
    },
)
# fmt: on

SOURCE = Source("github.com/GeoX-Lab/RS-GPT4V", "Apache-2.0", base="lmsys/vicuna-7b-v1.5")
