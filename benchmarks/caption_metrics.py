"""BLEU, ROUGE-L and CIDEr-D of 10,000 captions x 5 references: ours against pycocoevalcap on the same captions.

Real captions where RSICD and UCM-Captions are below RSVLM_DATA (where they are fewer than 10,000 images, the rest are
the same ones in another word order), else made ones. `tokens`: both score the same tokens. `raw`: both tokenise too,
pycocoevalcap with its Java program where `java` is installed. All values must be equal to 1e-9.
"""

import contextlib
import io
import os
import random
import shutil
from functools import partial
from typing import Any

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from harness import medians, ratio, run, take_turns
from rsvlm.data.catalogue import load
from rsvlm.errors import BadInput
from rsvlm.metrics.text import tokenizer
from rsvlm.metrics.text.captions import caption_scores
from rsvlm.metrics.text.tokenizer import ptb, whitespace

IMAGES, REFERENCES, ROUNDS = 10_000, 5, 3
NAMES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d")

Captions = list[str]


def captions(images: int, data: str | None) -> tuple[Captions, list[Captions], int]:
    """Predictions, references, and how many of the images are real ones: none without a folder of `data`."""
    rng = random.Random(0)
    references: list[Captions] = []
    for name in ("rsicd", "ucm_captions") if data else ():
        with contextlib.suppress(BadInput):
            found = [list(sample.turns[0].references) for sample in load(name, data, "all")]
            references += [captions for captions in found if len(captions) == REFERENCES]
    real = min(len(references), images)
    words = [f"word{i}" for i in range(2000)]
    for i in range(real, images):
        again = [caption.split() for caption in references[i - real]] if real else [words[:20]] * REFERENCES
        references.append([" ".join(rng.sample(w, len(w)) if real else rng.choices(words, k=11)) for w in again])
    references = references[:images]
    return [references[(i + 1) % images][0] for i in range(images)], references, real


def ours(predictions: Captions, references: list[Captions], tokenise: bool) -> list[float]:
    """The six values of rsvlm."""
    tokenizer._scan_chunk.cache_clear()  # each round begins cold
    scores = caption_scores(predictions, references, tokenizer=ptb if tokenise else whitespace)
    return [scores[name].value for name in NAMES]


def pycocoevalcap(predictions: Captions, references: list[Captions], tokenise: bool) -> list[float]:
    """The six values of pycocoevalcap."""
    sides: Any = dict(enumerate(references)), {i: [caption] for i, caption in enumerate(predictions)}
    if tokenise:
        sides = [PTBTokenizer().tokenize({i: [{"caption": c} for c in m] for i, m in side.items()}) for side in sides]
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, rouge, cider = (metric.compute_score(*sides)[0] for metric in (Bleu(4), Rouge(), Cider()))
    return [*bleu, rouge, cider]


def main(*, smallest: bool) -> dict[str, Any]:
    images = 4 if smallest else IMAGES
    raw, raw_references, real = captions(images, None if smallest else os.environ.get("RSVLM_DATA"))
    kinds = {"tokens": ([ptb(c) for c in raw], [[ptb(c) for c in many] for many in raw_references], False)}
    if shutil.which("java"):
        kinds["raw"] = (raw, raw_references, True)
    seconds: dict[str, dict[str, list[float]]] = {}
    for kind, captioned in kinds.items():
        sides = {"ours": partial(ours, *captioned), "pycocoevalcap": partial(pycocoevalcap, *captioned)}
        seconds[kind], values = take_turns(sides, ROUNDS, smallest=smallest)
        assert max(abs(a - b) for a, b in zip(*values.values(), strict=True)) < 1e-9, values
    return {
        "images": images, "references": REFERENCES, "real_images": real,
        "distinct_captions": len({caption for many in kinds["tokens"][1] for caption in many}),
        "seconds": {kind: medians(sides) for kind, sides in seconds.items()},
        "ratio": {kind: ratio(sides, "ours", "pycocoevalcap", 2) for kind, sides in seconds.items()},
        "target_ratio": 3.0, "equal_to": 1e-9,
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
