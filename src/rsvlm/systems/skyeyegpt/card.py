"""SkyEyeGPT; what its figures do not say is read from the code of MiniGPT-v2, in which its checkpoint runs."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="skyeyegpt", title="SkyEyeGPT",
    what="One linear map between a frozen EVA-CLIP and LLaMA-2 with LoRA; a tag before the question says the task, and "
    "boxes are text.",
    year=2024, arxiv="2401.09712", venue="ISPRS J. 221, 2025",
    repository="https://github.com/ZhanYang-nwpu/SkyEyeGPT",
    figure="image -> EVA-CLIP -> TokenMerge (4 tokens in 1) -> linear alignment -> LLaMA-2 with LoRA -> text",
    parts=("vision.eva.EVACLIP", "bridges.token_merge.TokenMerge", "language.model.LanguageModel"),
    abilities=("answers", "grounds"),
    published=(
        "Weights (`ZhanYang-nwpu/SkyEyeGPT` on Hugging Face), which run in the code of MiniGPT-v2.",
        "Annotations of SkyEye-968k (`ZhanYang-nwpu/SkyEye-968k` on Hugging Face), one RAR file without pictures.",
    ),
    missing=(
        "Code: the repository holds a README and figures.",
        "Every number of the training: rates, steps, batches, the mixture of the sets.",
        "The questions and answers of its test sets, without which its tables cannot be repeated.",
        "The rank of the adapters that its figure draws on the alignment layer.",
    ),
    ours=(
        "The form of every part is MiniGPT-v2's, and so are the LoRA's numbers (r 64, alpha 16, on q and v).",
        "The alignment layer moves whole, as in MiniGPT-v2; `bridge.lora` gives it adapters as the figure draws them.",
        "Rates, decay and warm-up are those of MiniGPT-v2's fine-tuning; batches and the steps of stage 2 are ours.",
        "Checkpoints are read in MiniGPT-v2's layout. The file itself was not at hand: the reader is tested on "
        "files that are made in that layout at a small size.",
    ),
    switches={
        "frame": "`minigpt_v2` (as asked): two start tokens, one blank before `[/INST]`; `minigpt_v2_train` (as "
        "MiniGPT-v2 trains): one start token, two blanks.",
        "bridge.lora": "r and lora_alpha of adapters on the alignment layer; absent by default.",
        "rounding=\"released\"": "Of `rsvlm.data.box_codecs.encode`: hundredths of a box are cut off, as the released "
        "code does, instead of rounded.",
    },
    traps=(
        "Asked, a prompt begins with two start tokens and has one blank before `[/INST]`; in training it is one and "
        "two. Ours asks as the released code asks.",
        "The norm behind the tower stays as it starts. Loading BLIP-2's norm there breaks the model.",
        "Four tokens that are merged into one lie side by side in a row, not in a square.",
        "Everything in the released loader is lenient: with another version of peft it answers from a model that was "
        "never tuned, and says nothing. Ours accounts for every tensor.",
        "A penalty on repetition, which the demo uses, spoils boxes: their digits repeat. Ours answers greedily "
        "without one.",
        "Pictures are squeezed to 448 x 448, so that wide ones are distorted, and boxes are hundredths of each side.",
        "The published grounding figures are doubted in its repository (issue 6): adding 1 to the sides of boxes in 0 "
        "to 1 lets almost any box pass. `dior_rsvg/minigpt-legacy@1` is MiniGPT-v2's rule, one pixel on each side.",
        "65 % of SkyEye-968k is RSVQA-HR: without weights in the mixture, one set is most of the training.",
    ),
    licences={
        "code": "none published; MiniGPT-4, in which it runs, is BSD-3-Clause", "weights": "unknown",
        "data": "annotations CC-BY-4.0; pictures under the terms of their sets",
        "language model": "Llama 2 Community License; `meta-llama/Llama-2-7b-chat-hf` is gated",
    },
    weights=(
        "Fetch the checkpoint from `ZhanYang-nwpu/SkyEyeGPT` on Hugging Face; the name of the file is unknown to us. "
        "It holds the alignment layer and the adapters.",
        "Fetch `eva_vit_g.pth`, the EVA-CLIP that LAVIS publishes for BLIP-2.",
        "Accept the licence of `meta-llama/Llama-2-7b-chat-hf` on Hugging Face and fetch that model.",
        "Convert (below).",
    ),
    stages=(
        Phase(name="single_task", moves=("bridge", "language.lora"),
              data="SkyEye-968k without its conversations, about 950 k questions"),
        Phase(name="conversation", moves=("bridge", "language.lora"),
              data="18.3 k conversations about pictures of DOTA, DIOR, UCM and Sydney"),
    ),
    parameters={"language": "7 B"},
    counted="7 B is the name of the language model; the shapes here are those of MiniGPT-v2's code, in which the "
    "checkpoint runs",
    recordings=("deltavlm/eva_vit",),
    commands={
        "convert": "rsvlm weights convert skyeyegpt.pth --system skyeyegpt --language-model Llama-2-7b-chat-hf "
        "--vision eva_vit_g.pth --out skyeyegpt",
        "train": "rsvlm train skyeyegpt/paper --data path/to/data --out runs/skyeyegpt",
        "evaluate": "rsvlm evaluate dior_rsvg --data path/to/data --model skyeyegpt --out results/skyeyegpt",
        "ask": 'rsvlm ask scene.tif "[caption] briefly describe the image" --model skyeyegpt',
    },
)
# fmt: on

SOURCE = Source("github.com/ZhanYang-nwpu/SkyEyeGPT", base="meta-llama/Llama-2-7b-chat-hf")
