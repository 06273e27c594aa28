"""A trained chat system, ready to answer: the model, its tokenizer and its frame behind `Answers` and `Embeds`."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch.nn import functional as F

from rsvlm.data.fit import Part, box_part, fitted
from rsvlm.data.loader import padded
from rsvlm.data.prompt import FRAMES, encode_prompt, encode_question
from rsvlm.errors import BadInput
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.parts.weights import read_state
from rsvlm.recipe import read_recipe
from rsvlm.sample import Batch, Reply
from rsvlm.systems.base import Pixels, by_sight
from rsvlm.systems.build import build, build_tokenizer, load_weights, own_tensors
from rsvlm.systems.talk import Ask, Talks, hold


class ChatModel:
    """A model folder (model.safetensors, recipe.yaml) opened for answering, on a GPU where there is one."""

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / "model.safetensors"
        if not path.is_file():
            raise BadInput(f"{folder} holds no model.safetensors; expected the model folder of a finished run.")
        recipe = read_recipe(folder / "recipe.yaml")
        self.name, self.recipe = name, recipe
        model = build(recipe, for_training=False)
        load_weights(model, read_state(path), source=str(path), needed=own_tensors(recipe, model))
        model.language.merge()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model: VisionLanguageModel = model.to(self.device).eval()
        self.tokenizer, self.frame = build_tokenizer(recipe), FRAMES[recipe.model["frame"]]
        self.box_dialect = self.model.box_dialect
        self.trace = {
            "model": name, "system": recipe.system, "size": recipe.size, "recipe": recipe.hash,
            "weights": hashlib.sha256(path.read_bytes()).hexdigest()[:16], "dtype": recipe.precision,
            "torch": str(torch.__version__), "transformers": transformers.__version__,
            "trained_on": " ".join(sorted({name for s in recipe.stages for i in s.data for name in i.set.split("+")})),
        }  # fmt: skip

    def answer(
        self, images: Sequence[Pixels | None], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One greedy reply per (image, question); a picture that is asked several questions in a row is seen once.

        None is no picture: a prompt without visual tokens, through the same path.
        """
        if len(images) != len(questions):
            raise ValueError(f"{len(images)} images and {len(questions)} questions")
        if isinstance(self.model, Talks):
            talks = [self.model.talk(question) for question in questions]
            return hold(
                talks, images, lambda seen, asks: self._reply(seen, [a.text for a in asks], max_new_tokens, asks)
            )
        return by_sight(
            images, lambda at: self._reply([images[i] for i in at], [questions[i] for i in at], max_new_tokens)
        )

    def _reply(
        self, images: Sequence[Pixels | None], questions: Sequence[str], max_new_tokens: int, asks: Sequence[Ask] = ()
    ) -> list[Reply]:
        """As `answer`, where all have a picture or none has; `asks` say more of each where a system asks itself."""
        shown = [image for image in images if image is not None]
        tokens = ((asks[0].image_tokens if asks else None) or self.model.image_tokens) if shown else 0
        prompts = [encode_prompt(self.tokenizer, self.frame, q, image_tokens=tokens) for q in questions]
        width = max(len(prompt) for prompt in prompts)
        pad = [width - len(prompt) for prompt in prompts]
        batch: Batch = {
            "prompt": torch.tensor([[0] * n + p for n, p in zip(pad, prompts, strict=True)], device=self.device),
            "prompt_mask": torch.tensor([[i >= n for i in range(width)] for n in pad], device=self.device),
        }
        if shown:
            levels, picture = self._see(shown)
            if not self.model.reads_question and len(levels[0]) < len(shown):
                batch |= {"levels": levels, "picture": picture}
            else:
                batch["levels"] = [level[picture] for level in levels]
        if self.model.reads_question:
            words = [encode_question(self.tokenizer, one) for one in [ask.about for ask in asks] or questions]
            batch["question"] = padded(words).to(self.device)
        if asks and asks[0].expert is not None:
            batch["expert"] = torch.tensor([ask.expert for ask in asks], device=self.device)
        stop = frozenset((self.tokenizer.convert_tokens_to_ids(self.frame.stop), self.tokenizer.eos_token_id))
        with self._precision():
            ids, confidence = self.model.answer(batch, stop=stop, max_new_tokens=max_new_tokens)
        texts = [self.tokenizer.decode(row, skip_special_tokens=True).strip() for row in ids]
        return [Reply(text=t, confidence=min(max(c, 0.0), 1.0)) for t, c in zip(texts, confidence, strict=True)]

    def phrase(self, task: str, words: str) -> str | None:
        """How the system itself was asked for `task` (caption, vqa, ground, ...) in training; None where not told."""
        own = getattr(self.model, "phrase", None)
        return own(task, words) if own else None

    def box_part(self, width: int, height: int) -> Part:
        """The part of a picture whose fractions the model's boxes are: x, y, width, height in its pixels."""
        vision = self.model.vision
        return box_part(vision.size, vision.fit, self.model.box_sides)((width, height))

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) unit vectors: the means of the tower's levels, each level scaled to unit length first."""
        levels, picture = self._see(images)
        rows = [F.normalize(level.float().mean(1), dim=-1)[picture] for level in levels]
        return F.normalize(torch.cat(rows, 1), dim=-1).cpu().numpy().astype(np.float32)

    @torch.inference_mode()
    def _see(self, images: Sequence[Pixels], objective: str = "language") -> tuple[list[torch.Tensor], torch.Tensor]:
        """Levels of the distinct pictures (the same array object given twice is seen once), and which is whose (B,)."""
        size = self.model.tower(objective).size
        unique: dict[int, int] = {}
        order = [unique.setdefault(id(image), len(unique)) for image in images]
        firsts = {place: image for image, place in zip(images, order, strict=True)}
        square = [fitted(firsts[i], size, self.model.vision.fit) for i in range(len(firsts))]
        pixels = torch.from_numpy(np.stack(square)).to(self.device).permute(0, 3, 1, 2).float().div(255)
        with self._precision():
            levels = self.model.see({"image": pixels}, objective)
        return levels, torch.tensor(order, device=self.device)

    def _precision(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16")
