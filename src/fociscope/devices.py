"""Where a network computes, and in what precision."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, get_args

import torch
import torch.nn.functional as F

from fociscope.registry import unknown_name
from fociscope.threads import one_thread

__all__ = ["Precision", "Runtime", "has_bfloat16_units", "multiplies_bfloat16_faster"]
__all__ += ["pick_device", "pick_precision"]

Precision = Literal["auto", "float32", "bfloat16"]
"""`auto` is bfloat16 on a processor that is measured to be faster in it, else float32."""

Runtime = Literal["auto", "torch", "openvino"]
"""What computes the network on a CPU; `auto` is OpenVINO where it is installed and pays."""

#: Instructions that multiply bfloat16. Without them it is emulated, which is never faster.
_BFLOAT16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")
#: Share of the time of float32 below which bfloat16 counts as faster: far from both what vector
#: instructions give (0.5) and what emulation does (1.5 and more), so that the choice is the same
#: at every start (benchmarks/reconstruct.md).
_CLEARLY_FASTER = 0.8


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
        name: `float32`, `bfloat16`, or `auto` for bfloat16 on a CPU that is faster in it.
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
    faster = device.type == "cpu" and multiplies_bfloat16_faster()
    return "bfloat16" if faster else "float32"


def has_bfloat16_units() -> bool:
    """Return whether this processor has matrix units for bfloat16 (AMX).

    They train networks faster than float32; vector instructions (`avx512_bf16`) do so as well, but
    by less (benchmarks/training.md).
    """
    return _has("amx_bf16")


@lru_cache(maxsize=1)
def multiplies_bfloat16_faster() -> bool:
    """Return whether this processor convolves features clearly faster in bfloat16 than in float32.

    Where it has instructions for bfloat16, both are timed once in a process, which takes a few
    hundredths of a second: whether they are faster differs from processor to processor.
    """
    if not any(_has(name) for name in _BFLOAT16_INSTRUCTIONS):
        return False
    in_bfloat16, in_float32 = (_convolution_s(t) for t in (torch.bfloat16, torch.float32))
    return in_bfloat16 < _CLEARLY_FASTER * in_float32


def _has(instructions: str) -> bool:
    # torch 2.10 may lack it.
    capabilities: Callable[[], dict[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    return bool(capabilities().get(instructions, False))


def _convolution_s(dtype: torch.dtype) -> float:
    """Return the least time, in s, that a convolution of the network's kind takes on one thread."""
    shape = torch.channels_last
    features = torch.ones(8, 32, 26, 26, dtype=dtype).contiguous(memory_format=shape)
    weight = torch.ones(32, 32, 3, 3, dtype=dtype).contiguous(memory_format=shape)
    least = float("inf")
    with one_thread(), torch.inference_mode():
        for _ in range(12):
            start = time.perf_counter()
            F.conv2d(features, weight, padding=1)
            least = min(least, time.perf_counter() - start)
    return least
