"""Levels of a frozen tower, made once per picture and view, kept on disk under a hash of the weights that made them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rsvlm.data.loader import dihedral_view, load_square, to_tensor
from rsvlm.files import write_text
from rsvlm.parts.vision.tower import Tower
from rsvlm.sample import Image


def weights_hash(module: nn.Module) -> str:
    """First 16 hex digits of the SHA-256 over names, shapes and bytes of a module's state."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


class FeatureCache:
    """Half-precision levels of a list of pictures in `views` turned views, as memory-mapped files, one a level.

    The folder is named by the hash of all that makes them: tower weights, the shapes of its levels, precision (`bf16`
    or not), pictures, views. Filled picture by picture with a mark, so a killed fill goes on where it stopped.
    """

    def __init__(self, root: Path, tower: Tower, images: Sequence[Image], *, views: int, bf16: bool = False) -> None:
        keys = [image.key for image in images]
        self.tower, self.images, self.views, self.bf16 = tower, list(images), views, bf16
        self.shapes = [
            tuple(level.shape[1:]) for level in self._see([load_square(images[0], tower.size, fit=tower.fit)])
        ]
        made_by = [weights_hash(tower), self.shapes, bf16, keys, tower.size, views]
        made_by += [tower.fit] if tower.fit != "squash" else []  # older caches of squashed pictures stay good
        digest = hashlib.sha256(json.dumps(made_by).encode()).hexdigest()[:16]
        self.folder = root / f"levels-{digest}"
        self.place = {key: index for index, key in enumerate(keys)}
        self._maps: list[np.memmap[Any, Any]] = []

    def fill(self, say: Callable[[int, int], None], *, chunk: int = 4) -> None:
        """Make what is missing; `say(done, total)` in pictures."""
        self.folder.mkdir(parents=True, exist_ok=True)
        mark, total = self.folder / "done.json", len(self.images)
        done = json.loads(mark.read_text()) if mark.is_file() else 0
        for index, shape in enumerate(self.shapes):
            path, rows = self.folder / f"{index}.npy", total * self.views
            self._maps.append(np.lib.format.open_memmap(path, "r+" if done else "w+", np.float16, (rows, *shape)))
        for start in range(done, total, chunk):
            part = self.images[start : start + chunk]
            upright = [load_square(image, self.tower.size, fit=self.tower.fit) for image in part]
            pixels = [dihedral_view(one, view) for one in upright for view in range(self.views)]
            at = slice(start * self.views, start * self.views + len(pixels))
            for stored, level in zip(self._maps, self._see(pixels), strict=True):
                stored[at] = level.to(torch.float16).numpy()
            end = min(start + chunk, total)
            if (start // chunk) % 64 == 63 or end == total:
                for stored in self._maps:
                    stored.flush()
                write_text(mark, json.dumps(end))
            say(end, total)

    def levels(self, image: Image, view: int) -> list[NDArray[Any]]:
        """The cached levels [(N_l, D_l)] of one picture in one view."""
        at = self.place[image.key] * self.views + view
        return [stored[at] for stored in self._maps]

    @torch.inference_mode()
    def _see(self, pixels: Sequence[NDArray[np.uint8]]) -> list[Tensor]:
        tower = self.tower.eval()
        device = next(tower.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            return [level.float().cpu() for level in tower(to_tensor(pixels).to(device))]
