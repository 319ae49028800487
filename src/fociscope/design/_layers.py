r"""Bounds of layers without a network: light as a Gaussian field, sensors as linear filters.

At each frequency $f$ of the frame the sensors' images are $y = H x + n$, with a layer's light
$x_l \sim N(0, b_l^2 S(f))$, the transfer functions $H_{sl}(f)$ from layer $l$ to sensor $s$, and
white noise $N$. All frequencies are independent (a frame that repeats itself), so everything is
$4 \times 4$ algebra.

- Depths known: the posterior covariance of the layers' light is
  $C(f) = (S^{-1} I + H^\mathsf{H} N^{-1} H)^{-1}$; $\sum_f \operatorname{tr} C / \sum_f L S$ is the
  share of the light's variance that stays unknown, and
  $\tfrac12 \sum_f \log_2 \det(I + S N^{-1} H H^\mathsf{H})$ the information in bits that the
  captures hold of the layers.
- Depths unknown: with $K = H S H^\mathsf{H} + N$ the Fisher information of the depths, each layer's
  brightness and sensor B's gain being unknown as well, is
  $F_{pq} = \tfrac12 \sum_f \operatorname{tr}(K^{-1} K_p K^{-1} K_q)$ (Whittle, J. R. Stat. Soc. B
  15:125-139, 1953; Kay, Fundamentals of Statistical Signal Processing, 1993, eq. 3.31). It is
  `fociscope.evaluation.limits.gaussian_layers_bound_um` without the frame's edges, in
  milliseconds instead of minutes.
- Layers of unknown brightness explain one another's blur, and what is known beforehand decides:
  with the covariance $\Sigma$ of the depths and the spread of the layers' brightness, the posterior
  information is $F + \Sigma^{-1}$ (Van Trees, Detection, Estimation, and Modulation Theory I, 1968,
  section 2.4.3), and depth errors follow from its inverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from fociscope.design._spectrum import light_spectrum
from fociscope.evaluation.limits import depth_bound
from fociscope.imager import LayerProjector
from fociscope.simulation.scene import draw_depths
from fociscope.simulation.tissue import PerlinFoci
from fociscope.typing import Float64Array

if TYPE_CHECKING:
    from fociscope.imager import Imager
    from fociscope.simulation import Specimen

__all__ = ["LayerBounds", "layer_bounds"]

#: Step of the differences by depth in um.
STEP_UM = 0.5
#: Sets of depths over which bounds are averaged, and their seed.
DRAWS, SEED = 32, 0


@dataclass(frozen=True)
class LayerBounds:
    """What captures hold of layers at best, for light that is a Gaussian field.

    Attributes:
        depth_std_um: Least standard deviation of an unbiased estimate of a layer's depth in um,
            nothing being known beforehand: the median over layers and sets of depths;
            None where the captures tell nothing.
        depth_error_um: Least mean absolute error in um where it is known how depths and brightness
            are distributed: sqrt(2 / pi) times the posterior standard deviation, the mean over
            layers and sets.
        light_unknown: Share of the variance of the layers' light that stays unknown even with the
            depths known, 0 to 1.
        information_kbit: What the captures hold of the layers, in 1000 bits per capture.

    Examples:
        >>> from fociscope.design import layer_bounds
        >>> from fociscope.imager import Imager
        >>> bounds = layer_bounds(Imager.reference(), cell_photons_per_s=1e6)
        >>> 0 < bounds.light_unknown < 1
        True
    """

    depth_std_um: float | None
    depth_error_um: float
    light_unknown: float
    information_kbit: float


def layer_bounds(
    imager: Imager,
    *,
    cell_photons_per_s: float,
    layers: int = 4,
    min_separation_um: float = 250.0,
    specimen: Specimen | None = None,
    model_error: float = 0.0,
) -> LayerBounds:
    """Return the bounds of layers at the light that the imager's exposure gives.

    Args:
        imager: Imager of square pixels.
        cell_photons_per_s: Photons that a mean cell emits per second in all directions.
        layers: Number of layers.
        min_separation_um: Least distance of neighbouring layers in um.
        specimen: What the layers show; `PerlinFoci` by default.
        model_error: Noise besides the camera's, as a share of the mean light of a pixel: for what
            is wrong about the description of imager and specimen.

    Returns:
        The bounds, averaged over 32 sets of depths.

    Raises:
        SceneError: If the layers do not fit into the gap.
        ImagerError: If the pixels are not square.

    Examples:
        >>> from fociscope.design import layer_bounds
        >>> from fociscope.imager import Imager
        >>> dim = layer_bounds(Imager.reference(), cell_photons_per_s=1e5)
        >>> bright = layer_bounds(Imager.reference(), cell_photons_per_s=1e6)
        >>> dim.depth_std_um > bright.depth_std_um
        True
    """
    specimen = specimen or PerlinFoci()
    spectrum = light_spectrum(specimen)
    prior = spectrum.on_pixels(imager.square_pitch_um, imager.frame_px)
    rng = np.random.default_rng(SEED)
    depth_um = np.stack(
        [
            draw_depths(rng, layers, min_separation_um=min_separation_um, deepest_um=imager.gap_um)
            for _ in range(DRAWS)
        ]
    ).astype(np.float64)
    depth_um = depth_um.clip(STEP_UM, imager.gap_um - STEP_UM)
    before = _prior_information(depth_um, spectrum.log_contrast_std, imager.sensors)
    transfer, slope = _transfers(imager, depth_um)
    photons_per_light = (
        cell_photons_per_s
        * imager.camera.exposure_s
        * specimen.cells_per_unit_light(imager.square_pitch_um)
    )
    mean = spectrum.mean * transfer[:, :, :, 0, 0].sum(axis=1)  # (draw, sensor)
    camera = imager.camera
    floor = camera.floor_variance_e2 / camera.quantum_efficiency**2
    noise = (mean * photons_per_light / camera.quantum_efficiency + floor) / photons_per_light**2
    noise = noise + (model_error * mean) ** 2
    found = [
        _of_depths(h, dh, prior, v, imager.frame_px, before)
        for h, dh, v in zip(transfer, slope, noise, strict=True)
    ]
    std_um = float(np.median([one[0] for one in found]))
    return LayerBounds(
        depth_std_um=std_um if np.isfinite(std_um) else None,
        depth_error_um=float(np.sqrt(2 / np.pi) * np.mean([one[1] for one in found])),
        light_unknown=float(np.mean([one[2] for one in found])),
        information_kbit=float(np.mean([one[3] for one in found])) / 1000,
    )


def _prior_information(
    depth_um: Float64Array, log_contrast_std: float, sensors: int
) -> Float64Array:
    """Return what is known of the parameters beforehand; of sensor B's gain, nothing."""
    layers = depth_um.shape[1]
    size = 2 * layers + (sensors == 2)
    information = np.zeros((size, size))
    information[:layers, :layers] = np.linalg.inv(np.atleast_2d(np.cov(depth_um, rowvar=False)))
    own = np.arange(layers, 2 * layers)
    information[own, own] = 1 / log_contrast_std**2
    return information


def _transfers(imager: Imager, depth_um: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return (draw, layer, sensor, y, x / 2 + 1) transfer functions, and their slopes by depth."""
    aligned = imager.with_(boundary="zero", registration=type(imager.registration)())
    both = np.concatenate([depth_um - STEP_UM, depth_um, depth_um + STEP_UM])
    projection = LayerProjector(aligned).at(torch.from_numpy(both), imager.frame_px)
    below, middle, above = np.split(projection.transfer(imager.frame_px).real.numpy(), 3)
    return middle, (above - below) / (2 * STEP_UM)


def _of_depths(
    transfer: Float64Array,
    slope: Float64Array,
    prior: Float64Array,
    noise: Float64Array,
    frame_px: tuple[int, int],
    before: Float64Array,
) -> tuple[Float64Array, Float64Array, float, float]:
    """Return (layer,) bounds, (layer,) posterior deviations, light unknown, and bits, at one set.

    Args:
        transfer: (layer, sensor, y, kx).
        slope: The same, by depth.
        prior: (y, kx) spectrum of a layer's light.
        noise: (sensor,) variance.
        frame_px: (y, x) pixels.
        before: (parameter, parameter) information that is there beforehand.
    """
    h = np.moveaxis(transfer.reshape(*transfer.shape[:2], -1), -1, 0)  # (f, layer, sensor)
    dh = np.moveaxis(slope.reshape(*slope.shape[:2], -1), -1, 0)
    spectrum = prior.ravel()[:, None, None]
    times = _multiplicity(frame_px)  # of each frequency of the half plane
    white = h / np.sqrt(noise)
    gram = np.einsum("fls,fms->flm", white, white)
    layers = h.shape[1]
    inner = np.eye(layers) + spectrum * gram
    unknown = np.trace(np.linalg.inv(inner), axis1=1, axis2=2) * spectrum[:, 0, 0]
    bits = 0.5 * (times @ np.linalg.slogdet(inner)[1]) / np.log(2)
    share = float(times @ unknown / (layers * (times @ spectrum[:, 0, 0])))

    # In units of the noise; parameters: depth and log brightness of each layer, log gain of B.
    parts = np.einsum("fls,flt->flst", white, white) * spectrum[..., None]
    slopes = np.einsum("fls,flt->flst", dh / np.sqrt(noise), white) * spectrum[..., None]
    changes = [*np.moveaxis(slopes + slopes.swapaxes(-1, -2), 1, 0), *np.moveaxis(2 * parts, 1, 0)]
    total = parts.sum(axis=1)
    if h.shape[2] == 2:
        of_b = np.array([0.0, 1.0])
        changes.append(total * (of_b[:, None] + of_b))
    inverse = np.linalg.inv(total + np.eye(h.shape[2]))
    relative = np.stack([inverse @ change for change in changes])
    information = 0.5 * np.einsum("f,pfst,qfts->pq", times, relative, relative, optimize=True)
    bound = depth_bound(information, layers=layers)
    after = depth_bound(information + before, layers=layers)
    return bound, after, share, float(bits)


def _multiplicity(frame_px: tuple[int, int]) -> Float64Array:
    """Return how often each frequency of `rfft2` stands in the whole plane."""
    columns = frame_px[1] // 2 + 1
    times = np.full((frame_px[0], columns), 2.0)
    times[:, 0] = 1.0
    if frame_px[1] % 2 == 0:
        times[:, -1] = 1.0
    return times.ravel()
