"""Any Hugging Face CLIP, SigLIP or SigLIP 2 that is on this machine: hf:<folder or id>.

pictures -> its image processor -> vision tower | text tower <- its tokenizer <- texts; vectors of unit length. Nothing
is fetched, no code of the model's repository runs, no pickle is opened.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import Tensor
from torch.nn import functional as F

from rsvlm.errors import BadInput
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.matching import Matcher, token_counts
from rsvlm.systems.providers.hf_files import load_with_processor, local_folder, read_json, weights_hash

TYPES = ("clip", "siglip", "siglip2")  # `model_type` of a config.json
_SIGMOID = ("siglip", "siglip2")
_LONGEST = 8  # times the short side: of a longer picture that is cropped to a square anyway, the middle is taken first


def is_matching(folder: Path) -> bool:
    """Whether the model in `folder` is one of those that match pictures and texts, by its config.json.

    Raises BadInput for a repository of open_clip, which transformers does not open.
    """
    if not (folder / "config.json").is_file() and (folder / "open_clip_config.json").is_file():
        raise BadInput(
            f"{folder} is a repository of open_clip, without a config.json of transformers; give the Hugging Face "
            "version of the model, or turn its checkpoint into a model folder with rsvlm weights convert."
        )
    return (folder / "config.json").is_file() and read_json(folder / "config.json").get("model_type") in TYPES


class HFMatcher(Matcher):
    """A Hugging Face CLIP, SigLIP or SigLIP 2 opened: `Matches`; on a GPU where there is one.

    `name` is what the user asked for, `where` a local folder or a hub id whose files are in the local cache. `dtype` is
    one of PyTorch; by default the weights' own on a GPU, float32 on a CPU. Raises MissingPart for an id that is not on
    this machine, or a tokenizer that needs a package that is not, BadInput for a folder that is not a whole model.
    """

    def __init__(self, name: str, where: str, *, dtype: str = "") -> None:
        folder = local_folder(where)
        weights = weights_hash(folder)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        wanted = dtype or ("auto" if self.device.type == "cuda" else "float32")
        model, self.processor = load_with_processor(folder, wanted, matching=True)
        self.model: Any = model.to(self.device).eval()
        self.tokenizer: Any = self.processor.tokenizer
        kind, text = model.config.model_type, model.config.get_text_config()
        self._sigmoid = kind in _SIGMOID
        self.max_text = int(text.max_position_embeddings)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.tokenizer.padding_side = "right"
        if len(self.tokenizer) > text.vocab_size:
            raise BadInput(
                f"The tokenizer of {name} has {len(self.tokenizer)} tokens, its text tower knows {text.vocab_size}; "
                "fetch the model again, with its own tokenizer."
            )
        self.logit_scale = float(model.logit_scale.detach().float().exp())
        self.logit_bias = float(model.logit_bias.detach()) if self._sigmoid else None
        self.name = name
        self.trace = {
            "model": name, "system": "hub", "type": kind, "weights": weights,
            "dtype": str(model.dtype).removeprefix("torch."), "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        }  # fmt: skip

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length."""
        own = self.processor.image_processor
        shown = [PILImage.fromarray(self._middle(image)) for image in images]
        inputs = own(images=shown, return_tensors="pt").to(self.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        return F.normalize(_pooled(self.model.get_image_features(**inputs)), dim=-1).cpu().numpy()

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length; a text longer than the model's context is cut."""
        return F.normalize(torch.from_numpy(self.encode_texts(texts)), dim=-1).numpy()

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 rows of any length, as they leave the text tower.

        SigLIP is given rows that are filled up to its context, without a mask: it was trained so.
        """
        inputs = self.tokenizer(
            list(texts), padding="max_length" if self._sigmoid else True, truncation=True, max_length=self.max_text,
            return_tensors="pt",
        )  # fmt: skip
        keys = ("input_ids",) if self._sigmoid else ("input_ids", "attention_mask")
        found = self.model.get_text_features(**{key: inputs[key].to(self.device) for key in keys})
        return _pooled(found).cpu().numpy()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, with those around it."""
        return token_counts(self.tokenizer, texts)

    def _middle(self, image: Pixels) -> Pixels:
        """The picture, or its middle where its long side would be made thousands of pixels long and cut off again."""
        short, long = sorted(image.shape[:2])
        if not getattr(self.processor.image_processor, "do_center_crop", False) or long <= _LONGEST * short:
            return np.ascontiguousarray(image)
        start, kept = (long - _LONGEST * short) // 2, _LONGEST * short
        part = image[start : start + kept] if image.shape[0] == long else image[:, start : start + kept]
        return np.ascontiguousarray(part)


def _pooled(found: Any) -> Tensor:
    """The projected features (N, D) in float32; some versions of transformers give the tensor alone."""
    return (found if isinstance(found, Tensor) else found.pooler_output).float()
