"""The cards of the catalogue, a file for each kind of set. `catalogue` collects them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rsvlm.sample import Sample

Reader = Callable[[Path, str], Iterable[Sample]]

HASHED = "none published: 80/20 train/val by SHA-256 of the file name"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCard:
    """What the catalogue says about one data set.

    `folder` is its usual name below a data root, `also` are other folders that hold the same content ("" = the path
    itself: the generic layouts). `files` says what the reader looks for, `splits` where the split comes from,
    `counts` how many images its authors publish per split. `source` is a page or arXiv id. `reader(folder, name)`
    yields all Samples.

    `labels` are the classes that every picture of the set is labelled for in full, as its readers name them: a class
    without a region is not in the picture, and regions can be counted. Empty where that is not sure. `absent` are
    things that its pictures are taken not to show. Nobody labelled them: it is an assumption of ours about where the
    pictures come from, which rsvlm-mini was trained with, and there will be pictures of which it is false. `classes`
    are those of a scene set, as words: a folder of other classes is another set.
    """

    name: str
    title: str
    folder: str
    files: tuple[str, ...]
    splits: str
    licence: str
    source: str
    reader: Reader
    tasks: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
