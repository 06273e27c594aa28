"""CMID; the facts are from its repository (commit 6e1de74), its README and the paper's second version."""

from rsvlm.systems.cards import Phase, Source, SystemCard

# fmt: off
CARD = SystemCard(
    name="cmid", title="CMID",
    what="Pre-trains a tower on pictures without labels: hidden parts are rebuilt, and two views of a picture must "
    "agree as a whole and place by place with a moving average of the student. It neither reads nor speaks.",
    year=2023, arxiv="2304.09670", venue="IEEE TGRS 61, 2023",
    repository="https://github.com/NJU-LHRS/official-CMID",
    figure="two views, hidden in blocks -> tower + mask token -> decoder | projector | local head; whole -> teacher",
    parts=(
        "vision.resnet.ResNet", "masked_reconstruction.PixelDecoder", "self_distillation.KeyQueue",
        "self_distillation.LocalHead", "self_distillation.LocalDistillation", "self_distillation.MomentumTeacher",
    ),
    abilities=("embeds",),
    published=(
        "Code of the pre-training and of four downstream tasks.",
        "Weights of ResNet-50 and Swin-B, pre-trained on MillionAID (200 epochs) and Potsdam (400 epochs), each whole "
        "and as a backbone alone; fine-tuned ones for every row of its tables.",
    ),
    missing=(
        "A licence file: the README forbids any commercial use.",
        "The size and number of the Potsdam tiles of the pre-training.",
        "Logs of the pre-training, which issues 12 and 34 of its repository ask for.",
    ),
    ours=(
        "Any tower here that has a stem learns so: `cmid/mini_tower` is EfficientNet-Lite0, its mask token behind the "
        "stem at stride 2.",
        "Colours are changed by Pillow and NumPy (`rsvlm.data.augment`): the distributions of the released "
        "albumentations pipeline, not its draws.",
        "The teacher's temperature rises step by step, not epoch by epoch.",
        "A key is enqueued once over all processes; the released code enqueues it as often as there are processes.",
        "The spectra of the frequency loss and the similarities of the contrast are computed in float32.",
        "Half precision is bfloat16, in place of float16 with a gradient scaler.",
        "Features are measured by neighbours and by a linear probe; the downstream heads (UPerNet, Oriented R-CNN, "
        "BIT) are not here: `rsvlm weights export` has what mmseg and mmdet read.",
    ),
    switches={
        "distillation.variant": "`moco` (the released weights) or `byol` (a predictor in place of the queue).",
        "distillation.match_coords": "`pixel` (ours: where a view lies in its picture) or `legacy` (released: offsets "
        "are fractions beside sizes in pixels, so that views seem to lie on top of each other wherever they were cut). "
        "The published weights were trained with `legacy`.",
        "distillation.queue_init": "`unit` (ours: keys of length 1) or `legacy` (released: rows of length 1, so that "
        "the first negatives have a length of 0.06).",
        "vision.start": "Of a Swin: `truncated_normal` (the Swin paper's) or `released` (PyTorch's own and bias tables "
        "of zeros, because the released code never calls its initialisation).",
        "distillation": "Without its numbers a recipe builds the tower alone.",
    },
    traps=(
        "Pictures are normalised by statistics of remote sensing in the pre-training, by ImageNet's in the released "
        "fine-tuning. `preprocessing.json` beside an exported backbone has those of its training.",
        "A published Swin has the names of MMClassification, and its merging the channel order of `nn.Unfold`: timm's "
        "and transformers' Swin need norm and reduction in another order. `rsvlm weights export --layout transformers` "
        "puts them so.",
        "One word of the released configuration, `residual`, sets two things, the form of the focal L1 and how the "
        "mask token enters. Off, the token is added to what the mean colour gives.",
        "The momentum follows the steps of the whole run: a run that goes on with other steps has another curve.",
        "The first step is not followed by the teacher, and each later one has the momentum of the one before.",
        "The queue must be a multiple of the samples of a step over all processes.",
        "Weight decay moves the mask token, too: it is no vector.",
        "Batch norms of the teacher are in training mode and have their own statistics.",
        "The learning rate of the configuration is per process: 0.001 on 4 GPUs is 0.004.",
        "The published segmentation figures are not reached with the released configurations (issue 17), nor the "
        "pre-training on MillionAID (issue 34).",
    ),
    licences={
        "code": "none published; its README forbids commercial use", "weights": "no commercial use (its README); not "
        "mirrored here", "data": "MillionAID and ISPRS Potsdam under their own terms, for research",
        "language model": "there is none",
    },
    weights=(
        "Read the statement at the end of the repository's README: no commercial use.",
        "Fetch a file from the NJU Box links of its README: \"Pre-trained model\" holds everything, \"Backbone Only\" "
        "the tower.",
        "Convert (below). A backbone alone is also what `weights` of a recipe's tower takes, as it is.",
    ),
    stages=(
        Phase(name="views", moves=("vision", "mask_token", "decoder", "projector", "local_head"),
              data="MillionAID's test split, 990,848 pictures, without labels"),
    ),
    parameters={"vision": 23508032, "total": "unknown"},
    counted="the ResNet-50 of torchvision without its classifier (Swin-B has 86,743,224); the decoder, projector and "
    "local head have 6,294,528, 4,720,896 and 9,451,776 by the original's shapes",
    recordings=tuple(f"cmid/{name}" for name in (
        "blockwise_mask", "byol_projector", "ema", "global_projector", "local_head_bn", "local_head_nobn", "local_loss",
        "losses", "mask_swin", "mim_head", "mim_loss", "moco_full_step", "moco_queue", "position_match")),
    commands={
        "convert": "rsvlm weights convert cmid_r50.pth --system cmid --out cmid",
        "train": "rsvlm train cmid/paper --data path/to/data --out runs/cmid",
        "evaluate": "rsvlm evaluate ucm_scenes/linear-probe --data path/to/data --model cmid --out results/cmid",
        "export": "rsvlm weights export cmid --out backbone --pth",
    },
)
# fmt: on

SOURCE = Source("github.com/NJU-LHRS/official-CMID", weights_licence="no commercial use (README)")
