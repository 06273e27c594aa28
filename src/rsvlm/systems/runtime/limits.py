"""What a language model can take: so many tokens at once, and the ids of its own tokenizer only."""

from typing import Any

from rsvlm.data.prompt import ChatTemplate
from rsvlm.errors import BadInput


def check_context(name: str, most: int | None, *, prompt: int, reply: int) -> None:
    """Raise BadInput where `prompt` tokens and a reply of `reply` are more than the `most` that `name` reads at once.

    None is no limit, of which a language model knows nothing beyond the positions that it was trained with.
    """
    if most is not None and prompt + reply > most:
        raise BadInput(
            f"{name} reads {most} tokens at once; the prompt has {prompt}, the reply up to {reply}: "
            "give smaller pictures, a shorter question or fewer new tokens."
        )


def check_tokenizer(name: str, tokenizer: Any, *, rows: int) -> None:
    """Raise BadInput where a tokenizer has more tokens than the language model has embeddings: it is another's."""
    if len(tokenizer) > rows:
        raise BadInput(
            f"The tokenizer of {name} has {len(tokenizer)} tokens, its language model knows {rows}; "
            "give the folder of a language model with the tokenizer that it was trained with."
        )


def stops_of(name: str, tokenizer: Any, frame: ChatTemplate) -> tuple[frozenset[int], tuple[str, ...]]:
    """What ends a reply in `frame`: tokens, and strings where plain text does ("\\n", which may be no token alone).

    Raises BadInput where the frame's stop is a mark that the tokenizer does not know.
    """
    ends = {tokenizer.eos_token_id} - {None}
    token = tokenizer.convert_tokens_to_ids(frame.stop)
    if token is not None and (token != tokenizer.unk_token_id or frame.stop == tokenizer.unk_token):
        return frozenset({token, *ends}), ()
    if not frame.stop.isspace():
        raise BadInput(
            f"{name} ends its replies with {frame.stop!r} (frame {frame.name!r}), which its tokenizer does not know; "
            "give the frame and the language model that belong together in its recipe."
        )
    return frozenset(ends), (frame.stop,)
