"""What a sample's boxes prove beyond themselves: which kinds are counted by them, which its picture does not show.

A picture without a box for cars has no car only where its set labels every car; most sets of boxes label their own
classes and nothing else. What a set labels in full, and what it is taken not to show, is said by its card in the
catalogue; a set that is not there proves nothing.
"""

from collections.abc import Sequence

from rsvlm.data.catalogue import DATASETS
from rsvlm.sample import Sample


def exhaustive_labels(sample: Sample) -> tuple[str, ...]:
    """The kinds whose boxes are all there, in the order of the card (`DatasetCard.labels`)."""
    return DATASETS[sample.source].labels if sample.source in DATASETS else ()


def absent_labels(sample: Sample) -> tuple[str, ...]:
    """The kinds that the picture is taken not to show (`DatasetCard.absent`) and that no box of it has."""
    seen = {region.label for region in sample.regions}
    kinds = DATASETS[sample.source].absent if sample.source in DATASETS else ()
    return tuple(kind for kind in kinds if kind not in seen)


def decidable_labels(sample: Sample, labels: Sequence[str]) -> list[str]:
    """Those of `labels`, in order, of which the sample says whether they are there: counted, absent, or with a box."""
    decidable = {*exhaustive_labels(sample), *absent_labels(sample), *(region.label for region in sample.regions)}
    return [label for label in labels if label in decidable]
