"""NumPy at the door, torch inside: what comes in as NumPy goes out as NumPy."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, ParamSpec, TypeGuard, TypeVar

import numpy as np
import torch
from torch import Tensor

from fociscope.errors import CaptureError, FociscopeError, whole_number
from fociscope.typing import ArrayLike

__all__ = [
    "ArrayLike",
    "as_tensor",
    "check_result",
    "is_path",
    "like",
    "whole_number",
    "without_autocast",
]

Given = ParamSpec("Given")
Result = TypeVar("Result")


def as_tensor(array: ArrayLike, *, device: torch.device | None = None) -> Tensor:
    """Return `array` as a tensor: float64 input keeps its precision, all else becomes float32.

    Raises:
        CaptureError: If it is a path or a list of paths, masked, complex, or holds no numbers.
    """
    if is_path(array):
        raise CaptureError(
            f"expected an array, got a path ({array!r:.60}); read it first: "
            "fociscope.files.read_captures(path)"
        )
    tensor = array if isinstance(array, Tensor) else _from_numpy(array)
    if tensor.is_complex():
        raise CaptureError(
            "expected real numbers, got complex ones; take their real part or their modulus"
        )
    if tensor.layout != torch.strided:
        raise CaptureError("expected a dense array, got a sparse one; make it dense first")
    if tensor.is_quantized or tensor.is_meta:
        kind = "a quantized one" if tensor.is_quantized else "one without values (meta)"
        raise CaptureError(f"expected an array of plain numbers, got {kind}; convert it first")
    if tensor.dtype not in (torch.float32, torch.float64) or isinstance(array, float | list):
        tensor = tensor.to(torch.float32)
    return tensor if device is None else tensor.to(device)


def without_autocast(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Return a function that computes in its own numbers, in whatever autocast region it is called.

    Args:
        function: Function, or method, that computes with torch.
    """

    @functools.wraps(function)
    def alone(*given: Given.args, **named: Given.kwargs) -> Result:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return function(*given, **named)

    return alone


def is_path(value: object) -> TypeGuard[Path | str | Sequence[Path | str]]:
    """Return whether a value is a path, or a list or tuple of paths."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(each, str | PathLike) for each in value)
    return isinstance(value, str | PathLike)


def _from_numpy(values: object) -> Tensor:
    """Return what NumPy takes for an array of numbers as a tensor."""
    parts = values if isinstance(values, list | tuple) else [values]
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        if any(np.ma.is_masked(part) for part in parts):
            raise CaptureError(
                "expected an array of which every value counts, got a masked one; fill the masked "
                "values, or mark bad pixels in the preparation"
            )
        values = np.asarray(values)
    try:
        array = np.asarray(values)
    except ValueError as cause:
        raise CaptureError(f"expected an array of numbers; {cause}") from None
    if array.dtype.kind not in "biufc":
        what = f"an array of {array.dtype}" if array.ndim else type(values).__name__
        raise CaptureError(f"expected an array of numbers, got {what}")
    with warnings.catch_warnings():  # a memory map that is only read is not written to here either
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(_native(array))


def _native(array: np.ndarray) -> np.ndarray:
    """Return an array that torch can take over: this machine's byte order, no flipped axes."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native.copy() if any(stride < 0 for stride in native.strides) else native


def like(result: Tensor, given: ArrayLike) -> Tensor | np.ndarray:
    """Return `result` as a tensor if `given` is one, else as a NumPy array."""
    return result if isinstance(given, Tensor) else result.detach().cpu().numpy()


def check_result(
    what: str,
    result: object,
    shape: tuple[int, ...],
    *,
    error: type[FociscopeError],
    numbers: Literal["finite", "any", "bool"] = "finite",
) -> None:
    """Refuse what a user's extension returns if it is not the array that it must be.

    Args:
        what: Whose result it is, for the message, such as "solver 'mine': layers".
        result: Result.
        shape: Shape that it must have.
        error: Type of the error.
        numbers: "finite" for finite floating-point numbers, "any" for numbers of any type, "bool"
            for truth values.

    Raises:
        FociscopeError: If it is no array, or of another shape or type, or holds NaN; of the type
            `error`.
    """
    kind = {"finite": "floating-point numbers", "any": "numbers", "bool": "bool"}[numbers]
    expected = f"expected an array of {kind} of the shape {shape}"
    if not isinstance(result, np.ndarray | Tensor):
        raise error(f"{what}: {expected}; got {type(result).__name__}")
    if tuple(result.shape) != shape:
        raise error(f"{what}: {expected}; got the shape {tuple(result.shape)}")
    values = result if isinstance(result, Tensor) else torch.from_numpy(_native(result))
    if (numbers == "bool" and values.dtype != torch.bool) or (
        numbers == "finite" and not values.is_floating_point()
    ):
        raise error(f"{what}: {expected}; got {str(result.dtype).removeprefix('torch.')}")
    if numbers == "finite" and not bool((finite := torch.isfinite(values)).all()):
        count = int((~finite).sum())
        raise error(f"{what}: {expected}; {count} of its values are NaN or infinite")
