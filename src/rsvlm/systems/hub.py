"""Any Hugging Face image-text-to-text model that is on this machine: hf:<folder or id>.

chat template of the model -> its own processor -> greedy generation, batched. Nothing is fetched, no code of the
model's repository runs, no pickle is opened.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

import torch
import transformers
from PIL import Image as PILImage
from torch import Tensor

from rsvlm.data.boxes import smart_resize
from rsvlm.errors import BadInput
from rsvlm.sample import Reply
from rsvlm.systems.base import Pixels, by_sight, dialect_of
from rsvlm.systems.hub_files import local_folder, opened, weights_hash

# Special tokens that are words of questions and answers about boxes; all others stand for no word.
_WORDS = re.compile(r"</?(box|quad|ref)>|<\|(box|quad|object_ref)_(start|end)\|>")


class HubModel:
    """A Hugging Face vision-language model opened for `Answers` and `Compares`, on a GPU where there is one.

    `name` is what the user asked for, `where` a local folder or a hub id whose files are in the local cache. `dtype` is
    one of PyTorch ("float32", ...) or "auto", as the weights are stored. Raises MissingPart for an id that is not on
    this machine, BadInput for a folder that is not a whole model with safetensors, a processor and a chat template.
    """

    def __init__(self, name: str, where: str, *, dtype: str = "auto") -> None:
        folder = local_folder(where)
        weights = weights_hash(folder)
        model, self.processor = opened(folder, dtype)
        self.tokenizer: Any = self.processor.tokenizer
        if not (self.processor.chat_template or self.tokenizer.chat_template):
            raise BadInput(f"{folder} has no chat template; expected a model that was tuned to answer questions.")
        self.tokenizer.padding_side = "left"  # generation goes on at the right
        self.stop = _stops(model, self.tokenizer)
        added = self.tokenizer.added_tokens_decoder
        self._marks = {i: str(one) for i, one in added.items() if one.special and not _WORDS.fullmatch(str(one))}
        unasked = {*self._marks.values(), getattr(self.processor, "image_token", "<image>")}
        self._unasked = re.compile("|".join(map(re.escape, sorted(unasked, key=len, reverse=True))))
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        # The settings that come with a model may sample or penalise; ours are plain greedy ones.
        model.generation_config = transformers.GenerationConfig(
            eos_token_id=sorted(self.stop), pad_token_id=self.tokenizer.pad_token_id
        )
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model: Any = model.to(self.device).eval()
        self.name, self.box_dialect = name, dialect_of(model.config.model_type)
        self.trace = {
            "model": name, "system": "hub", "type": model.config.model_type, "weights": weights,
            "dtype": str(model.dtype).removeprefix("torch."), "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        }  # fmt: skip

    def answer(
        self, images: Sequence[Pixels | None], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One greedy reply per (image, question); None is no picture."""
        shown = [() if image is None else (image,) for image in images]
        pairs = list(zip(shown, questions, strict=True))
        return by_sight(images, lambda places: self._generate([pairs[i] for i in places], max_new_tokens))

    def compare(
        self, before: Sequence[Pixels], after: Sequence[Pixels], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One greedy reply per (before, after, question): the earlier picture comes first, then the later one."""
        triples = [((b, a), question) for b, a, question in zip(before, after, questions, strict=True)]
        return self._generate(triples, max_new_tokens) if triples else []

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) at which the model sees a picture of this size: the pixels that its boxes are in."""
        if self.box_dialect != "qwen25vl":
            return width, height
        own = self.processor.image_processor
        limits = {"min_pixels": own.size["shortest_edge"], "max_pixels": own.size["longest_edge"]}
        return smart_resize((width, height), factor=own.patch_size * own.merge_size, **limits)

    @torch.inference_mode()
    def _generate(self, asked: Sequence[tuple[Sequence[Pixels], str]], max_new_tokens: int) -> list[Reply]:
        """Replies to (pictures, question) with the same number of pictures each."""
        talks = [[{"role": "user", "content": self._content(*one)}] for one in asked]
        inputs = self.processor.apply_chat_template(
            talks, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(self.device, dtype=self.model.dtype)  # fmt: skip
        width = inputs["input_ids"].shape[1]
        most = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if most is not None and width + max_new_tokens > most:
            raise BadInput(
                f"{self.name} reads {most} tokens at once; the prompt has {width}, the reply up to {max_new_tokens}: "
                "give smaller pictures, a shorter question or fewer new tokens."
            )
        sure = _Sureness()
        ids = self.model.generate(
            **inputs, max_new_tokens=max_new_tokens, do_sample=False,
            logits_processor=transformers.LogitsProcessorList([sure]),
        )  # fmt: skip
        logs = torch.stack(sure.steps, 1).tolist()
        return [self._reply(row, log) for row, log in zip(ids[:, width:].tolist(), logs, strict=True)]

    def _content(self, pictures: Sequence[Pixels], question: str) -> list[dict[str, Any]]:
        """A user's turn: the pictures, then the question as words alone, without what the model takes for a mark."""
        shown = [{"type": "image", "image": PILImage.fromarray(picture)} for picture in pictures]
        return [*shown, {"type": "text", "text": self._unasked.sub("", question).strip()}]

    def _reply(self, ids: list[int], logs: list[float]) -> Reply:
        """The text before the stop token, and the geometric mean of the probabilities up to it."""
        end = next((place for place, token in enumerate(ids) if token in self.stop), len(ids))
        said = logs[: end + 1]
        words = [token for token in ids[:end] if token not in self._marks]
        text = self.tokenizer.decode(words, clean_up_tokenization_spaces=False).strip()
        return Reply(text=text, confidence=min(math.exp(sum(said) / len(said)), 1.0))


class _Sureness(transformers.LogitsProcessor):
    """Keeps the log-probability of the likeliest token of each row and step: what greedy generation takes."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.steps.append(scores.float().log_softmax(-1).amax(-1))
        return scores


def _stops(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that end a reply: what the model's own settings say, and the tokenizer's end."""
    own = model.generation_config.eos_token_id
    found = {*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id} - {None}
    if not found:
        raise BadInput(f"{model.name_or_path} says nowhere which token ends a reply; expected an eos_token.")
    return found
