"""The semantic maps of two dates: the class of every pixel, for a head that predicts them."""

from rsvlm.data.loader import Collate, ScheduledSample
from rsvlm.errors import BadInput
from rsvlm.sample import Batch
from rsvlm.train.objectives.base import Setting

KEYS = ("map_labels",)
TEXT_ONLY, CACHED, AUGMENTED = False, True, False  # augmentations move pixels away from their classes


def collate(setting: Setting) -> Collate:
    """Pairs of pictures and the classes of their pixels. Raises BadInput for samples without maps."""
    check_maps(setting, needed=True)

    def batch(draws: list[ScheduledSample]) -> Batch:
        return {"map_labels": setting.pictures.maps(draws), **setting.pictures.collate(draws)}

    return lambda draws, own: [batch(part) for part in own]


def check_maps(setting: Setting, *, needed: bool) -> bool:
    """Whether the samples of a stage have semantic maps, a map for each picture.

    Raises BadInput where only some have, where none has and they are `needed`, and for a tower that is not shown whole
    pictures.
    """
    without = [sample for sample in setting.samples if len(sample.meta.get("maps", ())) != len(sample.images)]
    if without and (needed or len(without) < len(setting.samples)):
        raise BadInput(
            f"Stage {setting.stage.name!r}: {without[0].source or 'a set'}, sample {without[0].id}, has no semantic "
            f"maps (found in {len(without)} of {len(setting.samples)} samples); give it sets that have them, as "
            "second_cc with its folders sem/A and sem/B."
        )
    if not without and setting.pictures.fit != "squash":
        raise BadInput(f"model.vision.fit is {setting.pictures.fit!r}, and semantic maps are squashed; set squash.")
    return not without
