"""The noise of an image, from the image alone."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["MEDIAN_OF_NORMAL", "noise_std"]

#: Median of the absolute value of a standard normal.
MEDIAN_OF_NORMAL = 0.6745


def noise_std(light: Tensor) -> Tensor:
    r"""Estimate the standard deviation of white noise in images of smooth structure.

    The second difference along both axes, $[1, -2, 1] \otimes [1, -2, 1]$, removes what is smooth;
    its norm is 6 (Immerkaer, Comput. Vis. Image Underst. 64:300, 1996). The median of its absolute
    value is 0.6745 deviations of a Gaussian, and a few bright points do not pass for noise.

    Args:
        light: Images in any unit of light, (batch, sensor, y, x).

    Returns:
        The standard deviation in the same unit, (batch, sensor).

    Examples:
        >>> import torch
        >>> from fociscope.noise import noise_std
        >>> noise = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
        >>> round(float(noise_std(10 + 0.1 * noise)), 2)
        0.1
    """
    across = (light[..., 2:] + light[..., :-2]).sub_(light[..., 1:-1], alpha=2)
    found = across[..., 2:, :] + across[..., :-2, :]
    found = found.sub_(across[..., 1:-1, :], alpha=2).abs_()
    del across  # of a large frame, each copy counts
    # One by one: along an axis, the median finds indices as well, in twice the memory.
    medians = torch.stack([image.median() for image in found.flatten(0, 1)])
    return medians.reshape(light.shape[:2]) / (MEDIAN_OF_NORMAL * 6)
