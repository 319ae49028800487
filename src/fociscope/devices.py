"""In what numbers a network is run: float32, or bfloat16 where the processor multiplies those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch

from fociscope.errors import FociscopeError

__all__ = ["Precision", "has_bfloat16_units", "pick_device", "pick_precision"]

Precision = Literal["auto", "float32", "bfloat16"]
"""`auto` is bfloat16 on a processor that has matrix units for it (AMX), else float32."""


def has_bfloat16_units() -> bool:
    """Return whether this processor has matrix units for bfloat16.

    Vector instructions for it (`avx512_bf16`) do not count: with those alone the networks are
    slower than in float32 (benchmarks/reconstruct.md).
    """
    # torch 2.10 may lack it.
    capabilities: Callable[[], dict[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    return bool(capabilities().get("amx_bf16", False))


def pick_precision(name: str, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Return the precision of a name.

    Raises:
        FociscopeError: there is no such precision.
    """
    if name == "float32":
        return "float32"
    if name == "bfloat16":
        return "bfloat16"
    if name != "auto":
        raise FociscopeError(
            f"no precision '{name}'; choose among: {', '.join(get_args(Precision))}"
        )
    return "bfloat16" if device.type == "cpu" and has_bfloat16_units() else "float32"


def pick_device(name: str) -> torch.device:
    """Return the device of a name: `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        FociscopeError: there is no such device here.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(device for device, is_there in there.items() if is_there))
    if not there.get(name, False):
        usable = ", ".join(device for device, is_there in there.items() if is_there)
        raise FociscopeError(f"no device '{name}' here; choose among: auto, {usable}")
    return torch.device(name)
