"""RS-CapRet; what its paper's public text does not say is FROMAGe's, the method that it builds on."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="rs_capret", title="RS-CapRet",
    what="Captions and retrieval from one frozen language model: linear maps let it see what a frozen CLIP sees, and "
    "by one learned token, [RET], it finds pictures.",
    year=2024, arxiv="2402.06475", venue="arXiv",
    repository="https://huggingface.co/joaodaniel/rs-clip-cap4",
    figure="image -> CLIP -> class token -> linear -> language model -> caption; caption [RET] -> linear = linear <- "
    "class token",
    parts=(
        "vision.clip.CLIPLevels", "bridges.retrieval_maps.RetrievalMaps", "language.ret_token.RetLanguage",
    ),
    abilities=("answers", "matches"),
    published=(
        "The encoder, CLIP-Cap-4 (`joaodaniel/rs-clip-cap4` on Hugging Face, transformers' CLIPModel): OpenAI's "
        "ViT-L/14 fine-tuned on RSICD, UCM-, Sydney- and NWPU-Captions.",
        "The code and the weights of FROMAGe over OPT-6.7B (`github.com/kohjingyu/fromage`), the method of its bridge.",
    ),
    missing=(
        "Code, and the weights of the bridge: linear maps and [RET].",
        "How many visual tokens, the width of the common space, rates, batches, steps, the longest caption, and how it "
        "decodes.",
        "Which splits trained the encoder, and with which numbers.",
        "Its tables; only the abstract and the encoder's model card could be read.",
    ),
    ours=(
        "Whether RS-CapRet took over FROMAGe's mechanics as they are is not known; here they are the default, and "
        "`rs_capret/fromage_default` has FROMAGe's numbers under its own name.",
        "The token [RET] is rows of its own beside the frozen table: the steps are the same as with FROMAGe's masked "
        "gradient, without the optimiser's state for a whole vocabulary. No tokenizer has to know it: its id follows "
        "the table.",
        "The head's row of [RET], where the head is not the embedding, as LLaMA-2's; FROMAGe knows OPT alone.",
        "The vector of [RET] is read from the last layer; FROMAGe's code can add up several.",
        "The start token behind a picture is learned, as there, and given when a caption is asked for: OPT's start and "
        "end are one token.",
        "Captions are sentences: a capital and a full stop are added where a set leaves them out.",
        "CLIP's limit of the temperature, 100; FROMAGe has none.",
        "The floor of the rate. Whole batches of pairs count, those of all processes.",
    ),
    switches={
        "bridge.tokens": "Visual tokens of a picture: 1, or 4 as FROMAGe's second model.",
        "concat_captions": "Share of batches in which two pictures with their captions follow one another, for "
        "dialogues.",
        "row_norm": "After each step [RET] gets the mean length of the table's rows; `false` leaves it free.",
        "prefix": "Words behind the picture of every caption (\"A picture of\"); none by default.",
        "rows": "How many rows of the table are words; OPT's is longer than its vocabulary.",
        "caption_scale, retrieval_scale": "Weights of the caption loss, and of both losses of retrieval.",
        "stages.positives": "`labels`: equal captions and pictures count as pairs; RSICD has many. `pairs` as FROMAGe.",
    },
    weights=(
        "There are none of RS-CapRet's bridge. Its encoder: all files of `joaodaniel/rs-clip-cap4` from Hugging Face; "
        "its licence was not seen. Copy the recipe and write `weights: path/to/rs-clip-cap4` under `vision`, and the "
        "folder of LLaMA-2-7B (`meta-llama/Llama-2-7b-hf`) as `language: {base: path/to/Llama-2-7b-hf}` to train.",
        "A bridge in the same layout is FROMAGe's: clone its repository, `fromage_model` (1 visual token) and "
        "`fromage_model/fromage_vis4` (4) hold `model_args.json` and `pretrained_ckpt.pth.tar`. It goes with "
        "`openai/clip-vit-large-patch14` and `facebook/opt-6.7b`, and knows photographs.",
        "Convert it (below). A folder points to its language model, so leave that where it is.",
    ),
    traps=(
        "It captions whatever it is asked about one picture: a question is not read. A dialogue is "
        "`load(folder).chat([picture, \"text\", ...], index)`, with `rsvlm.index.exact.ExactIndex` over "
        "`embed_images`; it gives texts, and the pictures found for each [RET].",
        "A caption ends with its first full stop or line, as FROMAGe cuts it; \"0.5 m\" ends one, too.",
        "Untied heads: without a trained row of the head [RET] is never said (GILL's issue 29), and LLaMA has no token "
        "to pad with. A checkpoint without that row is refused over LLaMA.",
        "FROMAGe's loops find [RET] as the last row of the table, which holds only because OPT's is cut there.",
        "The number `ret_scale` of a dialogue multiplies the logit, as released: above 1 it makes a negative one "
        "less likely.",
        "Its maps fit the tower that they were trained with. FROMAGe's do not fit CLIP-Cap-4, though the shapes do.",
        "FROMAGe's released model with 1 visual token has the prompt \"A picture of\" in its settings, behind pictures "
        "and before texts (`input_prompt`, `add_input_to_ret`); its code asks without, and ours puts it behind "
        "pictures alone.",
        "24 tokens, FROMAGe's longest caption, cut captions of remote sensing pictures.",
        "Concatenated captions in FROMAGe are followed by the rest of both; nothing is learned from it, and ours leave "
        "it out.",
        "RSICD's five captions are often one, and RSICD, UCM and NWPU share sources: keep test pictures apart.",
    ),
    licences={
        "code": "none is published; FROMAGe: Apache-2.0",
        "weights": "none are published of the bridge; the encoder's licence was not seen; FROMAGe's: Apache-2.0",
        "data": "RSICD, UCM-, Sydney- and NWPU-Captions: unknown, for research",
        "language model": "LLaMA-2-7B, `meta-llama/Llama-2-7b-hf`: Llama 2 Community License",
    },
    stages=(
        Phase(name="bridge", moves=("bridge", "language.ret", "logit_scale"),
              data="Captions of remote sensing pictures; which sets is unknown. FROMAGe: Conceptual Captions 3M"),
    ),
    parameters={"language": "7 B"},
    counted="7 B is the language model's name. FROMAGe's released file has 11 MB in bfloat16, which is what its maps, "
    "[RET] and the temperature come to",
    recordings=("fromage/forward_modes", "fromage/generate", "fromage/train_step"),
    commands={
        "convert": "rsvlm weights convert path/to/fromage_model --system rs_capret "
        "--vision path/to/clip-vit-large-patch14 --language-model path/to/opt-6.7b --out models/fromage",
        "train": "rsvlm train rs_capret/paper --data path/to/data --out runs/rs_capret",
        "evaluate": "rsvlm evaluate rsicd_captions --data path/to/data --model runs/rs_capret/model --out "
        "results/rs_capret",
        "ask": 'rsvlm ask scene.tif "Describe this image." --model runs/rs_capret/model',
    },
)
# fmt: on

SOURCE = Source("huggingface.co/joaodaniel/rs-clip-cap4", base="meta-llama/Llama-2-7b-hf")
