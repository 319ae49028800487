r"""Where sensor B lies, from ordinary captures: Gauss-Newton on the cross spectra of A and B.

What both sensors see of the same light correlates, blurred as it is; what only one of them sees of
its near layers does not. With the taper $w$, sensor A's image filtered by the mean transfer
$T = \langle S_{AB} \rangle / \langle S_{AA} \rangle$ predicts sensor B's moved back onto A, and
shift and rotation minimise the squared difference, each frequency by the inverse of the power that
is left there. How $T$ runs over frequency is fitted beside them, in bands, since its error would
else be taken for a magnification. One scale is assumed for both sensors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fociscope.calibration._capture_spectra import hann, moved_back, splines_of
from fociscope.imager.registration import Similarity
from fociscope.typing import Float64Array

__all__ = ["CaptureRegistration", "register_captures"]

STEPS, REST_PX = 30, 1e-3
"""Most Gauss-Newton steps, and the step (at half a frame from the middle) at which it rests."""
REFITTED = 5
"""Steps after which the weights stay as they are, so that one function is minimised."""
MARGIN_PX = 13
FARTHEST_PX = 8
"""Farthest shift that is looked for, in pixels along an axis."""
COARSE_BLUR_PX = 2.5
BAND_EDGES = (0.0, 1.5, 3.0, 5.0, 8.0, 12.0, 18.0, 30.0)
"""Cycles per frame at which the transfer's run over frequency is free."""
MOST_CYCLES = 16
"""Cycles per frame up to which both sensors can see the same light: beyond, blur has taken it."""
LEAST_COHERENCE = 0.02
"""Below this, a frequency says nothing."""


@dataclass(frozen=True)
class CaptureRegistration:
    """Registration with the covariance of (shift y px, shift x px, rotation in radians).

    Attributes:
        similarity: Where sensor A's frame appears on B.
        covariance: (3, 3) by how captures scatter.
        coherence: Coherence of A and B at low frequencies; near 0, nothing is known.
        converged: Whether the steps came to rest.
    """

    similarity: Similarity
    covariance: Float64Array
    coherence: float
    converged: bool


def register_captures(captures: Float64Array, pitch_um: float) -> CaptureRegistration:
    """Register sensor B to sensor A by captures of anything.

    Args:
        captures: (capture, 2, y, x) light of sensors A and B.
        pitch_um: Side of a pixel.
    """
    problem = _CrossSpectra(captures, pitch_um)
    at = np.array([*_coarse_shift(captures), 0.0])
    half = min(captures.shape[2:]) / 2
    converged = False
    for step_number in range(STEPS):
        if step_number <= REFITTED:
            problem.refit(at)
        step, scatter, coherence = problem.step(at)
        at = at + step
        converged = float(np.abs(step * (1, 1, half)).max()) < REST_PX
        if converged and step_number > REFITTED:
            break
    similarity = problem.similarity(at)
    return CaptureRegistration(similarity, scatter, coherence, converged)


class _CrossSpectra:
    """Images of A and B, and how B is predicted from A."""

    def __init__(self, captures: Float64Array, pitch_um: float) -> None:
        self.splines, self.pitch_um = splines_of(captures[:, 1]), pitch_um
        height, width = self.shape = captures.shape[2:]
        self.taper = hann(height, width)
        self.grid = tuple(2 ** math.ceil(math.log2(side + 1)) for side in self.shape)
        ring = _cycles(self.grid, self.shape)[:, : self.grid[1] // 2 + 1]
        self.kept = ring < MOST_CYCLES + 0.5  # of the half plane, whose other half is the same
        self.whole_ring = np.round(ring[self.kept]).astype(int)
        a = self._centred(captures[:, 0])
        self.spectrum_a = self._spectrum(a)
        margin = ((0, 0), (MARGIN_PX, MARGIN_PX), (MARGIN_PX, MARGIN_PX))
        self.wide_a = np.fft.fft2(np.pad(a, margin, mode="reflect"))
        wide = self.wide_a.shape[1:]
        self.wide_ring = _cycles(wide, self.shape)
        self.ky, self.kx = (2j * np.pi * np.fft.fftfreq(side) for side in wide)
        self.y = (np.arange(height) - (height - 1) / 2)[:, None]
        self.x = (np.arange(width) - (width - 1) / 2)[None, :]

    def similarity(self, at: Float64Array) -> Similarity:
        shift_um = (float(at[0] * self.pitch_um), float(at[1] * self.pitch_um))
        return Similarity(shift_um, math.degrees(at[2]))

    def refit(self, at: Float64Array) -> None:
        """Take transfer and weights from B as it is moved back now."""
        b = self._spectrum(self._moved(at))
        powers = (np.abs(self.spectrum_a) ** 2, np.abs(b) ** 2, (self.spectrum_a.conj() * b).real)
        aa, bb, ab = (self._by_ring(one) for one in powers)
        unit_a, unit_b = (one[:, 1:].mean(axis=1, keepdims=True) + 1e-30 for one in (aa, bb))
        mean_a, mean_b = (aa / unit_a).mean(axis=0) + 1e-12, (bb / unit_b).mean(axis=0) + 1e-12
        cross = np.maximum((ab / np.sqrt(unit_a * unit_b)).mean(axis=0), 0)
        coherence = cross / np.sqrt(mean_a * mean_b)
        self.coherence = float(coherence[1:6].mean())
        rings = np.arange(len(cross))
        gain = np.sqrt(unit_b / unit_a)[:, :, None]
        self.predicted = self.wide_a * gain * np.interp(self.wide_ring, rings, cross / mean_a)
        left = np.maximum(
            unit_b * mean_b * (1 - np.minimum(coherence, 0.99) ** 2), 0.05 * bb + 1e-30
        )
        said = (coherence > LEAST_COHERENCE) & (rings > 0)
        self.weight = (said / left)[:, self.whole_ring]

    def step(self, at: Float64Array) -> tuple[Float64Array, Float64Array, float]:
        """Return the step, the covariance of what is sought, and the coherence."""
        cut = (slice(None), slice(MARGIN_PX, MARGIN_PX + self.shape[0]),
               slice(MARGIN_PX, MARGIN_PX + self.shape[1]))  # fmt: skip
        wide = self.predicted

        def inner(spectrum: np.ndarray) -> Float64Array:
            return np.asarray(np.fft.ifft2(spectrum).real[cut])

        along_y, along_x = inner(wide * self.ky[:, None]), inner(wide * self.kx[None, :])
        slopes = [along_y, along_x, along_x * self.y - along_y * self.x]
        hats = np.eye(len(BAND_EDGES))
        slopes += [-inner(wide * np.interp(self.wide_ring, BAND_EDGES, hat)) for hat in hats]
        directions = np.stack([self._spectrum(-one) for one in slopes], axis=1)
        residual = self._spectrum(self._moved(at) - inner(wide))
        sides = np.sqrt(self.weight)
        rows = _as_real(directions * sides[:, None])
        normal = rows @ rows.transpose(0, 2, 1)
        right = (rows @ _as_real(residual * sides)[:, :, None])[:, :, 0]
        whole = normal.sum(axis=0)
        whole += 1e-9 * np.diag(np.diag(whole)) + 1e-12 * np.trace(whole) * np.eye(len(whole))
        found = np.linalg.solve(whole, right.sum(axis=0))
        apart = (right - normal @ found) @ np.linalg.inv(whole)[:, :3]
        return np.clip(found[:3], -1, 1), apart.T @ apart, self.coherence

    def _moved(self, at: Float64Array) -> Float64Array:
        return self._centred(moved_back(self.splines, self.similarity(at), self.pitch_um))

    def _centred(self, images: Float64Array) -> Float64Array:
        mean = (images * self.taper).sum((1, 2), keepdims=True) / self.taper.sum()
        return np.asarray(images - mean, np.float64)

    def _spectrum(self, images: Float64Array) -> np.ndarray:
        return np.asarray(np.fft.rfft2(images * self.taper, self.grid)[:, self.kept])

    def _by_ring(self, power: Float64Array) -> Float64Array:
        count = np.maximum(np.bincount(self.whole_ring), 1)
        return np.stack([np.bincount(self.whole_ring, one) / count for one in power])


def _as_real(values: np.ndarray) -> Float64Array:
    """Return (..., 2 n) real and imaginary parts of (..., n)."""
    return np.concatenate([values.real, values.imag], axis=-1)


def _cycles(grid: tuple[int, ...], frame: tuple[int, ...]) -> Float64Array:
    """Return (ky, kx) cycles per frame, of its shorter side, on a Fourier grid."""
    y, x = (np.fft.fftfreq(side) * min(frame) for side in grid)
    return np.asarray(np.hypot(y[:, None], x[None, :]))


def _coarse_shift(captures: Float64Array) -> tuple[float, float]:
    """Return (y, x) the whole pixels by which B's light lies off A's: peak of the correlation."""
    height, width = captures.shape[2:]
    taper = hann(height, width)
    means = (captures * taper).sum((2, 3), keepdims=True) / taper.sum()
    a, b = np.moveaxis(np.fft.fft2((captures - means) * taper, (2 * height, 2 * width)), 1, 0)
    unit = np.sqrt((np.abs(a) ** 2).mean((1, 2)) * (np.abs(b) ** 2).mean((1, 2))) + 1e-30
    cross = (a.conj() * b / unit[:, None, None]).sum(axis=0)
    y, x = (2 * np.pi * np.fft.fftfreq(2 * side) for side in (height, width))
    k2 = y[:, None] ** 2 + x[None, :] ** 2
    cross = cross / (np.abs(cross) + 1e-3 * np.abs(cross).max() + 1e-30)
    smooth = np.exp(-k2 * COARSE_BLUR_PX**2 / 2) * (k2 > 0.01)
    found = np.fft.fftshift(np.fft.ifft2(cross * smooth).real)
    near = found[height - FARTHEST_PX : height + FARTHEST_PX + 1,
                 width - FARTHEST_PX : width + FARTHEST_PX + 1]  # fmt: skip
    down, right = np.unravel_index(int(near.argmax()), near.shape)
    return float(down - FARTHEST_PX), float(right - FARTHEST_PX)
