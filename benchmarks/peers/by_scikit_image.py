"""scikit-image's deconvolutions: one image, one kernel.

What a user of it can do with two sensors and several layers: deblur each capture for each depth,
and average the two sensors' images. The light of all other layers stays in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from restored import Given, Restoration, cropped
from torch import Tensor

__all__ = ["RESTORATIONS"]

Floats = NDArray[np.float64]

#: How a capture goes on beyond its frame: wiener's filters are periodic without it.
MARGINS = ("none", "dark", "mirror")


def _each(given: Given, margin: str, deblur: Callable[[Floats, Floats], Floats]) -> Tensor:
    """Deblur each capture for each depth; the mean of the sensors, 0 where it is negative."""
    given = given.of_unit_gain()
    captures = given.captures.numpy().astype(np.float64)
    reach = given.kernels.shape[-1] // 2
    if margin == "none":  # it takes no kernel larger than the image
        reach = min(reach, (min(captures.shape[-2:]) - 1) // 2)
    kernels = cropped(given.kernels, reach).numpy().astype(np.float64)
    scenes, layers, sensors = kernels.shape[:3]
    width = 0 if margin == "none" else reach
    mode: Any = "symmetric" if margin == "mirror" else "constant"
    inside = (slice(width, width + captures.shape[-2]), slice(width, width + captures.shape[-1]))
    out = np.zeros((scenes, layers, *captures.shape[-2:]))
    for n in range(scenes):
        for sensor in range(sensors):
            image = np.pad(captures[n, sensor], width, mode=mode)
            for layer in range(layers):
                out[n, layer] += deblur(image, kernels[n, layer, sensor])[inside] / sensors
    return torch.from_numpy(np.maximum(out, 0))


def _wiener(given: Given, *, balance: float, margin: str) -> Tensor:
    from skimage.restoration import wiener

    return _each(given, margin, lambda image, psf: wiener(image, psf, balance, clip=False))


def _unsupervised_wiener(given: Given, *, margin: str) -> Tensor:
    from skimage.restoration import unsupervised_wiener

    return _each(
        given, margin, lambda image, psf: unsupervised_wiener(image, psf, clip=False, rng=0)[0]
    )


def _richardson_lucy(given: Given, *, iterations: int, margin: str) -> Tensor:
    from skimage.restoration import richardson_lucy

    def deblur(image: Floats, psf: Floats) -> Floats:
        return richardson_lucy(np.maximum(image, 0), psf, num_iter=iterations, clip=False)

    return _each(given, margin, deblur)


RESTORATIONS = (
    Restoration(
        "scikit-image", "skimage", "`wiener`", "A, B", _wiener,
        tuple(
            {"balance": balance, "margin": margin}
            for balance in (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
            for margin in MARGINS
        ),
        at_once=False,
    ),
    Restoration(
        "scikit-image", "skimage", "`unsupervised_wiener`", "A, B", _unsupervised_wiener,
        tuple({"margin": margin} for margin in MARGINS),
        at_once=False,
    ),
    Restoration(
        "scikit-image", "skimage", "`richardson_lucy`", "A, B", _richardson_lucy,
        # A mirrored margin served best on the validation scenes, with one layer and with four.
        tuple({"iterations": n, "margin": "mirror"} for n in (3, 10, 30, 100, 300)),
        at_once=False,
    ),
)  # fmt: skip
