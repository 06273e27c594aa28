"""SIGTERM and SIGINT during training: the step ends, a checkpoint is written, and then the process does."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import torch
from accelerate import Accelerator

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupt:
    """Notes the first of SIGNALS instead of ending the process; a second one does what it did before.

    A context manager, of the main thread; in any other it notes nothing, as Python has no handlers there.
    """

    def __init__(self) -> None:
        self.number = 0
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        signal.signal(number, self.before[number])

    def anywhere(self, accelerator: Accelerator) -> int:
        """The signal that any process was sent, 0 for none: all processes of a run end at the same step."""
        if accelerator.num_processes == 1:
            return self.number
        seen: Any = accelerator.gather(torch.tensor([self.number], device=accelerator.device))
        return int(seen.max())

    @staticmethod
    def end(number: int) -> None:
        """End the process as it would have ended: exit code 130 after SIGINT, 143 after SIGTERM."""
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)
