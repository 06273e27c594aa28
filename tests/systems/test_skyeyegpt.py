"""SkyEyeGPT: how it is asked, letter by letter, its boxes, its adapters on the alignment layer, and batched replies."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fake import batches
from rsvlm.data.box_codecs import decode, encode
from rsvlm.data.prompt import CHAT_TEMPLATES, encode_prompt
from rsvlm.errors import BadInput
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.systems.build import build
from rsvlm.systems.load import load
from rsvlm.systems.skyeyegpt.model import MINIGPT_V2_PROMPTS, PROMPTS, SkyEyeGPT, prompt
from rsvlm.train.stages import freeze

TINY = RECIPES / "skyeyegpt/tiny.yaml"


# How it is asked.


def test_the_wordings_are_those_of_the_figures():
    assert prompt("caption") == "[caption] briefly describe the image"
    assert prompt("video_caption") == "[caption] briefly describe the video frame image"
    assert prompt("vqa", "Is there a road?") == "[vqa] Is there a road?"
    assert prompt("scene", "airport, beach") == (
        "[vqa] Classify the image within one of the given classes: airport, beach. "
        "Answer it using the above category word or phrase."
    )
    assert prompt("ground", "red ship on the left") == "[refer] where can I locate the red ship on the left?"
    assert prompt("identify", "{<1><2><3><4>}") == "[identify] this {<1><2><3><4>} is"
    assert prompt("detect", "storage tank") == "[detection] storage tank"
    assert prompt("describe") == "Describe this image in detail."
    assert "[identify] {box} what is it in" in PROMPTS["identify"] and len(PROMPTS["identify"]) == 6
    assert len(PROMPTS) == 8


def test_minigpt_v2_words_the_same_tags_otherwise():
    assert [len(MINIGPT_V2_PROMPTS[task]) for task in ("vqa", "ground", "identify", "detect")] == [2, 7, 7, 1]
    assert MINIGPT_V2_PROMPTS["ground"][1] == "[refer] give me the location of {phrase}"
    assert MINIGPT_V2_PROMPTS["ground"][6] == "[refer] where can I locate the {phrase} ?"  # the figure has no blank
    for pool in (PROMPTS, MINIGPT_V2_PROMPTS):
        tags = {task: {word.partition("]")[0] for word in words if word[0] == "["} for task, words in pool.items()}
        assert all(len(found) <= 1 for found in tags.values())
    assert {t: p[0].partition(" ")[0] for t, p in MINIGPT_V2_PROMPTS.items()} == {
        "vqa": "[vqa]", "ground": "[refer]", "identify": "[identify]", "detect": "[detection]",
    }  # fmt: skip


def test_an_unknown_task_is_refused():
    with pytest.raises(BadInput, match=r"No task of SkyEyeGPT is named 'refer'.*ground, identify"):
        prompt("refer")


def test_its_boxes_are_hundredths_in_braces():
    text = encode([(96, 240, 200, 352)], SkyEyeGPT.box_dialect, size=(800, 800))
    assert text == "{<12><30><25><44>}"
    assert encode([(799, 0, 800, 8)], "minigpt", size=(800, 800), rounding="released") == "{<99><0><100><1>}"
    phrase = f"<p>ship</p> {text}<delim>{{<0><0><5><7>}}"
    assert decode(phrase, "minigpt").boxes == ((0.12, 0.30, 0.25, 0.44), (0.0, 0.0, 0.05, 0.07))


# The alignment layer with adapters, as the paper's figure draws it.


def test_adapters_of_the_alignment_layer_can_move_alone():
    recipe = read_recipe(TINY)
    model = {**recipe.model, "bridge": {"group": 4, "lora": {"r": 2, "lora_alpha": 4}}}
    adapted = build(recipe.model_copy(update={"model": model}))
    freeze(adapted, ["bridge.lora", "language.lora"])
    moving = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert all("lora_" in name for name in moving)
    assert {name for name in moving if name.startswith("bridge.")} == {
        "bridge.proj.lora_A.default.weight", "bridge.proj.lora_B.default.weight",
    }  # fmt: skip
    plain = read_recipe(TINY)
    with pytest.raises(BadInput, match=r"trainable 'bridge\.lora' names no parameter"):
        freeze(build(plain), ["bridge.lora"])


# Answers.


@pytest.fixture
def chat(tmp_path):
    _, model, _ = batches.tiny(TINY)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # adapters that start at nothing would hide themselves
            torch.nn.init.normal_(parameter, std=0.2)
    (tmp_path / "recipe.yaml").write_text(TINY.read_text(encoding="utf-8"), encoding="utf-8")
    save_file({n: t.clone() for n, t in model.state_dict().items()}, tmp_path / "model.safetensors")
    return load(str(tmp_path))


def test_batched_replies_are_those_of_one_by_one(chat):
    pictures = [np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8) for n in range(3)]
    questions = [prompt("caption"), prompt("ground", "red ship on the left"), prompt("vqa", "Any?")]
    together = chat.answer(pictures, questions, max_new_tokens=8)
    alone = [chat.answer([p], [q], max_new_tokens=8)[0] for p, q in zip(pictures, questions, strict=True)]
    assert [reply.text for reply in together] == [reply.text for reply in alone]
    assert [r.confidence for r in together] == pytest.approx([r.confidence for r in alone], rel=1e-4)
    assert chat.box_dialect == "minigpt" and chat.trace["system"] == "skyeyegpt"


@torch.no_grad()
def test_cached_generation_is_the_one_that_reads_everything_anew(chat):
    ids = encode_prompt(chat.tokenizer, CHAT_TEMPLATES["minigpt_v2"], "What?", image_tokens=chat.model.image_tokens)
    prompts = torch.tensor([ids])
    batch = {"image": batches.pictures(chat.model, 1), "prompt": prompts,
             "prompt_mask": torch.ones_like(prompts, dtype=torch.bool)}  # fmt: skip
    said, _ = chat.model.answer(batch, stop=frozenset(), max_new_tokens=6)
    reply = prompts[:, :0]
    for _ in range(6):
        mask = torch.cat([batch["prompt_mask"], torch.ones_like(reply, dtype=torch.bool)], 1)
        hidden, _ = chat.model.speak(chat.model.read(batch), mask, reply)
        reply = torch.cat([reply, chat.model.language.head(hidden[:, -1]).argmax(-1)[:, None]], 1)
    assert said == reply.tolist()
