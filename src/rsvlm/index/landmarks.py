"""Knowledge of landmarks in passages, kind by kind, as RS-RAG cuts its RSWK (arXiv:2504.04988)."""

from collections.abc import Callable, Mapping
from typing import Any

from rsvlm.index.knowledge import Passage

Record = Mapping[str, Any]
WORLD, EXPERT, MONTHLY = "world knowledge", "remote sensing expert knowledge", "monthly expert knowledge"
BASIC = ("Name", "Category", "Area", "Location", "Address", "Physical_Area", "Construction_Period")


class KnowledgeChunker:
    """Records of landmarks to passages.

    What a record does not say is left out: a label without a value, a passage without content. `released` keeps both,
    as the released script does, whose check for empty passages is never true; and a picture that nobody described has
    no caption there.
    """

    def __init__(self, *, released: bool = False) -> None:
        self.released = released

    def passages(self, record: Record) -> list[Passage]:
        """The passages of a record: each kind of `TEMPLATES` once, one a month, the description, and all as `caption`.

        The record has a mapping each under "world knowledge", "remote sensing expert knowledge" and "monthly expert
        knowledge", and a text under "description"; any may be missing. Months are not part of the caption.
        """
        texts = [Passage(kind, text) for kind, make in TEMPLATES.items() if (text := make(self, record).strip())]
        described = _text(record.get("description"))
        shown = [Passage("image_description", f"Image Description: {described}")] if described else []
        whole = "\n\n".join(passage.text for passage in (*texts, *shown))
        caption = [Passage("caption", whole)] if whole and (shown or not self.released) else []
        return [*texts, *self._months(record), *shown, *caption]

    def _months(self, record: Record) -> list[Passage]:
        """Keys are "<field> <year> <month>"; those of fewer words belong to no month."""
        months: dict[str, list[str]] = {}
        for key, value in _mapping(record.get(MONTHLY)).items():
            words = str(key).split()
            if len(words) >= 3 and (self.released or _text(value)):
                months.setdefault(" ".join(words[-2:]), []).append(f"{' '.join(words)}: {value}")
        return [
            Passage("monthly_expert_knowledge", f"monthly expert knowledge - of {month}:\n{'; '.join(values)}", month)
            for month, values in months.items()
        ]

    def _lines(self, values: Record, *names: str) -> str:
        """A line "name: value" for each; an absent one is left out, or left empty where `released`."""
        said = {name: str(values.get(name, "")) if self.released else _text(values.get(name)) for name in names}
        return "\n".join(f"{name}: {text}" for name, text in said.items() if text or self.released)

    def _basic(self, record: Record) -> str:
        world = _mapping(record.get(WORLD))
        known = [f"{name}: {world[name]}" for name in BASIC if name in world and (self.released or _text(world[name]))]
        events = [
            f"- {event.get('Event', '')} ({event.get('Year', '')}): {event['Description']}"
            for event in _list(world.get("Major_Events"))
            if isinstance(event, Mapping) and "Description" in event
        ]
        history = _text(world.get("Historical_Background"))
        block = "\n".join(["Major Events:", *events]) if events else ""
        parts = ("; ".join(known), self._lines({"Historical_Background": history}, "Historical_Background"), block)
        return "\n".join(part for part in parts if part or self.released)

    def _architecture(self, record: Record) -> str:
        world = _mapping(record.get(WORLD))
        return self._lines(world, "Architectural_Characteristics", "Primary_Function", "Details")

    def _culture(self, record: Record) -> str:
        world = _mapping(record.get(WORLD))
        visitors = world.get("Notable_Visitors", [])
        named = ", ".join(map(str, visitors)) if isinstance(visitors, list) else visitors
        return self._lines({**world, "Notable_Visitors": named}, "Cultural_Significance", "Notable_Visitors")

    def _expert(self, record: Record) -> str:
        values = _mapping(record.get(EXPERT)).items()
        measured = "; ".join(f"{name}: {value}" for name, value in values if self.released or _text(value))
        return f"expert knowledge: {measured}" if measured else ""


TEMPLATES: Mapping[str, Callable[[KnowledgeChunker, Record], str]] = {
    "basic_info_and_history": KnowledgeChunker._basic,
    "architecture_and_function": KnowledgeChunker._architecture,
    "culture_and_visitor": KnowledgeChunker._culture,
    "expert_knowledge": KnowledgeChunker._expert,
}


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
