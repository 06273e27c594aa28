"""The files of a match: match.json, match.geojson and a heat map for each text, whole or not at all."""

import re
from pathlib import Path

from rsvlm.geo.heat_map import heat_map
from rsvlm.geo.scene import Scene
from rsvlm.geo.vector import feature_collection
from rsvlm.serve.answer_files import answer_folder
from rsvlm.serve.results import dumps
from rsvlm.serve.scene_match import SceneMatch

_LONGEST = 40  # letters of a text in the name of its heat map


def write_match(folder: Path, scene: Scene, found: SceneMatch) -> list[Path]:
    """Write the files of one scene into `folder`; the paths of the heat maps, one a text.

    A new `folder` appears complete, and in one that is there each file is replaced as a whole. Raises BadInput where
    that fails.
    """
    names = [f"heat_{number}_{_slug(text)}.png" for number, text in enumerate(found.texts, start=1)]
    low, high = found.limits
    with answer_folder(folder) as aside:
        (aside / "match.json").write_text(dumps(found.as_dict(names), indent=1) + "\n", "utf-8")
        (aside / "match.geojson").write_text(dumps(feature_collection(found.regions)) + "\n", "utf-8")
        for text, name in zip(found.texts, names, strict=True):
            doubt = ", unsure" if found.unsure(found.whole) else ""
            title = f"{text}: {found.scores[text]:.2f} for the whole scene{doubt}"
            picture = heat_map(scene, found.values(text), title=title, measure=found.measure, low=low, high=high)
            picture.save(aside / name, format="PNG")
    return [folder / name for name in names]


def _slug(text: str) -> str:
    """A text as part of a file's name: letters and digits of ASCII."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:_LONGEST] or "text"
