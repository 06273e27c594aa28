"""The embedded model on ONNX Runtime behind its abilities (`Answers`, `ScoresReplies`, `Detects`, ...). No PyTorch.

Its graphs come from `export.py`; `rsvlm.systems.runtime` is the same with PyTorch, and the reference.
"""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from rsvlm.assets import packed_language_model
from rsvlm.data.ingredients import dataset_names
from rsvlm.data.prompt import CHAT_TEMPLATES, encode_prompt, encode_question, encode_replies
from rsvlm.data.reply import cut_at_stop, decode_reply, find_stop, stop_strings, stream_text
from rsvlm.data.resize import CropWindow, crop_window, resize_square
from rsvlm.files import read_json, sha256
from rsvlm.recipe import read_recipe
from rsvlm.sample import IMAGE_TOKEN, Region, Reply
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.batching import each_kind, split_by_image
from rsvlm.systems.model_limits import read_limits
from rsvlm.systems.onnx.language import Bools, Floats, OnnxLanguage, Past
from rsvlm.systems.onnx.likelihood import log_likelihoods
from rsvlm.systems.onnx.session import GRAPHS, check_weights, language_weights, open_graph, read_weights
from rsvlm.systems.onnx.tokenizer import OnnxTokenizer
from rsvlm.systems.runtime.limits import check_context, stops_of
from rsvlm.systems.runtime.phrase_boxes import MAX_BOXES, detect, kept_boxes

Start = tuple[Floats, Bools, Past | None]  # embeddings to run over, the mask of all places, and what already was run


class OnnxChat:
    """A model folder with graphs: model.safetensors, recipe.yaml and onnx/. `name` and `trace` as of `Answers`."""

    def __init__(self, folder: Path, name: str) -> None:
        """Raises as `rsvlm.systems.load.load`."""
        self.name, self.recipe, self.limits = name, read_recipe(folder / "recipe.yaml"), read_limits(folder)
        facts = read_json(folder / "onnx" / GRAPHS)
        base = packed_language_model()
        self._file = folder / "model.safetensors"
        self._weights, packed = read_weights(self._file), read_weights(base / "model.safetensors")
        self.config = read_json(base / "config.json")
        self.tokenizer, self.frame = OnnxTokenizer(base / "tokenizer.json"), CHAT_TEMPLATES[self.recipe.model["frame"]]
        self.stop_ids, self.stop_texts = stops_of(name, self.tokenizer, self.frame)
        self.image_tokens: int = facts["image_tokens"]
        self.box_dialect: str = facts["box_dialect"]
        self._native_prompts: Mapping[str, str] = facts["native_prompts"]
        self._graphs, self._names, self._sessions = folder / "onnx", facts["weights"], {}
        lora = self.recipe.model["language"].get("lora") or {}
        own = (name for graph, names in self._names.items() if graph != "language" for name in names)
        check_weights(self._weights, own, lora=lora, config=self.config, source=self._file)
        adapters = {key: value for key, value in self._weights.items() if key.startswith("language.")}
        weights = language_weights(packed, adapters, lora_alpha=lora.get("lora_alpha", 0.0), config=self.config)
        language = open_graph(
            self._graphs / "language.onnx", self._names["language"], weights, base / "model.safetensors"
        )
        self.language = OnnxLanguage(language, packed)
        datasets = sorted({n for stage in self.recipe.stages for i in stage.data for n in dataset_names(i.set)})
        self.trace = {
            "model": name, "system": self.recipe.system, "size": self.recipe.size, "recipe": self.recipe.hash,
            "weights": sha256(self._file)[:16], "dtype": "4-bit weights, int8 inputs",
            "onnxruntime": onnxruntime.__version__,
            "trained_on": " ".join(datasets),
        }  # fmt: skip

    def native_prompt(self, task: str, words: str) -> str | None:
        """How the system was asked for `task` in training; None where it has no wording."""
        wording = self._native_prompts.get(task)
        return wording.format(question=words, phrase=words) if wording else None

    def answer(
        self, images: Sequence[Pixels | None], questions: Sequence[str], *, max_new_tokens: int = 64,
        stop: Sequence[str] = (),
    ) -> list[Reply]:  # fmt: skip
        """One greedy reply per (image, question), as `rsvlm.systems.runtime.chat.ChatModel.answer`."""
        if len(images) != len(questions):
            raise ValueError(f"{len(images)} images and {len(questions)} questions")
        ends = (*self.stop_texts, *stop_strings(stop))

        def ask(at: list[int]) -> list[Reply]:
            start = self._start([images[i] for i in at], [questions[i] for i in at], max_new_tokens)
            *_, rows = self.language.steps(*start, **self._limits(max_new_tokens, ends))
            texts = [cut_at_stop(decode_reply(self.tokenizer, row.ids), ends) for row in rows]
            return [Reply(text=text, confidence=row.confidence) for text, row in zip(texts, rows, strict=True)]

        return split_by_image(images, ask)

    def log_likelihoods(
        self, images: Sequence[Pixels | None], questions: Sequence[str], replies: Sequence[str]
    ) -> NDArray[np.float64]:
        """(N, R), as of `ScoresReplies`; branches far below the likeliest are followed no further."""
        found = np.zeros((len(images), len(replies)))

        def score(at: list[int]) -> None:
            ids = [encode_replies(self.tokenizer, self.frame, questions[i], replies) for i in at]
            longest = max(len(one) for row in ids for one in row)
            start = self._start([images[i] for i in at], [questions[i] for i in at], longest)
            found[at] = log_likelihoods(self.language, start, ids)

        each_kind(images, score)
        return found

    def stream(
        self, image: Pixels | None, question: str, *, max_new_tokens: int = 64, stop: Sequence[str] = ()
    ) -> Generator[str, None, Reply]:
        """The answer to one question while it comes: pieces that make the text of its Reply, which is returned."""
        ends = (*self.stop_texts, *stop_strings(stop))
        start = self._start([image], [question], max_new_tokens)
        steps = self.language.steps(*start, **self._limits(max_new_tokens, ends))
        growing = ((decode_reply(self.tokenizer, rows[0].ids), rows[0].confidence) for rows in steps)
        return (yield from stream_text(growing, ends))

    def box_part(self, width: int, height: int) -> CropWindow:
        """The part of a picture whose fractions the model's boxes are: all of it."""
        return 0, 0, width, height

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) unit vectors, as `pooled`."""
        return self.pooled(images)

    def pooled(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) unit vectors: the means of the tower's levels, each level scaled to unit length first."""
        levels, picture = self._levels(images)
        return _unit(np.concatenate([_unit(level.mean(1))[picture] for level in levels], 1))

    def detect(self, images: Sequence[Pixels], phrases: Sequence[str]) -> list[tuple[Region, ...]]:
        """As `rsvlm.systems.runtime.phrase_boxes.detect`; the same array given several times is seen once."""
        return detect(images, phrases, self._find)

    def _find(self, images: Sequence[Pixels], phrases: Sequence[str]) -> list[tuple[Region, ...]]:
        """What the box head finds for each phrase as it stands."""
        numbers = self.recipe.model["boxes"]
        levels, picture = self._levels(images, numbers["size"], numbers["grids"])
        words = [self.language.embed(np.array(encode_question(self.tokenizer, one.strip()))) for one in phrases]
        phrase = np.stack([one.mean(0) if len(one) else np.zeros(one.shape[1], np.float32) for one in words])
        heat, boxes = self._run("boxes", *(level[picture] for level in levels), phrase)
        return [
            kept_boxes(phrase, crop_window(image.shape[1::-1], numbers["size"], self._fit), *_peaks(*maps))
            for phrase, image, *maps in zip(phrases, images, heat, boxes, strict=True)
        ]

    @property
    def _fit(self) -> str:
        return self.recipe.model["vision"].get("fit", "squash")

    def _run(self, graph: str, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs of a graph, which is opened at its first use."""
        if graph not in self._sessions:
            file = self._graphs / f"{graph}.onnx"
            self._sessions[graph] = open_graph(file, self._names[graph], self._weights, self._file)
        return self._sessions[graph].run(None, {f"in{at}": array for at, array in enumerate(inputs)})

    def _levels(
        self, images: Sequence[Pixels], size: int | None = None, grids: Sequence[int] | None = None
    ) -> tuple[list[Floats], NDArray[np.int64]]:
        """Levels (U, g * g, D) of the distinct pictures (by identity), and which is whose (B,)."""
        vision = self.recipe.model["vision"]
        unique = {id(image): image for image in images}
        order = {key: row for row, key in enumerate(unique)}
        squares = [resize_square(image, size or vision["size"], self._fit) for image in unique.values()]
        pixels = np.stack(squares).transpose(0, 3, 1, 2).astype(np.float32) / 255
        maps = self._run("tower", pixels)
        return pooled_levels(maps, grids or vision["grids"]), np.array([order[id(image)] for image in images])

    def _limits(self, max_new_tokens: int, ends: Sequence[str]) -> dict[str, Any]:
        ended = (lambda ids: find_stop(decode_reply(self.tokenizer, ids), ends) >= 0) if ends else None
        return {"stop": self.stop_ids, "ended": ended, "max_new_tokens": max_new_tokens}

    def _start(self, images: Sequence[Pixels | None], questions: Sequence[str], max_new_tokens: int) -> Start:
        """Where decoding begins. All have a picture or none has.

        Prompts about one picture begin alike, up to the last of its tokens: where pictures are asked about several
        times, that beginning is run over once a picture.
        """
        shown = [image for image in images if image is not None]
        count = self.image_tokens if shown else 0
        ids = [encode_prompt(self.tokenizer, self.frame, question, image_tokens=count) for question in questions]
        longest = self.config["max_position_embeddings"]
        check_context(self.name, longest, prompt=max(map(len, ids)), reply=max_new_tokens)
        if not shown:
            return *self._padded(ids), None
        levels, picture = self._levels(shown)
        (tokens,) = self._run("bridge", *levels)
        shared = ids[0].index(IMAGE_TOKEN) + count
        if len(tokens) == len(ids):
            x, real = self._padded(ids)
            for row, one in enumerate(ids):
                first = x.shape[1] - len(one) + shared - count
                x[row, first : first + count] = tokens[row]
            return x, real, None
        beginning = self.language.embed(np.array([ids[0][:shared]] * len(tokens)))
        beginning[:, shared - count :] = tokens
        _, past = self.language.forward(beginning, np.ones(beginning.shape[:2], bool))
        x, real = self._padded([one[shared:] for one in ids])
        return x, np.concatenate([np.ones((len(ids), shared), bool), real], 1), [one[picture] for one in past]

    def _padded(self, ids: Sequence[Sequence[int]]) -> tuple[Floats, Bools]:
        """Embeddings of rows of ids, padded on the left, and where they are real."""
        width = max(map(len, ids))
        real = np.array([[at >= width - len(one) for at in range(width)] for one in ids])
        return self.language.embed(np.array([[0] * (width - len(one)) + list(one) for one in ids])), real


def pooled_levels(maps: Sequence[Floats], grids: Sequence[int]) -> list[Floats]:
    """The maps of the tower's graph as levels (B, grid * grid, D), a grid each."""
    return [_pooled(one, grid) for one, grid in zip(maps, grids, strict=True)]


def _pooled(maps: Floats, grid: int) -> Floats:
    """Maps (B, D, h, w) -> levels (B, grid * grid, D): means of equal cells."""
    batch, depth, height, width = maps.shape
    cells = maps.reshape(batch, depth, grid, height // grid, grid, width // grid).mean((3, 5))
    return np.ascontiguousarray(cells.reshape(batch, depth, grid * grid).transpose(0, 2, 1))


def _unit(rows: Floats) -> Floats:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def _peaks(heat: Floats, boxes: Floats) -> tuple[list[float], list[list[float]]]:
    """As `rsvlm.parts.heads.boxes.peaks`, of one map: scores in [0, 1], best first, and boxes in [0, 1]."""
    score = 1 / (1 + np.exp(-heat))
    around = np.pad(score, 1, constant_values=-np.inf)
    side = len(score)
    highest = np.max([around[dy : dy + side, dx : dx + side] for dy in range(3) for dx in range(3)], axis=0)
    flat = np.where(highest == score, score, 0.0).reshape(-1)
    best = np.argsort(-flat, kind="stable")[:MAX_BOXES]
    return flat[best].tolist(), np.clip(boxes.reshape(-1, 4)[best], 0, 1).tolist()
