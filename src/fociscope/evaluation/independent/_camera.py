r"""Camera noise at a stated peak SNR: photons as a Poisson process, readout as a Gaussian.

The peak SNR in dB is $20 \log_{10}$ of the maximum of the noise-free capture over the standard
deviation of the noise at that level.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["FLOOR_E", "add_camera_noise", "peak_electrons"]

#: Standard deviation of the noise in the dark, in electrons: readout and dark current.
FLOOR_E = 15.0


def peak_electrons(peak_snr_db: float, floor_e: float = FLOOR_E) -> float:
    r"""Return the electrons $N$ of the brightest pixel with $N / \sqrt{N + f^2}$ as stated.

    Args:
        peak_snr_db: Peak SNR in dB.
        floor_e: Standard deviation $f$ of the noise in the dark, in electrons.
    """
    snr2 = 10 ** (peak_snr_db / 10)
    return snr2 / 2 * (1 + math.sqrt(1 + 4 * floor_e**2 / snr2))


def add_camera_noise(
    rng: np.random.Generator,
    captures: NDArray[np.float64],
    peak_snr_db: float,
    *,
    floor_e: float = FLOOR_E,
) -> NDArray[np.float64]:
    """Return captures with noise, in the units they came in.

    Args:
        rng: Source of the noise.
        captures: (..., y, x) noise-free captures; each image reaches the peak SNR.
        peak_snr_db: Peak SNR in dB.
        floor_e: Standard deviation of the noise in the dark, in electrons.

    Returns:
        (..., y, x); the dark level is subtracted, so that noise may be negative.

    Examples:
        >>> import numpy as np
        >>> from fociscope.evaluation.independent import add_camera_noise
        >>> noisy = add_camera_noise(np.random.default_rng(0), np.ones((1, 200, 200)), 40.0)
        >>> round(float(20 * np.log10(1 / noisy.std())))
        40
    """
    peak = captures.max(axis=(-2, -1), keepdims=True)
    electrons_per_unit = peak_electrons(peak_snr_db, floor_e) / np.where(peak > 0, peak, 1)
    electrons = rng.poisson(captures * electrons_per_unit).astype(np.float64)
    electrons += rng.normal(0, floor_e, captures.shape)
    return np.asarray(electrons / electrons_per_unit)
