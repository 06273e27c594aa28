"""Miniatures for training: data sets of a few generated pictures, and recipes made of recipes/*/tiny.yaml."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml
from fake import annotations

from rsvlm.recipe import Recipe, read_recipe

ROOT = Path(__file__).resolve().parents[2]
TINY = sorted(ROOT.glob("recipes/*/tiny.yaml"))


def data(root: Path) -> Path:
    """A data root with what the tiny recipes name: RSICD (and AID in it) and EuroSAT."""
    annotations.make("rsicd", root, "RSICD")
    annotations.make("eurosat", root, "EuroSAT_RGB")
    return root


def recipe(path: Path, *, stages: int = 9, dropout: float = 0.0, **changes: object) -> Path:
    """The tiny LHRS-Bot recipe at `path`: its first `stages` stages, LoRA `dropout`, top-level or stage `changes`."""
    values = read_recipe(ROOT / "recipes/lhrs_bot/tiny.yaml").model_dump(mode="json")
    values["stages"] = values["stages"][:stages]
    values["model"]["language"]["lora"]["lora_dropout"] = dropout
    for key, value in changes.items():
        for place in [values] if key in values else values["stages"]:
            place[key] = value
    Recipe.model_validate(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def environment() -> dict[str, str]:
    """For a training process: one thread, this package."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "ignore"}


def start(*launcher: str, recipe: Path, data: Path, out: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    """`train` in another process, after the statements of `before`."""
    program = out.with_suffix(".py")
    program.write_text(
        f"import sys\nfrom rsvlm.train.run import train\n{before}\ntrain(*sys.argv[1:])\n", encoding="utf-8"
    )
    command = [sys.executable, *launcher, str(program), str(recipe), str(data), str(out)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)


def losses(out: Path) -> list[tuple[str, int, float]]:
    """(stage, step, loss) of every line of a run's log, as they stand."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(line["stage"], line["step"], line.get("language", line.get("tags"))) for line in lines]
