"""Chat templates of model folders: programs of others, rendered in a process of their own that has limits.

Jinja's sandbox keeps a template from the machine but not from looping or growing without end, and nothing within a
process ends `9**9**9` or `"a" * 10**10`. So the text comes from a child, by the function of transformers.
"""

import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput

SECONDS, MEMORY, LETTERS = 60.0, 1 << 30, 1 << 20  # of all prompts of a batch; memory where Linux limits it
READY_MADE = "{{ messages[0]['prompt'] }}"  # the template for a conversation that holds its own text
_WORK = "from rsvlm.systems.providers.chat_template import work; work()"


class ChatTemplate:
    """The chat template of the model in `folder`. Its process begins at once and ends with this object."""

    def __init__(self, template: str, folder: Path) -> None:
        self.template, self.folder = template, folder
        self._lock, self._process = threading.Lock(), self._begin()

    def render(self, turns: Sequence[Any], tokens: Mapping[str, Any]) -> list[str]:
        """The prompt of each user's turn, as messages of transformers are; `tokens` are the special ones by name.

        Raises BadInput where that fails, or takes more than the limits.
        """
        asked = {"chat_template": self.template, "conversations": [[turn] for turn in turns], **tokens}
        text = json.dumps(asked | {"add_generation_prompt": True}, default=lambda picture: "<Image>")
        with self._lock:
            line = self._answer(text + "\n")
        if not line.endswith("\n"):
            raise BadInput(
                f"The chat template of {self.folder} asks for more than {SECONDS:g} s, {MEMORY >> 20} MB or "
                f"{LETTERS:,} letters; fetch the model again, from who made it."
            )
        found = json.loads(line)
        if "error" in found:
            raise BadInput(f"The chat template of {self.folder} cannot be rendered: {found['error']}")
        return found["prompts"]

    def _answer(self, line: str) -> str:
        """The child's line to a line; one that is not whole where it was ended."""
        process = self._process = self._process if self._process.poll() is None else self._begin()
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        answer = ""
        try:
            with suppress(OSError):  # it has ended: there is nothing to read then
                process.stdin.write(line)
                process.stdin.flush()
            answer = process.stdout.readline(16 * LETTERS)  # as JSON writes them
            return answer
        finally:
            timer.cancel()
            if not answer.endswith("\n"):  # Ctrl-C, too: what it says later is no answer to another question
                process.kill()
                process.wait()

    def _begin(self) -> Any:
        """The child; it gets nothing from the current folder (-P)."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, encoding="utf-8",
        )  # fmt: skip
        weakref.finalize(self, _end, process)
        return process


def _end(process: Any) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            pipe.close()


def work() -> None:
    """What the child does: a line of JSON in, arguments of `render_jinja_template`; a line out, prompts or why not."""
    from transformers.utils.chat_template_utils import render_jinja_template

    _limit_memory()
    for line in sys.stdin:
        try:
            prompts, _ = render_jinja_template(**json.loads(line))
            if sum(map(len, prompts)) > LETTERS:
                return
            answer = {"prompts": prompts}
        except MemoryError:
            return
        except Exception as error:  # noqa: BLE001 (whatever a program of others raises)
            answer = {"error": " ".join(str(error).split())[:300] or type(error).__name__}
        print(json.dumps(answer), flush=True)


def _limit_memory() -> None:
    """What the process has, and `MEMORY` more."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        now = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
