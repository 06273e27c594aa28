"""Which classes a sample is labelled for: exhaustively (so they can be counted), and absent from its picture.

A picture without a box for cars has no car only where its set labels every car; most sets of boxes label their own
classes and nothing else. What a set labels in full, and what it is taken not to show, is said by its card in the
catalogue; a set that is not there proves nothing.
"""

from collections.abc import Sequence

from rsvlm.data.catalogue import DATASETS
from rsvlm.sample import Sample


def exhaustive_labels(sample: Sample) -> tuple[str, ...]:
    """Classes of which every object in the picture has a box, in the order of the card (`DatasetCard.labels`)."""
    return DATASETS[sample.source].labels if sample.source in DATASETS else ()


def absent_labels(sample: Sample) -> tuple[str, ...]:
    """Classes that the picture is assumed not to show (`DatasetCard.absent`) and of which it has no box."""
    seen = {region.label for region in sample.regions}
    kinds = DATASETS[sample.source].absent if sample.source in DATASETS else ()
    return tuple(kind for kind in kinds if kind not in seen)


def decidable_labels(sample: Sample, labels: Sequence[str]) -> list[str]:
    """Those of `labels`, in order, whose presence or absence the sample's labels decide."""
    decidable = {*exhaustive_labels(sample), *absent_labels(sample), *(region.label for region in sample.regions)}
    return [label for label in labels if label in decidable]
