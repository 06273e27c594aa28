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

from rsvlm.data.loader import picture, to_tensor, turned
from rsvlm.sample import Image


def weights_hash(module: nn.Module) -> str:
    """First 16 hex digits of the SHA-256 over names, shapes and bytes of a module's state."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


class FeatureCache:
    """Half-precision levels of a list of pictures in `views` turned views, as memory-mapped files, one a level.

    The folder is named by the hash of (tower weights, pictures, views). Filled picture by picture with a mark, so a
    killed fill goes on where it stopped.
    """

    def __init__(self, root: Path, tower: nn.Module, images: Sequence[Image], *, size: int, views: int) -> None:
        paths = [image.path for image in images]
        key = hashlib.sha256(json.dumps([weights_hash(tower), paths, size, views]).encode()).hexdigest()[:16]
        self.folder, self.tower, self.size, self.views = root / f"levels-{key}", tower, size, views
        self.images = list(images)
        self.place = {path: index for index, path in enumerate(paths)}
        self._maps: list[NDArray[Any]] = []

    @torch.inference_mode()
    def fill(self, say: Callable[[int, int], None], *, chunk: int = 4) -> None:
        """Make what is missing; `say(done, total)` in pictures."""
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = self.folder / "done.json"
        done = json.loads(mark.read_text()) if mark.is_file() else 0
        tower = self.tower.eval()
        shapes = [tuple(level.shape[1:]) for level in self._see(tower, to_tensor([picture(self.images[0], self.size)]))]
        count = len(self.images) * self.views
        for index, shape in enumerate(shapes):
            path = self.folder / f"{index}.npy"
            mode = "r+" if path.is_file() and done else "w+"
            self._maps.append(np.lib.format.open_memmap(path, mode, np.float16, (count, *shape)))
        for start in range(done, len(self.images), chunk):
            group = self.images[start : start + chunk]
            upright = [picture(image, self.size) for image in group]
            pixels = [turned(one, view) for one in upright for view in range(self.views)]
            for stored, level in zip(self._maps, self._see(tower, to_tensor(pixels)), strict=True):
                at = start * self.views
                stored[at : at + len(pixels)] = level.to(torch.float16).numpy()
            if (start // chunk) % 64 == 63 or start + chunk >= len(self.images):
                for stored in self._maps:
                    stored.flush()
                mark.write_text(json.dumps(min(start + chunk, len(self.images))))
            say(min(start + chunk, len(self.images)), len(self.images))

    def levels(self, image: Image, view: int) -> list[NDArray[Any]]:
        """The cached levels [(N_l, D_l)] of one picture in one view."""
        at = self.place[image.path] * self.views + view
        return [stored[at] for stored in self._maps]

    @staticmethod
    def _see(tower: nn.Module, image: Tensor) -> list[Tensor]:
        with torch.autocast(image.device.type, torch.bfloat16):
            return [level.float() for level in tower(image)]
