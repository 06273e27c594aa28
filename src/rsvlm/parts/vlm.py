"""VisionLanguageModel: see -> bridge -> read -> speak. `loss` and `answer` share the one path."""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.errors import BadInput
from rsvlm.parts import losses
from rsvlm.parts.decoding import Ended, Row
from rsvlm.parts.language.model import LanguageModel
from rsvlm.parts.packing import Packing
from rsvlm.parts.system import PartBuilder, System
from rsvlm.parts.vision.tower import Tower
from rsvlm.sample import IGNORE, IMAGE_TOKEN, Batch

Adjust = Callable[[Tensor, int], Tensor]


class VisionLanguageModel(System):
    """image -> levels = see -> tokens = bridge(levels, prompt) -> prefix = read -> logits = speak(prefix, reply).

    Tensors under the names of `rsvlm.sample.BATCH_CONTRACT`. `bridge` gives `image_tokens` tokens an image, (B, K, D).
    """

    objectives = ("language",)
    runtime = "rsvlm.systems.runtime.open_chat"
    tasks: ClassVar[tuple[str, ...]] = ()  # of turns that it learns, where not any; samples without one are refused
    reads_question: ClassVar[bool] = False  # whether the bridge's tokens depend on the prompt
    box_dialect: str = ""  # how it writes boxes: a name of `rsvlm.data.box_codecs`, "" = not taught to
    box_sides: str = "shown"  # a box's numbers are fractions of the square that is "shown", or of the picture "stored"
    bridge: nn.Module
    language: LanguageModel

    def __init__(self, vision: Tower, bridge: nn.Module, language: LanguageModel, *, image_tokens: int) -> None:
        super().__init__()
        self.vision, self.bridge, self.language, self.image_tokens = vision, bridge, language, image_tokens

    @classmethod
    def build(cls, numbers: Mapping[str, Any], parts: PartBuilder) -> Self:
        """`vision` and `language` become parts, the other numbers (`bridge`, ...) are the constructor's own."""
        if missing := [part for part in ("vision", "language", "bridge") if part not in numbers]:
            raise BadInput(
                f"The recipe's `model` says nothing of {missing[0]}; give its numbers, or `start` from a model."
            )
        vision, language = parts.vision(**numbers["vision"]), parts.language(**numbers["language"])
        own = {name: value for name, value in numbers.items() if name not in ("vision", "language")}
        return cls(vision=vision, language=language, **own)

    def tokens(self, batch: Batch) -> Tensor:
        """The pictures as visual tokens of the language model (B, K, D)."""
        return self.bridge(self.see(batch), batch["prompt"])

    def read(self, batch: Batch) -> Tensor:
        """What the language model sees before it answers: prompt embeddings (B, P, D), image tokens in place.

        A batch with neither `image` nor `levels` is blind: prompts without image tokens. Single rows may be blind, too.
        """
        prefix = self.language.embed(batch["prompt"])
        if "image" not in batch and "levels" not in batch:
            return prefix
        places = batch["prompt"] == IMAGE_TOKEN
        tokens = self.tokens(_with_picture(batch, places.any(1)))
        return prefix.masked_scatter(places[..., None], tokens.to(prefix.dtype))

    def speak(
        self, prefix: Tensor, mask: Tensor, reply: Tensor, cache: Any = None, positions: Tensor | None = None,
        expert: Tensor | None = None, packing: Packing | None = None,
    ) -> tuple[Tensor, Any]:  # fmt: skip
        """Hidden states (B, R + 1, D) that predict the reply and what follows it, and the KV cache if one was given.

        prefix (B, P, D), reply ids (B, R); mask and positions as in `rsvlm.parts.language.model`, those of the shared
        rows where the language model runs over a `packing`. `expert` (B,) is for language models that have several
        experts. `language.head` turns hidden states into logits.
        """
        x = torch.cat([prefix, self.language.embed(reply)], 1)
        if packing is not None:
            x, expert = packing.pack(x), None if expert is None else packing.of_rows(expert)
        speaker = {} if expert is None else {"expert": expert}
        hidden, cache = self.language(x, mask, cache, positions, **speaker)
        hidden = hidden if packing is None else packing.unpack(hidden)
        return hidden[:, prefix.shape[1] - 1 :], cache

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalars: "language", the cross-entropy of the labelled reply tokens; only those get logits."""
        packing = packed(batch)
        mask, positions = branches(batch, packing)
        hidden, _ = self.speak(
            self.read(batch), mask, batch["reply"], positions=positions, expert=batch.get("expert"), packing=packing
        )
        learned = batch["labels"] != IGNORE
        rows, places = learned.nonzero(as_tuple=True)
        logits = self.language.head(hidden[rows, before(batch["turn"])[rows, places]])
        return {"language": losses.next_token(logits, batch["labels"][learned], normaliser=batch.get("normaliser"))}

    @final
    @torch.inference_mode()
    def log_likelihoods(self, batch: Batch) -> Tensor:
        """Natural log-probability of each token of the reply (B, R), after the prompt and its own branch alone."""
        mask, positions = branches(batch)
        hidden, _ = self.speak(self.read(batch), mask, batch["reply"], positions=positions, expert=batch.get("expert"))
        at = before(batch["turn"])
        logits = self.language.head(hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1])))
        return logits.float().log_softmax(-1).gather(-1, batch["reply"][..., None])[..., 0]

    def merge_adapters(self) -> None:
        """Fold the language model's adapters into its weights."""
        self.language.merge()

    @final
    def answer(
        self, batch: Batch, *, stop: frozenset[int], max_new_tokens: int, ended: Ended | None = None
    ) -> tuple[list[list[int]], list[float]]:
        """Greedy replies to the prompts, and how sure they are: the end of `steps`."""
        *_, rows = self.steps(batch, stop=stop, max_new_tokens=max_new_tokens, ended=ended)
        return [row.ids for row in rows], [row.confidence for row in rows]

    @final
    @torch.inference_mode()
    def steps(
        self, batch: Batch, *, stop: frozenset[int], max_new_tokens: int, ended: Ended | None = None,
        adjust: Adjust | None = None,
    ) -> Iterator[list[Row]]:  # fmt: skip
        """Greedy replies while they grow: the same rows, one a prompt, after every token.

        A row ends with a token of `stop`, after a token with which `ended` says of its ids that they are whole, or
        after `max_new_tokens` (1 or more). The last rows are given when all have ended. `adjust` changes the logits
        (B, V) of the token of a number, from 0, before one is chosen.
        """
        prefix, mask, cache = self._begin(batch)
        nothing = batch["prompt"].new_empty(len(prefix), 0)
        rows = [Row() for _ in prefix]
        for step in range(max_new_tokens):
            hidden, cache = self.speak(prefix, mask, nothing, cache, expert=batch.get("expert"))
            logits = self.language.head(hidden[:, -1]).float()
            log, best = (adjust(logits, step) if adjust else logits).log_softmax(-1).max(-1)
            for row, token, sure in zip(rows, best.tolist(), log.tolist(), strict=True):
                if row.open:
                    row.add(token, sure, stop, ended)
            yield rows
            if not any(row.open for row in rows):
                break
            prefix = self.language.embed(best[:, None])  # the cache holds what came before
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)

    def _begin(self, batch: Batch) -> tuple[Tensor, Tensor, Any]:
        """What is still to be run over (B, T, D), the mask (B, past + T), and a cache of what already was.

        Prompts that ask about one picture begin alike, up to the last of its tokens. With `picture` in the batch that
        beginning is run over once for each row of `levels`, not once for each prompt.
        """
        from transformers import DynamicCache

        cache: Any = DynamicCache()
        if "picture" not in batch:
            return self.read(batch), batch["prompt_mask"], cache
        ids, row, width = batch["prompt"], batch["picture"], batch["prompt"].shape[1]
        start = width - batch["prompt_mask"].sum(1)  # left padding
        shared = int((ids[0] == IMAGE_TOKEN).nonzero()[-1] + 1 - start[0])
        firsts = torch.stack([(row == at).nonzero()[0, 0] for at in range(int(row.max()) + 1)])
        at = start[firsts, None] + torch.arange(shared, device=ids.device)
        head = self.read({"prompt": ids[firsts].gather(1, at), "levels": batch["levels"]})
        _, cache = self.language(head, batch["prompt_mask"].new_ones(len(head), shared), cache)
        cache.batch_select_indices(row)
        rest = ids[:, int(start.min()) + shared :]
        real = torch.arange(width - rest.shape[1], width, device=ids.device) >= (start + shared)[:, None]
        return self.language.embed(rest), torch.cat([real.new_ones(len(ids), shared), real], 1), cache


def before(turn: Tensor) -> Tensor:
    """Where in `speak`'s hidden states a reply token is predicted, (B, R): at the token before it in its branch.

    For the first token of a branch that is the end of the prompt, 0.
    """
    starts = turn != F.pad(turn, (1, 0), value=-1)[:, :-1]
    return torch.arange(turn.shape[1], device=turn.device).expand_as(turn).masked_fill(starts, 0)


def _with_picture(batch: Batch, shown: Tensor) -> Batch:
    """The rows of a batch that have a picture; `shown` (B,) says which."""
    if shown.all():
        return batch
    if not shown.any():  # the blank picture's: every process runs the same modules, whatever it drew
        shown = torch.arange(len(shown), device=shown.device) == 0
    values: dict[str, Any] = {**batch}
    rows = {key: values[key][shown] for key in ("prompt", "prompt_mask", "question", "expert") if key in values}
    return cast(Batch, values | rows)


def packed(batch: Batch) -> Packing | None:
    """How the conversations of a batch share rows; None where each has its own."""
    row = batch["sequence"] if "sequence" in batch else batch.get("row")
    if row is None:
        return None
    return Packing(row, torch.cat([batch["prompt_mask"], batch["reply_mask"]], 1))


def branches(batch: Batch, packing: Packing | None = None) -> tuple[Tensor, Tensor]:
    """Who sees whom (B, P + R, P + R), and positions (B, P + R), when the branches of a reply share one prompt.

    A reply token sees the prompt and the earlier tokens of its own branch; each branch goes on where the prompt ends.
    With a `packing` both are those of the shared rows: nobody sees another conversation, and each counts from 0. Those
    of one `sequence` are one conversation: each sees all of those before it, and goes on where they end.
    """
    real = torch.cat([batch["prompt_mask"], batch["reply_mask"]], 1)
    turn = torch.cat([torch.full_like(batch["prompt"], -1), batch["turn"]], 1)
    own = batch["sequence"] if "sequence" in batch else torch.arange(len(real), device=real.device)
    turn = torch.zeros_like(turn) if "sequence" in batch else turn
    talk = torch.where(real, own[:, None], -1)
    if packing is not None:
        turn, talk = packing.pack(turn), packing.pack(talk, -1)
    size = talk.shape[1]
    causal = torch.ones(size, size, dtype=torch.bool, device=real.device).tril()
    kin = (turn[:, :, None] == turn[:, None]) | (turn[:, None] < 0)
    sees = causal & kin & (talk[:, :, None] == talk[:, None]) & (talk >= 0)[:, None]
    positions = sees.sum(2) - 1
    # Padding sees nothing, and a softmax over nothing is NaN: it looks at itself, and nobody looks at it.
    sees |= torch.eye(size, dtype=torch.bool, device=real.device)
    return sees, positions.clamp(min=0)
