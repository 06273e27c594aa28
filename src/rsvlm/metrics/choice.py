"""Multiple choice: which option a reply chose, and the shares of right ones.

The released rules of the field look at one character of a reply; each has a name here, beside `letter`, which parses
whole replies.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np

from rsvlm.data.prompt import LETTERS
from rsvlm.metrics.accuracy import exact, inside_tags, squad
from rsvlm.metrics.score import Score, mean_score

_THOUGHT = re.compile(r"<think>.*?(?:</think>|$)", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|$)", re.DOTALL)
_MARK = re.compile(r"<\|[^|<>]*\|>|</?s>")  # what decoders leave of their stop tokens
_ONLY = r"[\s*\"'`(\[{<]*([A-Za-z])[\s*\"'`)\]}>.,:;!]*"
_LEAD = re.compile(r"[\s*\"'`(\[{<]*([A-Z])[*\"'`]*(?:[)\]}.:]|$|\s*\n)")
_NAMED = re.compile(
    r"(?:\b(?:answer|choice|option|choose|choosing|select|pick|it is|it's)\b"
    r"(?:\s++(?:is|would be|option|choice)){0,6}+\s*+[:=]?|\bI think)[\s*\"'`(\[]*+\b([A-Z])\b(?!['’\w])",
    re.IGNORECASE,
)


def letter(reply: str, choices: Sequence[str] = (), count: int = 0) -> str | None:
    """The letter of the option that a reply chose ("A" = the first), or None where it cannot be read.

    Read are "B", "(b)", "B. text", "The answer is B", "**B**", "<answer>B</answer>" and an option's own text, the only
    one of `choices` in the reply. `count` options are lettered (default: len(choices), else 26); a letter beyond them,
    and a reply that names several ("A or D"), are not an answer.
    """
    text = _THOUGHT.sub("", _MARK.sub(" ", reply))
    inside = _ANSWER.search(text)
    text = (inside[1] if inside else text).strip()
    allowed = LETTERS[: count or len(choices) or len(LETTERS)]
    only = re.fullmatch(_ONLY, text)
    if only:
        return only[1].upper() if only[1].upper() in allowed else None
    expected = [exact(choice).rstrip(".") for choice in choices]
    same = [
        mark for mark, choice in zip(allowed, expected, strict=False) if choice and choice == exact(text).rstrip(".")
    ]
    if len(same) == 1:
        return same[0]
    lead = _LEAD.match(text)
    found = {lead[1]} if lead else {named.upper() for named in _NAMED.findall(text) if named.isupper()}
    if not found:
        found = _by_text(text, expected, allowed)
    others = set(re.findall(r"\b(?:or|and|,|/)\s*\(?([A-Z])\b(?!['’])", text)) & set(allowed)
    return found.pop() if len(found) == 1 and found <= set(allowed) and others <= found else None


def _by_text(text: str, choices: Sequence[str], allowed: str) -> set[str]:
    """The letters of the options whose words stand in the text; of options within others only the longest."""
    padded = f" {squad(text)} "
    held = {mark: squad(choice) for mark, choice in zip(allowed, choices, strict=False) if squad(choice)}
    held = {mark: words for mark, words in held.items() if f" {words} " in padded}
    return {
        mark for mark, words in held.items() if not any(words != w and f" {words} " in f" {w} " for w in held.values())
    }


def lhrs_first(reply: str, answer: str) -> bool:
    """LHRS-Bench's script: the first character of the reply against the answer, both normalised.

    Faults kept: "A" is an article and so becomes "", as any blank or mark does. An empty reply, at which the original
    stops, is wrong.
    """
    predicted = reply.split("<|eot_id|>")[0]
    return bool(predicted) and squad(predicted[0]) == squad(answer)


def scorers_choice(reply: str, answer: str) -> bool:
    """ScoreRS's script: what stands before the first full stop is a part of the answer's letter. "" always is."""
    predicted = inside_tags(reply).split(".")[0].replace(" ", "").lower()
    return predicted in answer.replace(" ", "").replace(".", "").lower()


# (reply, letter of the right option) -> right? The faults of the released two are said above.
CHOICE_RULES: dict[str, Callable[[str, str], bool]] = {
    "letter": lambda reply, answer: letter(reply) is not None and letter(reply) == letter(answer),
    "lhrs_first": lhrs_first,
    "scorers": scorers_choice,
}


def choice_scores(
    predictions: Sequence[str | None],
    references: Sequence[str],
    kinds: Sequence[Sequence[str]] = (),
    rule: Callable[[str, str], bool] = CHOICE_RULES["letter"],
) -> dict[str, Score]:
    """`accuracy` over all questions and one `accuracy_<type>` a type.

    `predictions` are letters (or, under a released rule, whole replies), None where there was none to read. A question
    may have several types (LHRS-Bench), and counts in each.
    """
    right = np.array(
        [p is not None and rule(p, r) for p, r in zip(predictions, references, strict=True)], dtype=np.float64
    )
    scores = {"accuracy": mean_score("accuracy", right)}
    for kind in sorted({kind for one in kinds for kind in one}):
        scores[f"accuracy_{kind}"] = mean_score(f"accuracy_{kind}", right, [kind in one for one in kinds])
    return scores
