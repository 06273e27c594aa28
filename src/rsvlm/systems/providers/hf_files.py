"""A Hugging Face model folder before it is opened: where it lies, whether it is whole, which processor reads for it."""

import hashlib
import re
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import SafetensorError
from transformers.processing_utils import ProcessorMixin
from transformers.utils import logging

from rsvlm.errors import BadInput, MissingPart
from rsvlm.files import is_file, is_folder
from rsvlm.json_text import read_json_object
from rsvlm.parts.budget import file_budget
from rsvlm.parts.language.local_files import check_folder, check_pinned, offline, open_config

_SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
_PROCESSORS = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")


def local_folder(where: str) -> Path:
    """The folder of a model: `where` itself, or the local cache of the hub id `where`. Nothing is fetched.

    Raises MissingPart for an id that is not on this machine and BadInput for what is neither.
    """
    try:
        folder = Path(where).expanduser()
    except RuntimeError:  # the home of a user that there is not
        folder = Path(where)
    if where and is_folder(folder):
        return folder
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", where):
        raise BadInput(f"There is no folder {where!r}; give hf:<a model's folder> or hf:<organisation>/<model>.")
    try:
        return Path(snapshot_download(where, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise MissingPart(
            f"The model {where} is not on this machine, and nothing is fetched unasked; run: hf download {where}"
        ) from error


def weights_hash(folder: Path) -> str:
    """The first 16 hex digits of the SHA-256 over the safetensors files, one after the other by name.

    Raises BadInput where the folder is not a whole model: no config.json, no safetensors, a part that is missing.
    """
    if not (folder / "config.json").is_file():
        raise BadInput(f"{folder} holds no config.json; expected the folder of a Hugging Face model.")
    index = folder / "model.safetensors.index.json"
    names = _shards(index) if index.is_file() else {"model.safetensors"}
    if lost := sorted(name for name in names if not is_file(folder / name)):
        pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        if pickled and not any(folder.glob("*.safetensors")):
            raise BadInput(
                f"{folder} has its weights in {pickled[0]}, a pickle, which can run code and is not opened; "
                "fetch or convert them as safetensors."
            )
        raise BadInput(f"{folder} lacks {lost[0]}; fetch the model again, as safetensors.")
    digest = hashlib.sha256()
    for name in sorted(names):
        with (folder / name).open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()[:16]


def _shards(index: Path) -> set[str]:
    """The files that an index names: plain names beside it. Raises BadInput for any other."""
    found = read_json(index).get("weight_map")
    names = list(found.values()) if isinstance(found, dict) else []
    if strange := [name for name in names if not isinstance(name, str) or Path(name).name != name]:
        raise BadInput(f"{index} names {str(strange[0])[:60]!r} as a part; expected files beside it: fetch it again.")
    if not names:
        raise BadInput(f"{index} names no file; fetch the model again.")
    return set(names)


def load_with_processor(folder: Path, dtype: str, *, matching: bool = False) -> tuple[Any, Any]:
    """The model of a folder, on the CPU, and its processor; `matching`: one of pictures and texts side by side.

    Raises MissingPart where they need a package that is not installed, BadInput where they do not open whole.
    """
    logging.disable_progress_bar()
    model_class: Any = transformers.AutoModel if matching else transformers.AutoModelForImageTextToText
    kind = "a model that matches pictures and texts" if matching else "an image-text-to-text model"
    check_folder(folder)
    try:
        with offline(), file_budget(folder):
            config = open_config(folder)
            processor = processor_class(folder, config).from_pretrained(folder, **_SAFE)
            model, found = model_class.from_pretrained(
                folder, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True, **_SAFE
            )
    except ImportError as error:  # as SmolVLM's processor for num2words
        raise MissingPart(
            f"{folder} needs a Python package that is not installed, says transformers; install it: {_reason(error)}"
        ) from error
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        raise BadInput(f"{folder} cannot be opened as {kind}: {_reason(error)}") from error
    check_pinned(model, folder)
    if lost := sorted(found["missing_keys"]):
        raise BadInput(f"{folder} lacks {len(lost)} tensors, the first is {lost[0]}; fetch the model again.")
    return model, processor


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def processor_class(folder: Path, config: Any) -> type[ProcessorMixin]:
    """The processor that a model's files name, or that its type has, without its part for videos.

    transformers asks for torchvision as soon as a processor can read videos, even where only pictures are read.
    Raises BadInput where there is none.
    """
    files = [read_json(folder / name) for name in _PROCESSORS if (folder / name).is_file()]
    named = [getattr(transformers, file["processor_class"], None) for file in files if file.get("processor_class")]
    mapping = transformers.models.auto.processing_auto.PROCESSOR_MAPPING
    kind = next(iter(named), None) or mapping.get(type(config), None)
    if not (isinstance(kind, type) and issubclass(kind, ProcessorMixin)) or not files[:-1]:
        raise BadInput(
            f"{folder} holds no processor for pictures; expected {_PROCESSORS[1]} and the tokenizer's files beside the "
            "weights."
        )
    return _without_video(kind)


def _without_video(kind: Any) -> type[ProcessorMixin]:
    """A processor class that neither loads nor expects a part for videos."""
    parts = kind.get_attributes()

    class Still(kind):
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [part for part in parts if "video" not in part]

        @classmethod
        def from_args_and_dict(cls, args: Any, processor_dict: dict[str, Any], **kwargs: Any) -> Any:
            given = iter(args)
            args = [None if "video" in part else next(given) for part in parts]
            return super().from_args_and_dict(args, processor_dict, **kwargs)

    Still.__name__ = kind.__name__  # transformers looks at it
    return Still


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a model folder. Raises BadInput for anything else."""
    return read_json_object(path, "a file of a Hugging Face model", "fetch the model again")
