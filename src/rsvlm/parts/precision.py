"""The number format in which a model computes: bfloat16 where the processor has it natively, float32 elsewhere.

A processor without native bfloat16 emulates it, 3 to 8 times slower than float32.
"""

from typing import Literal

import torch

Precision = Literal["bf16", "fp32"]


def native_bf16() -> bool:
    """Whether the GPU, or the CPU where there is none, multiplies bfloat16 matrices by instructions of its own."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if not hasattr(torch.cpu, "get_capabilities"):  # older PyTorch, which knows x86 alone
        return torch.cpu._is_avx512_bf16_supported()
    known = torch.cpu.get_capabilities()
    return any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # x86, x86, ARM


def precision_of(wanted: str, *, insist: bool = True) -> Precision:
    """What "auto", "fp32" or "bf16" comes to here; without `insist` bf16 gives way where it is not native."""
    if wanted == "fp32" or (wanted == "bf16" and insist):
        return wanted
    return "bf16" if native_bf16() else "fp32"


def described(precision: Precision) -> str:
    """The precision, with a warning where the processor only emulates it."""
    if precision == "fp32" or native_bf16():
        return precision
    return f"{precision}, emulated here, 3 to 8 times slower than fp32; say precision: auto in the recipe to avoid that"


def dtype_of(precision: Precision) -> torch.dtype:
    """The dtype of weights that are not trained."""
    return torch.bfloat16 if precision == "bf16" else torch.float32
