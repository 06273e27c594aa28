"""The data sets we know by name: where their files lie, how they are read, under which terms, how many there are.

`load("ucm_captions", "/data", split="train")` gives Samples. Nothing is ever fetched; a user brings the folder as its
authors publish it.
"""

from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from rsvlm.data import cards
from rsvlm.data.cards import DatasetCard
from rsvlm.data.sources.layout import SPLITS
from rsvlm.data.sources.records import check_sample, forget, last_read
from rsvlm.errors import BadInput
from rsvlm.files import is_file
from rsvlm.registry import Registry
from rsvlm.sample import Sample

DATASETS: Registry[DatasetCard] = Registry("data set")

for _group in sorted(iter_modules(cards.__path__, f"{cards.__name__}."), key=lambda group: group.name):
    for _card in import_module(_group.name).CARDS:  # a module for each kind of set; adding one edits no list
        DATASETS.add(_card.name, _card)


# What a reader meets in a record whose values have other types, are missing, or are out of range.
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, OSError)


def load(name: str, root: str | Path, split: str = "train", *, skip_missing: bool = False) -> list[Sample]:
    """The Samples of a data set's split, in the order of its annotation file.

    `root` is a data root that contains the set's folder, or that folder itself (a file, for the generic layouts).
    `split` is train, val, test or all. Raises BadInput for an unknown name or split, a folder without the expected
    files, a split that is empty, and for images that are annotated but absent (the first is named and all are
    counted); these are left out with `skip_missing`.
    """
    card = DATASETS[name]
    if split not in (*SPLITS, "all"):
        raise BadInput(f"There is no split {split!r}; give train, val, test or all.")
    samples = _read(card, root)
    _check_classes(card, samples, root)
    chosen = [sample for sample in samples if split in ("all", sample.split)]
    if not chosen:
        there = Counter(sample.split for sample in samples)
        found = ", ".join(f"{count} {key}" for key, count in sorted(there.items())) or "none at all"
        raise BadInput(f"{card.title} at {root} has no {split} samples (found: {found}); choose another split.")
    missing = [image.path for sample in chosen for image in sample.images if not _is_available(image.path, image.data)]
    if not missing:
        return chosen
    if not skip_missing:
        raise BadInput(
            f"{card.title}: {len(missing)} of {sum(len(s.images) for s in chosen)} annotated images are missing, the "
            f"first is {missing[0]}; bring them, or leave their samples out with skip_missing (--skip-missing)."
        )
    gone = set(missing)
    return [sample for sample in chosen if not any(image.path in gone for image in sample.images)]


def _read(card: DatasetCard, root: str | Path) -> list[Sample]:
    """All Samples of a set. A record of another form than its authors' is one sentence, whichever reader met it."""
    path = dataset_path(card, root)
    forget()
    samples: list[Sample] = []
    try:
        for sample in card.reader(path, card.name):
            check_sample(sample)
            samples.append(sample)
        return samples
    except _MALFORMED as error:
        raise BadInput(
            f"{card.title} at {path} holds a record of another form ({type(error).__name__}: {str(error)[:120]}); "
            f"{_last_read()}expected {', '.join(card.files)} as its authors publish them."
        ) from error
    except BadInput as error:
        if not isinstance(error.__cause__, _MALFORMED) or not last_read():
            raise
        raise BadInput(f"{str(error).rstrip('.')}; what was read last: {last_read()}.") from error


def _last_read() -> str:
    return f"what was read last: {last_read()}; " if last_read() else ""


def _check_classes(card: DatasetCard, samples: Sequence[Sample], root: str | Path) -> None:
    """Raises BadInput where most classes, or all labels of boxes, are none of the set's: a foreign folder."""
    found = {turn.answer for sample in samples for turn in sample.turns if turn.task == "scene"}
    labels = {region.label for sample in samples for region in sample.regions}
    strange = sorted(found - set(card.classes)) if card.classes else []
    if 2 * len(strange) > len(found) or (card.labels and labels and not labels & set(card.labels)):
        raise BadInput(
            f"{root} is not {card.title}: its classes are {', '.join((strange or sorted(labels))[:5])}; expected "
            f"{', '.join((card.classes or card.labels)[:5])} and the like, below {card.folder}/."
        )


def _is_available(path: str, data: bytes | None) -> bool:
    return data is not None or is_file(Path(path))


def dataset_path(card: DatasetCard, root: str | Path) -> Path:
    """The folder (or file) of a data set: below `root`, or `root` itself. Raises BadInput where there is nothing."""
    root = Path(root)
    if not root.exists():
        raise BadInput(f"There is no {root}; give the data root, or the folder of {card.title}.")
    for folder in (card.folder, *card.also):
        if folder and (root / folder).exists():
            return root / folder
    return root
