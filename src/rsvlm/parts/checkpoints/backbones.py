"""Plain files of a backbone (ResNet, Swin, EfficientNet-Lite0) under the names of `StemmedTower`s, which are theirs."""

from pathlib import Path

from torch import Tensor

from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.parts.vision.resnet import ResNet
from rsvlm.parts.vision.tower import StemmedTower

_PRETEXT = "what trained the backbone (CMID)"
TABLE = WeightTable(
    {r"(?:online_encoder\.model\.)?(.+)": r"\1"},
    {
        r"online_encoder\.mask_token|class_loss\.center|queue(?:_ptr)?": _PRETEXT,
        r"(?:branch_encoder|mim2org|predictor|(?:online|branch|class|branch_class)_projector)\..+": _PRETEXT,
        r"(?:fc|classifier|bn|conv_seg)\..+": "what was trained on top of the backbone",
    },
)
_COUNTERS = {r".*num_batches_tracked": "a counter that changes nothing"}


def read_backbone(path: Path, tower: StemmedTower) -> tuple[dict[str, Tensor], Account]:
    """The weights of a backbone for `tower`: of a file alone, or of CMID's student in a whole checkpoint.

    Names are those of torchvision (ResNet), MMClassification (Swin) or ours. Raises BadInput for a damaged file and for
    any tensor without a counterpart.
    """
    tensors = checkpoint.tensors(checkpoint.located(path), ("online_encoder.",))
    stages = range(tower.depth + 1, 5) if isinstance(tower, ResNet) else ()
    deeper = {rf"(?:online_encoder\.model\.)?layer{at}\..+": "a stage behind the tower's last one" for at in stages}
    table = TABLE | WeightTable({}, deeper)
    return weights.adopt(tensors, tower.state_dict(), table, source=str(path), elsewhere=_COUNTERS)
