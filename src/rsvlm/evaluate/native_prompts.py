"""Native prompts: a protocol's questions in the wording (tags, templates) that a system was trained with."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.evaluate.items import task_question
from rsvlm.evaluate.task import Task
from rsvlm.registry import unknown
from rsvlm.systems.abilities import Detects, HasNativePrompts

WORDINGS = ("protocol", "own")


def with_native_prompts(task: Task, model: Any, wording: str) -> Task:
    """The task with the wording to use: its own ("protocol"), or the model's `native_prompt` ("own").

    Only the questions change, not the references or the metrics, so runs in both wordings can be compared. It works
    for captions, the data set's own questions, and phrases to be found. Raises BadInput for
    other protocols, for a model that has no words of its own for the task, and for an unknown `wording`.
    """
    if wording not in WORDINGS:
        raise BadInput(unknown("wording", wording, list(WORDINGS)))
    if wording == "protocol":
        return task
    protocol, name = task.protocol, model.name
    kind = _task(task, model)
    own = _native_prompt(model) if kind else None
    items = [replace(item, question=own(kind, item.question) or "") for item in task.items] if own else []
    if not items or not all(item.question for item in items):
        raise BadInput(
            f"{name} has no words of its own for what {protocol.name} asks; leave out --wording to ask as the "
            "protocol does."
        )
    frozen = ("{}",) if protocol.ability == "grounds" else protocol.wording
    return replace(task, protocol=replace(protocol, wording=frozen), items=items)


def _task(task: Task, model: Any) -> str:
    """The task that a system has words for; "" where there is none."""
    protocol = task.protocol
    if protocol.ability == "grounds":
        return "" if isinstance(model, Detects) else "ground"  # a head reads the bare phrase
    lettered = protocol.ability == "answers" and any(item.choices for item in task.items)
    if protocol.ability not in ("answers", "chooses") or lettered:
        return ""
    return {task_question("caption"): "caption", "": "vqa"}.get(protocol.wording[0], "")


def _native_prompt(model: object) -> Callable[[str, str], str | None] | None:
    return model.native_prompt if isinstance(model, HasNativePrompts) else None
