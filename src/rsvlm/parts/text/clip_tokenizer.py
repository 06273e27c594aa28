"""CLIP's tokenizer: a text is repaired, put in lower case and cut into pieces of words, a start and an end around it.

The ids of open_clip's `SimpleTokenizer` (openai/CLIP, MIT), computed by the library tokenizers.
"""

import html
import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from rsvlm import assets
from rsvlm.errors import BadInput, missing_extra

START, END = "<start_of_text>", "<end_of_text>"
VOCABULARY = 49408  # of every published CLIP: bytes within and at the end of a word, 48,894 merges, start and end
FEWEST = 2 * 256 + 2  # without a merge
FILE = "tokenizer.json"
# The original's pattern ignores the case, so that its "s" is the long one, too; other letters are small by then.
_WORDS = r"'[s\u017f]|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
# What ftfy changes nothing of, so that it is read the same with and without it.
_PLAIN = frozenset(set(string.printable) - {"\x0b", "\x0c"})
_ENTITY = re.compile(r"&#?[0-9A-Za-z]{1,24};")


class CLIPTokenizer(PreTrainedTokenizerFast):
    """Texts to ids as transformers' tokenizers do; each is cleaned first (`clean`)."""

    def __call__(self, text: Any, *args: Any, **options: Any) -> Any:
        """The ids of a text, or of each of several; options as of any tokenizer of transformers."""
        return super().__call__(clean(text) if isinstance(text, str) else [*map(clean, text)], *args, **options)

    @property
    def pad_token_id(self) -> int:
        """0, as in the original, where it is no token of its own but that of "!"."""
        return 0


def clean(text: str) -> str:
    """`text` as the original reads it: repaired by ftfy, entities of HTML resolved twice, blanks single, lower case.

    Raises MissingPart where ftfy is needed (for what is not printable ASCII, and for entities) and not installed.
    """
    if not _PLAIN.issuperset(text) or _ENTITY.search(text):
        try:
            import ftfy
        except ImportError as error:
            raise missing_extra("ftfy", "model") from error
        text = ftfy.fix_text(text)
    return " ".join(html.unescape(html.unescape(text)).split()).lower()


def clip_tokenizer(vocabulary: int, folder: Path | None = None) -> CLIPTokenizer:
    """The tokenizer of a model that knows `vocabulary` ids: the one in its `folder`, else CLIP's own best merges.

    Raises BadInput where there are not that many, MissingPart where CLIP's merges are needed and not in the cache.
    """
    if folder and (folder / FILE).is_file():
        tokenizer = read_tokenizer(folder / FILE)
    else:
        most = max(vocabulary - FEWEST, 0)
        tokenizer = tokenizer_from_merges(assets.clip_merges()[:most] if most else [])
    if len(tokenizer) != vocabulary:
        raise BadInput(
            f"CLIP's tokenizer{f' in {folder}' if folder else ''} has {len(tokenizer):,} ids, model.text.vocabulary is "
            f"{vocabulary:,}; expected {FEWEST} to {VOCABULARY:,}, and as many as the tokenizer has."
        )
    return tokenizer


def tokenizer_from_merges(merges: Sequence[str]) -> CLIPTokenizer:
    """The tokenizer with these merges ("i n", best first); none of them makes one of bytes, `FEWEST` ids in all."""
    letters = _letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in merges)]
    vocabulary = {word: number for number, word in enumerate([*words, START, END])}
    pairs: Any = [tuple(merge.split(" ")) for merge in merges]
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs, end_of_word_suffix="</w>"))
    backend.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(_WORDS), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    backend.add_special_tokens([START, END])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(word, vocabulary[word]) for word in (START, END)]
    )
    return _wrapped(backend)


def read_tokenizer(path: Path) -> CLIPTokenizer:
    """The tokenizer in a file of `write_tokenizer`. Raises BadInput for another one."""
    try:
        backend = Tokenizer.from_file(str(path))
    except Exception as error:  # the library's errors have no class of their own
        raise BadInput(f"{path} is no tokenizer ({str(error)[:100]}); convert the model again.") from error
    if backend.token_to_id(START) is None or backend.token_to_id(END) is None:
        raise BadInput(f"{path} is no tokenizer of CLIP: it lacks {START} or {END}; convert the model again.")
    return _wrapped(backend)


def write_tokenizer(tokenizer: CLIPTokenizer, path: Path) -> None:
    """Write all of the tokenizer but the cleaning, which is code, into one file."""
    tokenizer.backend_tokenizer.save(str(path), pretty=False)


def _wrapped(backend: Tokenizer) -> CLIPTokenizer:
    return CLIPTokenizer(tokenizer_object=backend, bos_token=START, eos_token=END)


def _letters() -> list[str]:
    """A letter for each byte as GPT-2 writes them, in the original's order: printable bytes, then the others."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = len(set(range(256)) - set(printable))
    return [*map(chr, printable), *(chr(256 + number) for number in range(others))]
