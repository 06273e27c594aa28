"""Batches of the tiny recipes without files: random pictures, spoken about in byte tokens."""

from dataclasses import replace
from types import SimpleNamespace

import torch

from rsvlm.data.loader import ScheduledSample, pad_right, pad_texts
from rsvlm.data.prompt import CHAT_TEMPLATES, encode
from rsvlm.recipe import Recipe, read_recipe
from rsvlm.sample import IGNORE, Image, Sample, Turn
from rsvlm.systems.build import build, build_tokenizer
from rsvlm.train.objectives.base import Setting, load_objective
from rsvlm.train.objectives.language import pad_conversations

TALKS = (
    (Turn(question="What is it?", answer="A port."), Turn(question="Any boats?", answer="Yes")),
    (Turn(question="Describe this image.", answer="Bare land."),),
    (Turn(question="Any trees at all?", answer="No"), Turn(question="Why?", answer="It is sand.")),
)


def tiny(path, stage: int | None = None) -> tuple[Recipe, torch.nn.Module, object]:
    """The recipe at `path` (as its `stage` has it), its system (the same at every call) and its tokenizer."""
    recipe = read_recipe(path)
    recipe = recipe if stage is None else recipe.in_stage(stage)
    torch.manual_seed(0)
    return recipe, build(recipe), build_tokenizer(recipe)


def sample(number: int) -> Sample:
    """One of `TALKS` as a sample of the data sets, without a file."""
    turns = tuple(replace(turn, task="caption") for turn in TALKS[number % len(TALKS)])
    return Sample(id=str(number), images=(Image(path=""),), turns=turns)


def pictures(model, count: int, seed: int = 0) -> torch.Tensor:
    """(count, 3, H, W) of noise in [0, 1]."""
    side = model.vision.size
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def language(recipe, model, tokenizer, talks=TALKS, *, chained: bool = False) -> dict:
    """A batch of one picture a talk; its turns are branches, or follow one another where `chained`."""
    frame = CHAT_TEMPLATES[recipe.model["frame"]]
    encoded = [
        encode(tokenizer, frame, [talk] if chained else [[turn] for turn in talk], image_tokens=model.image_tokens)
        for talk in talks
    ]
    return pad_conversations(encoded, tokenizer.pad_token_id) | {"image": pictures(model, len(talks))}


def pairs(model, tokenizer, count: int = 4) -> dict:
    """A batch for a dual encoder: pictures and a text each, of different lengths."""
    texts = [f"a picture of {'many ' * number}ports" for number in range(count)]
    return {"image": pictures(model, count), **pad_texts(tokenizer, texts, model.max_text)}


def captions(recipe, model, tokenizer, stage, count: int = 4) -> dict:
    """A batch of pictures and their captions in both modes, as the objective makes it, two of each in one sequence."""
    samples = [sample(number) for number in range(count)]
    setting = Setting(
        recipe=recipe, stage=stage, samples=samples, model=model, tokenizer=tokenizer,
        pictures=SimpleNamespace(collate=lambda draws: {"image": pictures(model, len(draws))}),
    )  # fmt: skip
    draws = [ScheduledSample(one, number, 0, number) for number, one in enumerate(samples)]
    model.concat_captions = 1.0
    (batch,) = load_objective("caption_retrieval").collate(setting)(draws, [draws])
    return batch


def views(model, count: int = 4) -> dict:
    """A batch of two views each of `count` pictures, in the middle of the training: noise in the colours of each."""
    side, generator = model.vision.size, torch.Generator().manual_seed(1)
    colour = torch.rand(count, 1, 3, 1, 1, generator=generator)
    image = (colour + 0.2 * torch.rand(count, 2, 3, side, side, generator=generator)).clamp(0, 1).flatten(0, 1)
    blocks = side // model.block
    windows = torch.tensor([[side * 0.75, side * 0.5, 3.0, 5.0, 0.0], [side, side, 0.0, 0.0, 1.0]])
    return {
        "image": image, "hidden": torch.rand(2 * count, blocks, blocks, generator=generator) < model.mask_ratio,
        "window": windows.repeat(count, 1), "step": torch.tensor([3, 6]),
    }  # fmt: skip


WORDS = ("<pad>", "the", "scene", "is", "same", "houses", "appear", "<unk>", "<start>", "<end>")


def changes(model, objective: str = "change_caption", count: int = 3, *, maps: bool = True) -> dict:
    """A batch of pairs with their semantic maps, and captions of several lengths or the maps to be learned."""
    image = pictures(model, 2 * count)
    classes = torch.randint(0, 7, (2 * count, 4, 4), generator=torch.Generator().manual_seed(2))
    classes = classes.repeat_interleave(image.shape[-1] // 4, 1).repeat_interleave(image.shape[-1] // 4, 2)
    if objective == "semantic_maps":
        return {"image": image, "map_labels": classes}
    if model.vocabulary.empty:
        model.vocabulary.fill({word: at for at, word in enumerate(WORDS)})
    rows = [[8, *range(1, 3 + at % 4), 9] for at in range(count)]
    padded = pad_right(rows)
    labels = padded.clone()
    labels[:, 0] = -1
    batch = {
        "image": image, "reply": padded.clamp(min=0), "reply_mask": padded >= 0,
        "labels": labels.masked_fill(labels < 0, IGNORE), "normaliser": torch.tensor(float((labels >= 0).sum())),
    }  # fmt: skip
    return batch | ({"semantic": classes} if maps and model.reads_maps else {})


def tags(model, count: int = 4) -> dict:
    """A batch for the tag head: every third tag is known."""
    wanted = torch.full((count, model.tags.out.out_features), -1.0)
    wanted[:, ::3] = torch.rand(count, wanted[:, ::3].shape[1], generator=torch.Generator().manual_seed(1)).round()
    return {"image": pictures(model, count), "tags": wanted}
