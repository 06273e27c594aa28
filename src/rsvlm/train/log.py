"""What a run leaves to look at: a line a step in JSONL, TensorBoard, a progress bar, the loss curve as a PNG."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rsvlm.files import write_text
from rsvlm.json_text import load_json
from rsvlm.recipe import Stage


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=Console(stderr=True),
    )  # fmt: skip


class Log:
    """The log of one stage. Lines of steps that are about to be run again (after a kill) are dropped first."""

    def __init__(self, out: Path, stage: Stage, start: int, steps: int, *, main: bool) -> None:
        self.path, self.stage, self.main, self.out = out / "log.jsonl", stage, main, out
        self.first, self.steps, self.began = start, steps, time.perf_counter()
        self.clock = self.began
        if not main:
            return
        from torch.utils.tensorboard import SummaryWriter

        _drop(self.path, stage.name, start)
        self.board = SummaryWriter(str(out / "tensorboard" / stage.name), purge_step=start)  # purges all of its folder
        self.bar = _bar()
        self.task = self.bar.add_task(stage.name, total=steps, completed=start)

    def __enter__(self) -> "Log":
        if self.main:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.main:
            self.bar.stop()
            self.board.close()
            draw(self.path, self.out / "loss.png")

    def step(self, step: int, numbers: Mapping[str, float]) -> None:
        """Note one step's losses, learning rate, gradient norm and tokens."""
        if not self.main:
            return
        now = time.perf_counter()
        line = {"stage": self.stage.name, "step": step, **numbers, "seconds": round(now - self.clock, 4)}
        self.clock = now
        with self.path.open("a", encoding="utf-8") as file:  # a line a step: a kill loses none
            file.write(json.dumps(line) + "\n")
        for name, value in numbers.items():
            self.board.add_scalar(f"{self.stage.name}/{name}", value, step)
        shown = " ".join(f"{name} {value:.3g}" for name, value in numbers.items())
        self.bar.update(self.task, completed=step + 1, description=f"{self.stage.name} {shown}")
        if not self.bar.console.is_terminal:  # a file shows no bar before its end
            left = (now - self.began) / (step + 1 - self.first) * (self.steps - step - 1)
            say = f"{self.stage.name} {step + 1}/{self.steps} {shown} {timedelta(seconds=round(left))} left"
            print(say, file=sys.stderr, flush=True)

    @staticmethod
    @contextmanager
    def counting(what: str, main: bool) -> Iterator[Callable[[int, int], None]]:
        """A bar for a count; gives `say(done, total)`."""
        with _bar() as bar:
            task = bar.add_task(what, total=None, visible=main)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last line cut by a kill is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [load_json(line) for line in lines if line.endswith("}")]


def _drop(path: Path, stage: str, start: int) -> None:
    kept = [line for line in read_log(path) if not (line["stage"] == stage and line["step"] >= start)]
    write_text(path, "".join(json.dumps(line) + "\n" for line in kept))


def draw(log: Path, png: Path) -> None:
    """The losses of all stages of a log over steps, as a PNG; a running mean over 50 steps is drawn heavier."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    stages: dict[str, list[dict[str, Any]]] = {}
    for line in read_log(log):
        stages.setdefault(line["stage"], []).append(line)
    if not stages:
        return
    figure, axes = plt.subplots(1, len(stages), figsize=(5 * len(stages), 3.5), squeeze=False)
    for axis, (name, lines) in zip(axes[0], stages.items(), strict=True):
        for loss in [k for k in lines[0] if k not in ("stage", "step", "lr", "grad_norm", "tokens", "seconds")]:
            values = [line[loss] for line in lines]
            means = [sum(values[max(0, i - 49) : i + 1]) / min(i + 1, 50) for i in range(len(values))]
            axis.plot([line["step"] for line in lines], values, linewidth=0.5, alpha=0.4)
            axis.plot([line["step"] for line in lines], means, label=loss)
        axis.set(title=name, xlabel="step", ylabel="loss")
        axis.legend()
    figure.tight_layout()
    figure.savefig(png, dpi=100)
    plt.close(figure)
