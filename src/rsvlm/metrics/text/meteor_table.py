"""The word lists of METEOR 1.5, read from an installed pycocoevalcap: none of its code is imported or run.

The jar holds function words, abbreviations and WordNet's synsets. The paraphrase table is 5 million lines of text; the
first use compiles it into arrays in the user's cache, and later uses map those.
"""

import contextlib
import gzip
import importlib.util
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsvlm.assets import cache_root
from rsvlm.errors import MissingPart
from rsvlm.files import atomic_folder

Ints = NDArray[np.int64]

STAGES = ("exact", "stem", "synonym", "paraphrase")
JAR, TABLE = "meteor-1.5.jar", "data/paraphrase-en.gz"
_LONGEST = 7  # words of a phrase
_BLOCK = 1 << 22  # characters of the table that are read at once
# What each English suffix becomes (WordNet's morphology): nouns, verbs, adjectives; tried in this order.
_ENDINGS = (
    "s> ses>s xes>x zes>z ches>ch shes>sh men>man ies>y s> ies>y es>e es> ed>e ed> ing>e ing> er> est> er>e est>e"
)


def package() -> Path:
    """The folder of the installed pycocoevalcap. Raises MissingPart where it is not installed."""
    spec = importlib.util.find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        raise MissingPart(
            "The word lists of METEOR and SPICE come with the Python package 'pycocoevalcap', which is not installed; "
            "run: pip install 'rsvlm[meteor]'"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def folder() -> Path:
    """Where the installed pycocoevalcap keeps METEOR. Raises MissingPart where it does not."""
    home = package() / "meteor"
    if not (home / JAR).is_file():
        raise MissingPart(f"METEOR's {JAR} is not in {home}; reinstall pycocoevalcap==1.2.")
    return home


@dataclass(frozen=True, slots=True)
class Lists:
    """What the jar holds: function words, abbreviations (True: only before a digit), synsets and irregular forms."""

    function: frozenset[str]
    prefixes: dict[str, bool]
    synsets: dict[str, str]
    bases: dict[str, list[str]]

    def senses(self, word: str) -> set[str]:
        """The synsets of a word and of what it is a form of."""
        own = self.synsets.get(word, "").split()
        return {*own, *chain.from_iterable(self.synsets.get(base, "").split() for base in self._bases(word))}

    def _bases(self, word: str) -> Sequence[str]:
        if word in self.bases:
            return self.bases[word]
        if len(word) <= 2 or word.endswith("ss"):
            return [word]
        for suffix, _, ending in (rule.partition(">") for rule in _ENDINGS.split()):
            if word.endswith(suffix) and (base := word.removesuffix(suffix) + ending) in self.synsets:
                return [base]
        return []


@lru_cache(maxsize=1)
def read_lists(home: Path) -> Lists:
    """Read the jar in `home`. A jar without synsets gives empty ones. Raises MissingPart when it is no METEOR jar."""
    try:
        with zipfile.ZipFile(home / JAR) as jar:
            inside = set(jar.namelist())

            def lines(name: str) -> list[str]:
                return jar.read(name).decode().split("\n") if name in inside else []

            function = frozenset(jar.read("function/english.words").decode().split("\n")) - {""}
            marked = [line.split() for line in jar.read("nonbreaking/english.prefixes").decode().split("\n")]
            synsets, forms = lines("synonym/english.synsets"), lines("synonym/english.exceptions")
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, OSError) as error:
        raise MissingPart(
            f"{home / JAR} cannot be read as METEOR's archive ({error}); reinstall pycocoevalcap."
        ) from error
    bases: dict[str, list[str]] = {}
    for base, irregular in zip(forms[::2], forms[1::2], strict=False):
        for form in irregular.split():
            bases.setdefault(form, []).append(base)
    prefixes = {parts[0]: parts[1:2] == ["#NUMERIC_ONLY#"] for parts in marked if parts and parts[0][0] != "#"}
    return Lists(function, prefixes, dict(zip(synsets[::2], synsets[1::2], strict=False)), bases)


@dataclass(frozen=True, slots=True)
class Paraphrases:
    """The paraphrase table as arrays.

    Phrases are nodes of a trie: level k (0..6) is a sorted array of `parent * len(words) + word`, and a node is
    numbered by its place in the levels after one another (parents of level 0 are 0). The paraphrases of node p are
    `targets[starts[p]:starts[p + 1]]`, in the order of the table.
    """

    words: NDArray[np.bytes_]
    levels: Sequence[Ints]
    starts: Ints
    targets: NDArray[np.int32]

    def word_ids(self, words: Sequence[str]) -> Ints:
        """The table's number of each word, -1 for one that it does not know."""
        return _find(self.words, np.array([word.encode(errors="surrogatepass") for word in words], np.bytes_))

    def nodes(self, ids: Ints, left: Ints) -> list[Ints]:
        """The node of the phrase of k + 1 words that starts at each position, -1 where there is none, for each k.

        `ids` are the word numbers of texts laid one after another, `left` how many words the text still has from there.
        """
        node, found, first = np.zeros_like(ids), [], 0
        for k, level in enumerate(self.levels):
            word = np.full_like(ids, -1)
            word[: max(0, len(ids) - k)] = ids[k:]
            alive = (node >= 0) & (word >= 0) & (left > k)
            place = np.full_like(ids, -1)
            place[alive] = _find(level, node[alive] * len(self.words) + word[alive])
            node = np.where(place >= 0, place + first, -1)
            first += len(level)
            found.append(node)
        return found


def _find(keys: NDArray, wanted: NDArray) -> Ints:
    """Where each wanted value stands in the sorted keys, or -1."""
    if not len(keys):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def read_paraphrases(home: Path) -> Paraphrases | None:
    """The table in `home`, from the cache or compiled into it; None where the package came without it.

    The folder in the cache is named by the checksum in the table's last bytes. A cache that cannot be written costs
    only time. Raises MissingPart for a broken table.
    """
    path = home / TABLE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            file.seek(-8, os.SEEK_END)
            mark = file.read().hex()
    except OSError as error:
        raise MissingPart(f"{path} cannot be read ({error.strerror}); reinstall pycocoevalcap.") from error
    return _paraphrases(path, cache_root() / f"meteor-paraphrase-{mark}-1")


@lru_cache(maxsize=1)
def _paraphrases(path: Path, cached: Path) -> Paraphrases:
    names = ("words", *(f"level{k}" for k in range(_LONGEST)), "starts", "targets")
    if (cached / "targets.npy").is_file():
        arrays = {name: np.load(cached / f"{name}.npy", mmap_mode="r") for name in names}
    else:
        arrays = dict(zip(names, _compile(path), strict=True))
        with contextlib.suppress(OSError):
            _keep(cached, arrays)
    levels = [arrays[f"level{k}"] for k in range(_LONGEST)]
    return Paraphrases(arrays["words"], levels, arrays["starts"], arrays["targets"])


def _keep(folder: Path, arrays: dict[str, NDArray]) -> None:
    with atomic_folder(folder) as work:  # another process may have come first: its copy is the same
        for name, array in arrays.items():
            np.save(work / f"{name}.npy", array)


def _compile(path: Path) -> list[NDArray]:
    """words, levels, starts, targets of the text table: a probability, a phrase and its paraphrase in three lines."""
    number: dict[str, int] = {}
    sources, targets = [], []
    for lines in _triples(path):
        sources.append(np.array([number.setdefault(phrase, len(number)) for phrase in lines[1::3]], np.int32))
        targets.append(np.array([number.setdefault(phrase, len(number)) for phrase in lines[2::3]], np.int32))
    lengths = np.fromiter((phrase.count(" ") + 1 for phrase in number), np.int64, len(number))
    known = set(chain.from_iterable(phrase.split(" ") for phrase in number))
    words = np.array(sorted(word.encode() for word in known), np.bytes_)
    ids = {word.decode(): i for i, word in enumerate(words.tolist())}
    spoken = map(ids.__getitem__, chain.from_iterable(phrase.split(" ") for phrase in number))
    flat = np.fromiter(spoken, np.int64, int(lengths.sum()))
    del number
    begins = np.cumsum(lengths) - lengths
    node, levels, first = np.zeros(len(lengths), np.int64), [], 0
    for k in range(_LONGEST):
        longer = np.flatnonzero(lengths > k)
        level, place = np.unique(node[longer] * len(words) + flat[begins[longer] + k], return_inverse=True)
        node[longer] = place + first
        first += len(level)
        levels.append(level)
    source, target = (node[np.concatenate(part)] if part else node for part in (sources, targets))
    order = np.argsort(source, kind="stable")
    starts = np.searchsorted(source[order], np.arange(first + 1))
    return [words, *levels, starts, target[order].astype(np.int32)]


def _triples(path: Path) -> Iterator[list[str]]:
    """Whole entries of the table, many at a time."""
    rest = ""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            while block := file.read(_BLOCK):
                lines = (rest + block).split("\n")
                whole = (len(lines) - 1) // 3 * 3
                rest = "\n".join(lines[whole:])
                yield lines[:whole]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise MissingPart(f"{path} cannot be read ({error}); reinstall pycocoevalcap.") from error
