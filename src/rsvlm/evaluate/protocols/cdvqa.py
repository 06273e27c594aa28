"""CDVQA: questions about the change between two dates, by type."""

import re
from collections.abc import Mapping, Sequence
from functools import partial

from rsvlm.evaluate.items import Item, items_of
from rsvlm.evaluate.parsers import scene_name, yes_no
from rsvlm.evaluate.protocol import Protocol, Read, Row
from rsvlm.evaluate.protocol_factories import parsed_by
from rsvlm.metrics.accuracy import MATCHERS, vqa_scores
from rsvlm.metrics.score import Score
from rsvlm.sample import Sample

_RANGE = re.compile(r"(?<!\d)(\d++)\s*+(?:%\s*+)?(?:-|–|to)\s*+(\d++)\s*+%?")  # possessive: linear
_GROUND = re.compile(r"non[- ]vegetated ground( surface)?", re.IGNORECASE)


def _closed(known: Sequence[Item]) -> Read:
    """Reads one of the answers that a question's type has; "30-40 %" and the full name of NVG_surface too."""
    answers: dict[str, set[str]] = {}
    for item in known:
        answers.setdefault(item.kind, set()).update(item.references)
    parsers = {kind: yes_no if names <= {"yes", "no"} else scene_name(sorted(names)) for kind, names in answers.items()}

    def read(item: Item, row: Row) -> str | None:
        return parsed_by(lambda text: parsers[item.kind](_RANGE.sub(r"\1 to \2", _GROUND.sub("NVG_surface", text))))(
            item, row
        )

    return read


def _test_set(samples: Sequence[Sample], test_set: str) -> list[Item]:
    return items_of([s for s in samples if s.meta.get("test_set", test_set) == test_set], "change_qa")


def _by_type(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return vqa_scores(answers, [i.references for i in items], [i.kind for i in items], MATCHERS["exact"])


def _cdvqa(test_set: str, count: int) -> Protocol:
    return Protocol(
        name=f"cdvqa/{test_set}-by-type@1", title=f"CDVQA, {test_set}: questions about change by type", dataset="cdvqa",
        wording=("",), ask=partial(_test_set, test_set=test_set), reader=_closed, measure=_by_type, ability="compares",
        headline=("overall", "average", "yes_no"), per_item="overall", counts={"val": 16441, "test": count},
        dialect="one of the answers of the question's type in the reply, exact",
    )  # fmt: skip


POSITION = 100
PROTOCOLS = (_cdvqa("test1", 39686), _cdvqa("test2", 31036))
