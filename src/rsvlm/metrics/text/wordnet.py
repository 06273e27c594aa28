"""Synonyms from the dictionary files of WordNet 3.0 (`index.noun`, `data.noun`, `noun.exc`, ...).

Princeton University's; the package ships none of it. Debian's package `wordnet-base` and NLTK's data hold the files.
Format: https://wordnet.princeton.edu/documentation/wndb5wn.
"""

import os
import re
from functools import cache, cached_property, lru_cache
from pathlib import Path

from rsvlm.errors import BadInput, MissingPart

PLACES = ("/usr/share/wordnet", "~/nltk_data/corpora/wordnet", "/usr/share/nltk_data/corpora/wordnet")
_SUFFIXES = {
    "noun": "s: ses:s ves:f xes:x zes:z ches:ch shes:sh men:man ies:y",
    "verb": "s: ies:y es:e es: ed:e ed: ing:e ing:",
    "adj": "er: est: er:e est:e",
    "adv": "",
}
_MARK = re.compile(r"\([^()]*\)$")  # galore(ip): where an adjective may stand


class WordNet:
    """The synonyms of a folder of WordNet's dictionary files, read when first asked.

    Raises MissingPart where a file is not there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        missing = [name for kind in _SUFFIXES for name in _files(kind) if not (self.folder / name).is_file()]
        if missing:
            raise MissingPart(
                f"{self.folder} has no {missing[0]}; expected the twelve dictionary files of WordNet 3.0 "
                "(index.noun, data.noun, noun.exc, ...): give their folder."
            )
        self.synonyms = lru_cache(maxsize=1 << 16)(self._synonyms)

    def _synonyms(self, word: str) -> frozenset[str]:
        """The single words of all synsets of `word` in any part of speech, and the word itself."""
        word = word.lower()
        found = {word}
        for kind in _SUFFIXES:
            index, data = self._tables[kind]
            for form in self._forms(word, kind):
                for offset in index.get(form, ()):
                    found.update(_words(data, offset, self.folder / f"data.{kind}"))
        return frozenset(found)

    @cached_property
    def _tables(self) -> dict[str, tuple[dict[str, list[int]], bytes]]:
        """Part of speech -> (lemma -> places of its synsets, the file that holds them)."""
        return {
            kind: (_index(self.folder / f"index.{kind}"), (self.folder / f"data.{kind}").read_bytes())
            for kind in _SUFFIXES
        }

    @cached_property
    def _exceptions(self) -> dict[str, dict[str, list[str]]]:
        return {
            kind: {form: bases for form, *bases in map(str.split, _text(self.folder / f"{kind}.exc").splitlines())}
            for kind in _SUFFIXES
        }

    def _forms(self, word: str, kind: str) -> list[str]:
        """The word and its base forms: those of the exception list, else all that one rule gives."""
        rules = (rule.split(":") for rule in _SUFFIXES[kind].split())
        regular = [word.removesuffix(old) + new for old, new in rules if word.endswith(old)]
        return list(dict.fromkeys([word, *self._exceptions[kind].get(word, regular)]))


def _files(kind: str) -> tuple[str, str, str]:
    return f"index.{kind}", f"data.{kind}", f"{kind}.exc"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _index(path: Path) -> dict[str, list[int]]:
    """lemma pos synset_cnt p_cnt [ptr...] sense_cnt tagsense_cnt offset...; the licence's lines begin with a blank."""
    table: dict[str, list[int]] = {}
    try:
        for line in _text(path).splitlines():
            if line and not line.startswith(" "):
                fields = line.split()
                table[fields[0]] = [int(place) for place in fields[-int(fields[2]) :]]
    except (ValueError, IndexError) as error:
        raise BadInput(f"{path} is not an index of WordNet ({error}); give the folder of WordNet 3.0.") from error
    return table


def _words(data: bytes, offset: int, path: Path) -> list[str]:
    """offset lex_filenum ss_type w_cnt(hex) word lex_id ...: the words of one synset, compounds left out."""
    fields = data[offset : data.find(b"\n", offset)].decode("utf-8").split()
    if len(fields) < 6 or fields[0] != f"{offset:08d}":
        raise BadInput(f"{path} has no synset at {offset}: index and data are not of one WordNet; give WordNet 3.0.")
    words = (_MARK.sub("", word) for word in fields[4 : 4 + 2 * int(fields[3], 16) : 2])
    return [word for word in words if "_" not in word]


@cache
def _opened(folder: str) -> WordNet:
    return WordNet(folder)


def find_wordnet(folder: str | Path | None = None) -> WordNet:
    """WordNet in `folder`, else where $WNSEARCHDIR says, else where Debian or NLTK put it.

    Raises MissingPart where there is none.
    """
    named = folder or os.environ.get("WNSEARCHDIR")
    if named:
        return _opened(str(named))
    for place in PLACES:
        if (Path(place).expanduser() / "index.noun").is_file():
            return _opened(str(Path(place).expanduser()))
    raise MissingPart(
        f"There is no WordNet in {', '.join(PLACES)}; install Debian's wordnet-base, or give the folder of WordNet "
        "3.0's dictionary files (environment variable WNSEARCHDIR)."
    )
