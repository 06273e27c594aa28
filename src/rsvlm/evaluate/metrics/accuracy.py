"""When an answer counts as right, and the shares of right answers: scenes (overall, balanced) and questions (per type).

The field matches answers in six ways that differ by up to 17 points on the same predictions; each is a named rule here.
The default of our protocols is `evalai`, both sides normalised: "two" is "2", articles and punctuation do not count.
"""

import re
import string
from collections.abc import Callable, Sequence

import numpy as np

from rsvlm.evaluate.metrics.score import Array, Score, mean_score

Matcher = Callable[[str, str], bool]  # (prediction, reference)

_COUNTED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {word: str(i) for i, word in enumerate(_COUNTED)} | {"none": "0"}
_ARTICLES = ("a", "an", "the")
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_COMMA = re.compile(r"\d,\d")
# The original's look-behind is a typo ("(?!<="), so it constrains nothing: only a digit after the full stop keeps it.
_FULL_STOP = re.compile(r"\.(?!\d)")
_FULL_STOPS = 32  # and it passes re.UNICODE as the count: at most 32 full stops go
_CONTRACTED = (
    "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd "
    "he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't "
    "must've needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've somebody'd've "
    "somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll "
    "that's there'd there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've "
    "we've weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's "
    "who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've "
    "you'll you're you've 'ow's'at"
)  # fmt: skip
_CONTRACTIONS = {
    word[:i] + word[i + 1 :]: word for word in _CONTRACTED.split() for i, letter in enumerate(word) if letter == "'"
} | {"somebody'd": "somebodyd"}  # the last one runs the wrong way in the original


def exact(text: str) -> str:
    """Lower case, no blanks at the ends."""
    return text.strip().lower()


def vqa_v2(text: str) -> str:
    """VQA v2's official normalisation (Antol et al. 2015): punctuation, number words to ten, articles, contractions."""
    text = text.replace("\n", " ").replace("\t", " ").strip()
    return _words(_strip_punctuation(text, everywhere=_COMMA.search(text) is not None))


def evalai(text: str) -> str:
    """EvalAI's variant of it, which most RS-VLM repositories carry: commas and "?" go first, "'s" is split off."""
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return _words(_strip_punctuation(text.replace("\n", " ").replace("\t", " ").strip(), everywhere=False))


def squad(text: str) -> str:
    """SQuAD's normalisation: all punctuation and articles go, number words stay."""
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def _strip_punctuation(text: str, *, everywhere: bool) -> str:
    """A mark beside a blank vanishes, any other becomes a blank; `everywhere`: all vanish."""
    out = text
    for mark in _PUNCTUATION:
        out = out.replace(mark, "" if everywhere or f"{mark} " in text or f" {mark}" in text else " ")
    return _FULL_STOP.sub("", out, count=_FULL_STOPS)


def _words(text: str) -> str:
    words = (_DIGITS.get(word, word) for word in text.lower().split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def _first_clause(text: str) -> str:
    return text.replace(" ", "").split(".")[0].split(",")[0].lower()


def _lhrs_v1(prediction: str, reference: str) -> bool:
    said = evalai(prediction)
    return said == reference or said in reference


def _lhrs_nova(prediction: str, reference: str) -> bool:
    said, told = evalai(prediction).lower(), reference.lower()
    return _lhrs_v1(prediction, reference) or said in told or told in said


# Released rules under their published faults, for comparison with published numbers: `lhrs_v1`, `lhrs_nova`, `scorers`
# count an empty prediction right; `vrsbench_rule` (without its judge model) passes "no" in "not sure".
MATCHERS: dict[str, Matcher] = {
    "exact": lambda prediction, reference: exact(prediction) == exact(reference),
    "evalai": lambda prediction, reference: evalai(prediction) == evalai(reference),
    "vqa_v2": lambda prediction, reference: vqa_v2(prediction) == vqa_v2(reference),
    "squad": lambda prediction, reference: squad(prediction) == squad(reference),
    "lhrs_v1": _lhrs_v1,
    "lhrs_nova": _lhrs_nova,
    "scorers": lambda prediction, reference: _first_clause(prediction) in reference.replace(" ", "").lower(),
    "vrsbench_rule": lambda prediction, reference: reference.lower() in prediction.lower(),
}


def hits(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]], match: Matcher = MATCHERS["exact"]
) -> Array:
    """(N,) of 1 where the prediction matches one of its references, else 0. None (not parsed) is never right."""
    return np.array(
        [
            p is not None and any(match(p, r) for r in accepted)
            for p, accepted in zip(predictions, references, strict=True)
        ],
        dtype=np.float64,
    )


def scene_scores(predictions: Sequence[str | None], references: Sequence[Sequence[str]]) -> dict[str, Score]:
    """`accuracy` over all images and `balanced_accuracy`, the mean of the recalls of the classes that occur.

    Predictions are class names or None; the first reference is the class.
    """
    right = hits(predictions, references)
    balanced = _mean_of_kinds("balanced_accuracy", right, [accepted[0] for accepted in references])
    return {"accuracy": mean_score("accuracy", right), "balanced_accuracy": balanced}


def vqa_scores(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    kinds: Sequence[str],
    match: Matcher = MATCHERS["evalai"],
) -> dict[str, Score]:
    """`overall` (micro), `average` (macro over question types), `yes_no` and one `accuracy_<kind>` a type.

    `yes_no` covers the questions whose reference is yes or no, and is left out where there is none.
    """
    right = hits(predictions, references, match)
    scores = {"overall": mean_score("overall", right), "average": _mean_of_kinds("average", right, kinds)}
    polar = [evalai(accepted[0]) in ("yes", "no") for accepted in references]
    if any(polar):
        scores["yes_no"] = mean_score("yes_no", right, polar)
    for kind in sorted(set(kinds)):
        name = f"accuracy_{kind or 'other'}"
        scores[name] = mean_score(name, right, [other == kind for other in kinds])
    return scores


def _mean_of_kinds(name: str, right: Array, kinds: Sequence[str]) -> Score:
    """The mean over kinds of the share of right answers among each. Kinds absent from a resample do not count in it."""
    order = sorted(set(kinds))
    member = np.array([[kind == other for other in order] for kind in kinds], dtype=np.float64).reshape(-1, len(order))
    sums = np.concatenate([member * right[:, None], member], axis=1)

    def finish(totals: Array) -> Array:
        found, asked = totals[..., : len(order)], totals[..., len(order) :]
        shares = np.divide(found, asked, out=np.zeros_like(found), where=asked > 0)
        return shares.sum(axis=-1) / np.maximum((asked > 0).sum(axis=-1), 1)

    value = float(finish(sums.sum(axis=0))) if len(right) else 0.0
    return Score(name=name, value=value, per_item=right, n=len(right), sums=sums, finish=finish)
