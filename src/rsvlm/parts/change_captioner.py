"""What a system is that writes a sentence about two dates word by word: the base of `mmodal_cc` and `rsiccformer`.

tower -> grids of both dates -> bridge -> memories -> decoder over a vocabulary of words
"""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.errors import BadInput
from rsvlm.parts.beam_search import Sentence, beam_search, best
from rsvlm.parts.change_captioning import CaptionDecoder
from rsvlm.parts.system import System
from rsvlm.parts.text.words import END, START, WordVocabulary
from rsvlm.parts.vision.tower import IMAGENET_MEAN, IMAGENET_STD, StemmedTower
from rsvlm.sample import IGNORE, Batch

Normalise = Literal["imagenet", "none"]


class ChangeCaptioner(System):
    """Two pictures -> a sentence. Subclasses say which `memories` of them the decoder reads.

    `words` are the numbers of the vocabulary: `size`, and for training `min_frequency` (words that occur no more often
    are `<unk>`) and `splits`, whose captions it is made of. `beams` is the width of the search. With `freeze_bn` the
    batch norms of the towers keep their statistics in training; without, they move, also where the tower is frozen.
    """

    num_images = 2
    objectives = ("change_caption",)
    runtime = "rsvlm.systems.runtime.change_captioning"
    reads_maps = False  # whether it is shown a semantic map of each picture
    most_words = 50  # of a sentence, without start and end
    bridge: Any

    def __init__(
        self, vision: StemmedTower, bridge: nn.Module, *, decoder: Mapping[str, Any], words: Mapping[str, Any],
        gated: bool, beams: int = 4, freeze_bn: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.vision, self.bridge = vision, bridge
        self.vocabulary, self.beams, self.freeze_bn = WordVocabulary(words["size"]), beams, freeze_bn
        self.min_frequency = int(words.get("min_frequency", 10))
        self.splits: tuple[str, ...] = tuple(words.get("splits", ("train",)))
        self.language = CaptionDecoder(words["size"], width=self.bridge.memory_width, gated=gated, **decoder)

    @property
    def state_without_gradient(self) -> set[str]:
        """The words, and the statistics of batch norms."""
        return {name for name in self.state_dict() if "running_" in name or name.startswith("vocabulary.")}

    def towers(self) -> Sequence[nn.Module]:
        """The towers, whose batch norms `freeze_bn` keeps as they are."""
        return [self.vision]

    def train(self, mode: bool = True) -> Self:
        """As every module; the towers stay in evaluation where their batch norms are frozen."""
        super().train(mode)
        for tower in self.towers() if self.freeze_bn else ():
            tower.eval()
        return self

    def memories(self, batch: Batch) -> list[Tensor]:
        """What the decoder reads of each pair, [(B, N, D)]."""
        raise NotImplementedError(f"{type(self).__name__} has no memories")

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """ "caption": cross-entropy of each word by those before it and the pair, summed, divided by `normaliser`."""
        logits = self.language(batch["reply"], self.memories(batch))
        return {"caption": word_loss(logits, batch["labels"], batch["normaliser"])}

    @torch.inference_mode()
    def answer(self, batch: Batch, *, most_words: int | None = None, beams: int | None = None) -> list[Sentence]:
        """The likeliest sentence of each pair that the search finds, of `most_words` words at the most."""
        words = self.vocabulary.ids()
        most = 1 + min(most_words or self.most_words, self.most_words)
        memories = self.memories(batch)

        def about(pair: int) -> Callable[[Tensor], Tensor]:
            own = [memory[pair : pair + 1] for memory in memories]

            def logits(ids: Tensor) -> Tensor:
                ids = ids.to(own[0].device)
                return self.language(ids, [one.expand(len(ids), -1, -1) for one in own])[:, -1]

            return logits

        return [
            best(beam_search(about(pair), start=words[START], end=words[END], beams=beams or self.beams, most=most))
            for pair in range(len(memories[0]))
        ]


def word_loss(logits: Tensor, labels: Tensor, normaliser: Tensor) -> Tensor:
    """Logits (B, R, V) at each word of the next one, labels (B, R) of the words -> scalar."""
    wanted = labels[:, 1:].flatten()
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), wanted, ignore_index=IGNORE, reduction="sum") / normaliser


def pooled_grid(level: Tensor, side: int) -> Tensor:
    """A level (B, N, D) of a square grid -> (B, D, side, side), cells averaged."""
    own = math.isqrt(level.shape[1])
    return F.adaptive_avg_pool2d(level.mT.unflatten(2, (own, own)), side)


def normalised_numbers(numbers: Mapping[str, Any], normalise: Normalise) -> dict[str, Any]:
    """A tower's numbers with the statistics that its pixels are normalised by. Raises BadInput for an unknown way."""
    ways = {"imagenet": (IMAGENET_MEAN, IMAGENET_STD), "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))}
    if normalise not in ways:
        raise BadInput(f"model.normalise is {normalise!r}; expected {' or '.join(ways)}.")
    mean, std = ways[normalise]
    return {**numbers, "mean": mean, "std": std}


def stemmed(tower: Any, system: str) -> StemmedTower:
    """The tower, which must be one whose pixels are normalised in it. Raises BadInput for any other."""
    if not isinstance(tower, StemmedTower):
        raise BadInput(f"{type(tower).__name__} makes no maps of pixels; give {system} a resnet or another such tower.")
    return tower
