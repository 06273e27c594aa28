"""Expand the files and folders that a user gives into scenes, each with the folder of its answers."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rsvlm.errors import BadInput
from rsvlm.files import is_folder

SUFFIXES = frozenset((".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".j2k", ".jpx"))


class SceneJob(NamedTuple):
    """One scene, and the folder of its answers (None = not written)."""

    path: Path
    folder: Path | None


def scene_jobs(paths: Sequence[Path], out: Path | None) -> list[SceneJob]:
    """One job a scene, those of a folder in the order of their names; one file alone is answered right into `out`.

    A folder is not searched below itself. Raises BadInput where a folder holds no file with the suffix of a scene.
    """
    scenes: list[Path] = []
    for path in paths:
        scenes += _in_folder(path) if is_folder(path) else [path]
    if out is None or (len(scenes) == 1 and not is_folder(paths[0])):
        return [SceneJob(scene, out) for scene in scenes]
    return [SceneJob(scene, out / name) for scene, name in zip(scenes, _names(scenes), strict=True)]


def _in_folder(folder: Path) -> list[Path]:
    found = sorted(one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES and not one.name.startswith("."))
    if not found:
        raise BadInput(f"The folder {folder} holds no scene; expected files named {', '.join(sorted(SUFFIXES))}.")
    return found


def _names(scenes: Sequence[Path]) -> list[str]:
    """A name for each scene: its stem, or all of it where two share a stem, and a number where that is not enough."""
    stems = Counter(scene.stem for scene in scenes)
    taken: Counter[str] = Counter()
    names = []
    for scene in scenes:
        name = scene.stem if stems[scene.stem] == 1 else scene.name
        taken[name] += 1
        names.append(name if taken[name] == 1 else f"{name}-{taken[name]}")
    return names
