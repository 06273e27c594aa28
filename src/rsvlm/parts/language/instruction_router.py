"""Instruction Router: what each expert is asked, as text or as learned tokens, and which expert a question is for.

The inner form of RS-MoE's router is not published (arXiv:2411.01595 says: image features and the global instruction in,
one prompt an expert out). All of this is ours.
"""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

TEMPLATES: Mapping[str, str] = {
    "theme": "State the overall theme of this remote sensing image, its sensor look and resolution.",
    "object": "List the objects in this image with their number, colour and size.",
    "relation": "Describe where the objects are and how they relate to each other.",
}

# Which expert a kind of question is for; a kind that is not here is put to all of them.
ROUTES: Mapping[str, str] = {
    "presence": "object", "count": "object", "compare": "object", "area": "object",
    "rural_urban": "theme", "position": "relation",
}  # fmt: skip

# In this order: the first that is found in the question says its kind.
_KINDS: Mapping[str, str] = {
    "caption": (
        r"\b(describe|description|descriptive|caption|captions|summari[sz]e)\b|"
        r"\bcontents? of (this|the) (image|picture)|"
        r"^what (does|is shown in|can be seen in|do you see in) (this|the)? ?\w* ?(image|picture)"
    ),
    "rural_urban": r"\b(rural|urban)\b",
    "compare": r"\b(more|less|fewer|larger|smaller|bigger|equal|same number)\b.*\b(than|as|to)\b|\bcompare\b",
    "area": r"\b(area|surface|square met(er|re)s|m2|how (large|big))\b",
    "count": r"\bhow many\b|\bnumber of\b|\bcount\b|\bamount of\b",
    "position": r"\bwhere\b|\b(location|position|located|relation|relationship)\b",
    "presence": r"^(is|are) there\b|\bpresent\b|\b(contains?|exists?)\b|^can you see\b|^does .* (show|have)\b",
}


def question_kind(question: str) -> str:
    """The kind of a question, by its words: caption, presence, count, compare, area, rural_urban, position or open."""
    words = " ".join(question.lower().split())
    return next((kind for kind, pattern in _KINDS.items() if re.search(pattern, words)), "open")


def tagged(prompts: Mapping[str, str]) -> str:
    """Prompts by name as one text: <theme>...</theme><object>...</object>, what a router that writes has to write."""
    return "".join(f"<{name}>{text}</{name}>" for name, text in prompts.items())


def parse_tagged(text: str, names: Sequence[str]) -> dict[str, str]:
    """The prompts of `names` out of what a router wrote; the template (or nothing) where it wrote none."""
    written: dict[str, str] = {}
    for name in names:
        inside, end, _ = text.partition(f"<{name}>")[2].partition(f"</{name}>")
        written[name] = inside.strip() if end else ""
    return {name: written[name] or TEMPLATES.get(name, "") for name in names}


class SoftRouter(nn.Module):
    """Picture and question -> `tokens` learned words for each of `experts`, which stand behind the picture's.

    An expert's words are its own learned ones plus what an MLP of `hidden` makes of the picture's mean token and the
    question's mean embedding; the MLP's last map starts at zero.
    """

    def __init__(self, dim: int, *, experts: int, tokens: int, hidden: int) -> None:
        super().__init__()
        self.experts, self.tokens = experts, tokens
        self.prompt = nn.Parameter(nn.init.trunc_normal_(torch.empty(experts, tokens, dim), std=0.02))
        self.mlp = nn.Sequential(nn.Linear(2 * dim, hidden), nn.GELU(), nn.Linear(hidden, experts * tokens * dim))
        for parameter in self.mlp[2].parameters():
            nn.init.zeros_(parameter)

    def forward(self, picture: Tensor, question: Tensor, expert: Tensor | None = None) -> Tensor:
        """Picture tokens (B, N, D), the question's mean embedding (B, D) and experts (B,) -> words (B, tokens, D).

        A row of no expert (None, or a number that is none of 0..experts - 1) gets the mean of the experts' words.
        """
        made = self.mlp(torch.cat([picture.mean(1), question.to(picture.dtype)], 1))
        words = self.prompt + made.unflatten(1, self.prompt.shape)  # (B, experts, tokens, D)
        if expert is None:
            return words.mean(1)
        own = words[torch.arange(len(words), device=words.device), expert.clamp(0, self.experts - 1)]
        one = (expert >= 0) & (expert < self.experts)
        return own.where(one[:, None, None], words.mean(1))
