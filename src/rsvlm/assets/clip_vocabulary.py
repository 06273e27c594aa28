"""The merges of CLIP's tokenizer, as the wheel of open_clip carries them (openai/CLIP's file, MIT), as plain text."""

import gzip
from pathlib import Path

from rsvlm.errors import BadInput

MERGES = "merges.txt"  # a pair a line, best first
_HEAD, _COUNT = "#version", 48894  # the file goes on behind what CLIP's vocabulary of 49,408 has


def convert_vocabulary(packed: Path, made: Path) -> None:
    """The published gzip as `made`/merges.txt: the merges that CLIP uses. Raises BadInput for another file."""
    head, *lines = gzip.decompress(packed.read_bytes()).decode("utf-8").split("\n")
    merges = lines[:_COUNT]
    if _HEAD not in head or len(merges) < _COUNT or any(len(merge.split(" ")) != 2 for merge in merges):
        raise BadInput(f"{packed.name} holds no {_COUNT:,} merges of a vocabulary; fetch it again.")
    (made / MERGES).write_text("\n".join(merges) + "\n", encoding="utf-8")
