"""Factories of protocols: captions, scenes, questions, refusals; an entry gives only what differs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rsvlm.data.prompt import REFUSAL
from rsvlm.errors import MissingPart
from rsvlm.evaluate.items import Item, items_of, items_over, task_question
from rsvlm.evaluate.parsers import Parse, free_text, number, refusal, scene_name, yes_no
from rsvlm.evaluate.protocol import Measure, Protocol, Read, Reader
from rsvlm.evaluate.refusals import QUESTIONS
from rsvlm.metrics.accuracy import MATCHERS, Matcher, hits, scene_scores, vqa_scores
from rsvlm.metrics.score import Score, mean_score
from rsvlm.metrics.text.captions import caption_scores
from rsvlm.metrics.text.meteor import meteor
from rsvlm.metrics.text.spice import find_spice, spice
from rsvlm.metrics.text.tokenizer import ptb, tokenize


def parsed_by(parse: Parse) -> Read:
    """Parses the text of a row with `parse`; None for a row with an error (the endpoint failed)."""
    return lambda _, row: None if row.get("error") else parse(row["answer"])


def always(parse: Parse) -> Reader:
    """The same parser for every item."""
    return lambda _: parsed_by(parse)


def as_class(known: Sequence[Item]) -> Read:
    """Reads one of the classes that occur."""
    return parsed_by(scene_name(sorted({item.references[0] for item in known})))


_POLAR = ("presence", "comp", "Yes_No", "object existence")  # of RSIVQA and RSVQA, FloodNet, VRSBench
_COUNTS = ("count", "Simple_Counting", "Complex_Counting", "object quantity")
_BY_KIND: dict[str, Parse] = {**dict.fromkeys(_POLAR, yes_no), **dict.fromkeys(_COUNTS, number)}


def _parser(item: Item) -> Parse:
    """Yes/no and counts are parsed where the reference is one; "several" and the like are compared as text."""
    parse = _BY_KIND.get(item.kind, free_text)
    return parse if any(parse(reference) is not None for reference in item.references) else free_text


def by_kind(_: Sequence[Item]) -> Read:
    """Reads yes or no, a number, or text, as the question's type asks."""
    return lambda item, row: parsed_by(_parser(item))(item, row)


def _captions(
    items: Sequence[Item], answers: Sequence[str | None], tokenizer: Callable[[str], str] = ptb
) -> Mapping[str, Score]:
    """`caption_scores`, and METEOR where its tables are installed."""
    predictions, references = [answer or "" for answer in answers], [item.references for item in items]
    scores = caption_scores(predictions, references, tokenizer=tokenizer)
    try:
        return scores | {
            "meteor": meteor(
                tokenize(predictions, tokenizer), [tokenize(accepted, tokenizer) for accepted in references]
            )
        }
    except MissingPart:  # the result says that it is missing
        return scores


def _captions_and_spice(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    predictions, references = [answer or "" for answer in answers], [item.references for item in items]
    score = spice(tokenize(predictions, ptb), [tokenize(accepted, ptb) for accepted in references])
    return {**_captions(items, answers), "spice": score}


def _scenes(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return scene_scores(answers, [item.references for item in items])


def _vqa(
    items: Sequence[Item], answers: Sequence[str | None], match: Matcher = MATCHERS["evalai"], numbers: bool = True
) -> Mapping[str, Score]:
    references = [[_parser(i)(r) or r for r in i.references] if numbers else i.references for i in items]
    return vqa_scores(answers, references, [item.kind for item in items], match)


def _refusals(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return {"refusal_rate": mean_score("refusal_rate", hits(answers, [item.references for item in items]))}


def caption_set(
    dataset: str, title: str, *, name: str = "", protocol: str = "coco-ptb@1", measure: Measure = _captions, **more: Any
) -> Protocol:
    """One caption an image against its references."""
    question = task_question("caption")
    defaults = {"dialect": "tokenizer ptb", "max_new_tokens": 48}
    return Protocol(
        name=f"{name or dataset}/{protocol}", title=title, dataset=dataset, wording=(question,),
        ask=partial(items_of, task="caption", question=question), reader=always(free_text), measure=measure,
        headline=("bleu_4", "meteor", "rouge_l", "cider_d"), per_item="cider_d", wrong_below=0.5, graded=False,
        **defaults | more,
    )  # fmt: skip


def with_spice(protocol: Protocol) -> Protocol:
    """The same with SPICE, where its tools are installed."""
    return replace(
        protocol,
        name=f"{protocol.benchmark}/coco-ptb-spice@1",
        title=f"{protocol.title}, with SPICE",
        measure=_captions_and_spice,
        headline=(*protocol.headline, "spice"),
        requires=find_spice,
    )


def scene_set(
    dataset: str,
    title: str,
    *,
    name: str = "",
    protocol: str = "free-generation@1",
    wording: str = "scene",
    **more: Any,
) -> Protocol:
    """The class of a picture by free generation."""
    question = task_question(wording)
    defaults: dict[str, Any] = {"reader": as_class, "measure": _scenes, "dialect": "class name in the reply"}
    return Protocol(
        name=f"{name or dataset}/{protocol}", title=title, dataset=dataset, wording=(question,),
        ask=partial(items_of, task="scene", question=question), headline=("accuracy", "balanced_accuracy"),
        per_item="accuracy", **defaults | more,
    )  # fmt: skip


def question_set(
    dataset: str,
    title: str,
    protocol: str,
    *,
    name: str = "",
    kinds: Collection[str] = (),
    without: Collection[str] = (),
    match: str = "evalai",
    numbers: bool = True,
    **more: Any,
) -> Protocol:
    """The data set's own questions, of `kinds` and not of those in `without`; answers compared by the rule `match`.

    `numbers`: yes/no and counts are read out of a sentence first; without, the whole reply is compared.
    """
    defaults: dict[str, Any] = {
        "ask": partial(items_of, task="vqa", kinds=kinds, without=without),
        "reader": by_kind if numbers else always(free_text),
        "measure": partial(_vqa, match=MATCHERS[match], numbers=numbers),
        "headline": ("overall", "average", "yes_no"),
        "per_item": "overall",
        "dialect": f"match {match}{', yes/no and counts read first' if numbers else ''}",
    }
    return Protocol(
        name=f"{name or dataset}/{protocol}", title=title, dataset=dataset, wording=("",), **defaults | more
    )


def refusal_set() -> Protocol:
    """Fifty questions that no picture answers."""
    return Protocol(
        name="refusals/fifty@1", title="Fifty questions that no picture answers: the share refused",
        dataset="ucm_captions", split="val", wording=("", *QUESTIONS),
        ask=lambda samples: items_over(samples, QUESTIONS, REFUSAL), reader=always(refusal), measure=_refusals,
        headline=("refusal_rate",), per_item="refusal_rate", max_new_tokens=24,
    )  # fmt: skip
