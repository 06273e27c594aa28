"""Words and frames: how tasks are asked, how a conversation becomes text, and which of its tokens are learned.

`TASK_QUESTIONS` lists the wordings of each task; the first one is the wording of the benchmarks. A `Frame` is a
conversation template: it says what stands around a question and an answer.
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
class Frame:
    """A conversation template as plain pieces. `{image}` in `first` is where the visual tokens go.

    One round is `first` (or `again` from the second on) with the question in, then the answer, then `close`, which is
    learned too. `stop` is the token that ends a reply. `bos` says whether the tokenizer's start token comes first.
    `lead` is a blank between question and answer that the model writes itself, as part of the answer's first word: at
    the end of a prompt it would be a token of its own, which training never shows.
    """

    name: str
    first: str
    again: str
    close: str
    stop: str
    bos: bool = True
    lead: str = ""


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
_ASKED = "<|start_header_id|>user<|end_header_id|>\n\n"
_ANSWERS = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
FRAMES: Registry[Frame] = Registry("frame")  # a system may add its own: FRAMES.add(frame.name, frame)
for _frame in (
    Frame(
        name="chatml",
        first="<|im_start|>user\n{image}\n{question}<|im_end|>\n<|im_start|>assistant\n",
        again="\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
        close="<|im_end|>",
        stop="<|im_end|>",
        bos=False,
    ),
    # rsvlm-mini: as few tokens as a small model on a CPU needs to tell question from answer.
    Frame(
        name="brief",
        first="<|im_start|>{image}{question}\n",
        again="\n{question}\n",
        close="<|im_end|>",
        stop="<|im_end|>",
        bos=False,
    ),
    # Stage 1 of LHRS-Bot: the question is dropped, the caption and its line break are learned.
    Frame(name="plain", first="{image}", again="", close="\n", stop="\n"),
    # LHRS-Bot, stages 2 and 3, as its `llava_llama_2` renders; the tokenizer adds the leading <s>.
    Frame(
        name="llava_llama_2",
        first=f"[INST] <<SYS>>\n{_LHRS_SYSTEM}\n<</SYS>>\n\n{{image}}\n{{question}} [/INST]",
        again="<s>[INST] {question} [/INST]",
        close=" </s>",
        stop="</s>",
        lead=" ",
    ),
    # LHRS-Bot-Nova, stages 2 and 3, as its `llama3` renders.
    Frame(
        name="llama3",
        first=(
            f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{_NOVA_SYSTEM}<|eot_id|>"
            f"{_ASKED}{{image}}\n{{question}}{_ANSWERS}"
        ),
        again=f"{_ASKED}{{question}}{_ANSWERS}",
        close="<|eot_id|>",
        stop="<|eot_id|>",
    ),
    # LLaVA-1.5 (RS-GPT4V's base) and GeoChat as trained: their `v1`, also named `vicuna_v1`.
    Frame(
        name="vicuna_v1",
        first=f"{_VICUNA_SYSTEM} USER: {{image}}\n{{question}} ASSISTANT:",
        again="USER: {question} ASSISTANT:",
        close="</s>",
        stop="</s>",
        lead=" ",
    ),
    # The same as GeoChat's evaluation scripts ask by default (`llava_v1`), though it was trained with vicuna_v1.
    Frame(
        name="llava_v1",
        first=f"{_VICUNA_SYSTEM.replace('user', 'human')} USER: {{image}}\n{{question}} ASSISTANT:",
        again="USER: {question} ASSISTANT:",
        close="</s>",
        stop="</s>",
        lead=" ",
    ),
    # SkyEyeGPT, as MiniGPT-v2's `CONV_VISION_minigptv2` asks: it writes a start token, the tokenizer adds another.
    Frame(
        name="minigpt_v2",
        first="<s>[INST] <Img>{image}</Img> {question} [/INST]",
        again="<s>[INST] {question} [/INST]",
        close="</s>",
        stop="</s>",
        lead=" ",
    ),
    # The same as MiniGPT-v2 trains: one start token, and two blanks before the first [/INST].
    Frame(
        name="minigpt_v2_train",
        first="[INST] <Img>{image}</Img> {question}  [/INST]",
        again="<s>[INST] {question} [/INST]",
        close="</s>",
        stop="</s>",
        lead=" ",
    ),
):
    FRAMES.add(_frame.name, _frame)


@dataclass(frozen=True, slots=True)
class Encoded:
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


def prompt_text(frame: Frame, question: str) -> tuple[str, str]:
    """The text before and after the image for a first question, ready for the answer."""
    before, after = frame.first.split("{image}")
    return before, after.replace("{question}", question)


def encode_prompt(tokenizer: Any, frame: Frame, question: str, *, image_tokens: int) -> list[int]:
    """Token ids of a first question, ready for the answer; the image is IMAGE_TOKEN `image_tokens` times."""
    after = tokenizer(prompt_text(frame, question)[1], add_special_tokens=False)["input_ids"]
    return [*_head(tokenizer, frame, image_tokens), *after]


def encode_question(tokenizer: Any, question: str) -> list[int]:
    """The question's own words, without a frame, for a bridge that reads the picture with the question in mind."""
    return tokenizer(question, add_special_tokens=False)["input_ids"]


def encode(
    tokenizer: Any, frame: Frame, conversations: Sequence[Sequence[Turn]], *, image_tokens: int, max_tokens: int = 512
) -> Encoded:
    """Tokenise conversations about one image, as branches that share it and do not see one another.

    Labels are found by character offsets, never by re-tokenised lengths: the text after the image is tokenised once, as
    it will be read, and a token is learned when it overlaps an answer or its close. Branches after the first that would
    make the reply longer than `max_tokens` are left out; a first one that is longer by itself is cut.
    """
    out = Encoded(_head(tokenizer, frame, image_tokens), [], [], [])
    for branch, turns in enumerate(conversations):
        text, spans = "", []
        for index, turn in enumerate(turns):
            asked = frame.again if index else frame.first.split("{image}")[1]
            text += asked.replace("{question}", turn.question)
            said = frame.lead + turn.answer + frame.close
            spans.append((len(text), len(text) + len(said)))
            text += said
        tokens = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = tokens["input_ids"][:max_tokens], tokens["offset_mapping"]
        if branch and len(out.reply) + len(ids) > max_tokens:
            continue
        for token, (a, b) in zip(ids, offsets, strict=False):
            out.reply.append(token)
            out.labels.append(token if any(a < end and b > start for start, end in spans) else IGNORE)
            out.turn.append(branch)
    return out


def _head(tokenizer: Any, frame: Frame, image_tokens: int) -> list[int]:
    before = frame.first.split("{image}")[0]
    ids = tokenizer(before, add_special_tokens=False)["input_ids"] if before else []
    start = [tokenizer.bos_token_id] if frame.bos else []
    return [*start, *ids, *[IMAGE_TOKEN] * image_tokens]
