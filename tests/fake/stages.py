"""The batches of a stage without a system: conversations, tags or boxes about pictures of a fake tower."""

from types import SimpleNamespace

from rsvlm.data.loader import ImageCollator, Schedule, StageBatches
from rsvlm.recipe import Ingredient, Recipe, Stage
from rsvlm.systems.build import byte_tokenizer
from rsvlm.train.objectives import tags as tag_objective
from rsvlm.train.objectives.base import Setting, load_objective


def setting(
    samples,
    *,
    objective="language",
    size=16,
    views=8,
    seed=3,
    text_seed=1,
    max_tokens=200,
    levels=None,
    pack=None,
    augment=None,
):
    """What an objective's `collate` is given: the frame "chatml", four image tokens, three turns."""
    stage = Stage(
        name="s", data=(Ingredient(set="s"),), trainable=("bridge",), objective=objective, turns=3, steps=4, batch=8,
        max_tokens=max_tokens, pack=pack, lr=0.1,
    )  # fmt: skip
    first = next((image for sample in samples for image in sample.images), None)
    return Setting(
        recipe=Recipe(system="fake", size="tiny", seed=text_seed, model={"frame": "chatml", "num_tags": 8}),
        stage=stage, samples=samples, tokenizer=byte_tokenizer(),
        model=SimpleNamespace(image_tokens=4, num_images=1, tasks=(), vision=SimpleNamespace(size=size, fit="squash")),
        pictures=ImageCollator(size=size, views=views, seed=seed, levels=levels, first=first, augment=augment),
    )  # fmt: skip


def stage_batches(samples, schedule=None, *, objective="language", tags=None, batch=8, accumulate=1, rank=0, world=1,
                  **more):  # fmt: skip
    """`StageBatches` of four steps; `tags` is a vocabulary for the tag objective."""
    schedule = schedule or Schedule.draw([len(samples)], [1.0], 32, [3])
    made = setting(samples, objective="tags" if tags else objective, **more)
    collate = tag_objective.collate_tags(made, tags) if tags else load_objective(objective).collate(made)
    return StageBatches(samples, schedule, collate, batch=batch, accumulate=accumulate, rank=rank, world=world)
