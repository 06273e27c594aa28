"""MModalCC; the facts are from its repository (commit bac59aa) and README: the paper's text was not at hand."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="mmodal_cc", title="MModalCC",
    what="Says in one sentence what changed between two pictures of a place. Beside each picture it is shown a "
    "semantic map, pictures and maps attend to each other, and a small decoder with gates writes words of its data "
    "set's vocabulary.",
    year=2025, arxiv="2501.10075", venue="IEEE JSTARS, 2025",
    repository="https://github.com/ChangeCapsInRS/SecondCC",
    figure="two dates and their maps -> a ResNet each -> 14 x 14 -> CMCA, UDCA -> fusion of the layers -> decoder with "
    "gates (MGCA)",
    parts=("vision.resnet.ResNet", "change_captioning.CrossModalEncoder", "change_captioning.BitemporalFusion",
           "change_captioning.GatedCaptionLayer", "text.words.WordVocabulary", "heads.semantic_maps.SemanticMapHead"),
    abilities=("compares", "compares_with_maps"),
    published=("Code, and SECOND-CC with its semantic maps.", "A trained model, as a pickle of whole modules."),
    missing=(
        "A licence file.", "The detector of semantic change that the paper names for noisy maps.",
        "The sizes of the splits of SECOND-CC, and which augmentations its release has.",
        "METEOR and SPICE of its evaluation, which come from elsewhere.",
    ),
    ours=(
        "Semantic maps are predicted by a small head on the pictures' levels, which a stage of its own trains; the "
        "released code needs the true ones, which are drawn only where something changed. Both can be measured: "
        "`second_cc/coco-ptb@1` with predicted maps, `second_cc/coco-ptb-true-maps@1` with true ones.",
        "Maps are classes, resized by the nearest pixel; the released code resizes their colours bilinearly, which is "
        "the same at 256 pixels.",
        "The vocabulary is made of the training captions. With `words.splits` of train, val and test it is the "
        "released one.",
        "A visit of a pair takes its next caption. In the released code each caption is a sample of its own.",
        "The norm of all gradients is clipped, not each gradient; there is one optimiser where four were.",
        "The rate is constant, and nothing stops early; the released code lowers the decoder's rate, and stops, by the "
        "BLEU-4 of the validation part.",
        "Captions are cut behind their fiftieth word, where the released code leaves out the longer ones.",
        "Where no sentence of the search has ended, the best one so far is the answer; the released code has none.",
    ),
    switches={
        "normalise": "`imagenet` (the default of a recipe that is silent) or `none` (released: pixels in [0, 1] as "
        "they are, because the normalisation passes over pairs with maps). A converted model has `none`.",
        "bridge.stacked": "Off (released), every layer gets the inputs; on, what the layer before it gave.",
        "words.splits": "The splits whose captions the vocabulary is made of: train (ours), or all three (released).",
        "freeze_bn": "Off, statistics of batch norms move in training, in frozen stages, too (released).",
        "semantic_maps": "The head that predicts maps; without it the model can be asked with true maps only.",
        "beams": "The width of the search; 1 is greedy.",
    },
    traps=(
        "The true maps of SECOND-CC tell where something changed. Figures with them do not compare with those of "
        "models that see pictures only.",
        "The released training stops with an error after its first epoch: it reads a METEOR that is not computed.",
        "The released code does not run on torch 2: its decoder layer knows nothing of tgt_is_causal.",
        "Grids of 14 x 14 and widths of 512 and 1024 are written into the released code in places; others fail there.",
        "A layer has one attention for all eight of its calls, and the two layers lie side by side.",
        "Scores of the paper are those of word numbers (`second_cc/vocabulary-ids-true-maps@1`), in which all rare "
        "words are one, with a vocabulary of all three splits.",
        "The released decoder orders a batch by length, and its logits with it.",
        "The README names another repository (MOSAIC-Lab/MModalCC) than the one that it lies in.",
    ),
    licences={"code": "none published", "weights": "no terms published; not mirrored here",
              "data": "SECOND-CC, unknown (Zenodo 10.5281/zenodo.16937571)", "language model": "there is none"},
    weights=(
        "Fetch the checkpoint from the Google Drive link of its README.",
        "Save its state dicts once with the original's own code, in an environment that holds nothing of value "
        "([how](../weights.md#change-captioners)); the pickle itself is never opened here.",
        "Put WORDMAP_SECOND_CC_5_cap_per_img_10_min_word_freq.json beside them, which createHD5files.py writes.",
        "Convert (below). The model has no head that predicts maps: train one with a recipe that starts from it "
        "(`start`), or measure it with true maps.",
    ),
    stages=(
        Phase(name="captions", moves=("vision.layer2", "vision.layer3", "semantic_vision.layer2",
              "semantic_vision.layer3", "bridge", "language"), data="SECOND-CC's training part, with its true maps"),
        Phase(name="maps", moves=("semantic_maps",), data="the same (ours)"),
    ),
    parameters={"vision": 55070848, "bridge": 14193664, "language": "22,042,624 and 2,049 a word", "total": "unknown"},
    counted="on the original's shapes, without what its code never uses (6,405,120 in the encoder, 4,253,696 in the "
    "decoder)",
    recordings=tuple(f"mmodalcc/{name}" for name in (
        "beam_search", "beam_search_fixed_logits", "decoder", "encoder", "encoder_train_bn", "mgca_layer")),
    commands={
        "convert": "rsvlm weights convert states.pth --system mmodal_cc --out mmodal_cc",
        "train": "rsvlm train mmodal_cc/paper --data path/to/data --out runs/mmodal_cc",
        "evaluate": "rsvlm evaluate second_cc/coco-ptb --data path/to/data --model runs/mmodal_cc/model "
        "--out results/cc",
        "evaluate_with_maps": "rsvlm evaluate second_cc/coco-ptb-true-maps --data path/to/data --model mmodal_cc "
        "--out results/cc_true_maps",
    },
)
# fmt: on

SOURCE = Source("github.com/ChangeCapsInRS/SecondCC")
