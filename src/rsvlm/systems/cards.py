"""The cards of the systems: what is known of each, what is not, and what here is ours. No PyTorch.

A card is read in three forms: `rsvlm list systems`, a page docs/systems/<name>.md, and a row of the tables of systems.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsvlm.json_text import load_json
from rsvlm.systems.discovery import FolderRegistry, submodule

SIZES = Path(__file__).with_name("sizes.json")
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One stage of the training as it was published: what moves (as the paper's recipe names it), and on which data."""

    name: str
    moves: tuple[str, ...]
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemCard:
    """What is known of one system. Texts are sentences in Markdown; what nobody publishes is "unknown", not a guess.

    `year` is that of the first version of the paper, `arxiv` its id, or `doi` where it is not there.
    `figure` is the arrow line at the head of the system's file, `parts` are names in `rsvlm.parts`. `abilities` are
    names of `rsvlm.evaluate.solvers.SOLVERS`.
    `published` and `missing` say what its authors gave away and what not, `ours` what we chose where they are silent,
    `switches` which values of a recipe choose between forms, `traps` what misled others. `weights` is empty where there
    are none, else how to get them, step by step. `licences` has the keys code, weights, data and language model.
    `parameters` are published or counted on the original, by the group of `sizes.json` ("total": of all), a number or
    words; `counted` is where they come from. `recordings` name the modules of the original whose recorded numbers ours
    is compared with (tests/golden, without the ending). `commands` are whole lines by what they do. A system without
    weights of its own names in `over` the abilities of the models that it works over; its `parts` are names in
    `rsvlm.index`, and it has no recipe, so that nothing is counted.
    """

    name: str
    title: str
    what: str
    year: int
    arxiv: str
    venue: str
    repository: str
    figure: str
    parts: tuple[str, ...]
    abilities: tuple[str, ...]
    published: tuple[str, ...]
    missing: tuple[str, ...]
    ours: tuple[str, ...]
    switches: Mapping[str, str] = field(default_factory=dict)
    traps: tuple[str, ...]
    licences: Mapping[str, str]
    weights: tuple[str, ...] = ()
    stages: tuple[Phase, ...]
    parameters: Mapping[str, int | str]
    counted: str
    recordings: tuple[str, ...] = ()
    commands: Mapping[str, str]
    over: tuple[str, ...] = ()
    doi: str = ""

    @property
    def paper(self) -> tuple[str, str]:
        """The id of the paper, and its address."""
        if self.arxiv:
            return f"arXiv:{self.arxiv}", f"https://arxiv.org/abs/{self.arxiv}"
        return f"doi:{self.doi}", f"https://doi.org/{self.doi}"


@dataclass(frozen=True, slots=True)
class Source:
    """Who published a system's weights: where, under which licences ("unknown" where nobody says), over which base.

    `base` is the Hugging Face id of the language model. A card.py may hold one as `SOURCE`; converted weights repeat it
    in their provenance.json.
    """

    repository: str = "unknown"
    code_licence: str = "unknown"
    weights_licence: str = "unknown"
    base: str = "unknown"


CARDS: FolderRegistry[SystemCard] = FolderRegistry("system", "card", lambda module: module.CARD)


def source_of(system: str) -> Source:
    """`SOURCE` of the system's card.py; all "unknown" where it has none."""
    return getattr(submodule(system, "card"), "SOURCE", Source())


def sizes() -> dict[str, dict[str, Any]]:
    """What tools/tables.py counted, by system with weights.

    "recipe" is the hash of the paper's recipe, "parameters" the counts of what it builds by group, "recordings" the
    files of the original's numbers: sha256 (first 16 digits) and whether ours gave the same.
    """
    return load_json(SIZES.read_text(encoding="utf-8"))
