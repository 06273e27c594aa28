"""Words of captions and scene names as soft multi-label targets of an image."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsvlm.sample import Sample

_STOP_WORDS = """
a an the is are of in on and with to it there this that some by at as from its be has have can we one two three many
several piece here lots lot which other between each for around near next side sides both them their into
"""
_STOP = frozenset(_STOP_WORDS.split())


def tag_vocabulary(samples: Sequence[Sample], num_tags: int) -> list[str]:
    """Scene names of each set ("eurosat:river") and then the words most images' captions use, `num_tags` in all.

    Where there are fewer, empty names follow, about which nothing is known.
    """
    scenes = sorted({f"{s.source}:{t.answer}" for s in samples for t in s.turns if t.task == "scene"})
    words = Counter(word for sample in samples for word in _words(sample))
    ranked = sorted(words, key=lambda word: (-words[word], word))
    return [*scenes, *ranked, *[""] * num_tags][:num_tags]


def tag_targets(sample: Sample, vocabulary: Sequence[str]) -> NDArray[np.float32]:
    """(T,) share of the sample's captions that use a word, 0/1 for its set's scene names, -1 where nothing is known."""
    words = _words(sample)
    scenes = {f"{sample.source}:{turn.answer}" for turn in sample.turns if turn.task == "scene"}
    sets = {name.split(":")[0] for name in scenes}
    out = np.full(len(vocabulary), -1, np.float32)
    for index, tag in enumerate(vocabulary):
        if ":" in tag:
            if tag.split(":")[0] in sets:
                out[index] = tag in scenes
        elif tag and words:
            out[index] = words.get(tag, 0.0)
    return out


def _words(sample: Sample) -> dict[str, float]:
    captions = [caption for turn in sample.turns if turn.task == "caption" for caption in turn.accepted]
    counts = Counter(word for caption in captions for word in set(caption.lower().split()))
    return {w: n / len(captions) for w, n in counts.items() if len(w) > 1 and w.isalpha() and w not in _STOP}
