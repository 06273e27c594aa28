"""RS-RAG, from its repository (commit 8a93ba2), its data files and the pages about its paper."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="rs_rag", title="RS-RAG",
    what="A model that answers is told, before the question, what a knowledge base of landmarks holds about pictures "
    "and texts like those that it is asked about. It works over any model that answers and any that matches.",
    year=2025, arxiv="2504.04988", venue="IEEE GRSM 14(2), 2026",
    repository="https://github.com/CongcongWen1208/RS-RAG",
    figure="image, question -> two vectors -> knowledge base -> re-ranking by the fused score -> prompt with the "
    "passages -> answer",
    parts=("landmarks.KnowledgeChunker", "knowledge.KnowledgeBase", "rerank.fused"),
    abilities=("answers",),
    over=("answers", "matches"),
    published=(
        "The code that builds the vector database, searches it, asks six models and measures. Its "
        "search and its metrics are recorded in tests/golden/metrics/rsrag.json, and ours give the same numbers.",
        "RSWK: 11,827 landmarks for training and 2,993 for tests with what is known of them, captions, classes and "
        "questions.",
    ),
    missing=(
        "In the repository: the pictures of RSWK, and the three files that the vector database is made of.",
        "Results with retrieval; only the tables of three or four models without it are in the repository.",
        "The fine-tuned generators; rank, rate and batch of their LoRA.",
        "The filters, the zoom and the size of the pictures.",
    ),
    ours=(
        "A picture stands where the model that answers has it; the released prompt has it behind the passages.",
        "The kinds of passages follow the task, which is read off the question where it is not set (`task`).",
        "The prompt `instruct`: the passages quoted and numbered, citations asked for, and those of no passage taken "
        "out again.",
        "The mode `two_stage`: the nearest pictures and the nearest passages are re-ranked, as the paper draws it; "
        "the released search asks its first stage for 100,000, which is a filter.",
        "Labels without a value and passages without content are left out; a landmark that nobody described has a "
        "caption all the same.",
        "Vectors of any length from any model that matches; the original has CLIP ViT-B/32's 512.",
    ),
    switches={
        "mode": "`exhaustive` scores every passage, as released; `two_stage` the `candidates` nearest.",
        "prompt": "`rsrag`, word for word as released, or `instruct`, with citations.",
        "alpha": "the share of the picture in the fused score; the released choices are 0.1 to 0.9.",
        "top_k": "the passages in the prompt; the released choices are 1, 3 and 5.",
        "exclude_self": "on, the very picture that is asked about is never found, by its pixels; `hold_out` leaves out "
        "landmarks by name, and `--split train` those of the test when the folder is made.",
    },
    traps=(
        "The script that builds the database reads one file of all landmarks: where it holds the test's, a picture "
        "finds itself with a cosine of 1, and the answer is read off. Set `exclude_self`, or make the folder of "
        "`--split train`.",
        "The released first stage compares the question's picture with the texts of passages. It only breaks ties.",
        "A caption is embedded by its first 77 tokens, of thousands of letters.",
        "The released check for empty passages is never true, so labels without a value are searched, too.",
        "Answers are measured by BLEU, which is all or nothing on \"12.51mm\": see `rswk_vqa_rsk/values@1`.",
        "The options of the small set name 14 of its 16 classes; 35 labels of the whole set are none of the 16.",
        "The language model that wrote the knowledge explains classes of land cover wrongly; trust the codes.",
        "The file `image_captioning_full_test_11827.jsonl` is the training file.",
    ),
    licences={
        "code": "none given", "weights": "none are published", "data": "none given (RSWK); its pictures are those of a "
        "map service, under its terms", "language model": "that of the model that answers",
    },
    stages=(
        Phase(name="fine-tuning", moves=("adapters of the model that answers",),
              data="RSWK's training files, or ChatEarthNet; CLIP is not trained"),
    ),
    parameters={}, counted="",
    commands={
        "make": "rsvlm knowledge path/to/RSWK/ORI_DATASET --pictures path/to/RSWK/images --out models/rs_rag",
        "evaluate": "rsvlm evaluate rswk_vqa_wk --data path/to/data --model models/rs_rag --out results/rs_rag",
        "ask": 'rsvlm ask scene.tif "What is this place?" --model models/rs_rag',
    },
)
# fmt: on

SOURCE = Source("github.com/CongcongWen1208/RS-RAG")
