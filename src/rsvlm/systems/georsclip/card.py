"""GeoRSCLIP, from the code and the paper of RS5M."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="georsclip", title="GeoRSCLIP",
    what="CLIP fine-tuned on RS5M, five million remote sensing pictures with texts: 3.0 M pairs filtered out of public "
    "sets and 2.1 M pictures captioned by a machine.",
    year=2023, arxiv="2306.11300", venue="IEEE TGRS 62, 2024", repository="https://github.com/om-ai-lab/RS5M",
    figure="image -> ViT -> class token -> linear | linear <- end of text <- transformer <- text",
    parts=("vision.clip.CLIPLevels", "text.clip.CLIPText", "vision_text.VisionTextDualEncoder"),
    abilities=("matches",),
    published=(
        "Weights of six models (`Zilun/GeoRSCLIP` on Hugging Face, folder ckpt), of four sizes.",
        "RS5M as web dataset files, and the code that tests the models.",
    ),
    missing=(
        "The code of the training, which is ITRA with a loader of its own, and all code of the adapters.",
        "The length of the warm-up, and every number of the training of L/14 and H/14.",
        "The numbers of the fine-tuning on RSICD alone.",
    ),
    ours=(
        "Adapters stand in both towers; the paper says that the weights are frozen and names AdapterHub's defaults. "
        "LoRA and the encoder of prefixes are peft's; bottlenecks, attention with prefixes and UniPELT's gates, ours.",
        "Bottlenecks start at zero, so that training starts at the model that is adapted.",
        "Pictures are turned by bicubic resampling in training, theirs by the nearest pixel.",
        "What a recipe calls unknown, ours: AdamW's betas, the warm-up, the clipping of the first training.",
    ),
    switches={
        "activation": "`quick_gelu` or `gelu`: the tensors of a CLIP fit both, and do not tell. B/32 and L/14 start "
        "from OpenAI's weights and have QuickGELU, H/14 from LAION's and has GELU.",
        "adapters": "`lora`, `prefix`, `bottleneck`, each with its numbers; `gated: true` with all three is UniPELT "
        "(recipes georsclip/peft_lora, peft_prefix, peft_bottleneck, peft_unipelt).",
    },
    traps=(
        "The same tensors load into a model with plain GELU without a word, and answer worse: `ViT-B-32` of open_clip "
        "without `pretrained=\"openai\"` is one. Here a published file that keeps its name is known by it; of any "
        "other the recipe has to say.",
        "The README loads with strict=False, which hides what does not fit. Ours accounts for every tensor.",
        "The paper's table and the README's are of two trainings (AID 73.72 and 74.42); the files are the README's.",
        "Class names are folder names in lower case: EuroSAT is asked about \"annualcrop\" and \"sealake\".",
        "Prompts of a class are averaged as they come and normalised then; SkyScript normalises each first.",
        "RET-2 and RSICD have seen the training pictures of the sets that they are tested on.",
        "On RSICD alone users reach a mean recall of 34 where the README says 38 (issues 12 and 22).",
    ),
    licences={
        "code": "MIT", "weights": "\"cc\" on Hugging Face, no version named; RS5M, which they are made of, is for "
        "academic use",
        "data": "CC-BY-NC-4.0 (RS5M); its pictures under the terms of their sets",
        "language model": "none; the towers start from OpenAI's CLIP (MIT) or LAION's (MIT)",
    },
    weights=(
        "Fetch one file of `Zilun/GeoRSCLIP` on Hugging Face, folder ckpt, and keep its name: it says the size and the "
        "activation (the table of published CLIPs is in [Published weights](../weights.md)).",
        "Run `rsvlm setup --train` for CLIP's vocabulary, so that the tokenizer is put beside the weights.",
        "Convert (below). `--recipe` gives the sizes and the activation of a file under another name.",
        "To train as the paper did, fetch and convert the weights that it started from in the same way "
        "(`openai/clip-vit-base-patch32` with `--recipe georsclip/paper`), and give that folder as `start`.",
    ),
    stages=(
        Phase(name="pretrain", moves=("vision", "text", "image_projection", "text_projection", "logit_scale"),
              data="RS5M, 20 epochs of 4.8 M pairs; of two captions of a machine one at random"),
    ),
    parameters={"total": "151 M (605 MB)"},
    counted="the size of the released file of ViT-B/32 in float32; ViT-L/14 has 427,616,513 (1.71 GB) and ViT-H/14 "
    "986,109,441 (3.94 GB). Adapters over ViT-B/32, counted here because the paper has no counts: LoRA 491,520, "
    "prefixes 16,454,144, bottlenecks 1,294,272, UniPELT 18,275,872",
    recordings=("clip/clip_quickgelu", "clip/clip_gelu", "clip/clip_loss", "clip/zero_shot_classifier"),
    commands={
        "convert": "rsvlm weights convert RS5M_ViT-B-32.pt --system georsclip --out georsclip",
        "train": "rsvlm train georsclip/paper --data path/to/data --out runs/georsclip",
        "evaluate": "rsvlm evaluate aid_scenes/zero-shot-georsclip@1 --data path/to/data --model georsclip --out "
        "results/georsclip",
        "match": 'rsvlm match scene.tif "a harbour" "a forest" --model georsclip --out answer',
    },
)
# fmt: on

SOURCE = Source("huggingface.co/Zilun/GeoRSCLIP", "MIT", "cc (no version named); academic use")
