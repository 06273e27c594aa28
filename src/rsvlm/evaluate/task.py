"""A protocol applied to the user's data: the items to ask, and the training items for the baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rsvlm.data.catalogue import load
from rsvlm.data.images import picture_size
from rsvlm.data.prompt import REFUSAL
from rsvlm.errors import BadInput
from rsvlm.evaluate.items import Item, as_support, digest
from rsvlm.evaluate.protocol import Protocol, Row
from rsvlm.sample import Image

_SIZED = ("grounds", "segments", "segments_change", "localises")  # abilities whose answers are places in the picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The items of one split, the training items (empty where there are none), and what the user should know."""

    protocol: Protocol
    data: Path
    split: str
    items: Sequence[Item]
    train: Sequence[Item] = ()
    limit: int | None = None
    notes: Sequence[str] = field(default_factory=list)

    @property
    def data_hash(self) -> str:
        """16 hex digits over the questions and references (`digest`)."""
        return digest(self.items)

    def read(self, rows: Sequence[Row]) -> list[object]:
        """The prediction in each row, by the protocol's parser; None where there is none."""
        parse = self.protocol.reader([*self.train, *self.items])
        return [parse(item, row) for item, row in zip(self.items, rows, strict=True)]


def prepare(protocol: Protocol, data: str | Path, split: str = "", limit: int | None = None) -> Task:
    """Read a protocol's data. `split` "" is the protocol's own; `limit` takes the first samples only.

    Notes say where the number of items is not the published one, and why baselines are missing. Raises BadInput for
    missing data and for a split without questions.
    """
    split = split or protocol.split
    if protocol.requires is not None:
        protocol.requires()
    if limit is not None and limit < 1:
        raise BadInput(f"The limit must be at least 1; found {limit}.")
    if protocol.support and split in (protocol.support, "all"):
        raise BadInput(
            f"{protocol.name} learns from the {protocol.support} split, so that {split!r} cannot be scored; choose "
            "another split."
        )
    items = _items(protocol, data, split, limit)
    if not items:
        raise BadInput(f"{protocol.dataset} at {data} has no questions of {protocol.name} in its {split} split.")
    notes = []
    published = protocol.counts.get(split)
    if published is not None and len(items) != published:
        notes.append(f"{len(items)} items; the authors publish {published}: figures do not compare with published ones")
    if protocol.support:
        items += map(as_support, _items(protocol, data, protocol.support))
    train, more = _train(protocol, data, split, items)
    return Task(
        protocol=protocol, data=Path(data), split=split, items=items, train=train, limit=limit, notes=[*notes, *more]
    )


def _items(protocol: Protocol, data: str | Path, split: str, limit: int | None = None) -> list[Item]:
    items = protocol.items(load(protocol.dataset, data, split), limit)
    if protocol.ability not in _SIZED:
        return items
    return [replace(item, images=tuple(_sized(image) for image in item.images)) for item in items]


def _sized(image: Image) -> Image:
    width, height = picture_size(image)
    return replace(image, width=width, height=height)


def _train(protocol: Protocol, data: str | Path, split: str, items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    if {item.references for item in items} == {(REFUSAL,)}:
        return [], ["baselines do not apply: there is one right reply"]
    if split in ("train", "all"):
        return [], ["baselines are missing: the training pictures are among the scored ones"]
    try:
        return _items(protocol, data, "train"), []
    except BadInput as error:  # a user may hold only the scored split
        return [], [f"baselines from training pictures are missing: {error}"]


def same_items(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two results are about the same items under the same protocol."""
    return all(one.get(key) == other.get(key) for key in ("protocol", "split", "data_hash"))
