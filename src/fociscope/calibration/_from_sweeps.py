"""Sweeps of beads on a stage -> an imager: depth zero, angles, rows, gains and background."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.calibration._outcome import with_black_level
from fociscope.calibration._psf_fit import Estimate
from fociscope.calibration._result import CALIBRATION_FORMAT_VERSION, imager_first, write_imager
from fociscope.calibration._stage import StageSweep
from fociscope.calibration._sweep_fit import SweepFit, fit_sweeps
from fociscope.calibration._sweep_model import GAIN_OF_ROW, PIXEL_GAIN_STD, SweepModel
from fociscope.errors import CaptureError, FociscopeWarning, ImagerError
from fociscope.imager.geometry import Imager
from fociscope.typing import BoolArray, Float64Array, Progress

__all__ = ["SweepCalibration", "SweepResult", "calibrate_sweeps"]

#: A value is determined if its uncertainty is below this share of what was expected before.
DETERMINED = 0.5
#: Share of a parameter's range within which a fit counts as standing at its bound.
AT_BOUND = 1e-3
#: Reduced chi square above which the user is told that the imager does not explain the counts.
POOR_CHI_SQUARE = 2.0
#: Level of the flat frame that holds the gains, counts above dark.
FLAT_LEVEL = 1e6
#: Share of what the camera holds from which a pixel counts as saturated.
SATURATED = 0.99
#: A background below 0 by fewer standard deviations is none.
NONE_STD = 4.0
#: Correlations beyond this are named.
CORRELATED = 0.5


@dataclass(frozen=True)
class SweepResult:
    """One sweep beside the fit.

    Attributes:
        name: Its name.
        depth_um: Depth that the stage says.
        fitted_depth_um: Depth of the first bead by the fit of all sweeps.
        own_depth_um: Depth at which this sweep alone fits best, all else held.
        beads: For each bead, its place at the first frame, its light and their uncertainties.
        background_counts: Level below the light, above the dark frame.
        residual_std: (sensor, y, x) mean residual over the frames in standard deviations; NaN in
            pixels that were left out.
        frames: Number of frames.
        rms_residual_std: Root mean squared residual in standard deviations.

    Examples:
        >>> import numpy as np
        >>> from fociscope.calibration import Estimate, SweepResult
        >>> sweep = SweepResult(
        ...     "z100",
        ...     depth_um=100.0,
        ...     fitted_depth_um=93.8,
        ...     own_depth_um=Estimate(93.1, 1.5, "um"),
        ...     beads=(),
        ...     background_counts=Estimate(-0.6, 0.5, "count"),
        ...     residual_std=np.zeros((1, 2, 128)),
        ...     frames=41,
        ...     rms_residual_std=1.1,
        ... )
        >>> round(sweep.own_depth_um.value - sweep.fitted_depth_um, 1)
        -0.7
    """

    name: str
    depth_um: float
    fitted_depth_um: float
    own_depth_um: Estimate
    beads: tuple[dict[str, Any], ...]
    background_counts: Estimate
    residual_std: Float64Array
    frames: int
    rms_residual_std: float


@dataclass(frozen=True)
class SweepCalibration:
    """An imager from beads on a stage, with its uncertainties.

    Attributes:
        imager: Imager with the determined values in place of those assumed.
        estimates: Values with one standard deviation and unit, by name; infinite where these
            captures do not determine it, and the value is the imager's own.
        undetermined: Why, for each of these names.
        correlations: Pairs of names whose values hang together, and their correlation.
        gains: (sensor, y, x) relative gain of each pixel, its row's included.
        gain_std: (sensor, y, x) its standard deviation.
        model_error: Share of the light by which the imager is wrong.
        sweeps: Each sweep beside the fit.
        dark: (sensor, y, x) dark frame that was subtracted; None without.
        notes: What a user should know; each was also a warning.
        reduced_chi_square: Mean squared residual over the variance of noise and model error.

    Examples:
        >>> from fociscope.calibration import calibrate_sweeps, simulated_sweep
        >>> from fociscope.imager import Imager
        >>> chip = Imager.preset("acus").with_(frame_px=(2, 24))
        >>> sweeps = [
        ...     simulated_sweep(chip, [[250.0, 20.0, z + 8.0, 1e8]], z, x_um=[0.0, 40.0, 80.0])
        ...     for z in (50.0, 120.0)
        ... ]
        >>> found = calibrate_sweeps(sweeps, imager=chip, fit_depth_offset=True, model_error=0.0)
        >>> abs(found.estimates["depth_offset_um"].value - 8.0) < 1.0
        True
    """

    imager: Imager
    estimates: Mapping[str, Estimate]
    undetermined: Mapping[str, str]
    correlations: tuple[tuple[str, str, float], ...]
    gains: Float64Array
    gain_std: Float64Array
    model_error: float
    sweeps: tuple[SweepResult, ...]
    dark: Float64Array | None
    notes: tuple[str, ...]
    reduced_chi_square: float

    @property
    def known_gains(self) -> BoolArray:
        """(sensor, y, x) pixels whose gain these captures determine."""
        return np.asarray(self.gain_std < DETERMINED * PIXEL_GAIN_STD)

    def summary(self, **more: Any) -> dict[str, Any]:
        """Return all that `imager.calibration.json` holds; infinite uncertainties become null."""
        return {
            "format": CALIBRATION_FORMAT_VERSION,
            **{name: version(name) for name in ("fociscope", "numpy", "scipy", "torch")},
            **more,
            "source": "stage sweeps",
            "psf": self.imager.psf.kind,
            "parameters": {name: asdict(value) for name, value in self.estimates.items()},
            "uncertainties": "one standard deviation",
            "not_determined": dict(self.undetermined),
            "correlations": [list(one) for one in self.correlations],
            "model_error": self.model_error,
            "residuals": {"reduced_chi_square": self.reduced_chi_square},
            "gains": {
                "pixels_determined": int(self.known_gains.sum()),
                "values": self.gains.tolist(),
                "standard_deviations": self.gain_std.tolist(),
            },
            "sweeps": [
                {k: v for k, v in asdict(one).items() if k != "residual_std"} for one in self.sweeps
            ],
            "warnings": list(self.notes),
        }

    def write_into(self, folder: Path, name: str, **more: Any) -> list[Path]:
        """Write the imager, its summary, and the gains as a flat frame if they are known.

        Args:
            folder: Empty folder that is moved into place when all is written.
            name: Name of the imager's file, such as `imager.toml`.
            more: Entries of the summary, such as the inputs.

        Returns:
            The files written.
        """
        toml = write_imager(folder / name, self.imager, self.summary(**more))
        if self.known_gains.any():
            flat = self.gains * FLAT_LEVEL + (0.0 if self.dark is None else self.dark)
            order = self.imager.pixel_order()
            if order is not None:  # as the chip would send it
                raw = np.zeros((len(flat), order.size))
                raw[:, order] = flat
                flat = raw.reshape(flat.shape)
            flat = flat[0] if len(flat) == 1 else flat
            np.save(toml.with_suffix(".flat.npy"), flat.astype(np.float32))
        return imager_first(toml)


def calibrate_sweeps(
    sweeps: Sequence[StageSweep],
    *,
    imager: Imager,
    fit_depth_offset: bool = False,
    model_error: float | None = None,
    progress: Progress | None = None,
) -> SweepCalibration:
    r"""Calibrate from beads that a stage moved over a chip of any pixels.

    All sweeps are fitted at once by least squares: the zero of the depths, the PSF's own fit
    parameters (such as the scale of the angles of a measured response), the shift of each row along
    x and its gain, the gain of each pixel, heights of further beads over the first, each sweep's
    background, and place and light of each bead. The variance of a count $m$ is that of the camera
    and $(\epsilon a)^2$ of the light $a$ in it. What is expected of a chip counts as data: rows
    within a quarter of a pixel, their gains within 0.3, those of pixels within 0.1 of one another.

    A value whose uncertainty is more than half of what was expected is not determined by these
    captures and keeps the imager's; so are the PSF's parameters at a single depth whose zero is
    free, as both spread light alike.

    Args:
        sweeps: Captures at one or several depths, with as many beads each.
        imager: Imager that gives the pixels, the PSF and the camera.
        fit_depth_offset: Whether the zero of the depths is fitted; else they count from sensor A.
        model_error: Share of the light by which the imager is wrong; None to find it.
        progress: Called with the steps done and their number.

    Returns:
        The imager with its uncertainties.

    Raises:
        CaptureError: If a bead is not there, or pixels are saturated.
        ImagerError: If captures are not of this imager, beads move against the stage, or the fit
            ends at a bound.

    Examples:
        >>> from fociscope.calibration import calibrate_sweeps, simulated_sweep
        >>> from fociscope.imager import Imager
        >>> chip = Imager.preset("acus").with_(frame_px=(2, 24))
        >>> beads = [[250.0, 20.0, 90.0, 1e8]]
        >>> sweep = simulated_sweep(chip, beads, 80.0, x_um=[0.0, 40.0, 80.0])
        >>> found = calibrate_sweeps([sweep], imager=chip, fit_depth_offset=True, model_error=0.0)
        >>> list(found.undetermined)[:1]
        ['angle_scale']
    """
    _check(sweeps, imager)
    model = SweepModel(imager, tuple(sweeps), fit_depth_offset)
    held = _structurally_unknown(model)
    found = _fit(model, held, model_error, progress, None)
    while True:
        more = {
            one.name: f"known to ±{std:.2g} {one.unit if one.unit != '1' else ''}".rstrip()
            for one, std in zip(model.parameters, np.sqrt(np.diag(found.covariance)), strict=True)
            if one.name not in held and std > DETERMINED * one.std
        }
        if not more:
            break
        held |= more
        found = _fit(model, held, model_error, progress, found)
    _check_bounds(model, found, held)
    return _assembled(model, found, held)


def _check(sweeps: Sequence[StageSweep], imager: Imager) -> None:
    """Refuse sweeps that cannot be fitted together.

    Raises:
        ImagerError: If there is none, or they are of other pixels, or of other beads.
    """
    if not sweeps:
        raise ImagerError("0 sweeps, expected at least one: captures of beads on a stage")
    for one in sweeps:
        expected = (imager.sensors, *imager.frame_px)
        if one.counts.shape[1:] != expected:
            raise ImagerError(
                f"{one.name}: captures (sensor, y, x) of {one.counts.shape[1:]}, the imager has "
                f"{expected}; name the imager of these captures",
                fields=("imager",),
            )
        if len(one.beads) != len(sweeps[0].beads):
            raise ImagerError(
                f"{one.name}: {len(one.beads)} bead(s), {sweeps[0].name} has "
                f"{len(sweeps[0].beads)}; calibrate sweeps of as many beads together",
                fields=("beads",),
            )
        _check_saturation(one, imager)


def _check_saturation(sweep: StageSweep, imager: Imager) -> None:
    """Refuse captures whose pixels are full.

    Raises:
        CaptureError: If counts reach what the camera can hold, hot pixels apart.
    """
    camera = imager.camera
    full = camera.black_level_counts + camera.full_well_e / camera.gain_e_per_count
    most = min(full, camera.largest_count)
    at = np.argwhere((sweep.counts >= SATURATED * most) & ~sweep.hot)
    if len(at):
        frame, sensor, y, x = (int(n) for n in at[0])
        raise CaptureError(
            f"{sweep.name}: pixel (y {y}, x {x}) of sensor {'AB'[sensor]} is saturated in frame "
            f"{frame + 1} ({sweep.counts[frame, sensor, y, x]:g} counts, the camera holds "
            f"{most:g}); expose for a shorter time, or state the true camera",
            fields=("imager",),
        )


def _structurally_unknown(model: SweepModel) -> dict[str, str]:
    """Return shared parameters that no data of this kind tell, and why."""
    depths = {sweep.depth_um for sweep in model.sweeps}
    if len(depths) > 1 or not model.fit_depth_offset:
        return {}
    why = "one depth only, whose zero is free: both spread light alike"
    return {one.name: why for one in model.psf_parameters}


def _fit(
    model: SweepModel,
    held: Mapping[str, str],
    model_error: float | None,
    progress: Progress | None,
    before: SweepFit | None,
) -> SweepFit:
    """Fit all that is not held; values that are held are the imager's."""
    free = np.array([one.name not in held for one in model.parameters], dtype=bool)
    start = None
    if before is not None:
        own = np.array([one.start for one in model.parameters])
        start = replace(before.state, shared=np.where(free, before.state.shared, own))
    return fit_sweeps(model, free=free, model_error=model_error, start=start, progress=progress)


def _check_bounds(model: SweepModel, found: SweepFit, held: Mapping[str, str]) -> None:
    """Refuse a fit that ends where the search may go no farther.

    Raises:
        ImagerError: If a parameter stands at its bound.
    """
    for one, value in zip(model.parameters, found.state.shared, strict=True):
        reach = AT_BOUND * (one.upper - one.lower)
        if one.name not in held and not one.lower + reach < value < one.upper - reach:
            raise ImagerError(
                f"the fit ends at the bound of {one.name} ({value:.4g}), expected a value inside: "
                "the depths, the beads or the imager are not those of these captures; state the "
                "true ones",
                fields=("stage", "beads", "imager"),
                value=float(value),
            )


def _assembled(model: SweepModel, found: SweepFit, held: Mapping[str, str]) -> SweepCalibration:
    """Return the imager and all that is known of it."""
    std = np.sqrt(np.diag(found.covariance).clip(0))
    estimates = {}
    for one, value, uncertain in zip(model.parameters, found.state.shared, std, strict=True):
        is_gain = one.name.startswith(GAIN_OF_ROW)  # its logarithm is fitted
        number = float(np.exp(value)) if is_gain else float(value)
        own_std = float(uncertain) * (number if is_gain else 1.0)
        known = math.inf if one.name in held else own_std
        estimates[one.name] = Estimate(number, known, one.unit)
    levels = np.array([own[-1] for own in found.state.own])
    level_std = max(float(np.median([own[-1] for own in found.own_std])), float(levels.std()))
    estimates["background_counts"] = Estimate(float(np.median(levels)), level_std, "counts")
    notes: list[str] = []
    if found.chi_square > POOR_CHI_SQUARE:
        notes.append(
            f"residuals are {found.chi_square**0.5:.1f} times noise and model error: other beads "
            "than stated, wrong depths, or another response"
        )
    imager, dark = model.imager_at(found.state.shared), model.sweeps[0].dark
    if dark is None:
        level = estimates["background_counts"]
        if -NONE_STD * level.std < level.value < 0:
            level = replace(level, value=0.0)
        imager = with_black_level(imager, level, notes)
    shape = model.sweeps[0].counts.shape[1:]
    for note in notes:
        warnings.warn(note, FociscopeWarning, stacklevel=3)
    return SweepCalibration(
        imager=imager,
        estimates=estimates,
        undetermined=dict(held),
        correlations=_correlations(model, found),
        gains=model.gains(found.state).reshape(shape),
        gain_std=found.gain_std.reshape(shape),
        model_error=found.model_error,
        sweeps=tuple(_result(model, found, n) for n in range(len(model.sweeps))),
        dark=dark,
        notes=tuple(notes),
        reduced_chi_square=found.chi_square,
    )


def _correlations(model: SweepModel, found: SweepFit) -> tuple[tuple[str, str, float], ...]:
    """Return which shared parameters hang together."""
    std = np.sqrt(np.diag(found.covariance).clip(0))
    names = [one.name for one in model.parameters]
    pairs = []
    for a in range(len(names)):
        for b in range(a):
            if std[a] > 0 and std[b] > 0:
                value = float(found.covariance[a, b] / (std[a] * std[b]))
                if abs(value) > CORRELATED:
                    pairs.append((names[b], names[a], value))
    return tuple(pairs)


def _result(model: SweepModel, found: SweepFit, number: int) -> SweepResult:
    """Return one sweep beside the fit."""
    sweep, own = model.sweeps[number], found.state.own[number]
    std, residual = found.own_std[number], found.residual[number]
    beads = tuple(
        {
            "motion": motion,
            "x_um": float(own[3 * bead]),
            "y_um": float(own[3 * bead + 1]),
            "depth_um": model.depth_um(sweep, found.state.shared, bead),
            "light": float(np.exp(own[3 * bead + 2])),
            "x_std_um": float(std[3 * bead]),
            "y_std_um": float(std[3 * bead + 1]),
            "light_std": float(np.exp(own[3 * bead + 2]) * std[3 * bead + 2]),
        }
        for bead, motion in enumerate(sweep.beads)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of pixels that were left out
        mean = np.nanmean(residual, axis=0).reshape(sweep.counts.shape[1:])
    depth_um = model.depth_um(sweep, found.state.shared, 0)
    shift, shift_std = found.depth_shift[number]
    return SweepResult(
        name=sweep.name,
        depth_um=sweep.depth_um,
        fitted_depth_um=depth_um,
        own_depth_um=Estimate(depth_um + shift, shift_std, "um"),
        beads=beads,
        background_counts=Estimate(float(own[-1]), float(std[-1]), "counts"),
        residual_std=mean,
        frames=len(sweep.counts),
        rms_residual_std=float(np.sqrt(np.nanmean(residual**2))),
    )
