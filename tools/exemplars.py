"""What pictures a model was trained on, in few vectors: python tools/exemplars.py MODEL DATA OUT.safetensors

Embeds up to 1,500 training pictures of each set, centres them, and keeps the means of 512 clusters. Prints for the val
pictures of the same sets the percentiles of their similarity (`rsvlm.systems.model_limits.familiarity`), from which
`least_similarity` of limits.json is chosen.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from rsvlm.data.catalogue import load as load_set
from rsvlm.data.images import read_rgb
from rsvlm.errors import BadInput
from rsvlm.sample import Sample
from rsvlm.systems.abilities import Features, features_of
from rsvlm.systems.load import load
from rsvlm.systems.model_limits import ModelLimits, familiarity

SETS = ("ucm_scenes", "aid", "eurosat", "ships", "hit_uav")
PICTURES, CLUSTERS, ROUNDS, BATCH = 1500, 512, 25, 16


def embedded(embed: Features, samples: Sequence[Sample], rng: np.random.Generator, most: int) -> NDArray[np.float32]:
    """(N, D) vectors of at most `most` pictures, drawn at random."""
    chosen = [samples[at] for at in rng.permutation(len(samples))[:most]]
    rows = []
    for at in range(0, len(chosen), BATCH):
        rows.append(embed([read_rgb(one.images[0]) for one in chosen[at : at + BATCH]]))
    return np.concatenate(rows)


def clusters(rows: NDArray[np.float32], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Unit means of `count` clusters of unit rows, by spherical k-means."""
    centres = rows[rng.permutation(len(rows))[:count]]
    for _ in range(ROUNDS):
        own = (rows @ centres.T).argmax(1)
        sums = np.zeros_like(centres)
        np.add.at(sums, own, rows)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(norms > 0, sums / np.maximum(norms, 1e-12), centres)
    return centres


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    embed, rng = features_of(load(given.model)), np.random.default_rng(0)
    if embed is None:
        raise BadInput(f"{given.model} has no features of pictures; give a model that embeds them.")
    train = np.concatenate([embedded(embed, load_set(name, given.data, "train"), rng, PICTURES) for name in SETS])
    mean = train.mean(0)
    rows = train - mean
    centres = clusters(rows / np.linalg.norm(rows, axis=1, keepdims=True), CLUSTERS, rng)
    save_file({"mean": mean.astype(np.float32), "exemplars": centres.astype(np.float16)}, given.out)
    limits = ModelLimits(mean=mean, exemplars=centres)
    for name in SETS:
        similarity = familiarity(limits, embedded(embed, load_set(name, given.data, "val"), rng, 300))
        found = dict(
            zip(("1 %", "3 %", "5 %", "50 %"), np.percentile(similarity, (1, 3, 5, 50)).round(3).tolist(), strict=True)
        )
        print(json.dumps({"set": name, "n": len(similarity), "percentiles": found}))


if __name__ == "__main__":
    main(sys.argv[1:])
