"""SPICE (Anderson et al. 2016, arXiv:1607.08822) through the program that comes with pycocoevalcap.

It needs Java and Stanford CoreNLP 3.6.0, which pycocoevalcap downloads when its own SPICE first runs; nothing is
downloaded here. Without them there is no SPICE, which is not a SPICE of 0.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rsvlm.errors import MissingPart
from rsvlm.json_text import load_json
from rsvlm.metrics.score import Score, mean_score
from rsvlm.metrics.text.meteor_table import package

_JAR = "spice-1.0.jar"
_PARSER = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")


def find_spice() -> tuple[Path, str]:
    """SPICE's folder and the Java program. Raises MissingPart where one of them, or the parser, is absent."""
    home, java = package() / "spice", shutil.which("java")
    if absent := [path for path in (home / _JAR, *(home / "lib" / name for name in _PARSER)) if not path.is_file()]:
        raise MissingPart(
            f"SPICE needs {absent[0].name} in {absent[0].parent}, which is not there; let pycocoevalcap fetch it: "
            "python -m pycocoevalcap.spice.get_stanford_models"
        )
    if java is None:
        raise MissingPart("SPICE needs the program 'java', which is not on the PATH; install a JRE.")
    return home, java


def spice(predictions: Sequence[str | None], references: Sequence[Sequence[str]]) -> Score:
    """SPICE (0..1) of one caption an image against its references: F1 over the objects, attributes and relations said.

    `predictions` (N,) and `references` (N lists of one or more) are tokenised captions; None is an empty one. Raises
    MissingPart where the program, its parser or Java is absent, ValueError when the lengths differ or an image has no
    reference.
    """
    if len(predictions) != len(references) or not all(references):
        raise ValueError(
            f"{len(predictions)} captions need as many non-empty lists of references, not {len(references)}"
        )
    home, java = find_spice()
    items = [
        {"image_id": i, "test": text or "", "refs": list(accepted)}
        for i, (text, accepted) in enumerate(zip(predictions, references, strict=True))
    ]
    with tempfile.TemporaryDirectory(prefix="rsvlm-spice-") as work:
        said, expected = Path(work) / "in.json", Path(work) / "out.json"
        said.write_text(json.dumps(items), encoding="utf-8")
        command = [java, "-Xmx8G", "-jar", _JAR, str(said), "-out", str(expected), "-subset", "-silent"]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode or not expected.is_file():
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise MissingPart(f"SPICE's program failed ({reason}); see that Java can use 8 GB of memory.")
        scored = {item["image_id"]: item["scores"]["All"]["f"] for item in load_json(expected.read_text("utf-8"))}
    score = mean_score("spice", [float(scored.get(i) or 0.0) for i in range(len(items))])
    return replace(score, note="SPICE 1.0 (java)")
