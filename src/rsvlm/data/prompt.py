"""Prompts: the wording of tasks, chat templates, and tokenisation of conversations with labels.

`TASK_QUESTIONS` lists the wordings of each task; the first one is the wording of the benchmarks. A
`ChatTemplate` (`frame` in a recipe) is the text around questions and answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rsvlm.registry import Registry
from rsvlm.sample import IGNORE, IMAGE_TOKEN, Turn

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # how the options of a multiple-choice question are lettered

TASK_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "caption": (
        "Describe this image.",
        "Describe this remote sensing image in one sentence.",
        "What does this aerial image show?",
        "Write a caption for this satellite image.",
        "Summarise what can be seen from above.",
        "Give a short description of the scene.",
    ),
    "scene": (
        "What is the scene category of this image?",
        "Classify this remote sensing image.",
        "Which kind of scene is this?",
        "What type of place is shown here?",
        "Name the scene class.",
    ),
    "landcover": (
        "What land cover is this?",
        "Which land cover class does this satellite image show?",
        "Name the land use or land cover.",
        "What covers the ground here?",
    ),
    "presence": (
        "Is there {thing}?",
        "Does this image contain {thing}?",
        "Can you see {thing} in this image?",
        "Does this picture contain {thing}?",
    ),
    "count": (
        "How many {things} are there?",
        "How many {things} are in this image?",
        "Count the {things}.",
        "What is the number of {things}?",
    ),
    "ground": (
        "Locate in the image: {phrase}",
        "Find {phrase}.",
        "Mark {phrase} with a box.",
        "Give the box of {phrase}.",
    ),
    "reason": (
        "Is this area urban or rural, and why?",
        "Is this place built up or natural? Explain.",
        "What is this place used for? Give a reason.",
    ),
    "change_caption": (
        "Describe the changes between the two images.",
        "What has changed between the two dates?",
        "What is different in the second image?",
        "Compare the two images of this place.",
    ),
    "hint": ("Why do you think so?", "What makes you say that?", "How can you tell?"),
}

REFUSAL = "I cannot tell that from this image."


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTemplate:
    """A chat template as plain pieces of text. `{image}` in `first_turn` is where the visual tokens go.

    One turn is `first_turn` (`later_turn` from the second on) with its {question}, then the answer, then `answer_end`,
    which is learned too. `stop` is the token that ends a reply. `bos`: whether the tokenizer's start token comes first.
    `answer_prefix` is a blank between question and answer that the model writes itself, as part of the answer's first
    word: at the end of a prompt it would be a token of its own, which training never shows.
    """

    name: str
    first_turn: str
    later_turn: str
    answer_end: str
    stop: str
    bos: bool = True
    answer_prefix: str = ""


_LHRS_SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
_VICUNA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions."
)
# "your", and a start token in the text on top of the one that the tokenizer adds: both as LHRS-Bot-Nova was trained.
_NOVA_SYSTEM = f"{_VICUNA_SYSTEM} If your don't know the answer to a question, please don't share false information."
_LLAMA3_USER = "<|start_header_id|>user<|end_header_id|>\n\n"
_LLAMA3_ASSISTANT = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
CHAT_TEMPLATES: Registry[ChatTemplate] = Registry("frame")  # a system may add its own: CHAT_TEMPLATES.add
for _template in (
    ChatTemplate(
        name="chatml",
        first_turn="<|im_start|>user\n{image}\n{question}<|im_end|>\n<|im_start|>assistant\n",
        later_turn="\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
        answer_end="<|im_end|>",
        stop="<|im_end|>",
        bos=False,
    ),
    # rsvlm-mini: as few tokens as a small model on a CPU needs to tell question from answer.
    ChatTemplate(
        name="brief",
        first_turn="<|im_start|>{image}{question}\n",
        later_turn="\n{question}\n",
        answer_end="<|im_end|>",
        stop="<|im_end|>",
        bos=False,
    ),
    # Stage 1 of LHRS-Bot: the question is dropped, the caption and its line break are learned.
    ChatTemplate(name="plain", first_turn="{image}", later_turn="", answer_end="\n", stop="\n"),
    # BLIP-2 over OPT: no question; the start token follows the picture, as in LAVIS and in transformers' processor.
    ChatTemplate(name="blip2", first_turn="{image}</s>", later_turn="", answer_end="\n", stop="\n", bos=False),
    # RS-CapRet, as FROMAGe: the caption is a sentence, its start token is learned with it.
    ChatTemplate(name="caption", first_turn="{image}", later_turn="", answer_end=".", stop="\n", bos=False),
    # LHRS-Bot, stages 2 and 3, as its `llava_llama_2` renders; the tokenizer adds the leading <s>.
    ChatTemplate(
        name="llava_llama_2",
        first_turn=f"[INST] <<SYS>>\n{_LHRS_SYSTEM}\n<</SYS>>\n\n{{image}}\n{{question}} [/INST]",
        later_turn="<s>[INST] {question} [/INST]",
        answer_end=" </s>",
        stop="</s>",
        answer_prefix=" ",
    ),
    # LHRS-Bot-Nova, stages 2 and 3, as its `llama3` renders.
    ChatTemplate(
        name="llama3",
        first_turn=(
            f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{_NOVA_SYSTEM}<|eot_id|>"
            f"{_LLAMA3_USER}{{image}}\n{{question}}{_LLAMA3_ASSISTANT}"
        ),
        later_turn=f"{_LLAMA3_USER}{{question}}{_LLAMA3_ASSISTANT}",
        answer_end="<|eot_id|>",
        stop="<|eot_id|>",
    ),
    # LLaVA-1.5 (RS-GPT4V's base) and GeoChat as trained: their `v1`, also named `vicuna_v1`.
    ChatTemplate(
        name="vicuna_v1",
        first_turn=f"{_VICUNA_SYSTEM} USER: {{image}}\n{{question}} ASSISTANT:",
        later_turn="USER: {question} ASSISTANT:",
        answer_end="</s>",
        stop="</s>",
        answer_prefix=" ",
    ),
    # The same as GeoChat's evaluation scripts ask by default (`llava_v1`), though it was trained with vicuna_v1.
    ChatTemplate(
        name="llava_v1",
        first_turn=f"{_VICUNA_SYSTEM.replace('user', 'human')} USER: {{image}}\n{{question}} ASSISTANT:",
        later_turn="USER: {question} ASSISTANT:",
        answer_end="</s>",
        stop="</s>",
        answer_prefix=" ",
    ),
    # SkyEyeGPT, as MiniGPT-v2's `CONV_VISION_minigptv2` asks: it writes a start token, the tokenizer adds another.
    ChatTemplate(
        name="minigpt_v2",
        first_turn="<s>[INST] <Img>{image}</Img> {question} [/INST]",
        later_turn="<s>[INST] {question} [/INST]",
        answer_end="</s>",
        stop="</s>",
        answer_prefix=" ",
    ),
    # The same as MiniGPT-v2 trains: one start token, and two blanks before the first [/INST].
    ChatTemplate(
        name="minigpt_v2_train",
        first_turn="[INST] <Img>{image}</Img> {question}  [/INST]",
        later_turn="<s>[INST] {question} [/INST]",
        answer_end="</s>",
        stop="</s>",
        answer_prefix=" ",
    ),
):
    CHAT_TEMPLATES.add(_template.name, _template)


@dataclass(frozen=True, slots=True)
class EncodedConversation:
    """Token ids of a conversation: `prompt` is what all replies share, `reply` what follows it.

    `labels` and `turn` go with `reply`: the ids that are learned (IGNORE elsewhere), and the branch each token is in.
    `question` and `expert` are for systems that read the question apart and send it to one of several speakers.
    """

    prompt: list[int]
    reply: list[int]
    labels: list[int]
    turn: list[int]
    question: list[int] | None = None
    expert: int | None = None


def prompt_text(template: ChatTemplate, question: str) -> tuple[str, str]:
    """The text before and after the image for a first question, ready for the answer."""
    before, after = template.first_turn.split("{image}")
    return before, after.replace("{question}", question)


def encode_prompt(tokenizer: Any, template: ChatTemplate, question: str, *, image_tokens: int) -> list[int]:
    """Token ids of a first question, ready for the answer; the image is IMAGE_TOKEN `image_tokens` times."""
    after = tokenizer(prompt_text(template, question)[1], add_special_tokens=False)["input_ids"]
    return [*_encode_prefix(tokenizer, template, image_tokens), *after]


def encode_replies(tokenizer: Any, template: ChatTemplate, question: str, replies: Sequence[str]) -> list[list[int]]:
    """Token ids of each reply with its end, as they follow those of `encode_prompt` for the question.

    Question and reply are tokenised as one text, as in training; a token that overlaps the reply is the reply's.
    """
    opening = prompt_text(template, question)[1]
    found = []
    for reply in replies:
        text = opening + template.answer_prefix + reply + template.answer_end
        tokens = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        pairs = zip(tokens["input_ids"], tokens["offset_mapping"], strict=True)
        found.append([token for token, (_, end) in pairs if end > len(opening)])
    return found


def encode_question(tokenizer: Any, question: str) -> list[int]:
    """The question's own words, without a frame, for a bridge that reads the picture with the question in mind."""
    return tokenizer(question, add_special_tokens=False)["input_ids"]


def encode(
    tokenizer: Any,
    template: ChatTemplate,
    conversations: Sequence[Sequence[Turn]],
    *,
    image_tokens: int,
    max_tokens: int = 512,
) -> EncodedConversation:
    """Tokenise conversations about one image, as branches that share it and do not attend to each other.

    Labels are found by character offsets, never by re-tokenised lengths: the text after the image is tokenised once, as
    it will be read, and a token is learned when it overlaps an answer or its end. Branches after the first that would
    make the reply longer than `max_tokens` are left out; a first one that is longer by itself is cut.
    """
    out = EncodedConversation(_encode_prefix(tokenizer, template, image_tokens), [], [], [])
    for branch, turns in enumerate(conversations):
        text, spans = "", []
        for index, turn in enumerate(turns):
            question_template = template.later_turn if index else template.first_turn.split("{image}")[1]
            text += question_template.replace("{question}", turn.question)
            answer_text = template.answer_prefix + turn.answer + template.answer_end
            spans.append((len(text), len(text) + len(answer_text)))
            text += answer_text
        tokens = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = tokens["input_ids"][:max_tokens], tokens["offset_mapping"]
        if branch and len(out.reply) + len(ids) > max_tokens:
            continue
        for token, (a, b) in zip(ids, offsets, strict=False):
            out.reply.append(token)
            out.labels.append(token if any(a < end and b > start for start, end in spans) else IGNORE)
            out.turn.append(branch)
    return out


def _encode_prefix(tokenizer: Any, template: ChatTemplate, image_tokens: int) -> list[int]:
    before = template.first_turn.split("{image}")[0]
    ids = tokenizer(before, add_special_tokens=False)["input_ids"] if before else []
    start = [tokenizer.bos_token_id] if template.bos else []
    return [*start, *ids, *[IMAGE_TOKEN] * image_tokens]
