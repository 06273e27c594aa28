"""RSICCformer; the facts are from its repository (commit d1505e5) and its README."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="rsiccformer", title="RSICCformer",
    what="Says in one sentence what changed between two pictures of a place: both attend to their difference, and a "
    "small decoder writes words of its data set's vocabulary. Here it is the baseline of MModalCC, of the same parts.",
    year=2022, arxiv="", doi="10.1109/TGRS.2022.3218921", venue="IEEE TGRS 60, 2022",
    repository="https://github.com/Chen-Yang-Liu/RSICC",
    figure="two dates -> ResNet -> 14 x 14 -> attention to their difference, layer by layer -> fusion of the layers -> "
    "decoder",
    parts=("vision.resnet.ResNet", "change_captioning.DifferenceEncoder", "change_captioning.BitemporalFusion",
           "change_captioning.CaptionDecoder", "text.words.WordVocabulary"),
    abilities=("compares",),
    published=("Code, and LEVIR-CC.", "A trained model, as a pickle of whole modules."),
    missing=("A licence file.", "The seeds and the beam width of its table."),
    ours=(
        "The vocabulary is made of the training captions. With `words.splits` of train, val and test it is the "
        "released one.",
        "Batch norms of the frozen tower keep their statistics.",
        "A visit of a pair takes its next caption. In the released code each caption is a sample of its own.",
        "The norm of all gradients is clipped, not each gradient.",
        "The rate is constant, and nothing stops early; the released code lowers the decoder's rate, and stops, by the "
        "BLEU-4 of the validation part.",
        "Captions are cut behind their fiftieth word, where the released code leaves out the longer ones.",
        "Where no sentence of the search has ended, the best one so far is the answer; the released code has none.",
    ),
    switches={
        "normalise": "`imagenet` (released) or `none`.",
        "words.splits": "The splits whose captions the vocabulary is made of: train (ours), or all three (released).",
        "freeze_bn": "Off, statistics of batch norms move in training, in the frozen tower, too (released).",
        "beams": "The width of the search; 1 is greedy.",
    },
    traps=(
        "The class that makes the difference the keys is called MCCFormers_diff_as_Q.",
        "The released code does not run on torch 2: its decoder layer knows nothing of tgt_is_causal.",
        "Scores of papers are those of word numbers (`levir_cc/vocabulary-ids@1`), in which all rare words are one.",
        "Its authors answer issues 9 and 16: train five times and take the mean; expect a spread of 1 to 2 points.",
        "Probabilities are summed without regard to length, so that a wide search favours short sentences.",
        "The released decoder orders a batch by length, and its logits with it.",
    ),
    licences={"code": "none published", "weights": "no terms published; not mirrored here",
              "data": "LEVIR-CC, for research", "language model": "there is none"},
    weights=(
        "Fetch the model from the Google Drive link of its README.",
        "Save its state dicts once with the original's own code, in an environment that holds nothing of value "
        "([how](../weights.md#change-captioners)); the pickle itself is never opened here.",
        "Put WORDMAP_LEVIR_CC_5_cap_per_img_5_min_word_freq.json beside them, which create_input_files.py writes.",
        "Convert (below).",
    ),
    stages=(Phase(name="captions", moves=("bridge", "language"),
                  data="LEVIR-CC's training part, 6,815 pairs of five captions each"),),
    parameters={"vision": 27535424, "bridge": 20237312, "language": 17815025, "total": "unknown"},
    counted="on the original's shapes, without what its code never uses (888,320 in the encoder, 18,942,976 in the "
    "decoder), for 497 words",
    recordings=tuple(f"rsiccformer/{name}" for name in ("beam_search", "decoder", "decoder_layer", "encoder")),
    commands={
        "convert": "rsvlm weights convert states.pth --system rsiccformer --out rsiccformer",
        "train": "rsvlm train rsiccformer/paper --data path/to/data --out runs/rsiccformer",
        "evaluate": "rsvlm evaluate levir_cc/vocabulary-ids --data path/to/data --model rsiccformer "
        "--out results/rsiccformer",
    },
)
# fmt: on

SOURCE = Source("github.com/Chen-Yang-Liu/RSICC")
