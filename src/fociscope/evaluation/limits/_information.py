"""Fisher information: from derivatives of captures by depth to the least standard deviation."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from fociscope.imager.projector import LayerProjector
from fociscope.typing import Float64Array

__all__ = ["depth_bound", "seen_and_slope", "value_and_slope"]


def seen_and_slope(
    projector: LayerProjector, layers: Tensor, depth_um: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what the sensors see of each layer alone, and its derivative by the layer's depth.

    Both (scene, layer, sensor, y, x).
    """
    alone, z = layers[:, :, None], depth_um[:, :, None].contiguous()

    def seen(depth: Tensor) -> Tensor:
        captures = projector.A(alone, depth)
        assert isinstance(captures, Tensor)
        return captures

    return value_and_slope(seen, z)


def value_and_slope(
    function: Callable[[Tensor], Tensor], depth_um: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what a function gives of depths, and its derivative where all of them grow alike."""
    with warnings.catch_warnings():
        # torch's own rules for forward derivatives are written in a language it no longer likes.
        warnings.filterwarnings("ignore", r"`torch\.jit\.script`", DeprecationWarning)
        pair = torch.func.jvp(function, (depth_um,), (torch.ones_like(depth_um),))
    return pair[0].detach(), pair[1].detach()


def depth_bound(information: ArrayLike, *, layers: int) -> Float64Array:
    """Return (..., layer): the least standard deviation of the first `layers` parameters.

    All others are unknown as well (Schur complement). Infinite where there is no information.

    Args:
        information: (..., parameter, parameter) Fisher information.
        layers: how many of the parameters are depths, the first.
    """
    f = np.asarray(information, dtype=np.float64)
    own = np.diagonal(f, axis1=-2, axis2=-1)
    known = own > 1e-14 * own.max(axis=-1, keepdims=True)
    # In units of each parameter's own information, so that um and logarithms compare.
    unit = np.where(known, 1 / np.sqrt(np.where(known, own, 1)), 0.0)
    scaled = f * unit[..., :, None] * unit[..., None, :]
    scaled += (~known)[..., None] * np.eye(f.shape[-1])
    value, vector = np.linalg.eigh(scaled)
    with np.errstate(divide="ignore"):
        inverse = np.where(value > 1e-13, 1 / np.maximum(value, 1e-300), np.inf)
    weight = np.where(vector**2 > 1e-12, vector**2, 0.0)
    with np.errstate(invalid="ignore"):
        parts = np.where(weight > 0, weight * inverse[..., None, :], 0.0)
    variance = parts.sum(axis=-1) * unit**2
    return np.where(known, np.sqrt(variance), np.inf)[..., :layers]
