"""The names of RSICCformer's and MModalCC's released modules, which are one family, and their conversion."""

import re
from collections.abc import Iterable, Mapping

from rsvlm.parts.checkpoints.weights import WeightTable

DEAD = "the released code never uses it"
_FUSION = {"w_embedding": "position.column", "h_embedding": "position.row"}
_STAGES = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3"}  # of torchvision's ResNet in a list


def renamed(names: Mapping[str, str], dead: Iterable[str] = (), theirs: str = "", ours: str = "") -> WeightTable:
    r"""Modules by name -> ours; all behind a pattern `theirs` that becomes `ours`, whose groups are \1, ...."""
    last = re.compile(theirs).groups + 1
    renames = {rf"{theirs}{re.escape(name)}\.(.+)": rf"{ours}{own}.\{last}" for name, own in names.items()}
    return WeightTable(renames, {rf"{theirs}(?:{'|'.join(dead)})\..+": DEAD} if dead else {})


def encoder(layer: Mapping[str, str], projections: Mapping[str, str], dead: Iterable[str] = ()) -> WeightTable:
    """The table of `encoder_feat`; `layer` has the names in its layers, `dead` those that are never used there."""
    fusion = WeightTable(
        {r"resblock\.(\d+)\.left\.(.+)": r"fusion.convs.\1.convs.\2", r"LN\.(\d+)\.(.+)": r"fusion.norms.\1.\2"}
    )
    own = renamed({**_FUSION, **projections}, ["embedding_1D"])
    return own | fusion | renamed(layer, dead, r"transformer\.(\d+)\.", r"layers.\1.")


def decoder(layer: Mapping[str, str], dead: Iterable[str]) -> WeightTable:
    """The table of `decoder`; `layer` and `dead` as of `encoder`."""
    own = renamed({"vocab_embedding": "embedding", "wdc": "head"})
    unused = {r"position_encoding\.embedding_1D\.weight": DEAD, r"position_encoding\.pe": "sinusoids, computed here"}
    in_layers = renamed(layer, dead, r"transformer\.layers\.(\d+)\.", r"layers.\1.")
    return WeightTable(own.renames, unused) | in_layers


def tower(theirs: str, ours: str) -> WeightTable:
    """The table of `encoder_image`, a ResNet-101 up to its third stage, behind `theirs`."""
    return renamed(_STAGES, theirs=rf"{re.escape(theirs)}net\.", ours=ours)
