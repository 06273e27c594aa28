"""Any Hugging Face image-text-to-text model that is on this machine: hf:<folder or id>.

chat template of the model -> its own processor -> greedy generation, batched. Nothing is fetched, no code of the
model's repository runs, no pickle is opened.
"""

import math
import re
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image as PILImage

from rsvlm.data.box_codecs import smart_resize
from rsvlm.data.reply import cut_at_stop, find_stop, stop_strings, stream_text
from rsvlm.errors import BadInput
from rsvlm.parts.language.local_files import offline
from rsvlm.sample import Reply
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.batching import split_by_image
from rsvlm.systems.providers.chat_template import READY_MADE, ChatTemplate
from rsvlm.systems.providers.hf_files import load_with_processor, local_folder, weights_hash
from rsvlm.systems.providers.hf_generation import (
    Report,
    StopWhen,
    TokenLogProbs,
    reply_log_likelihoods,
    run_in_thread,
    stop_tokens,
)  # fmt: skip
from rsvlm.systems.runtime.limits import check_context
from rsvlm.systems.text_boxes import dialect_of

# Special tokens that are words of questions and answers about boxes; all others stand for no word.
_WORDS = re.compile(r"</?(box|quad|ref)>|<\|(box|quad|object_ref)_(start|end)\|>")
_REPLIES_AT_ONCE = 8


class HFModel:
    """A Hugging Face vision-language model opened: `Answers`, `ScoresReplies`, `Compares`; on a GPU where there is one.

    `name` is what the user asked for, `where` a local folder or a hub id whose files are in the local cache. `dtype` is
    one of PyTorch ("float32", ...) or "auto", as the weights are stored. Raises MissingPart for an id that is not on
    this machine, BadInput for a folder that is not a whole model with safetensors, a processor and a chat template.
    """

    def __init__(self, name: str, where: str, *, dtype: str = "auto") -> None:
        folder = local_folder(where)
        weights = weights_hash(folder)
        model, self.processor = load_with_processor(folder, dtype)
        self.tokenizer: Any = self.processor.tokenizer
        template = self.processor.chat_template or self.tokenizer.chat_template
        template = template.get("default") if isinstance(template, dict) else template
        if not template or not isinstance(template, str):
            raise BadInput(f"{folder} has no chat template; expected a model that was tuned to answer questions.")
        self._template = ChatTemplate(template, folder)
        self.tokenizer.padding_side = "left"  # generation goes on at the right
        self.stop = stop_tokens(model, self.tokenizer)
        added = self.tokenizer.added_tokens_decoder
        self._marks = {i: str(one) for i, one in added.items() if one.special and not _WORDS.fullmatch(str(one))}
        marks = {*self._marks.values(), getattr(self.processor, "image_token", "<image>")}
        self._special_in_text = re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True))))
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
        self, images: Sequence[Pixels | None], questions: Sequence[str], *, max_new_tokens: int = 64,
        stop: Sequence[str] = (),
    ) -> list[Reply]:  # fmt: skip
        """One greedy reply per (image, question), up to the first of the strings `stop`; None is no picture."""
        pairs = [(() if image is None else (image,), text) for image, text in zip(images, questions, strict=True)]
        ends = stop_strings(stop)
        return split_by_image(images, lambda places: self._generate([pairs[i] for i in places], max_new_tokens, ends))

    def log_likelihoods(
        self, images: Sequence[Pixels | None], questions: Sequence[str], replies: Sequence[str]
    ) -> NDArray[np.float64]:
        """(N, R), as of `ScoresReplies`; a few replies are run over at once, each with the picture."""
        ids = [self.tokenizer(reply, add_special_tokens=False)["input_ids"] for reply in replies]
        rows = []
        for image, question in zip(images, questions, strict=True):
            inputs = self._inputs([(() if image is None else (image,), question)], max(map(len, ids)) + 1)
            parts = [
                reply_log_likelihoods(self.model, inputs, ids[at : at + _REPLIES_AT_ONCE], self.stop)
                for at in range(0, len(ids), _REPLIES_AT_ONCE)
            ]
            rows.append(torch.cat(parts).double().cpu().numpy())
        return np.stack(rows) if rows else np.zeros((0, len(replies)))

    def stream(
        self, image: Pixels | None, question: str, *, max_new_tokens: int = 64, stop: Sequence[str] = ()
    ) -> Generator[str, None, Reply]:
        """The answer to one question while it comes: pieces that make the text of its Reply, which is returned."""
        asked, ends = [(() if image is None else (image,), question)], stop_strings(stop)
        so_far = run_in_thread(lambda report: self._generate(asked, max_new_tokens, ends, report))
        return (yield from stream_text(so_far, ends))

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
    def _generate(
        self, asked: Sequence[tuple[Sequence[Pixels], str]], max_new_tokens: int, stop: Sequence[str] = (),
        report: Report | None = None,
    ) -> list[Reply]:  # fmt: skip
        """Replies to (pictures, question) with the same number of pictures each.

        `report` receives the text and the confidence of a single reply after each of its tokens; True ends it.
        """
        inputs = self._inputs(asked, max_new_tokens)
        width = inputs["input_ids"].shape[1]
        log_probs = TokenLogProbs()

        def ended(ids: list[int]) -> bool:
            if report is None:
                return find_stop(self._text(ids), stop) >= 0
            said = self._reply(ids, [step.item() for step in log_probs.steps], stop)
            return report((said.text, said.confidence)) or find_stop(self._text(ids), stop) >= 0

        with offline():  # some parts look for kernels only when they run
            ids = self.model.generate(
                **inputs, max_new_tokens=max_new_tokens, do_sample=False,
                logits_processor=transformers.LogitsProcessorList([log_probs]),
                stopping_criteria=[StopWhen(width, ended)] if stop or report else None,
            )  # fmt: skip
        logs = torch.stack(log_probs.steps, 1).tolist()
        return [self._reply(row, log, stop) for row, log in zip(ids[:, width:].tolist(), logs, strict=True)]

    def _inputs(self, asked: Sequence[tuple[Sequence[Pixels], str]], max_new_tokens: int) -> Any:
        """What the processor makes of (pictures, question). Raises BadInput where a reply would not fit any more."""
        talks = [{"role": "user", "content": self._content(*one)} for one in asked]
        prompts = self._template.render(talks, self.tokenizer.special_tokens_map)
        conversations = [[{**talk, "prompt": prompt}] for talk, prompt in zip(talks, prompts, strict=True)]
        inputs = self.processor.apply_chat_template(
            conversations, READY_MADE, tokenize=True, return_dict=True, return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(self.device, dtype=self.model.dtype)  # fmt: skip
        most = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        check_context(self.name, most, prompt=inputs["input_ids"].shape[1], reply=max_new_tokens)
        return inputs

    def _content(self, pictures: Sequence[Pixels], question: str) -> list[dict[str, Any]]:
        """A user's turn: the pictures, then the question as words alone, without what the model takes for a mark."""
        shown = [{"type": "image", "image": PILImage.fromarray(picture)} for picture in pictures]
        return [*shown, {"type": "text", "text": self._special_in_text.sub("", question).strip()}]

    def _reply(self, ids: list[int], logs: list[float], stop: Sequence[str] = ()) -> Reply:
        """The text before the stop token or string, and the geometric mean of the probabilities up to it."""
        count = next((place for place, token in enumerate(ids, 1) if token in self.stop), len(ids))
        text = self._text(ids[:count])
        if find_stop(text, stop) >= 0:
            count = next(n for n in range(1, count + 1) if find_stop(self._text(ids[:n]), stop) >= 0)
        return Reply(text=cut_at_stop(text, stop), confidence=min(math.exp(sum(logs[:count]) / count), 1.0))

    def _text(self, ids: Sequence[int]) -> str:
        """The words of ids, those about boxes among them; marks stand for no word."""
        words = [token for token in ids if token not in self._marks and token not in self.stop]
        return self.tokenizer.decode(words, clean_up_tokenization_spaces=False)
