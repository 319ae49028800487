"""Where a network computes, and in what precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch

from fociscope.registry import unknown_name

__all__ = ["Precision", "has_bfloat16_units", "pick_device", "pick_precision"]

Precision = Literal["auto", "float32", "bfloat16"]
"""`auto` is bfloat16 on a processor that has matrix units for it (AMX), else float32."""


def pick_device(name: str) -> torch.device:
    """Choose the device of a name.

    Args:
        name: `cpu`, `cuda`, `mps`, or `auto` for the first of CUDA, MPS and the CPU that exists.

    Returns:
        The device.

    Raises:
        FociscopeError: if this machine has no such device.

    Examples:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    usable = [device for device, is_there in there.items() if is_there]
    if name == "auto":
        return torch.device(usable[0])
    if name not in usable:
        choices = ("auto", *usable)
        raise unknown_name("device", name, choices, field="device")
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Choose the precision of a name.

    Args:
        name: `float32`, `bfloat16`, or `auto` for bfloat16 on a CPU that has matrix units for it.
        device: Device that the network runs on.

    Returns:
        The precision of features and weights.

    Raises:
        FociscopeError: if the name is unknown.

    Examples:
        >>> pick_precision("float32", pick_device("cpu"))
        'float32'
    """
    if name == "float32":
        return "float32"
    if name == "bfloat16":
        return "bfloat16"
    if name != "auto":
        choices = get_args(Precision)
        raise unknown_name("precision", name, choices, field="precision")
    return "bfloat16" if device.type == "cpu" and has_bfloat16_units() else "float32"


def has_bfloat16_units() -> bool:
    """Return whether this processor has matrix units for bfloat16.

    Vector instructions for it (`avx512_bf16`) do not count: with those alone the networks are
    slower than in float32 (benchmarks/reconstruct.md).
    """
    # torch 2.10 may lack it.
    capabilities: Callable[[], dict[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    return bool(capabilities().get("amx_bf16", False))
