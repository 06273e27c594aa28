"""The benchmarks we know by name: which data, asked how, read how, scored how. One entry each; `run` does the rest.

The number after "@" in a protocol's name grows whenever its numbers would change for the same replies.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rsvlm.data.prompt import REFUSAL
from rsvlm.evaluate.metrics.accuracy import hits, scene_scores, vqa_scores
from rsvlm.evaluate.metrics.captions import caption_scores
from rsvlm.evaluate.metrics.score import Score, mean_score
from rsvlm.evaluate.refusals import QUESTIONS
from rsvlm.evaluate.tasks import (
    Item,
    Parse,
    free_text,
    items_of,
    items_over,
    number,
    refusal,
    scene_name,
    task_question,
    yes_no,
)
from rsvlm.registry import Registry
from rsvlm.sample import Sample

# (items, parsed answers in the same order) -> metrics; None where the reply could not be parsed.
Measure = Callable[[Sequence[Item], Sequence[str | None]], Mapping[str, Score]]
# (all items whose answers are known: training and scored ones) -> a parser for each item.
Reader = Callable[[Sequence[Item]], Callable[[Item], Parse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A data set with a protocol.

    `dataset` is a name of `rsvlm.data.catalogue`, `task` the turns that are asked, `question` the frozen wording ("" =
    the data set's own questions). `reader` makes the answer parser, `measure` the metrics, `headline` names the
    metrics to quote, `per_item` the one shown beside each sample, marked where it is below `wrong_below`.
    `max_new_tokens`
    bounds a reply. `questions`, where given, are put to pictures of the set instead of its own turns.
    """

    name: str
    title: str
    protocol: str
    dataset: str
    task: str
    question: str
    reader: Reader
    measure: Measure
    headline: tuple[str, ...]
    per_item: str
    wrong_below: float
    max_new_tokens: int
    questions: tuple[str, ...] = ()

    def items(self, samples: Sequence[Sample]) -> list[Item]:
        """What is asked about these samples."""
        if self.questions:
            return items_over(samples, self.questions, REFUSAL)
        return items_of(samples, self.task, self.question)


BENCHMARKS: Registry[Benchmark] = Registry("benchmark")


def _as_text(_: Sequence[Item]) -> Callable[[Item], Parse]:
    return lambda _: free_text


def _as_class(known: Sequence[Item]) -> Callable[[Item], Parse]:
    parse = scene_name(sorted({item.references[0] for item in known}))
    return lambda _: parse


_BY_KIND: Mapping[str, Parse] = {"presence": yes_no, "count": number}


def _by_kind(_: Sequence[Item]) -> Callable[[Item], Parse]:
    """Yes/no and counts are parsed where the reference is one; "several" and the like are compared as text."""

    def reader(item: Item) -> Parse:
        parse = _BY_KIND.get(item.kind, free_text)
        return parse if any(parse(reference) is not None for reference in item.references) else free_text

    return reader


def _captions(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return caption_scores([answer or "" for answer in answers], [item.references for item in items])


def _scenes(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return scene_scores(answers, [item.references for item in items])


def _vqa(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    reader = _by_kind(items)
    references = [[reader(item)(reference) or reference for reference in item.references] for item in items]
    return vqa_scores(answers, references, [item.kind for item in items])


def _refusals(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return {"refusal_rate": mean_score("refusal_rate", hits(answers, [item.references for item in items]))}


def _caption_set(name: str, title: str, dataset: str) -> Benchmark:
    return Benchmark(
        name=name, title=title, protocol=f"{name}/coco-ptb@1", dataset=dataset, task="caption",
        question=task_question("caption"), reader=_as_text, measure=_captions, headline=("bleu_4", "rouge_l",
        "cider_d"), per_item="cider_d", wrong_below=0.5, max_new_tokens=48,
    )  # fmt: skip


def _scene_set(name: str, title: str, dataset: str, wording: str = "scene") -> Benchmark:
    return Benchmark(
        name=name, title=title, protocol=f"{name}/free-generation@1", dataset=dataset, task="scene",
        question=task_question(wording), reader=_as_class, measure=_scenes, headline=("accuracy", "balanced_accuracy"),
        per_item="accuracy", wrong_below=1.0, max_new_tokens=16,
    )  # fmt: skip


for _benchmark in (
    _caption_set("ucm_captions", "UCM-Captions: one caption an image against five", "ucm_captions"),
    _caption_set("rsicd_captions", "RSICD: one caption an image against five", "rsicd"),
    Benchmark(
        name="rsivqa",
        title="RSIVQA (UCM part): open questions by type",
        protocol="rsivqa/evalai-numbers@1",
        dataset="rsivqa",
        task="vqa",
        question="",
        reader=_by_kind,
        measure=_vqa,
        headline=("overall", "average", "yes_no"),
        per_item="overall",
        wrong_below=1.0,
        max_new_tokens=16,
    ),
    _scene_set("ucm_scenes", "UC Merced: 21 scenes by free generation", "ucm_scenes"),
    _scene_set("aid_scenes", "AID: 30 scenes by free generation", "aid"),
    _scene_set("eurosat", "EuroSAT RGB: 10 land covers by free generation", "eurosat", "landcover"),
    _scene_set("rsscn7", "RSSCN7: 7 scenes by free generation", "rsscn7"),
    Benchmark(
        name="refusals",
        title="Fifty questions that no picture answers: the share refused",
        protocol="refusals/fifty@1",
        dataset="ucm_captions",
        task="refuse",
        question="",
        questions=QUESTIONS,
        reader=lambda _: lambda _: refusal,
        measure=_refusals,
        headline=("refusal_rate",),
        per_item="refusal_rate",
        wrong_below=1.0,
        max_new_tokens=24,
    ),
):
    BENCHMARKS.add(_benchmark.name, _benchmark)
