"""Matching rules of answers, and accuracies: scenes (overall, balanced, per class) and questions (overall, per type).

The field matches answers in ways that differ by up to 17 points on the same predictions; each is a named rule here.
The default of our protocols is `evalai`, both sides normalised: "two" is "2", articles and punctuation do not count.
CDVQA (arXiv:2112.06343) is `vqa_scores` with the rule `exact`: its overall and average accuracy.
"""

import re
import string
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from rsvlm.metrics.score import Array, Score, mean_score

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


def inside_tags(reply: str) -> str:
    """What ScoreRS's scripts read of a reply: what follows its first thought, then what its first <answer> holds."""
    thought = reply.partition("<think>")[2].split("<think>")[0].split("</think>")
    text = thought[1] if len(thought) > 1 else reply
    return text.split("<answer>")[1].split("</answer>")[0] if "<answer>" in text else text


def _scorers(prediction: str, reference: str) -> bool:
    predicted = inside_tags(prediction).replace(" ", "").split(".")[0].split(",")[0]
    return predicted.lower() in reference.replace(" ", "").lower()


def _lhrs_v1(prediction: str, reference: str) -> bool:
    predicted = evalai(prediction)
    return predicted == reference or predicted in reference


def _lhrs_nova(prediction: str, reference: str) -> bool:
    predicted, expected = evalai(prediction).lower(), reference.lower()
    return _lhrs_v1(prediction, reference) or predicted in expected or expected in predicted


def rsvqa_bucket(text: str) -> str:
    """A count as RSVQA-LR quantises it: 0, 1-10, 11-100, 101-1000 or more; any other text as `exact` has it."""
    found = re.fullmatch(r"\d{1,18}", text.strip())
    if found is None:
        return exact(text)
    count = int(found[0])
    return next((f"at most {edge}" for edge in (0, 10, 100, 1000) if count <= edge), "more than 1000")


# Words that VRSBench's questions use for one thing. Ours: the official judge is a model of others that has no table.
_SYNONYMS = (
    ("airplane", "plane", "aircraft", "aeroplane"), ("ship", "boat", "vessel"), ("harbor", "harbour", "port"),
    ("soccer field", "football field", "soccer ball field"), ("track field", "ground track field", "running track"),
    ("roundabout", "traffic circle", "rotary"), ("storage tank", "tank"), ("highway", "freeway", "motorway"),
    ("house", "home"), ("road", "street"), ("parking lot", "car park", "parking area"), ("overpass", "flyover"),
    ("forest", "woodland", "woods"), ("water", "body of water"), ("grass", "lawn", "grassland"), ("large", "big"),
    ("small", "little"), ("gray", "grey"), ("center", "centre", "middle", "central"), ("top", "upper"),
    ("bottom", "lower"), ("left", "left side"), ("right", "right side"), ("pond", "swimming pool", "pool"),
)  # fmt: skip
_ONE_WORD = {other: first for first, *rest in _SYNONYMS for other in rest}
_OTHER = re.compile(rf"\b({'|'.join(sorted(_ONE_WORD, key=len, reverse=True))})\b")
_POLAR, _NUMBER = re.compile(r"\b(?:yes|no)\b"), re.compile(r"\b\d+\b")


def _plainly(text: str) -> str:
    words = " ".join(word.removesuffix("s") if len(word) > 3 else word for word in evalai(text).lower().split())
    return _OTHER.sub(lambda found: _ONE_WORD[found[0]], words.replace("-", " "))


def _vrsbench_local(prediction: str, reference: str) -> bool:
    """Equal, or for yes, no and numbers the only one in the prediction, else the reference's words within it."""
    predicted, expected = _plainly(prediction), _plainly(reference)
    for closed in (_POLAR, _NUMBER):
        if closed.fullmatch(expected):
            return set(closed.findall(predicted)) == {expected}
    return predicted == expected or (
        expected != "" and f" {expected} " in f" {predicted} " and " not " not in f" {predicted} "
    )


# Released rules under their published faults, for comparison with published numbers: `lhrs_v1`, `lhrs_nova`, `scorers`
# count an empty prediction right; `vrsbench_rule` (without its judge model) passes "no" in "not sure".
MATCHERS: dict[str, Matcher] = {
    "exact": lambda prediction, reference: exact(prediction) == exact(reference),
    "evalai": lambda prediction, reference: evalai(prediction) == evalai(reference),
    "vqa_v2": lambda prediction, reference: vqa_v2(prediction) == vqa_v2(reference),
    "squad": lambda prediction, reference: squad(prediction) == squad(reference),
    "lhrs_v1": _lhrs_v1,
    "lhrs_nova": _lhrs_nova,
    "scorers": _scorers,
    "vrsbench_rule": lambda prediction, reference: reference.lower() in prediction.lower(),
    "vrsbench_local": _vrsbench_local,  # whole words and a table of synonyms; not the official judge, a model of others
    "rsvqa_buckets": lambda prediction, reference: rsvqa_bucket(prediction) == rsvqa_bucket(reference),
}


def lhrs_class(text: str, classes: Sequence[str]) -> str:
    """The class that LHRS-Bot's script reads: the text itself, else the longest common substring, else the last class.

    Faults kept: the text keeps its case, the first of equally long ones wins, and a reply that shares no letter with
    any class is the last class, so that nothing ever fails to be read.
    """
    text = text.strip()
    if text in classes:
        return text
    sizes = [SequenceMatcher(None, text, name).find_longest_match(0, len(text), 0, len(name)).size for name in classes]
    return classes[sizes.index(max(sizes)) if any(sizes) else -1]


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
    """`accuracy`, `balanced_accuracy` (mean recall of the classes that occur), `macro_precision`, `macro_f1`, `kappa`.

    And one `recall_<class>` a class. Predictions are class names or None; the first reference is the class. Compared by
    `exact`. Macro means are over the classes that occur or are predicted, as in scikit-learn; an empty precision is 0.
    """
    right = hits(predictions, references)
    expected = [exact(accepted[0]) for accepted in references]
    scores = {
        "accuracy": mean_score("accuracy", right),
        "balanced_accuracy": _mean_of_kinds("balanced_accuracy", right, expected),
    }
    predicted = [
        None if p is None else t if hit else exact(p) for p, t, hit in zip(predictions, expected, right, strict=True)
    ]
    names = sorted({*expected, *(name for name in predicted if name is not None)})
    is_predicted = np.array([[name == p for name in names] for p in predicted], dtype=np.float64).reshape(
        -1, len(names)
    )
    is_expected = np.array([[name == t for name in names] for t in expected], dtype=np.float64).reshape(-1, len(names))
    sums = np.concatenate([is_predicted * is_expected, is_predicted, is_expected, np.ones((len(expected), 1))], axis=1)
    for name, finish in (("macro_precision", _macro_precision), ("macro_f1", _macro_f1), ("kappa", _kappa)):
        scores[name] = Score(
            name=name, value=float(finish(sums.sum(0))), per_item=right, n=len(right), sums=sums, finish=finish
        )
    for name in sorted(set(expected)):
        scores[f"recall_{name}"] = mean_score(f"recall_{name}", right, [name == t for t in expected])
    return scores


def _shares(sums: Array) -> tuple[Array, Array, Array, Array]:
    """Correct, predicted and expected items of each class, and the number of items, from sums (..., 3 C + 1)."""
    both, predicted, expected = np.split(sums[..., :-1], 3, axis=-1)
    return both, predicted, expected, sums[..., -1]


def _macro(values: Array, occurs: NDArray[np.bool_]) -> Array:
    return (values * occurs).sum(-1) / np.maximum(occurs.sum(-1), 1)


def _macro_precision(sums: Array) -> Array:
    both, predicted, expected, _ = _shares(sums)
    return _macro(np.divide(both, predicted, out=np.zeros_like(both), where=predicted > 0), predicted + expected > 0)


def _macro_f1(sums: Array) -> Array:
    both, predicted, expected, _ = _shares(sums)
    return _macro(
        np.divide(2 * both, predicted + expected, out=np.zeros_like(both), where=predicted + expected > 0),
        predicted + expected > 0,
    )


def _kappa(sums: Array) -> Array:
    """Cohen's kappa (an answer not read agrees with nothing); 0 where chance alone is always right."""
    both, predicted, expected, n = _shares(sums)
    n = np.maximum(n, 1)
    agreed, chance = both.sum(-1) / n, (predicted * expected).sum(-1) / n**2
    return np.divide(agreed - chance, 1 - chance, out=np.zeros_like(chance), where=chance < 1)


def confusion(
    predictions: Sequence[str | None], references: Sequence[str], classes: Sequence[str]
) -> NDArray[np.int64]:
    """(C, C + 1) counts: row = the reference's class, column = the predicted class, the last one anything else or None.

    Raises ValueError for a reference outside `classes`.
    """
    at = {exact(name): i for i, name in enumerate(classes)}
    table = np.zeros((len(classes), len(classes) + 1), np.int64)
    for predicted, expected in zip(predictions, references, strict=True):
        if exact(expected) not in at:
            raise ValueError(f"the reference {expected!r} is none of the {len(classes)} classes")
        table[at[exact(expected)], -1 if predicted is None else at.get(exact(predicted), -1)] += 1
    return table


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
