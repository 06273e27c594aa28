"""ms-swift's `<bbox>` and `<ref-object>`: marks in a text for the boxes and names of its `objects`, in their order."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rsvlm.data.box_codecs import encode
from rsvlm.data.images import picture_size
from rsvlm.errors import BadInput
from rsvlm.sample import Region, Sample, Turn

_MARK = re.compile(r"<bbox>|<ref-object>")


def has_placeholders(sample: Sample) -> bool:
    """Whether a text of the sample holds a mark."""
    return any(_MARK.search(text) for turn in sample.turns for text in (turn.question, turn.answer))


def refuse_placeholders(sample: Sample) -> None:
    """Raises BadInput where a text holds a mark: for formats without `objects`."""
    if has_placeholders(sample):
        raise BadInput(
            f"Sample {sample.id} holds <bbox> or <ref-object>, for which this format has no field; write the boxes out "
            "with --dialect NAME, or convert to messages."
        )


def expand_placeholders(sample: Sample, dialect: str) -> Sample:
    """The sample with `<bbox>` replaced by its boxes in a dialect and `<ref-object>` by its labels, in order.

    Names are those given where they are fewer than boxes (`meta["objects"]`). Raises BadInput where marks and boxes or
    names do not come out even.
    """
    if not has_placeholders(sample):
        return sample
    given = sample.meta.get("objects")
    names = iter(given["ref"] if given else [region.label for region in sample.regions])
    boxes = _texts(sample, sample.regions, dialect)

    def filled(match: re.Match[str]) -> str:
        found = next(boxes if match[0] == "<bbox>" else names, None)
        if found is None:
            raise BadInput(f"Sample {sample.id} has more {match[0]} in its texts than objects; correct its objects.")
        return str(found)

    turns: list[Turn] = []
    for turn in sample.turns:
        question = _MARK.sub(filled, turn.question)
        turns.append(replace(turn, question=question, answer=_MARK.sub(filled, turn.answer)))
    meta = {key: value for key, value in sample.meta.items() if key != "objects"}
    return replace(sample, turns=tuple(turns), meta=meta)


def _texts(sample: Sample, regions: Sequence[Region], dialect: str) -> Iterator[str]:
    for region in regions:
        image = sample.images[region.image]
        size = (image.width, image.height) if image.width and image.height else picture_size(image)
        corners = [number for point in region.polygon for number in point]
        box = corners if dialect == "falcon" and len(corners) == 8 else region.box
        yield encode([box], dialect, size=size)
