"""How well texts fit pictures: probabilities out of the vectors of any model that has `Matches`. No PyTorch.

CLIP's probability is a softmax over the texts: how well one fits among those given (arXiv:2103.00020, sec. 3.1.2).
SigLIP's is a sigmoid for each text by itself (arXiv:2303.15343, sec. 3): a model with a `logit_bias`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.systems.abilities import CountsTokens, HasLogitScale, Matches, Pixels, ability_error

Vectors = NDArray[np.float64]  # (N, D) rows of unit length
DEFAULT_SCALE = 100.0  # where CLIP's temperature ends up in training; what the field computes zero-shot classes with
PLAIN = ("{}",)
BATCH = 32


class Matcher:
    """What every runtime that matches has besides its vectors: `match`, and the scale and bias of its cosines."""

    logit_scale: float = DEFAULT_SCALE
    logit_bias: float | None = None

    def match(
        self, images: Sequence[Pixels], texts: Sequence[str], *, templates: Sequence[str] = PLAIN, cut: bool = False
    ) -> NDArray[np.float64]:
        """(N, T) probabilities, as `match_probabilities`."""
        return match_probabilities(self, images, texts, templates=templates, cut=cut)


def match_probabilities(
    model: Any, images: Sequence[Pixels], texts: Sequence[str], *, templates: Sequence[str] = PLAIN, cut: bool = False,
    batch: int = BATCH,
) -> NDArray[np.float64]:  # fmt: skip
    """(N, T): the probability of each text for each picture (H, W, 3), with the model's own scale (and bias).

    Rows sum to 1 for a model like CLIP; for one like SigLIP each is a probability by itself. A text is put into each of
    `templates`, and the vectors are averaged. `cut` cuts texts that are longer than the model's context. Raises
    BadInput for no text, an empty one or one that comes twice, for a template without {}, a text that is too long, one
    text alone where probabilities are shared among texts, and for vectors that are not numbers or do not fit together.
    """
    vectors = text_vectors(model, texts, templates=templates, cut=cut)
    if len(vectors) == 1 and not independent(model):
        raise BadInput(
            f"A probability among one text means nothing, it is always 1: give {model.name} two or more, or take the "
            "cosine similarity, embed_images(...) @ embed_texts(...).T."
        )
    return probabilities(model, image_vectors(model, images, batch=batch, width=vectors.shape[1]) @ vectors.T)


def independent(model: Any) -> bool:
    """Whether the probability of a text does not depend on the others, as SigLIP's does not."""
    return isinstance(model, HasLogitScale) and model.logit_bias is not None


def probabilities(model: Any, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines (N, T) of pictures and texts -> probabilities (N, T), softmax or sigmoid as the model was trained."""
    scale, bias = (model.logit_scale, model.logit_bias) if isinstance(model, HasLogitScale) else (DEFAULT_SCALE, None)
    logits = scale * cosines
    if bias is not None:
        return 1 / (1 + np.exp(-np.clip(logits + bias, -500, 500)))
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def text_vectors(model: Any, texts: Sequence[str], *, templates: Sequence[str] = PLAIN, cut: bool = False) -> Vectors:
    """(T, D) of unit length: the mean over `templates` of each text's vectors of unit length. Raises BadInput."""
    check_matches(model)
    asked, frames = check_texts(texts), check_templates(templates)
    prompts = [frame.replace("{}", text) for text in asked for frame in frames]
    if not cut:
        check_lengths(model, prompts)
    rows = checked_vectors(model.name, _batched(model.embed_texts, prompts, BATCH), len(prompts), "text")
    return _unit(rows.reshape(len(asked), len(frames), -1).mean(1), model.name, "text")


def check_matches(model: Any) -> None:
    """Raises BadInput, which says who can, where a model has no vectors of pictures and texts."""
    if not isinstance(model, Matches):
        raise ability_error(model.name, Matches)


def image_vectors(model: Any, images: Sequence[Pixels], *, batch: int = BATCH, width: int | None = None) -> Vectors:
    """(N, D) of unit length, `batch` pictures at a time; `width` is the D that is expected. Raises BadInput."""
    if not images:
        return np.zeros((0, width or 0))
    found = _batched(model.embed_images, images, batch)
    return checked_vectors(model.name, found, len(images), "picture", width=width)


def checked_vectors(
    name: str, rows: NDArray[Any], count: int, what: str, *, width: int | None = None
) -> NDArray[np.float64]:
    """Rows that `name` gave for `count` pictures or texts (`what`), brought to unit length.

    Raises BadInput where they are not `count` rows of finite numbers with a length, or not of `width` numbers.
    """
    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or len(rows) != count:
        raise BadInput(f"{name} gave vectors of shape {rows.shape} for {count} {what}s; expected one row for each.")
    if width is not None and rows.shape[1] != width:
        raise BadInput(
            f"{name} gave vectors of {rows.shape[1]} numbers for a {what} where {width} were expected: vectors of "
            "different models, or of a model that is not whole, do not compare."
        )
    if bad := int((~np.isfinite(rows)).any(1).sum()):
        raise BadInput(
            f"{name} gave vectors that hold NaN or infinity for {bad} of {count} {what}s, so that nothing can be "
            "matched; its weights or its precision are not right."
        )
    return _unit(rows, name, what)


def _unit(rows: NDArray[np.float64], name: str, what: str) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    if not lengths.all():
        raise BadInput(f"{name} gave a vector of length zero for a {what}, which has no direction to compare.")
    return rows / lengths


def _batched(embed: Callable[[Any], NDArray[np.float32]], what: Sequence[Any], size: int) -> NDArray[np.float32]:
    parts = [embed(what[start : start + size]) for start in range(0, len(what), size)]
    if len({part.shape[1:] for part in parts}) > 1:
        shapes = " and ".join(sorted({str(part.shape[1:]) for part in parts}))
        raise BadInput(f"Vectors of one model came in the shapes {shapes}; expected one.")
    return np.concatenate(parts)


def check_texts(texts: Sequence[str]) -> list[str]:
    """Texts without blanks around them. Raises BadInput for none, an empty one, and one that comes twice."""
    asked = [" ".join(text.split()) for text in ([texts] if isinstance(texts, str) else texts)]
    if not asked:
        raise BadInput('No text was given to match; give two or more, for example "a harbour" "a forest".')
    if not all(asked):
        raise BadInput("A text to match is empty; say what to look for in each.")
    counts = Counter(text.casefold() for text in asked)
    if again := next((text for text in asked if counts[text.casefold()] > 1), ""):
        raise BadInput(f"The text {again!r} is given {counts[again.casefold()]} times; give each text once.")
    return asked


def check_templates(templates: Sequence[str]) -> list[str]:
    """Prompt templates; none are `PLAIN`. Raises BadInput for one without the {} where the text goes."""
    frames = list(dict.fromkeys([templates] if isinstance(templates, str) else templates)) or list(PLAIN)
    if bad := next((frame for frame in frames if frame.count("{}") != 1), None):
        raise BadInput(f'The template {bad!r} has no one {{}}; write where the text goes: "a satellite photo of {{}}."')
    return frames


def check_lengths(model: Any, prompts: Sequence[str]) -> None:
    """Raises BadInput for texts that are longer than the model reads, where it tells; the longest is named."""
    if not isinstance(model, CountsTokens):
        return
    counts = model.count_tokens(prompts)
    if long := [at for at, count in enumerate(counts) if count > model.max_text]:
        first = max(long, key=lambda at: counts[at])
        raise BadInput(
            f"{len(long)} of {len(prompts)} texts are longer than {model.name} reads: {prompts[first][:60]!r}... has "
            f"{counts[first]} tokens, of which {model.max_text} are read; shorten it, or let it be cut (--cut, in "
            "Python cut=True)."
        )


def token_counts(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """How many tokens each text has with those that the tokenizer puts around it."""
    return [len(tokenizer(text, add_special_tokens=True)["input_ids"]) for text in texts]
