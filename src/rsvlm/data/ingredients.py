"""Parser of a recipe's data mixture: "a+b" joins sets of the same pictures, "a/referring" applies a builder to a set.

The only parser of this syntax: for training, for the trace of a model, and for the leak check.
"""

from dataclasses import dataclass

from rsvlm.errors import BadInput
from rsvlm.registry import unknown

BUILDERS = ("referring",)  # `rsvlm.data.synth.referring`


@dataclass(frozen=True, slots=True)
class IngredientSet:
    """A data set of the catalogue and the builder applied to it: a name of `BUILDERS`, or "" for none."""

    dataset: str
    builder: str = ""


def parse_ingredient(text: str) -> tuple[IngredientSet, ...]:
    """The parts of an ingredient, in order. Raises BadInput for a builder that is not known."""
    parts = [name.partition("/") for name in text.split("+")]
    for _, slash, builder in parts:
        if slash and builder not in BUILDERS:
            raise BadInput(unknown("builder", builder, BUILDERS))
    return tuple(IngredientSet(dataset, builder) for dataset, _, builder in parts)


def dataset_names(text: str) -> tuple[str, ...]:
    """The names of the data sets in an ingredient, in order, each once. Raises like `parse_ingredient`."""
    return tuple(dict.fromkeys(made.dataset for made in parse_ingredient(text)))
