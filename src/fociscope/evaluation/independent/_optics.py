r"""Optics of a stated imager: irradiance of isotropic emitters behind an angle-selective grating.

An isotropic emitter at distance $z$ lights the sensor plane, per photon emitted, with

$$E(r) = \frac{z}{4\pi (z^2 + r^2)^{3/2}}\, T(\theta), \quad \theta = \arctan(r / z), \quad
T(\theta) = 2^{-(\theta / \theta_{1/2})^2}$$

(Papageorgiou, Boser, Anwar, IEEE TBioCAS 14, 2020). Here $E$ is integrated over the sub-pixels of a
fine grid by Gauss-Legendre quadrature in x and y, and light stays at its sub-pixel of the layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.integrate import quad
from scipy.ndimage import gaussian_filter

__all__ = ["SUBPIXELS", "Optics", "binned"]

Image = NDArray[np.float64]

#: Sub-pixels along the side of a pixel; odd, so that a pixel's middle is a sub-pixel's middle.
SUBPIXELS = 5
#: Sub-pixels from the emitter within which the quadrature is refined.
NEAR_SUBPIXELS = 4
NEAR_NODES, FAR_NODES = 48, 3
#: Nearest distance that is told from contact, in um: all light then lies in one sub-pixel.
CONTACT_UM = 0.01


@dataclass(frozen=True)
class Optics:
    """Numbers of an imager with two parallel sensors, and what its sensors see of layers.

    Attributes:
        pixel_pitch_um: Side of a square pixel.
        gap_um: Distance from sensor A to sensor B.
        half_angle_deg: Angle at which the grating transmits half of what it does straight on.
        base_blur_um: Standard deviation of a Gaussian blur that does not depend on depth.
        frame_px: (y, x) pixels of a frame.
        boundary: What lies outside the frame: "zero", nothing; "reflect", its mirror image.

    Examples:
        >>> from fociscope.evaluation.independent import Optics
        >>> kernel = Optics().kernel(300.0, radius_px=10)
        >>> kernel.shape, round(float(kernel.sum()), 4)
        ((21, 21), 0.0348)
    """

    pixel_pitch_um: float = 55.0
    gap_um: float = 1000.0
    half_angle_deg: float = 18.0
    base_blur_um: float = 0.0
    frame_px: tuple[int, int] = (51, 51)
    boundary: Literal["zero", "reflect"] = "zero"

    @property
    def collected(self) -> float:
        """Share (0 to 1) of the emitted light that lands on an unbounded sensor plane."""
        return _collected(self.half_angle_deg, math.pi / 2)

    def irradiance(self, r2_um2: Image, distance_um: float) -> Image:
        """Return the irradiance in 1/um^2 per emitted photon.

        Args:
            r2_um2: (...) squared distances from the point below the emitter.
            distance_um: Distance of the emitter from the sensor plane, above 0.
        """
        theta = np.arctan2(np.sqrt(r2_um2), distance_um)
        transmission = np.exp2(-((theta / math.radians(self.half_angle_deg)) ** 2))
        path2_um2 = distance_um**2 + r2_um2
        spread = distance_um / (4 * math.pi * path2_um2 * np.sqrt(path2_um2))
        return np.asarray(spread * transmission)

    def fine_kernel(self, distance_um: float, radius: int) -> Image:
        """Return what each sub-pixel collects of an emitter above the middle sub-pixel.

        Args:
            distance_um: Distance of the emitter from the sensor plane.
            radius: Sub-pixels from the middle one to the edge.

        Returns:
            (2 radius + 1, 2 radius + 1) shares of the emitted light.
        """
        z = max(distance_um, CONTACT_UM)
        step = self.pixel_pitch_um / SUBPIXELS
        quadrant = self._integrated(0, radius + 1, z, step, FAR_NODES if z < 100 else 2)
        near = min(NEAR_SUBPIXELS, radius + 1)
        width_um = z * min(1.0, math.tan(math.radians(self.half_angle_deg)))
        nodes = int(np.clip(math.ceil(3 * step / width_um), FAR_NODES, NEAR_NODES))
        quadrant[:near, :near] = self._integrated(0, near, z, step, nodes)
        kernel = np.block(
            [[quadrant[:0:-1, :0:-1], quadrant[:0:-1]], [quadrant[:, :0:-1], quadrant]]
        )
        if z < step:  # the peak may be narrower than the nodes are apart: the rest lies there
            reach_um = (2 * radius + 1) * step / math.sqrt(math.pi)  # circle of the grid's area
            landing = _collected(self.half_angle_deg, math.atan2(reach_um, z))
            kernel[radius, radius] += landing - kernel.sum()
        if self.base_blur_um:
            kernel = gaussian_filter(kernel, self.base_blur_um / step, mode="constant", truncate=6)
        return np.asarray(kernel)

    def kernel(self, distance_um: float, radius_px: int) -> Image:
        """Return what each pixel collects of an emitter above the middle of the middle pixel.

        Args:
            distance_um: Distance of the emitter from the sensor plane.
            radius_px: Pixels from the middle one to the edge.

        Returns:
            (2 radius + 1, 2 radius + 1) shares of the emitted light.
        """
        return binned(self.fine_kernel(distance_um, radius_px * SUBPIXELS + SUBPIXELS // 2))

    def project(self, light: Image, depth_um: NDArray[np.float64]) -> Image:
        """Return the noise-free captures of layers.

        Args:
            light: (layer, y, x) light emitted from each sub-pixel of the frame.
            depth_um: (layer,) distance of each layer from sensor A, in um.

        Returns:
            (2, y, x) light in each pixel of sensors A and B.
        """
        height, width = light.shape[1:]
        radius = max(height, width) - 1
        margin = radius if self.boundary == "reflect" else 0
        if margin:
            light = np.pad(light, ((0, 0), (margin, margin), (margin, margin)), mode="symmetric")
        size = [next_fast_len(side + radius, real=True) for side in light.shape[1:]]
        spectra = rfft2(light, s=size)
        captures = []
        for from_a in (True, False):
            total = np.zeros(spectra.shape[1:], dtype=np.complex128)
            for spectrum, depth in zip(spectra, depth_um, strict=True):
                distance = float(depth) if from_a else self.gap_um - float(depth)
                total += spectrum * rfft2(_centred(self.fine_kernel(distance, radius), size))
            seen = irfft2(total, s=size)[margin : margin + height, margin : margin + width]
            captures.append(binned(np.maximum(seen, 0)))
        return np.stack(captures)

    def _integrated(self, first: int, end: int, z: float, step: float, nodes: int) -> Image:
        """Return E integrated over sub-pixels first ... end - 1 of the quadrant, both axes."""
        node, weight = np.polynomial.legendre.leggauss(nodes)
        middle = np.arange(first, end)[:, None] * step
        place = (middle + node * step / 2).ravel()
        value = self.irradiance(place[:, None] ** 2 + place[None, :] ** 2, z)
        value = value.reshape(end - first, nodes, end - first, nodes)
        return np.asarray(np.einsum("iajb,a,b->ij", value, weight, weight) * (step / 2) ** 2)


def binned(fine: Image) -> Image:
    """Return (..., y, x) sums over the sub-pixels (..., y, x) of each pixel."""
    *lead, height, width = fine.shape
    shape = (*lead, height // SUBPIXELS, SUBPIXELS, width // SUBPIXELS, SUBPIXELS)
    return np.asarray(fine.reshape(shape).sum(axis=(-3, -1)))


def _centred(kernel: Image, size: list[int]) -> Image:
    """Return a kernel on a periodic grid of a size, its middle at [0, 0].

    What wraps around meets only what is cut off.
    """
    radius = kernel.shape[0] // 2
    wrapped = np.zeros(size)
    index = [np.arange(-radius, radius + 1) % side for side in size]
    np.add.at(wrapped, (index[0][:, None], index[1][None, :]), kernel)
    return wrapped


@lru_cache(maxsize=256)
def _collected(half_angle_deg: float, widest_rad: float) -> float:
    """Return the share of the light that leaves within an angle and passes the grating."""
    half = math.radians(half_angle_deg)
    return float(quad(lambda t: 2 ** -((t / half) ** 2) * math.sin(t) / 2, 0, widest_rad)[0])
