"""Resolution in depth: how exactly captures tell the depth of structure, by its size and depth."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from fociscope.errors import ImagerError
from fociscope.imager.geometry import Imager
from fociscope.imager.projector import LayerProjector
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.typing import Float64Array

__all__ = ["depth_resolution_um"]

#: Of the derivative by depth, central differences, in um.
_STEP_UM = 1.0
#: Side of the Fourier grid on which transfer functions are computed, in pixels.
_GRID_PX = 512


def depth_resolution_um(
    imager: Imager,
    depth_um: ArrayLike,
    period_um: ArrayLike,
    *,
    peak_snr_db: float = REFERENCE_PEAK_SNR_DB,
) -> Float64Array:
    r"""Return the least standard deviation of the depth of structure whose outline is unknown.

    Structure of the period $p$ at the depth $z$ that nothing else lies above or below reaches
    sensor $s$ with the contrast $T_s(z)$, the transfer function of the PSF at $1/p$. Its amplitude
    and phase are unknown, so only how the sensors differ tells its depth: with $n$ pixels in a
    square of one period, even light of the same amplitude beside it, and the standard deviation
    $\sigma$ of the noise relative to that,

    $$\frac{1}{\sigma_z^2} = \frac{n}{2 \sigma^2}
      \bigg( \sum_s T_s'^2 - \frac{(\sum_s T_s T_s')^2}{\sum_s T_s^2} \bigg) .$$

    That is the Fisher information of the depth (Schur complement of the amplitude's). One sensor
    has none. What structure is likely, such as a lone cell, may tell depth where this does not.

    Args:
        imager: Instrument.
        depth_um: Depths in um, (depth,).
        period_um: Periods of the structure in um, from two pixels on, (period,).
        peak_snr_db: Peak SNR of each sensor's image in dB.

    Returns:
        Standard deviations in um, (depth, period); infinite where the captures tell nothing.

    Raises:
        ImagerError: If a depth lies outside the imager, or a period below two pixels.

    Examples:
        >>> from fociscope.evaluation import depth_resolution_um
        >>> from fociscope.imager import Imager
        >>> std_um = depth_resolution_um(Imager.reference(), [200.0, 500.0], [300.0, 2000.0])
        >>> std_um.shape, bool((std_um[:, 0] > std_um[:, 1]).all())
        ((2, 2), True)
        >>> depth_resolution_um(Imager.reference().with_(sensors=1), [500.0], [300.0])
        array([[inf]])
    """
    z, period = (np.atleast_1d(np.asarray(a, np.float64)) for a in (depth_um, period_um))
    pitch_um = imager.square_pitch_um
    if not (period >= 2 * pitch_um).all():
        raise ImagerError(
            f"periods must be at least two pixels, {2 * pitch_um:g} µm; got {period.min():g} µm"
        )
    if not ((z >= 0) & (z <= imager.gap_um)).all():
        raise ImagerError(
            f"depths must lie within 0 to {imager.gap_um:g} µm; got {z.min():g} to {z.max():g} µm"
        )
    before, after = (np.clip(z + step, 0, imager.gap_um) for step in (-_STEP_UM / 2, _STEP_UM / 2))
    contrast = [_contrast(imager, at, period) for at in (z, before, after)]
    slope = (contrast[2] - contrast[1]) / (after - before)[:, None, None]
    power = (contrast[0] ** 2).sum(axis=-1)
    mixed = (contrast[0] * slope).sum(axis=-1)
    own = (slope**2).sum(axis=-1)
    left = own - mixed**2 / np.maximum(power, 1e-300)
    noise = 10 ** (-peak_snr_db / 20)
    pixels = np.maximum(1.0, (period / pitch_um) ** 2)
    information = pixels / (2 * noise**2) * np.where(left > 1e-9 * own, left, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(1 / np.sqrt(information))


def _contrast(imager: Imager, depth_um: Float64Array, period_um: Float64Array) -> Float64Array:
    """Return (depth, period, sensor): what is left of the contrast of structure along x."""
    nominal = imager.with_(boundary="zero", registration=type(imager.registration)())
    projection = LayerProjector(nominal).at(torch.from_numpy(depth_um)[None], imager.frame_px)
    transfer = projection.transfer((_GRID_PX, _GRID_PX))[0, :, :, 0].real.numpy()
    transfer = transfer / transfer[..., :1]
    place = imager.square_pitch_um / period_um * _GRID_PX
    below = np.clip(np.floor(place).astype(int), 0, transfer.shape[-1] - 2)
    share = place - below
    mixed = (1 - share) * transfer[..., below] + share * transfer[..., below + 1]
    return np.moveaxis(mixed, 1, -1)
