"""A chat template that asks for time or memory without end is one sentence; a true one is as transformers has it."""

from pathlib import Path

import numpy as np
import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from fake import hub
from rsvlm.errors import BadInput
from rsvlm.systems.load import load
from rsvlm.systems.providers import chat_template
from rsvlm.systems.providers.chat_template import ChatTemplate

TURN = {
    "role": "user",
    "content": [{"type": "image", "image": object()}, {"type": "text", "text": "Wo? \u00e9\U0001f6f0"}],
}
ENDLESS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a power": "{{ 9 ** (9 ** 9) }}",
    "a long text": "{{ 'a' * 10 ** 10 }}",
    "a wide text": "{{ '%10000000000d' % 1 }}",
    "a text that doubles": "{% set n = namespace(s='a') %}{% for i in range(60) %}{% set n.s = n.s * 2 %}{% endfor %}",
    "a long prompt": "{% for a in range(3000) %}{{ 'a' * 999 }}{% endfor %}",
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_template_without_end_is_one_sentence(kind, monkeypatch):
    monkeypatch.setattr(chat_template, "SECONDS", 5.0)
    template = ChatTemplate(ENDLESS[kind], Path("a folder"))
    with pytest.raises(BadInput, match=r"The chat template of a folder asks for more than 5 s, 1024 MB or 1,048,576"):
        template.render([TURN], {})


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ range(10 ** 9) }}", "Range too big"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "recursion"),
        ("{{ raise_exception('no pictures') }}", "no pictures"),
        ("{% for", "end of template"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_a_template_that_fails_is_one_sentence_and_the_next_question_is_asked(template, says):
    made = ChatTemplate(template, Path("a folder"))
    for _ in range(2):
        with pytest.raises(BadInput, match=f"The chat template of a folder cannot be rendered: .*{says}") as failed:
            made.render([TURN], {})
        assert "\n" not in str(failed.value)


@pytest.mark.parametrize("kind", hub.KINDS)
def test_a_prompt_is_that_of_transformers(kind, folders):
    own = (folders(kind) / "chat_template.jinja").read_text()
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    turns = [TURN, {"role": "user", "content": [{"type": "text", "text": "How?"}]}]
    expected, _ = render_jinja_template(
        [[turn] for turn in turns], chat_template=own, add_generation_prompt=True, **tokens
    )
    assert ChatTemplate(own, Path("x")).render(turns, tokens) == expected


def test_a_child_that_was_killed_is_begun_anew():
    template = ChatTemplate("{{ messages[0].content[1].text }}", Path("x"))
    assert template.render([TURN], {}) == [TURN["content"][1]["text"]]
    template._process.kill()
    template._process.wait()
    assert template.render([TURN, TURN], {}) == [TURN["content"][1]["text"]] * 2


def test_the_model_of_a_folder_is_asked_through_it(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(chat_template, "SECONDS", 5.0)
    for path in folders("qwen2_vl").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "chat_template.jinja").write_text(ENDLESS["a long text"])
    model = load(f"hf:{tmp_path}")
    with pytest.raises(BadInput, match=r"The chat template of .* asks for more"):
        model.answer([np.zeros((30, 30, 3), np.uint8)], ["Where?"])
