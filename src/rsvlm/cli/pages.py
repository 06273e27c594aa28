"""What is known of the systems, in Markdown: a page for each, and the tables of all. No PyTorch."""

import textwrap
from collections.abc import Iterable, Mapping

from rsvlm.data.catalogue import DATASETS
from rsvlm.evaluate.report.text import markdown
from rsvlm.recipe import read_recipe, shipped
from rsvlm.systems.cards import CARDS, UNKNOWN, SystemCard, sizes

GROUPS = {
    "vision": "vision", "text": "text tower", "bridge": "bridge", "language": "language model",
    "adapters": "LoRA, experts, heads",
}  # fmt: skip
_RECIPES = "../../src/rsvlm/recipes"  # from docs/systems


def page(card: SystemCard) -> str:
    """All of a card, as docs/systems/<name>.md has it."""
    name = card.name
    parts = [
        f"# {card.title}", _filled(card.what), f"```\n{_filled(card.figure)}\n```",
        f"[{card.paper[0]}]({card.paper[1]}), {card.year} ({card.venue}); "
        f"[repository]({card.repository}).",
        _filled(f"Here: `rsvlm.systems.{name}`, made of {_codes(card.parts)} of "
                f"`rsvlm.{'index' if card.over else 'parts'}`. `rsvlm list benchmarks` names what it can be asked "
                f"under {_codes(card.abilities, ' and ')}."),
        "## Published", _bullets(card.published), "Not published:", _bullets(card.missing),
        "## Ours", "Chosen where the original is silent, or done otherwise:", _bullets(card.ours),
        "## Stages", markdown(["stage", "what moves", "data"], [
            [stage.name, _codes(stage.moves), stage.data] for stage in card.stages]),
        *(_over(card) if card.over else _numbers(card)),
        "## Licences", markdown(["what", "licence"], [[what, terms] for what, terms in card.licences.items()]),
        *([] if card.over else [
            "## Weights", _numbered(card.weights) or "There are none. A model folder comes out of training."]),
        "## Commands", "```sh\n" + "\n".join(card.commands.values()) + "\n```",
    ]  # fmt: skip
    if card.switches:
        parts += ["## Switches", _bullets(f"`{value}`: {what}" for value, what in card.switches.items())]
    return "\n\n".join([*parts, "## Traps", _numbered(card.traps)]) + "\n"


def _numbers(card: SystemCard) -> list[str]:
    """Of a system with weights: its recipe, and what it counts."""
    name = card.name
    return [
        _filled(f"Every number, with its source: [{name}/paper.yaml]({_RECIPES}/{name}/paper.yaml). {_sets(name)}"),
        "## Parameters", markdown(["", *GROUPS.values(), "total"], _counts(card)),
        _filled(f"Published: {card.counted}. Ours: what the paper's recipe builds. {recorded(card)}"),
    ]  # fmt: skip


def _sets(name: str) -> str:
    """Whether the catalogue has the data sets of a system's paper."""
    stages = read_recipe(shipped(name)).stages
    sets = dict.fromkeys(part.set for stage in stages for part in stage.data)
    if all(one in DATASETS for one in sets):
        return f"The catalogue has its data ({_codes(sets)})."
    return (
        "Its data sets are the paper's own, which the catalogue does not have: name yours in their place "
        "(`rsvlm list datasets`; `llava` reads LLaVA JSON)."
    )


def _over(card: SystemCard) -> list[str]:
    """Of a system without: what it works over."""
    return [
        _filled("It has no weights of its own and is not trained here: it works over models with the abilities "
                f"{_codes(card.over, ' and ')}, which may be one model."),
    ]  # fmt: skip


def table() -> str:
    """All systems, what they count and what is published of it, and how many numbers of the original ours gives."""
    rows: list[list[str]] = []
    for card in _counted():
        link = f"[{card.title}]({card.name}.md)"
        published, ours = _counts(card)
        rows += [[link, *published, ""], ["", *ours, _passed(card)]]
    return markdown(["system", "", *GROUPS.values(), "total", "golden files passed"], rows)


def has_weights(card: SystemCard) -> bool:
    """Whether its authors published weights; weights of others may load into the same parts all the same."""
    return bool(card.weights) and not card.licences["weights"].startswith("none")


def short_table() -> str:
    """All systems in a row each, for the README."""
    heads = ["system", "paper", "parameters published", "here", "golden files passed", "weights published"]
    return markdown(heads, [
        [
            f"[{card.title}](docs/systems/{card.name}.md)", f"[{card.arxiv or card.paper[0]}]({card.paper[1]})",
            "; ".join(f"{group} {_count(n)}" for group, n in card.parameters.items()) or "none",
            "none of its own" if card.over else f"{total(card):,}", _passed(card), "yes" if has_weights(card) else "no",
        ]
        for card in _cards()
    ])  # fmt: skip


def lines() -> list[str]:
    """All systems in a line each, for the terminal."""
    rows = [["name", "title", "size", "abilities", "weights", "licence of the code"]]
    rows += [
        [
            card.name, card.title, "none" if card.over else f"{total(card) / 1e9:.1f} B", ", ".join(card.abilities),
            "published" if has_weights(card) else "none", card.licences["code"].partition(";")[0],
        ]
        for card in _cards()
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def described(card: SystemCard) -> dict[str, object]:
    """The row of a system as JSON."""
    return {
        "name": card.name, "title": card.title, "what": card.what, "paper": card.paper[0], "year": card.year,
        "parameters": total(card), "abilities": list(card.abilities), "weights": has_weights(card),
        "licences": dict(card.licences),
    }  # fmt: skip


def total(card: SystemCard) -> int:
    """How many parameters the paper's recipe builds here; 0 for a system without weights of its own."""
    return 0 if card.over else sum(sizes()[card.name]["parameters"].values())


def recorded(card: SystemCard) -> str:
    """How much of the original's recorded numbers ours gives, in a sentence."""
    if not card.recordings:
        return "There is no original code to compare with."
    return f"Golden files passed, recorded from the original's modules ({_codes(card.recordings)}): {_passed(card)}."


def _cards() -> Iterable[SystemCard]:
    return (CARDS[name] for name in CARDS.names())


def _counted() -> Iterable[SystemCard]:
    return (card for card in _cards() if not card.over)


def _counts(card: SystemCard) -> list[list[str]]:
    """Two rows: what is published and what ours counts, by group and in all."""
    found: Mapping[str, int] = sizes()[card.name]["parameters"]
    published = [_count(card.parameters.get(group, UNKNOWN)) for group in (*GROUPS, "total")]
    return [["published", *published], ["ours", *(_count(found[group]) for group in GROUPS), f"{total(card):,}"]]


def _count(number: int | str) -> str:
    return f"{number:,}" if isinstance(number, int) else number


def _passed(card: SystemCard) -> str:
    recordings = [] if card.over else sizes()[card.name]["recordings"].values()
    return f"{sum(one['passed'] for one in recordings)} of {len(recordings)}" if recordings else "none recorded"


def _codes(words: Iterable[str], joint: str = ", ") -> str:
    return joint.join(f"`{word}`" for word in words)


def _filled(text: str, first: str = "") -> str:
    return textwrap.fill(
        text, 120, initial_indent=first, subsequent_indent=" " * len(first), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _bullets(texts: Iterable[str]) -> str:
    return "\n".join(_filled(text, "- ") for text in texts)


def _numbered(texts: Iterable[str]) -> str:
    return "\n".join(_filled(text, f"{number}. ") for number, text in enumerate(texts, 1))
