"""Temperatures of a model from results of likelihood protocols: python tools/calibrate.py RESULT...

For each folder that `rsvlm evaluate --out` wrote: accuracy, and the expected calibration error (ECE, 15 bins of equal
width) of the confidence as it is, and divided by one temperature. That temperature is fitted on one half of the
pictures and measured on the other, both ways round; the printed one is fitted on all. For `limits.json`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.metrics.accuracy import exact
from rsvlm.systems.choices import choice_probabilities

BINS = 15
TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8.0), 101))


def ece(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error of (N,) confidences in [0, 1] (Naeini et al. 2015, equal-width bins)."""
    at = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = [(at == b).mean() * abs(right[at == b].mean() - confidence[at == b].mean()) for b in np.unique(at)]
    return float(sum(gaps))


def fitted(logs: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The temperature of least negative log-likelihood."""
    rows = np.arange(len(truth))
    return float(min(TEMPERATURES, key=lambda t: -np.log(choice_probabilities(logs, t)[rows, truth] + 1e-12).mean()))


def read(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Log-likelihoods (N, C) and the numbers of the right choices (N,), from the files of a result."""
    replies = {row["id"]: row for row in _rows(folder / "replies.jsonl") if "log_likelihoods" in row}
    items = [row for row in _rows(folder / "answers.jsonl") if row["id"] in replies]
    if not items:
        raise SystemExit(f"{folder} holds no log-likelihoods; expected the result of a likelihood protocol.")
    truth = [[exact(one) for one in row["choices"]].index(exact(row["references"][0])) for row in items]
    return np.array([replies[row["id"]]["log_likelihoods"] for row in items]), np.array(truth)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def calibration(logs: NDArray[np.float64], truth: NDArray[np.int64]) -> dict[str, float]:
    """The figures of one result."""
    order = np.random.default_rng(0).permutation(len(truth))
    halves = order[::2], order[1::2]
    after = np.zeros(len(truth))
    for fit, held in (halves, halves[::-1]):
        after[held] = choice_probabilities(logs[held], fitted(logs[fit], truth[fit])).max(1)
    right = logs.argmax(1) == truth
    before = choice_probabilities(logs).max(1)
    return {
        "n": len(truth), "accuracy": float(right.mean()), "ece_before": ece(before, right), "ece_after":
        ece(after, right), "temperature": fitted(logs, truth), "accuracy_above_0.6": float(right[after > 0.6].mean()),
        "share_above_0.6": float((after > 0.6).mean()),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT")
    folders = parser.parse_args(arguments).results
    found = {folder.name: read(folder) for folder in folders}
    for name, (logs, truth) in found.items():
        print(json.dumps({"result": name} | {k: round(v, 4) for k, v in calibration(logs, truth).items()}))
    if len(found) > 1 and len({logs.shape[1] for logs, _ in found.values()}) > 1:
        temperature = min(TEMPERATURES, key=lambda t: sum(_loss(logs, truth, t) for logs, truth in found.values()))
        print(json.dumps({"result": "all", "temperature": round(float(temperature), 4)}))


def _loss(logs: NDArray[np.float64], truth: NDArray[np.int64], temperature: float) -> float:
    """Mean negative log-likelihood of one result: each counts the same."""
    return float(-np.log(choice_probabilities(logs, temperature)[np.arange(len(truth)), truth] + 1e-12).mean())


if __name__ == "__main__":
    main(sys.argv[1:])
