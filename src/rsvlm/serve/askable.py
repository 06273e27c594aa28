"""What can be asked of a scene, and what cannot, and why: the paragraph that `rsvlm info` ends with."""

from rsvlm.errors import MissingPart
from rsvlm.geo.cover_rules import COVERS
from rsvlm.geo.indices import can_classify
from rsvlm.geo.scene import Scene
from rsvlm.serve.nouns import plural
from rsvlm.serve.object_sizes import visibility
from rsvlm.serve.scene_classes import vocabulary
from rsvlm.serve.scene_facts import format_gsd, ground_size, usable_gsd
from rsvlm.systems.model_dir import model_folder
from rsvlm.systems.model_limits import ModelLimits, read_limits

_EXAMPLES = ("car", "boat", "house", "airplane", "building", "river", "lake", "airport", "forest")


def askable(scene: Scene, limits: ModelLimits | None = None) -> str:
    """Sentences: what is shown, which objects are large enough, which covers are computed, which classes are offered.

    `limits` are those of the model that would be asked, by default of the embedded one where it is installed.
    """
    gsd = usable_gsd(scene)
    sentences = [f"The scene is shown in {scene.composite}."]
    if gsd is None:
        sentences.append("Its resolution is not known, so that no question is refused for the size of things.")
    else:
        small = [name for name in _EXAMPLES if visibility(name, gsd).verdict == "too small"]
        large = [name for name in _EXAMPLES if name not in small]
        sentences.append(
            f"A pixel is {format_gsd(gsd)} and the scene {ground_size(scene)}: "
            + (f"large enough to be seen are {_listed(large)}" if large else "nothing in question is large enough")
            + (f", too small are {_listed(small)}." if small else ".")
        )
    computed = [cover for cover in COVERS if not can_classify(scene, cover)]
    rest = [cover for cover in COVERS if cover not in computed]
    if computed:
        sentences.append(f"From its bands are computed: {', '.join(computed)}.")
    if rest:
        why = can_classify(scene, rest[0]).partition(": ")[2].partition(";")[0].rstrip(".")
        sentences.append(f"Not computed: {', '.join(rest)} ({why}).")
    offered = vocabulary(gsd)
    sentences.append(f"Classes are chosen from {len(offered.classes)} of {offered.name}.")
    sentences += _beyond(scene, gsd, _embedded() if limits is None else limits)
    return " ".join(sentences)


def _beyond(scene: Scene, gsd: float | None, limits: ModelLimits) -> list[str]:
    found = []
    for kind, (least, most) in limits.gsd_m.items():
        if gsd is not None and not least <= gsd <= most:
            what = "questions" if kind == "any" else f"questions of {kind}"
            found.append(f"The model was trained for {what} at {least:g} to {most:g} m: it is unsure of this scene.")
    if limits.composites and scene.composite.startswith(("false colour", "one band")):
        found.append(f"It was trained on {' and '.join(limits.composites)}, not on {scene.composite}.")
    return found


def _embedded() -> ModelLimits:
    try:
        return read_limits(model_folder("mini"))
    except MissingPart:
        return ModelLimits()


def _listed(names: list[str]) -> str:
    return ", ".join(map(plural, names))
