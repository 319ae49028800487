"""An imager from ordinary captures of tissue: nothing is known of what they show."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.calibration._capture_pixels import (
    PixelStatistics,
    background_level,
    filled_captures,
    pixel_statistics,
)
from fociscope.calibration._capture_registration import register_captures
from fociscope.calibration._capture_spectra import (
    TILE_PX,
    CaptureSpectra,
    capture_spectra,
    gain_of_b,
    spectrum_features,
)
from fociscope.calibration._capture_width import WidthRegression
from fociscope.calibration._outcome import with_black_level
from fociscope.calibration._psf_fit import Estimate
from fociscope.calibration._result import CALIBRATION_FORMAT_VERSION, imager_first, write_imager
from fociscope.errors import CaptureError, FociscopeWarning, ImagerError
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import AngleSelectivePsf
from fociscope.imager.registration import Similarity
from fociscope.typing import Float64Array, Progress

__all__ = ["LEAST_CAPTURES", "BlindCalibration", "calibrate_captures"]

LEAST_CAPTURES = 10
"""Captures without which nothing is said."""
MOST_CAPTURES = 400
"""Captures beyond which more cost time alone; they are then taken evenly from all."""
FEW_CAPTURES = 50
RESAMPLES = 40
"""Of the captures, for what their number leaves open."""
SATURATED_SHARE = 0.01
"""Share of a sensor's pixels at its greatest value from which a capture is left out."""
LARGEST_LOG_STD, LARGEST_BLUR_STD_PX = 0.3, 0.3
"""Deviations from which on the half angle (as a ratio) and the base blur are not determined: those
of what is expected before."""
FAR_FROM_TRAINING = 1.3
"""Distance to the nearest simulated chip, in spreads, from which captures count as unfamiliar."""
LEAST_COHERENCE = 0.05
LARGEST_SHIFT_STD_PX, LARGEST_ROTATION_STD_DEG = 1.0, 1.0
MOST_BAD_SHARE = 0.1


@dataclass(frozen=True)
class BlindCalibration:
    """An imager from captures of anything, with what they leave open.

    Attributes:
        imager: Imager with the determined values in place of those assumed.
        estimates: Values with one standard deviation (a 68 % interval) and unit, by name; infinite
            where the captures do not determine it, and the value is the imager's own.
        undetermined: Why, for each of these names.
        pixels: Gain and offset of each pixel over its neighbours, dead and hot pixels.
        coherence: (ring,) mean coherence of sensors A and B by cycles per 51 pixels; empty for one
            sensor.
        power: (sensor, ring) mean power over that of low frequencies.
        captures: Number of captures that were used.
        notes: What a user should know; each was also a warning.

    Examples:
        >>> import warnings
        >>> from fociscope.calibration import calibrate_captures
        >>> from fociscope.simulation import simulate
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")  # these captures are few
        ...     found = calibrate_captures(simulate(12, seed=0).captures)
        >>> found.captures, abs(found.estimates["half_angle_deg"].value - 18.0) < 4
        (12, True)
    """

    imager: Imager
    estimates: Mapping[str, Estimate]
    undetermined: Mapping[str, str]
    pixels: PixelStatistics
    coherence: Float64Array
    power: Float64Array
    captures: int
    notes: tuple[str, ...]

    def summary(self, **more: Any) -> dict[str, Any]:
        """Return all that `imager.calibration.json` holds; infinite uncertainties become null."""
        return {
            "format": CALIBRATION_FORMAT_VERSION,
            **{name: version(name) for name in ("fociscope", "numpy", "scipy")},
            **more,
            "source": "captures",
            "psf": self.imager.psf.kind,
            "parameters": {name: asdict(value) for name, value in self.estimates.items()},
            "uncertainties": "one standard deviation, a 68 % interval",
            "undetermined": dict(self.undetermined),
            "captures": self.captures,
            "dead_pixels": np.argwhere(self.pixels.dead).tolist(),
            "hot_pixels": np.argwhere(self.pixels.hot).tolist(),
            "warnings": list(self.notes),
        }

    def write_into(self, folder: Path, name: str, **more: Any) -> list[Path]:
        """Write the imager and the summary.

        Args:
            folder: Empty folder that is moved into place when all is written.
            name: Name of the imager's file, such as `imager.toml`.
            more: Entries of the summary, such as the inputs.

        Returns:
            The files written.
        """
        return imager_first(write_imager(folder / name, self.imager, self.summary(**more)))


def calibrate_captures(
    captures: np.ndarray,
    *,
    imager: Imager | None = None,
    saturation_counts: float | None = None,
    progress: Progress | None = None,
) -> BlindCalibration:
    r"""Estimate an imager from captures of tissue of which nothing is known.

    Width and base blur come from the spectra of both sensors and their coherence, by a regression
    on chips that are simulated over many kinds of tissue; their deviations are those for kinds that
    it has never seen. Only the product of half angle and gap in pixels is determined: pitch and gap
    are the imager's. With one sensor, a wider PSF looks like deeper tissue, so that the width is
    not determined.

    Args:
        captures: (capture, sensor, y, x) counts, or light in any unit, of one chip and changing
            tissue; 50 to 200 are well, 10 the least.
        imager: Pitch, gap, and all that is kept where the captures do not determine it; the
            reference imager, of the captures' frame and sensors, by default.
        saturation_counts: Counts at which a pixel is saturated; by default judged from the
            captures.
        progress: Called with the steps done and their number.

    Returns:
        The imager with what is determined, and what is not.

    Raises:
        CaptureError: If there are too few different captures, they hold no light or numbers that
            are not finite, or most are saturated.
        ImagerError: If the captures are not of the imager's frame, or its PSF or pixels are of
            another kind.

    Examples:
        >>> import warnings
        >>> from fociscope.calibration import calibrate_captures
        >>> from fociscope.simulation import simulate
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")  # these captures are few
        ...     found = calibrate_captures(simulate(12, seed=0).captures)
        >>> sorted(found.estimates)[:3]
        ['background_a_counts', 'background_b_counts', 'base_blur_um']
    """
    counts = _checked(captures)
    start = _start(imager, counts)
    tell = progress or (lambda done, total: None)
    notes: list[str] = []
    counts = _usable(counts, saturation_counts, notes)
    tell(0, 3)
    pixels = pixel_statistics(counts)
    estimates, undetermined = _pixel_estimates(pixels, start, notes)
    light = filled_captures(counts, pixels.bad)
    for sensor, name in zip(range(light.shape[1]), "ab", strict=False):
        level, _ = background_level(light[:, sensor])
        estimates[f"background_{name}_counts"] = level
        light[:, sensor] -= level.value
    tell(1, 3)
    found, spectra = start, None
    if start.sensors == 2:
        found, registration = _registered(light, start, estimates, undetermined)
        tell(2, 3)
        alike = light / np.array(found.sensor_gains)[:, None, None]
        spectra = _spectra_of(alike, registration, start, notes)
    found = _with_width(found, spectra, estimates, undetermined, notes)
    bad = tuple(sorted({*start.dead_pixels, *map(tuple, np.argwhere(pixels.bad).tolist())}))
    found = with_black_level(found.with_(dead_pixels=bad), estimates["background_a_counts"], notes)
    for note in notes:
        warnings.warn(note, FociscopeWarning, stacklevel=2)
    tell(3, 3)
    return BlindCalibration(
        found, estimates, undetermined, pixels, *_curves(spectra), len(counts), tuple(notes)
    )


def _checked(captures: np.ndarray) -> Float64Array:
    """Return captures as float64, after checking what they are."""
    counts = np.asarray(captures, dtype=np.float64)
    if counts.ndim != 4 or counts.shape[1] not in (1, 2):
        raise CaptureError(
            f"captures of shape {counts.shape}, expected (capture, sensor, y, x) of 1 or 2 sensors"
        )
    if len(counts) < LEAST_CAPTURES:
        raise CaptureError(
            f"{len(counts)} capture(s), expected at least {LEAST_CAPTURES} of one chip and "
            f"changing tissue; take {FEW_CAPTURES} to 200"
        )
    if not np.isfinite(counts).all():
        raise CaptureError("captures hold NaN or infinity, expected finite counts")
    return counts


def _start(imager: Imager | None, counts: Float64Array) -> Imager:
    """Return the imager that is kept where nothing is determined."""
    _, sensors, height, width = counts.shape
    if imager is None:
        imager = Imager.reference().with_(sensors=sensors, frame_px=(height, width))
    if imager.frame_px != (height, width) or imager.sensors != sensors:
        raise ImagerError(
            f"captures of {sensors} sensor(s) of {height} x {width} pixels (y, x); the imager "
            f"{imager.name!r} has {imager.sensors} of {imager.frame_px[0]} x {imager.frame_px[1]}; "
            "name the imager of these captures",
            fields=("imager",),
        )
    psf = imager.psf
    plain = isinstance(psf, AngleSelectivePsf) and psf.shape == "gaussian" and not psf.cover_um
    if not plain or not imager.has_plain_pixels:
        raise ImagerError(
            f"imager {imager.name!r} has a PSF of kind {psf.kind!r}, or a cover, another shape or "
            "other pixels; captures alone tell the half angle of a Gaussian grating without cover "
            "on square pixels; use beads for others",
            fields=("imager",),
        )
    return imager


def _usable(
    counts: Float64Array, saturation_counts: float | None, notes: list[str]
) -> Float64Array:
    """Return the captures that are neither saturated nor there twice."""
    flat = counts.reshape(*counts.shape[:2], -1)
    if (np.ptp(flat, axis=2) == 0).any(axis=1).all():
        raise CaptureError("every capture is the same count all over, expected images of tissue")
    limit = flat.max(axis=2, keepdims=True) if saturation_counts is None else saturation_counts
    share = (flat >= limit).mean(axis=2)
    saturated = (share > SATURATED_SHARE).any(axis=1)
    if saturated.sum() > len(counts) / 2:
        raise CaptureError(
            f"{saturated.sum()} of {len(counts)} captures are saturated in more than "
            f"{100 * SATURATED_SHARE:.0f} % of a sensor's pixels; expose for less long"
        )
    if saturated.any():
        notes.append(f"{saturated.sum()} saturated captures are left out")
    counts = counts[~saturated]
    _, first = np.unique(counts.reshape(len(counts), -1), axis=0, return_index=True)
    if len(first) < LEAST_CAPTURES:
        raise CaptureError(
            f"{len(first)} different capture(s) of {len(counts)}, expected at least "
            f"{LEAST_CAPTURES} of changing tissue"
        )
    if len(first) < len(counts):
        notes.append(f"{len(counts) - len(first)} captures are there twice and count once")
    counts = counts[np.sort(first)]
    if len(counts) > MOST_CAPTURES:
        counts = counts[np.linspace(0, len(counts) - 1, MOST_CAPTURES).astype(int)]
    if len(counts) < FEW_CAPTURES:
        notes.append(
            f"{len(counts)} captures are few; {FEW_CAPTURES} to 200 determine the imager better"
        )
    return counts


def _pixel_estimates(
    pixels: PixelStatistics, start: Imager, notes: list[str]
) -> tuple[dict[str, Estimate], dict[str, str]]:
    """Return how much pixels differ, and what of it is not determined."""
    estimates: dict[str, Estimate] = {}
    undetermined: dict[str, str] = {}
    for sensor, name in zip(range(start.sensors), "ab", strict=False):
        share = float(pixels.bad[sensor].mean())
        if share > MOST_BAD_SHARE:
            raise CaptureError(
                f"{100 * share:.0f} % of sensor {name.upper()}'s pixels look dead or hot, expected "
                f"at most {100 * MOST_BAD_SHARE:.0f} %; check that these are images of tissue"
            )
        for what, label in (("gain", "prnu"), ("offset", "dsnu")):
            key = f"{label}_{name}" + ("_counts" if what == "offset" else "")
            estimates[key] = pixels.spread(sensor, what)
            if estimates[key].value < estimates[key].std:
                undetermined[key] = (
                    f"pixels differ by at most {estimates[key].value + estimates[key].std:.2g}: "
                    "less than the tissue under them does"
                )
    for what in ("dead", "hot"):
        number = int(getattr(pixels, what).sum())
        if number:
            notes.append(f"{number} {what} pixel(s) found; the imager lists them as dead")
    return estimates, undetermined


def _registered(
    light: Float64Array,
    start: Imager,
    estimates: dict[str, Estimate],
    undetermined: dict[str, str],
) -> tuple[Imager, Similarity]:
    """Return the imager with the gain and place of sensor B, and the registration."""
    pitch_um = start.square_pitch_um
    gain = estimates["gain_b"] = gain_of_b(light)
    changes: dict[str, Any] = {"sensor_gains": (1.0, min(max(gain.value, 1e-3), 1e3))}
    found = register_captures(light, pitch_um)
    std = np.sqrt(np.maximum(np.diag(found.covariance), 0))
    rotation_std = math.degrees(std[2])
    known = (
        found.converged
        and found.coherence > LEAST_COHERENCE
        and float(std[:2].max()) < LARGEST_SHIFT_STD_PX
    )
    own = start.registration
    similarity = found.similarity
    if not known or rotation_std > LARGEST_ROTATION_STD_DEG:
        similarity = Similarity(similarity.shift_um, own.rotation_deg)
    if not known:
        similarity = Similarity(own.shift_um, own.rotation_deg)
    for name, value, one, unit in (
        ("shift_y_um", similarity.shift_um[0], std[0] * pitch_um, "um"),
        ("shift_x_um", similarity.shift_um[1], std[1] * pitch_um, "um"),
        ("rotation_deg", similarity.rotation_deg, rotation_std, "deg"),
    ):
        determined = known and (unit == "um" or rotation_std <= LARGEST_ROTATION_STD_DEG)
        estimates[name] = Estimate(float(value), float(one) if determined else math.inf, unit)
        if not determined:
            undetermined[name] = "sensors A and B see too little of the same light"
    estimates["scale"] = Estimate(own.scale, math.inf, "1")
    undetermined["scale"] = "two sensors of one pitch are assumed"
    similarity = Similarity(similarity.shift_um, similarity.rotation_deg, own.scale)
    changes["registration"] = similarity.fields()
    return start.with_(**changes), similarity


def _spectra_of(
    light: Float64Array, registration: Similarity, start: Imager, notes: list[str]
) -> CaptureSpectra | None:
    """Return the spectra; None where frames are too small."""
    if min(light.shape[2:]) < TILE_PX:
        notes.append(
            f"frames of {light.shape[2]} x {light.shape[3]} pixels are too small for the width of "
            f"the PSF; at least {TILE_PX} along a side are needed"
        )
        return None
    return capture_spectra(light, registration, start.square_pitch_um)


def _with_width(
    found: Imager,
    spectra: CaptureSpectra | None,
    estimates: dict[str, Estimate],
    undetermined: dict[str, str],
    notes: list[str],
) -> Imager:
    """Return the imager with the half angle and the base blur, where they are determined."""
    psf = found.psf
    assert isinstance(psf, AngleSelectivePsf)
    estimates["half_angle_deg"] = Estimate(psf.half_angle_deg, math.inf, "deg")
    estimates["base_blur_um"] = Estimate(psf.base_blur_um, math.inf, "um")
    if spectra is None:
        why = (
            "one sensor alone: a wider PSF looks like deeper tissue, a base blur like softer cells"
            if found.sensors == 1
            else "frames are too small"
        )
        undetermined |= {"half_angle_deg": why, "base_blur_um": why}
        return found
    regression = WidthRegression.shipped()
    answer = regression.answer(spectrum_features(spectra))
    numbers = np.unique(spectra.capture)
    rng = np.random.default_rng(0)
    drawn = [rng.choice(numbers, len(numbers)) for _ in range(RESAMPLES)]
    again = regression.values(np.stack([spectrum_features(spectra.of(one)) for one in drawn]))
    scatter = again.std(axis=0)
    if answer.distance > FAR_FROM_TRAINING:
        notes.append(
            "the captures are unlike those of the simulated chips by which the PSF's width is "
            f"judged (distance {answer.distance:.1f}); take it for a guess"
        )
    pitch_um = found.square_pitch_um
    log_std = math.hypot(answer.log_angle_std, scatter[0])
    blur_std = math.hypot(answer.base_blur_std, scatter[1])
    changes: dict[str, float] = {}
    if log_std < LARGEST_LOG_STD:
        angle = math.exp(answer.log_angle_px) * pitch_um / found.gap_um
        sine = math.sin(math.radians(angle)) * psf.tissue_index / psf.half_angle_index
        angle = min(max(math.degrees(math.asin(min(sine, 0.86))), 4.0), 60.0)
        estimates["half_angle_deg"] = Estimate(angle, angle * log_std, "deg")
        changes["half_angle_deg"] = angle
    else:
        undetermined["half_angle_deg"] = "spectra and coherence do not tell the width from tissue"
    if blur_std < LARGEST_BLUR_STD_PX:
        blur_um = answer.base_blur_px * pitch_um
        estimates["base_blur_um"] = Estimate(blur_um, blur_std * pitch_um, "um")
        changes["base_blur_um"] = blur_um
    else:
        undetermined["base_blur_um"] = "the tissue is smooth: it hides a blur that all light has"
    return found.with_(psf=psf.with_(**changes)) if changes else found


def _curves(spectra: CaptureSpectra | None) -> tuple[Float64Array, Float64Array]:
    """Return (ring,) coherence and (sensor, ring) power for a figure."""
    if spectra is None:
        return np.zeros(0), np.zeros((2, 0))
    power = np.maximum(spectra.power[:, :2], 1e-30)
    unit = power[:, :, 1:5].mean(axis=(1, 2), keepdims=True)
    coherence = spectra.power[:, 2] / np.sqrt(power[:, 0] * power[:, 1])
    return coherence.mean(axis=0), np.exp(np.log(power / unit).mean(axis=0))
