"""The out-of-distribution check: limits that valid captures of the stated imager keep.

Everything is measured on the captures and on what the reconstruction explains of them; limits are
fitted once per model on valid captures of its training family.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, NamedTuple, Self

import torch
from pydantic import model_validator
from torch import Tensor

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, ModelError
from fociscope.networks.psf_width import WIDTH_FEATURES, PsfWidthEstimator
from fociscope.noise import noise_std

__all__ = [
    "CaptureStatistics",
    "OutOfDistributionLimits",
    "capture_statistics",
    "feature_count",
    "fit_out_of_distribution",
    "share_at_the_top",
    "with_psf_mismatch",
]

#: Share of the valid captures that the limits are fitted to raise a false alarm for, in all.
FALSE_ALARMS = 0.005
#: Captures this many times beyond a limit are no captures, whatever their map looks like.
FOREIGN = 1.25
#: What to do about captures unlike any valid one.
ADVICE = {
    "saturated": "expose for a shorter time",
    "noisy": "expose for longer, or average frames",
    "empty": "expose for longer, or average frames",
    "psf_mismatch_near": "check the imager's half angle, base blur and gap, or calibrate it",
    "psf_mismatch": "check the imager's half angle, base blur and gap, or calibrate it",
    "odd": "check that it is a capture, and of this imager",
}
#: Fewer saturated pixels do no harm to a map, if the check for wrong maps does not object.
LEAST_SATURATED = 0.05
#: Edges of the bands of spatial frequency, in cycles per pixel.
BANDS = (0.01, 0.04, 0.08, 0.15, 0.25, 0.4, 0.71)
#: Of the features of the optics, those for 80 % of the light near, half-way and far.
_OPTICS = (*WIDTH_FEATURES, 15)
#: Place of the widths of a PSF-width estimator among the features of the statistics.
_WIDTHS_OF_IMAGER = slice(-3, -1)
#: The blur that noise is averaged by before it is compared: a Gaussian of 1.5 pixels.
_BELL = tuple(math.exp(-(n**2) / (2 * 1.5**2)) for n in range(-4, 5))
_BLUR = tuple(height / sum(_BELL) for height in _BELL)
_LARGEST_LOG = 14.0
#: Frequencies whose bands are looked up together.
_BLOCK = 2**17


class CaptureStatistics(NamedTuple):
    """Statistics that are large for captures out of distribution; (batch,) unless noted."""

    saturated: Tensor
    """Share of a sensor's pixels that hold its greatest value."""
    noisy: Tensor
    """Logarithm of the noise relative to a sensor's brightest pixel."""
    empty: Tensor
    """Logarithm of the noise's power relative to that of a sensor's coarse structure."""
    sloping: Tensor
    """Share of the contrast that is an even slope, of the sensor with the smaller share."""
    unexplained: Tensor
    """|capture - reprojection| / |capture|, smoothed, without what noise explains."""
    psf_mismatch_near: Tensor
    """Deviations between the stated PSF width near a sensor and the estimate of it, and"""
    psf_mismatch: Tensor
    """half-way; both 0 without a PSF-width estimator."""
    wider: Tensor
    """(batch, 2) by how many octaves the PSF is wider at both places; has no limit."""
    features: Tensor
    """(batch, feature) spectra, coherence between the sensors, and the stated PSF widths."""


#: The statistics that have limits.
_LIMITED = (
    "saturated",
    "noisy",
    "empty",
    "sloping",
    "unexplained",
    "psf_mismatch_near",
    "psf_mismatch",
    "odd",
)


class OutOfDistributionLimits(Configuration):
    """The limits of a model: captures whose statistics exceed one are out of distribution."""

    error: ClassVar[type[FociscopeError]] = ModelError

    FORMER_KEYS: ClassVar[dict[str, str]] = {
        "mistold": "psf_mismatch",
        "mistold_near": "psf_mismatch_near",
    }

    saturated: float
    noisy: float
    empty: float
    sloping: float
    unexplained: float
    psf_mismatch_near: float = 1e9
    psf_mismatch: float = 1e9
    """A model without a PSF-width estimator knows neither."""
    odd: float
    """Of the Mahalanobis distance of the features from those of valid captures."""
    mean: tuple[float, ...]
    """(feature,) of valid captures."""
    whitening: tuple[tuple[float, ...], ...]
    """(feature, feature) inverse covariance; its quadratic form is the squared distance."""

    @model_validator(mode="after")
    def _square(self) -> Self:
        if any(len(row) != len(self.mean) for row in (self.whitening, *self.whitening)):
            raise ValueError("whitening needs as many rows and columns as mean has numbers")
        return self

    def quality_flags(self, statistics: CaptureStatistics) -> list[str]:
        """Describe what is out of distribution.

        Args:
            statistics: Statistics of a batch of captures.

        Returns:
            A text for each capture; empty if all statistics are within their limits.
        """
        odd = _distance(statistics.features, self.mean, self.whitening)
        limits = [getattr(self, name) for name in _LIMITED]
        against = _stacked(statistics, odd)
        beyond = (against > against.new_tensor(limits)).tolist()
        return [
            self._in_words(dict(zip(_LIMITED, flags, strict=True)), statistics, n)
            if any(flags)
            else ""
            for n, flags in enumerate(beyond)
        ]

    def foreign(self, statistics: CaptureStatistics) -> list[str]:
        """Describe captures unlike any valid one, for which no map can be judged.

        Noise, lack of structure and a PSF mismatch count beyond their limits, saturation and odd
        features from `FOREIGN` times theirs on.

        Args:
            statistics: Statistics of a batch of captures.

        Returns:
            A text for each capture; empty if none of its statistics lies that far.
        """
        odd = _distance(statistics.features, self.mean, self.whitening)
        beyond = {
            "saturated": statistics.saturated > max(LEAST_SATURATED, FOREIGN * self.saturated),
            "noisy": statistics.noisy > self.noisy,
            "empty": statistics.empty > self.empty,
            "psf_mismatch_near": statistics.psf_mismatch_near > self.psf_mismatch_near,
            "psf_mismatch": statistics.psf_mismatch > self.psf_mismatch,
            "odd": odd > FOREIGN * self.odd,
        }
        texts = []
        for n in range(len(odd)):
            here = {name: bool(flags[n]) for name, flags in beyond.items()}
            words = self._in_words(here, statistics, n)
            advice = [todo for name, todo in ADVICE.items() if here.get(name)]
            texts.append(f"{words}: {'; '.join(dict.fromkeys(advice))}" if words else "")
        return texts

    def _in_words(self, beyond: dict[str, bool], statistics: CaptureStatistics, n: int) -> str:
        """Describe the statistics of capture `n` that lie beyond their limits."""
        share = 100 * float(statistics.saturated[n])
        ratio = float(torch.exp(-statistics.noisy[n]))
        left = 100 * float(statistics.unexplained[n])
        near, wider = (2 ** float(octaves) for octaves in statistics.wider[n])
        reasons = {
            "saturated": f"{share:.0f} % of a sensor's pixels hold its greatest value, "
            "as if saturated",
            "noisy": f"the brightest pixel is only {ratio:.1f} times the noise",
            "empty": "there is no structure beyond noise",
            "sloping": "the light is nothing but an even slope",
            "unexplained": f"the map leaves {left:.0f} % of the capture unexplained, "
            f"valid ones at most {100 * self.unexplained:.0f} %",
            "psf_mismatch_near": f"near a sensor, its blur is {near:.2g} times the imager's",
            "psf_mismatch": f"its blur is that of a PSF {wider:.2g} times as wide as the imager's",
            "odd": "its structure is unlike that of captures by such an imager",
        }
        return "; ".join(reason for name, reason in reasons.items() if beyond.get(name))


def feature_count(sensors: int) -> int:
    """Return how many features the statistics of so many sensors have."""
    bands = len(BANDS) - 1
    return sensors * (bands + 2) + (3 * bands if sensors > 1 else 0) + len(_OPTICS)


def capture_statistics(
    captures: Tensor, reprojection: Tensor, optics: Tensor, *, good: Tensor | None = None
) -> CaptureStatistics:
    """Compute the statistics of captures.

    Args:
        captures: Captures, corrected but not yet aligned, (batch, sensor, y, x).
        reprojection: Captures that the imager would take of the reconstruction, of the same shape.
        optics: Conditioning of the network, (batch, feature).
        good: 1 where pixels count, (sensor, y, x).

    Returns:
        The statistics, without a PSF mismatch.
    """
    mean = captures.mean(dim=(-2, -1), keepdim=True).clamp(min=1e-30)
    light = captures / mean
    noise = noise_std(light)
    top = light.amax(dim=(-2, -1))
    contrast = light - 1
    squared = contrast.square()
    variance = squared.mean(dim=(-2, -1))
    skew = squared.mul_(contrast).mean(dim=(-2, -1)) / variance.clamp(min=1e-20) ** 1.5
    del squared
    power, coherence = _spectra(contrast)
    floor = noise.square().clamp(min=1e-12)
    coarse = (power[..., :2].mean(dim=-1) / floor).clamp(min=1e-6).log().clamp(max=_LARGEST_LOG)
    ratio = (top / noise.clamp(min=1e-9)).log().clamp(max=9.0)
    clean = (power - floor[..., None]).clamp(min=0).add(1e-5).log()
    features = [clean.flatten(1), skew, ratio]
    if captures.shape[1] > 1:
        features += [clean.amax(dim=1), clean.amin(dim=1), coherence]
    left = (reprojection - captures) / mean
    left = left if good is None else left * good
    share = _smoothed_power(left) - _smoothed_noise(floor)
    unexplained = (share.clamp(min=0) / (1 + variance)).sqrt()  # light has a mean of 1
    return CaptureStatistics(
        saturated=share_at_the_top(captures, good),
        noisy=-ratio.amin(dim=1),
        empty=-coarse.amin(dim=1),
        sloping=_slope(light, variance, floor).amin(dim=1),
        unexplained=unexplained.amax(dim=1),
        psf_mismatch_near=torch.zeros_like(unexplained[:, 0]),
        psf_mismatch=torch.zeros_like(unexplained[:, 0]),
        wider=torch.zeros(len(captures), len(WIDTH_FEATURES), device=captures.device),
        features=torch.cat([*features, optics[:, list(_OPTICS)]], dim=1),
    )


def with_psf_mismatch(
    statistics: CaptureStatistics, context: Tensor, psf_width: PsfWidthEstimator
) -> CaptureStatistics:
    """Add the mismatch of the stated PSF.

    Args:
        statistics: Statistics of captures.
        context: Context of the network's output, (batch, context).
        psf_width: Estimator of the model.

    Returns:
        The statistics with the difference of stated and estimated widths.
    """
    estimate = psf_width(context, statistics.features)
    wider = estimate.widths - statistics.features[:, _WIDTHS_OF_IMAGER]
    near, half_way = (wider.abs() / estimate.std).unbind(dim=1)
    return statistics._replace(psf_mismatch_near=near, psf_mismatch=half_way, wider=wider)


def share_at_the_top(captures: Tensor, good: Tensor | None = None) -> Tensor:
    """Return (batch,) the share of pixels that hold a sensor's greatest value, of the worse sensor.

    Args:
        captures: Captures as taken, (batch, sensor, y, x); a correction would hide saturation.
        good: 1 where pixels count, (sensor, y, x).

    Returns:
        Shares in 0 ... 1, (batch,).
    """
    counted = captures if good is None else torch.where(good > 0, captures, -torch.inf)
    top = counted.amax(dim=(-2, -1), keepdim=True)
    held = counted >= top - top.abs() * 1e-6
    return held.float().mean(dim=(-2, -1)).amax(dim=1)


def fit_out_of_distribution(statistics: CaptureStatistics) -> OutOfDistributionLimits:
    r"""Fit limits that all but the share `FALSE_ALARMS` of valid captures keep.

    The features count together, by their Mahalanobis distance
    $\sqrt{(f - \mu)^\top \Sigma^{-1} (f - \mu)}$ from those of valid captures.

    Args:
        statistics: Statistics of valid captures.

    Returns:
        The limits.
    """
    features = statistics.features.double()
    mean = features.mean(dim=0)
    covariance = torch.cov((features - mean).T)
    loading = 1e-3 * features.var(dim=0) + 1e-6
    whitening = torch.linalg.inv(covariance + torch.diag(loading))
    odd = _distance(features, mean, whitening)
    against = _stacked(statistics, odd)
    share = FALSE_ALARMS
    while True:
        limits = torch.quantile(against, 1 - share, dim=0)
        if float((against > limits).any(dim=1).double().mean()) <= FALSE_ALARMS or share < 1e-6:
            break
        share *= 0.9
    return OutOfDistributionLimits(
        **dict(zip(_LIMITED, limits.tolist(), strict=True)),
        mean=tuple(mean.tolist()),
        whitening=tuple(tuple(row) for row in whitening.tolist()),
    )


def _stacked(statistics: CaptureStatistics, odd: Tensor) -> Tensor:
    """(batch, statistic) in the order of `_LIMITED`."""
    measured = statistics._asdict() | {"odd": odd}
    return torch.stack([measured[name].double() for name in _LIMITED], dim=1)


def _distance(
    features: Tensor, mean: Sequence[float] | Tensor, whitening: Sequence[Sequence[float]] | Tensor
) -> Tensor:
    if not isinstance(mean, Tensor):
        mean = _as_double(tuple(mean), features.device)
    if not isinstance(whitening, Tensor):
        whitening = _as_double(tuple(whitening), features.device)
    centred = features.double() - mean
    return ((centred @ whitening) * centred).sum(dim=1).clamp(min=0).sqrt()


@lru_cache(maxsize=16)
def _as_double(values: tuple[object, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=device)


def _spectra(contrast: Tensor) -> tuple[Tensor, Tensor]:
    """Return (batch, sensor, band) powers, and (batch, band) coherence of the first two sensors."""
    height, width = contrast.shape[-2:]
    down, along = _window(height, contrast.device), _window(width, contrast.device)
    spectrum = torch.fft.rfft2(contrast * (down[:, None] * along))
    count = contrast.new_zeros(len(BANDS) - 1)
    sums = contrast.new_zeros(len(contrast), contrast.shape[1] + 1, len(count))
    rows = max(1, _BLOCK // spectrum.shape[-1])
    for start in range(0, height, rows):
        block = spectrum[..., start : start + rows, :]
        parts = torch.view_as_real(block)
        cross = (parts[:, 0] * parts[:, -1]).sum(dim=-1)
        power = parts.square().sum(dim=-1)
        member = _membership(height, width, start, start + block.shape[-2], contrast.device)
        sums += torch.cat([power, cross[:, None]], dim=1).flatten(2) @ member
        count += member.sum(dim=0)
    mean = sums / count
    power, shared = mean[:, :-1], mean[:, -1]
    return power, shared / (power[:, 0] * power[:, -1]).sqrt().clamp(min=1e-20)


@lru_cache(maxsize=32)
def _window(length: int, device: torch.device) -> Tensor:
    """Return (pixel,) a Hann window whose squares sum to 1."""
    window = torch.hann_window(length)
    return (window / window.square().sum().sqrt()).to(device)


@lru_cache(maxsize=32)
def _membership(height: int, width: int, start: int, stop: int, device: torch.device) -> Tensor:
    """Return (ky * kx, band): 1 where a frequency lies in a band; of some rows ky."""
    along_y = torch.fft.fftfreq(height)[start:stop, None]
    frequency = torch.hypot(along_y, torch.fft.rfftfreq(width)[None])
    bands = [(frequency >= low) & (frequency < high) for low, high in pairwise(BANDS)]
    return torch.stack(bands, dim=-1).flatten(0, 1).float().to(device)


def _smoothed_power(image: Tensor) -> Tensor:
    """(batch, sensor, y, x) -> (batch, sensor) mean square after a blur, where it lies inside."""
    # Shifted and added, in half the time of convolutions of one channel.
    for axis in (-1, -2):
        length = image.shape[axis] - len(_BLUR) + 1
        blurred = image.narrow(axis, 0, length) * _BLUR[0]
        for shift, weight in enumerate(_BLUR[1:], start=1):
            blurred.add_(image.narrow(axis, shift, length), alpha=weight)
        image = blurred
    return image.square().mean(dim=(-2, -1))


def _smoothed_noise(variance: Tensor) -> Tensor:
    """Return what `_smoothed_power` is of white noise."""
    return variance * sum(weight**2 for weight in _BLUR) ** 2


def _slope(light: Tensor, variance: Tensor, floor: Tensor) -> Tensor:
    """Return (batch, sensor) the share of the contrast, noise aside, that a plane explains."""
    height, width = light.shape[-2:]
    total = torch.zeros_like(variance)
    for n, other in ((height, -1), (width, -2)):
        ramp = torch.linspace(-1, 1, n, device=light.device, dtype=light.dtype)
        steepness = (light.mean(dim=other) * ramp).mean(dim=-1) / ramp.square().mean()
        total = total + steepness.square() * ramp.square().mean()
    return total / (variance - floor).clamp(min=1e-3 * variance).clamp(min=1e-20)
