"""The noise of captures as a variance in each pixel: what bounds weigh pixels by."""

from __future__ import annotations

import torch
from torch import Tensor

from fociscope.imager.geometry import Imager
from fociscope.simulation.exposure import Exposure

__all__ = ["capture_noise_variance"]


def capture_noise_variance(imager: Imager, captures: Tensor, peak_snr_db: float) -> Tensor:
    """Return the variance of the noise that `Camera.at_peak_snr` puts to noise-free captures.

    With s electrons per unit of light it is (s y + v) / s^2: the shot noise of the light, and the
    variance v in the dark.

    Args:
        imager: whose camera it is.
        captures: (..., sensor, y, x) noise-free.
        peak_snr_db: of each sensor's image.

    Returns:
        The shape of `captures`, in their unit squared.

    Raises:
        SceneError: a peak SNR that the camera does not reach.
    """
    Exposure(peak_snr_db).check(imager)
    camera = imager.camera
    peak = captures.amax(dim=(-2, -1), keepdim=True)
    electrons = camera.peak_photons(peak_snr_db).to(captures) * camera.quantum_efficiency
    per_light = electrons / torch.where(peak > 0, peak, torch.ones_like(peak))
    return (per_light * captures.clamp(min=0) + camera.floor_variance_e2) / per_light**2
