"""A vocabulary of whole words, kept with the weights: for systems that write sentences word by word."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from rsvlm.errors import BadInput

PAD, UNKNOWN, START, END = "<pad>", "<unk>", "<start>", "<end>"
SPECIAL = (PAD, UNKNOWN, START, END)
LETTERS = 48  # bytes of a word at the most, in UTF-8


class WordVocabulary(nn.Module):
    """Words by id, in a buffer of the state dict: `letters` uint8 (size, LETTERS), a word's UTF-8 padded with zeros.

    So the words are saved, resumed and loaded with the weights. `size` is the room that there is; ids behind the last
    word are never used. `<pad>` is 0; an empty vocabulary has no words at all.
    """

    letters: torch.Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("letters", torch.zeros(size, LETTERS, dtype=torch.uint8))

    def ids(self) -> dict[str, int]:
        """Word -> id, the special ones among them. Raises BadInput where it is empty or damaged."""
        try:
            rows = [bytes(row).rstrip(b"\0").decode() for row in self.letters.tolist()]
        except UnicodeDecodeError as error:
            raise BadInput(
                f"The words beside these weights are damaged ({error}); fetch or train them again."
            ) from error
        words = {word: at for at, word in enumerate(rows) if word}
        if not set(SPECIAL) <= words.keys():
            raise BadInput("There are no words beside these weights; finish training them, or convert them again.")
        return words

    @property
    def empty(self) -> bool:
        """Whether it has no words yet."""
        return not bool(self.letters.any())

    def fill(self, words: Mapping[str, int]) -> None:
        """Put in word -> id. Raises BadInput where there is no room for them, or one of the special ones is missing."""
        if lacking := [word for word in SPECIAL if word not in words] + [f"{PAD} as 0"] * (words.get(PAD) != 0):
            raise BadInput(f"A vocabulary lacks {lacking[0]}; expected {', '.join(SPECIAL)} beside the words.")
        if odd := [word for word, at in words.items() if type(at) is not int]:
            raise BadInput(
                f"The id of {odd[0]!r:.60} in a vocabulary is {words[odd[0]]!r:.40}; expected a whole number."
            )
        rows = {at: word.encode() for word, at in words.items()}
        if len(rows) < len(words) or min(rows) < 0 or max(rows) >= len(self.letters):
            raise BadInput(
                f"A vocabulary has {len(words)} words with ids up to {max(rows)}, and there is room for "
                f"{len(self.letters)}; raise model.words.size, or min_frequency."
            )
        if long := [word for word in words if len(word.encode()) > LETTERS or "\0" in word]:
            raise BadInput(f"The word {long[0]!r:.60} of a vocabulary has over {LETTERS} bytes; leave it out.")
        table = torch.zeros_like(self.letters, device="cpu")
        for at, word in rows.items():
            table[at, : len(word)] = torch.tensor(list(word), dtype=torch.uint8)
        self.letters.copy_(table)


def encode_words(words: Mapping[str, int], said: Sequence[str], most: int) -> list[int]:
    """A caption as ids: start, the first `most` of its words, end; those outside the vocabulary become `<unk>`."""
    return [words[START], *(words.get(word, words[UNKNOWN]) for word in said[:most]), words[END]]


def decode_words(words: Mapping[str, int], ids: Sequence[int]) -> str:
    """Ids as a text: without start, end and padding; `<unk>` stays, as the model says it."""
    names = {at: word for word, at in words.items()}
    return " ".join(names.get(at, UNKNOWN) for at in ids if names.get(at) not in (PAD, START, END))
