"""Vectors of 256 pictures in batches of 32: an opened model folder of ours against a bare transformers loop.

One small CLIP of random weights on both sides, as transformers saves it and as it is converted. The loop is what a user
writes: transformers' own processor for CLIP (Pillow), `get_image_features`, division by the length.
"""

import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from harness import medians, ratio, run, take_turns
from rsvlm.recipe import Recipe
from rsvlm.systems.abilities import Matches
from rsvlm.systems.convert.convert import convert
from rsvlm.systems.load import load

BATCH, ROUNDS, SIDE = 32, 5, 256


def bare_model(*, width: int, depth: int, patch: int, size: int) -> CLIPModel:
    """transformers' CLIP of these sizes, its text tower as small as can be."""
    heads = width // 64 or 1
    torch.manual_seed(0)
    return CLIPModel(CLIPConfig(
        vision_config={"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": depth,
                       "num_attention_heads": heads, "patch_size": patch, "image_size": size},
        text_config={"vocab_size": 514, "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 1,
                     "num_attention_heads": 1, "max_position_embeddings": 77,
                     "bos_token_id": 512, "eos_token_id": 513},
        projection_dim=width,
    )).eval()  # fmt: skip


def opened(bare: CLIPModel, folder: Path) -> Matches:
    """The same weights as a model folder of ours, opened."""
    bare.save_pretrained(folder / "bare")
    seen = bare.config.vision_config
    numbers = {
        "activation": "quick_gelu", "dim": seen.hidden_size,
        "vision": {
            "tower": "clip", "width": seen.hidden_size, "depth": seen.num_hidden_layers, "patch": seen.patch_size,
            "heads": seen.num_attention_heads, "size": seen.image_size, "fit": "crop",
        },
        "text": {"tokenizer": "clip", "vocabulary": 514, "width": 64, "depth": 1, "heads": 1, "context": 77},
    }  # fmt: skip
    convert(folder / "bare", folder / "ours", recipe=Recipe(system="georsclip", size="small", model=numbers))
    return cast(Matches, load(str(folder / "ours")))


def main(pictures: int = 256, *, smallest: bool) -> dict[str, Any]:
    sizes = {"width": 32, "depth": 1, "patch": 16, "size": 32} if smallest else {
        "width": 384, "depth": 6, "patch": 32, "size": 224
    }  # fmt: skip
    rng, count = np.random.default_rng(0), BATCH if smallest else pictures
    images = [rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(count)]
    batches = [images[start : start + BATCH] for start in range(0, count, BATCH)]
    bare = bare_model(**sizes)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": sizes["size"]}, crop_size={"height": sizes["size"], "width": sizes["size"]}
    )

    @torch.inference_mode()
    def transformers_loop() -> NDArray[np.float32]:
        rows = []
        for batch in batches:
            found: Any = bare.get_image_features(**processor(images=batch, return_tensors="pt"))
            vectors = getattr(found, "pooler_output", found)  # a tensor before transformers 5
            rows.append((vectors / vectors.norm(dim=-1, keepdim=True)).numpy())
        return np.concatenate(rows)

    with tempfile.TemporaryDirectory() as folder:
        model = opened(bare, Path(folder))
    sides = {
        "ours_s": lambda: np.concatenate([model.embed_images(batch) for batch in batches]),
        "transformers_s": transformers_loop,
    }
    seconds, vectors = take_turns(sides, ROUNDS, smallest=smallest)
    return {
        "pictures": count, "batch": BATCH, "target_ratio": 1.0, **medians(seconds),
        "ratio": ratio(seconds, "ours_s", "transformers_s"), "threads": torch.get_num_threads(),
        "largest_difference": float(f"{np.abs(vectors['ours_s'] - vectors['transformers_s']).max():.1e}"),
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
