"""Miniatures for training: data sets of a few generated pictures, and recipes made of the tiny ones."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from fake import annotations
from fake.model import Killed
from rsvlm.recipe import RECIPES, Ingredient, Recipe, Stage, read_recipe

ROOT = Path(__file__).resolve().parents[2]
TINY = sorted(RECIPES.glob("*/tiny.yaml"))
CHAT = [path for path in TINY if "language" in read_recipe(path).model]  # those of systems that answer

KILL = """
import os, signal
from rsvlm.train.log import Log
plain = Log.step
def step(self, number, numbers):
    plain(self, number, numbers)
    if (self.stage.name, number) == {place!r}:
        os.kill(os.getpid(), signal.SIGKILL)
Log.step = step
"""  # for `processes`, formatted with place=(stage, step)


def dying(step: Callable[..., None], place: tuple[str, int]) -> Callable[..., None]:
    """`Log.step` that stops the run behind `place` (stage, step), whose line is written and in no checkpoint."""

    def one(log: Any, number: int, numbers: Any) -> None:
        step(log, number, numbers)
        if (log.stage.name, number) == place:
            raise Killed

    return one


def tiny(system: str) -> Path:
    """The tiny recipe of a system."""
    return RECIPES / system / "tiny.yaml"


def data(root: Path) -> Path:
    """A data root with what the tiny recipes name: RSICD (and AID in it), EuroSAT, LEVIR-CC and SECOND-CC."""
    return annotations.make_all(root, ["rsicd", "eurosat", "levir_cc", "second_cc"])


def recipe(path: Path, *, stages: int = 9, dropout: float = 0.0, **changes: object) -> Path:
    """The tiny LHRS-Bot recipe at `path`: its first `stages` stages, LoRA `dropout`, top-level or stage `changes`."""
    values = read_recipe(tiny("lhrs_bot")).model_dump(mode="json")
    values["stages"] = values["stages"][:stages]
    values["model"]["language"]["lora"]["lora_dropout"] = dropout
    for key, value in changes.items():
        for place in [values] if key in values else values["stages"]:
            place[key] = value
    return written(path, values)


def stage(**numbers: Any) -> Stage:
    """A stage of one step, and of other `numbers`."""
    data = (Ingredient(set="rsicd"),)
    return Stage(**{"name": "s", "data": data, "trainable": ("bridge",), "steps": 1, "batch": 1, "lr": 1.0, **numbers})


def written(path: Path, values: dict[str, Any]) -> Path:
    """The recipe of these `values` at `path`; refused where it is not one."""
    Recipe.model_validate(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def environment() -> dict[str, str]:
    """For a training process: one thread, this package."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "ignore"}


PROGRAM = """
import json, os, socket, sys, traceback
import matplotlib.pyplot, torch.utils.tensorboard, transformers.models.llama.modeling_llama  # once for all children
from rsvlm.train.run import train

def child(before, rank, world, port):
    if pid := os.fork():
        return pid
    if world > 1:
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), LOCAL_WORLD_SIZE=str(world),
                          MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    try:
        exec(before, globals())
        train(*sys.argv[1:4])
    except (SystemExit, KeyboardInterrupt) as end:
        os._exit(getattr(end, "code", 130))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

for before in json.loads(sys.argv[5]):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    world = int(sys.argv[4])
    pids = [child(before, rank, world, port) for rank in range(world)]
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]), flush=True)
"""


def processes(*befores: str, recipe: Path, data: Path, out: Path, world: int = 1) -> tuple[list[list[int]], str]:
    """`train` in `world` new processes, once after each of the statements `befores`; exit codes a run, and stderr.

    The processes are children of one that has read the packages, so that they start at once.
    """
    command = [sys.executable, "-c", PROGRAM, recipe, data, out, str(world), json.dumps(befores)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600, check=False)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")], done.stderr


def losses(out: Path) -> list[tuple[str, int, float]]:
    """(stage, step, loss) of every line of a run's log, as they stand."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        (
            line["stage"],
            line["step"],
            next(
                line[loss]
                for loss in ("language", "caption", "tags", "heat", "reconstruction", "contrastive", "change", "map")
                if loss in line
            ),
        )
        for line in lines
    ]


def same(found: list[tuple[str, int, float]], wanted: list[tuple[str, int, float]], *, tolerance: float = 1e-6) -> None:
    """Fails where the two runs have not the same steps (none twice, none missing) with losses that are this close."""
    assert [line[:2] for line in found] == [line[:2] for line in wanted]
    far = [(a, b[2]) for a, b in zip(found, wanted, strict=True) if not abs(a[2] - b[2]) <= tolerance]
    assert not far, f"{len(far)} losses differ, the first: {far[0]}"
