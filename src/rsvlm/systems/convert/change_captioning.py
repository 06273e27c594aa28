"""The names of RSICCformer's and MModalCC's released modules, which are one family, and their conversion.

What is released are pickles of whole modules, which are never opened here. What is converted are their state dicts,
saved once by the original's own code (docs/weights.md), and the words as the original's WORDMAP*.json has them.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from rsvlm.errors import BadInput, MissingPart
from rsvlm.json_text import read_json_object
from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.parts.text.words import WordVocabulary
from rsvlm.recipe import Recipe
from rsvlm.systems.build import build
from rsvlm.systems.convert.identified import Layout
from rsvlm.systems.convert.provenance import write_model_dir

LAYOUT = Layout(fronts=("encoder_image.", "encoder_image2.", "encoder_feat.", "decoder."))
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


def convert_captioner(
    path: Path, out: Path, table: WeightTable, *, recipe: Recipe, normalise: str, language_model: Path | None = None,
    vision: Path | None = None,
) -> Account:  # fmt: skip
    """Turn the state dicts of a released captioner into the model folder `out`, with the words of the WORDMAP beside.

    `recipe` gives the sizes but for the vocabulary, which is the file's; pixels are normalised as it was trained, by
    `normalise`. A head that predicts semantic maps is none of its parts. Nothing is left at `out` on failure. Raises
    BadInput for a file that is damaged, holds code or is of another system, for a WORDMAP that is not of it, and for
    any tensor, theirs or ours, without a counterpart; MissingPart where there is no WORDMAP.
    """
    path = checkpoint.located(path)
    if vision is not None or language_model is not None:
        word = "vision tower; leave out --vision" if vision else "whole model; leave out --language-model"
        raise BadInput(f"{path} holds the {word}.")
    published = checkpoint.tensors(path, LAYOUT.fronts)
    embedding = published.get("decoder.vocab_embedding.weight")
    if embedding is None or not any(name.startswith("encoder_feat.") for name in published):
        tops = ", ".join(sorted({name.split(".")[0] for name in published})[:4])
        raise BadInput(
            f"{path} is no checkpoint of {recipe.system}: expected the state dicts encoder_image, encoder_feat and "
            f"decoder, found {tops}."
        )
    file = word_map_beside(path)
    words = read_json_object(file, "a WORDMAP: word -> id", "fetch it again, or write it with createHD5files.py")
    numbers = {name: value for name, value in recipe.model.items() if name != "semantic_maps"}
    numbers |= {"normalise": normalise, "words": {"size": len(embedding)}}
    final = recipe.model_copy(update={"model": numbers, "stages": ()})
    with weights.new_folder(out) as aside:
        with torch.device("meta"):
            own = build(final, for_training=False).state_dict()
        elsewhere = {r"vocabulary\.letters": f"the words of {file.name}"}
        state, account = weights.adopt(published, own, table, source=str(path), elsewhere=elsewhere)
        vocabulary = WordVocabulary(len(embedding))
        vocabulary.fill(words)
        state["vocabulary.letters"] = vocabulary.letters
        write_model_dir(aside, state, final, {**checkpoint.files(path), file.name: file}, account)
    return account


def word_map_beside(path: Path) -> Path:
    """The WORDMAP*.json in the folder of a checkpoint. Raises MissingPart where there is none, BadInput for several."""
    found = sorted(path.parent.glob("WORDMAP*.json"))
    if not found:
        raise MissingPart(f"There is no WORDMAP*.json beside {path.name}; put the one that it was trained with there.")
    if len(found) > 1:
        raise BadInput(f"There are {len(found)} WORDMAP*.json beside {path.name}; leave the one it was trained with.")
    return found[0]
