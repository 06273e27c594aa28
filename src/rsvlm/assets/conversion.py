"""Published model files into what is kept in the cache: read without running code, checked against their source."""

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsvlm.errors import MissingPart, missing_extra

_CONTEXT = 8192  # tokens; `llama.context_length` of the GGUF
_PROBES = (
    "<|im_start|>user\nHow many boats are there?<|im_end|>\n<|im_start|>assistant\n",
    "Two  spaces,\n\n2026: 12.5 m at 45\N{DEGREE SIGN} N \N{EN DASH} caf\N{LATIN SMALL LETTER E WITH ACUTE}",
)


def convert_language(gguf: Path, made: Path) -> None:
    """GGUF -> bf16 safetensors, config and tokenizer; written by hand, then read back and compared."""
    try:
        import torch
        import transformers
        from safetensors.torch import save_file
    except ImportError as error:
        raise missing_extra(error.name or "torch", "model") from error
    with _quiet_transformers():
        # Newer transformers keep the blocks packed where a kernel is at hand: ask for plain tensors.
        dense: dict[str, Any] = {}
        if hasattr(transformers, "GgufConfig"):
            dense["quantization_config"] = transformers.GgufConfig(dequantize=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, **dense
        ).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    _split_digits(tokenizer)
    tokenizer.model_max_length = _CONTEXT
    tokenizer.save_pretrained(made)
    # `save_pretrained` of a model that came from a GGUF refuses, or in older versions writes nothing.
    tied = model.config.tie_word_embeddings
    state = {k: v.contiguous() for k, v in model.state_dict().items() if not (tied and k == "lm_head.weight")}
    save_file(state, made / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_dict()
    for key in ("quantization_config", "_name_or_path"):
        config.pop(key, None)
    config |= {"architectures": [type(model).__name__], "dtype": "bfloat16"}
    (made / "config.json").write_text(json.dumps(config, indent=2, default=str) + "\n", encoding="utf-8")
    model.generation_config.save_pretrained(made)
    _verify_language(made, model, tokenizer)


def _split_digits(tokenizer: Any) -> None:
    """Restore the first step of SmolLM2's tokenizer: each digit stands alone.

    The GGUF says so (`tokenizer.ggml.pre = smollm`), but transformers reads every GPT-2-like vocabulary as plain
    byte-level BPE, which cuts white space before a number in another way than the model was trained with.
    """
    from tokenizers import pre_tokenizers as steps

    tokenizer.backend_tokenizer.pre_tokenizer = steps.Sequence(
        [steps.Digits(individual_digits=True), steps.ByteLevel(add_prefix_space=False, use_regex=True)]
    )


def _verify_language(made: Path, model: Any, tokenizer: Any) -> None:
    """The copy must give the same ids, the same text back and the same logits as the original, bit for bit."""
    import torch
    import transformers

    with _quiet_transformers(), torch.inference_mode():
        again = transformers.AutoTokenizer.from_pretrained(made)
        copy = transformers.AutoModelForCausalLM.from_pretrained(made, dtype=torch.bfloat16).eval()
        for text in _PROBES:
            ids = tokenizer(text, return_tensors="pt").input_ids
            same = torch.equal(ids, again(text, return_tensors="pt").input_ids) and again.decode(ids[0]) == text
            if not same or not torch.equal(model(ids).logits, copy(ids).logits):
                raise MissingPart(
                    f"The converted language model differs from its source with transformers "
                    f"{transformers.__version__}; install the tested version: pip install transformers==5.23.0"
                )


def convert_vision(pth: Path, made: Path) -> None:
    """EfficientNet-Lite0's published .pth as `made`/model.safetensors, read as plain tensors."""
    try:
        import torch
        from safetensors.torch import save_file
    except ImportError as error:
        raise missing_extra(error.name or "torch", "model") from error
    state = torch.load(pth, map_location="cpu", weights_only=True)
    save_file({k: v.contiguous() for k, v in state.items()}, made / "model.safetensors", metadata={"format": "pt"})


def convert_text(weights: Path, made: Path) -> None:
    """all-MiniLM-L6-v2 as it is, without the pooler, which sentence-transformers does not use."""
    from safetensors.numpy import load_file, save_file

    unused = ("pooler.", "embeddings.position_ids")
    state = {name: array for name, array in load_file(weights).items() if not name.startswith(unused)}
    save_file(state, made / "model.safetensors", metadata={"format": "pt"})
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(weights.with_name(name), made / name)


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bars and no warnings of transformers while it reads; all as before afterwards."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the bar over the GGUF's tensors heeds no setting
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
