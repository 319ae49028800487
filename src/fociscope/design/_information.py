r"""What noisy captures tell of what caused them, in bits: the Gaussian bound.

The mutual information of objects and captures is $I = h(Y) - h(Y | X)$. Of all distributions with
the covariance $\Sigma$ the normal one has the greatest entropy, so with $d$ pixels in a patch and
the noise variance $\sigma_i^2(x)$ of each,

$$ I \le \tfrac12 \log_2 \det \Sigma - \tfrac12 \Big\langle \sum_i \log_2 \sigma_i^2(x) \Big\rangle,
$$

the noise given the object being normal, which that of a camera nearly is. It needs captures alone
and their noise, no reconstruction: information estimation by Pinkard, Kabuli et al. (Universal
evaluation and design of imaging systems using information estimation, arXiv:2405.20559), and the
Gaussian model of IDEAL (Kabuli, Pinkard, Waller et al.; package `encoding_information`). Derived
here anew: patches of all sensors together, and the bias of a finite sample's determinant removed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma

from fociscope.errors import CaptureError
from fociscope.typing import Float64Array

__all__ = ["gaussian_information_bits"]

#: Patches per dimension below which a covariance is too uncertain.
LEAST_PER_DIMENSION = 2


def gaussian_information_bits(
    captures: ArrayLike, noise_variance: ArrayLike, *, patch_px: int = 8
) -> float:
    """Return the Gaussian bound of the information in captures, in bits per pixel.

    Larger patches see longer correlations and give a lower, tighter bound.

    Args:
        captures: Noisy captures, (capture, sensor, y, x).
        noise_variance: Variance of the noise of each pixel, in the captures' unit squared: a
            number, or an array that broadcasts to the shape of `captures`.
        patch_px: Side of a patch in pixels. Patches do not overlap.

    Returns:
        Bits per pixel of a sensor; not below 0 but for the sample's chance.

    Raises:
        CaptureError: If there are too few captures for patches so large, or a variance is not above
            0.

    Examples:
        Signal and white noise of variances 3 and 1 hold a bit per pixel, log2(1 + 3) / 2:

        >>> import numpy as np
        >>> from fociscope.design import gaussian_information_bits
        >>> seen = np.random.default_rng(0).normal(0, 2, (64, 1, 32, 32))
        >>> round(gaussian_information_bits(seen, 1.0, patch_px=4), 2)
        1.0
    """
    y = np.asarray(captures, np.float64)
    variance = np.asarray(noise_variance, np.float64)
    if y.ndim != 4:
        raise CaptureError(f"captures need the axes (capture, sensor, y, x); got {y.shape}")
    if not (variance > 0).all():
        raise CaptureError("the variance of the noise must lie above 0 in each pixel")
    patches = _patches(y, patch_px)
    count, size = patches.shape
    if count <= LEAST_PER_DIMENSION * size:
        raise CaptureError(
            f"{count} patches of {patch_px}x{patch_px} pixels on {y.shape[1]} sensor(s) are too "
            f"few for a covariance of {size} numbers; take more than {LEAST_PER_DIMENSION * size} "
            "patches: more captures, or smaller patches"
        )
    covariance = np.cov(patches, rowvar=False)
    sign, log_det = np.linalg.slogdet(np.atleast_2d(covariance))
    if sign <= 0:
        raise CaptureError("the captures' covariance is singular; they hold pixels without noise")
    log_det -= _wishart_bias(count - 1, size)
    of_noise = float(np.log(np.broadcast_to(variance, y.shape)).mean())
    return float((log_det / size - of_noise) / 2 / np.log(2))


def _patches(captures: Float64Array, side: int) -> Float64Array:
    """Return (patch, sensor * side * side) of captures, those of all sensors side by side."""
    count, sensors, height, width = captures.shape
    rows, columns = height // side, width // side
    cut = captures[:, :, : rows * side, : columns * side]
    tiles = cut.reshape(count, sensors, rows, side, columns, side)
    return tiles.transpose(0, 2, 4, 1, 3, 5).reshape(-1, sensors * side * side)


def _wishart_bias(freedom: int, size: int) -> float:
    """Return the mean of the log determinant of a sample's covariance, less that of the true one.

    Of `freedom` independent normal vectors (Goodman, Ann. Math. Stat. 34:178, 1963).
    """
    places = freedom - np.arange(size)
    return float((digamma(places / 2) - np.log(freedom / 2)).sum())
