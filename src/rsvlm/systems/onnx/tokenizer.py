"""The tokenizer of an exported model, by the library tokenizers alone, with the few names of transformers used here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


class OnnxTokenizer:
    """`tokenizer.json` of SmolLM2: <|im_end|> ends a text, and there is no start token."""

    bos_token_id, unk_token = None, None

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(path))
        self.unk_token_id: int | None = None
        self.eos_token_id = self.convert_tokens_to_ids("<|im_end|>")

    def __call__(
        self, text: str, *, add_special_tokens: bool = False, return_offsets_mapping: bool = False
    ) -> dict[str, list[Any]]:
        """`input_ids` of a text, and with `return_offsets_mapping` the (start, end) of each in letters."""
        found = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        return {"input_ids": found.ids} | ({"offset_mapping": found.offsets} if return_offsets_mapping else {})

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """The id of a token; None where there is none."""
        return self._tokenizer.token_to_id(token)

    def decode(
        self, ids: Sequence[int], *, skip_special_tokens: bool, clean_up_tokenization_spaces: bool = False
    ) -> str:
        """The text of token ids; blanks are never cleaned up."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens)
