"""RS-MoE, a reconstruction; its repository (commit 5480f72) is InstructBLIP with LoRA and another mixture."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="rs_moe", title="RS-MoE (reconstruction)",
    what="A caption in parts: a router asks an expert each for theme, objects and relations, and one text is made of "
    "their drafts.",
    year=2024, arxiv="2411.01595", venue="IEEE TGRS 63, 2025",
    repository="https://github.com/CongcongWen1208/RS-MoE",
    figure="image -> vision -> Q-Former, which reads the question too -> router -> theme | object | relation -> merge "
    "-> text",
    parts=(
        "vision.eva.EVACLIP", "bridges.qformer.QFormerBridge", "language.instruction_router.SoftRouter",
        "language.expert_language.ExpertLanguage", "language.model.LanguageModel",
    ),
    abilities=("answers",),
    published=(
        "The code of InstructBLIP with LoRA, and of a mixture that works word by word (`text_moe`), which is not the "
        "paper's.",
    ),
    missing=(
        "The method: the README says that the mixture is not in the files.",
        "Weights.",
        "The form of the router and its prompts, how the drafts are merged, how a caption was cut into parts, ranks, "
        "rates and steps. Only the abstract and a review by others could be read.",
    ),
    ours=(
        "The router: template texts, and eight learned words for each expert from an MLP over picture and question.",
        "The experts are adapters over one frozen base; `separate` makes them language models of their own.",
        "The merge: drafts one after the other, without sentences that repeat.",
        "Captions are cut into theme, objects and relations by rules over their sentences.",
        "A question is for the expert of its kind (presence, count, area: object; rural or urban: theme; where: "
        "relation), else for all, who vote.",
        "The conversation is Vicuna's; InstructBLIP has none.",
        "The numbers of the training are those of the repository's configuration, which is another model's.",
    ),
    switches={
        "router.mode": "`template`, `soft`, `generate` (one more expert writes the prompts) or `none` (the paper's "
        "ablation).",
        "merge": "`concat`, `fuse` (the model of stage 1 rewrites the drafts) or `logit_mix` (all, word by word).",
        "separate": "Experts as language models of their own.",
        "text_moe": "The mixture of the repository. `residual: false` is its released form, in which random experts "
        "take the place of the words; `raw_generated: true` leaves generated words out of it, as released.",
    },
    traps=(
        "Nothing here can be compared with the paper's model: there is none. What equals an original is `text_moe` "
        "and the vision tower.",
        "The released mixture works on prompt and answer in training and on the prompt alone when answering; ours "
        "works on both unless `raw_generated` is set.",
        "It has no residual: untrained experts erase the language model's words.",
        "Its script trains, validates and tests on one file, ends captions after ten words, and cannot be imported "
        "as it is.",
        "\"RS-MoE-1B\" and \"-7B\" are the paper's names; no such weights were ever published.",
    ),
    licences={
        "code": "unknown; files of LAVIS in it are BSD-3-Clause", "weights": "none are published",
        "data": "RSICap unknown; its pictures are DOTA's, for academic use",
        "language model": "Vicuna-7B: Llama 2 Community License",
    },
    stages=(
        Phase(name="whole", moves=("bridge.query", "bridge.proj", "bridge.qformer.lora", "language.lora"),
              data="RSICap, 2,585 captions written by people"),
        Phase(name="experts", moves=("router", "language.experts"), data="the same captions, in parts"),
    ),
    parameters={"language": "7 B"},
    counted="7 B is the name of its largest form; `text_moe`, counted on the original module at width 4096, has "
    "805,445,636 more and is not part of this form",
    recordings=("rs_moe/text_moe", "deltavlm/eva_vit"),
    commands={
        "train": "rsvlm train rs_moe/paper --data path/to/data --out runs/rs_moe",
        "evaluate": "rsvlm evaluate rsivqa --data path/to/data --model runs/rs_moe/model --out results/rs_moe",
        "ask": 'rsvlm ask scene.tif "Take a look at this image and describe what you notice." '
        "--model runs/rs_moe/model",
    },
)
# fmt: on

SOURCE = Source("github.com/CongcongWen1208/RS-MoE")
