"""The result of a calibration: the imager, its uncertainties, and the planes for a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fociscope.calibration._beads import Excluded
from fociscope.calibration._psf_fit import Estimate
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import Psf
from fociscope.typing import Float64Array

__all__ = [
    "CALIBRATION_FORMAT_VERSION",
    "Calibration",
    "PlaneFit",
    "imager_first",
    "plain",
    "write_imager",
]


CALIBRATION_FORMAT_VERSION = 1


@dataclass(frozen=True)
class PlaneFit:
    """One plane of one sensor, beside the fitted imager.

    Attributes:
        sensor: Number of the sensor: 0 for A, 1 for B.
        depth_um: Stated depth, from sensor A.
        distance_um: Distance from this sensor, the fitted depth offset included.
        apparent_um: Distance at which this plane alone would fit best.
        peak_snr_db: Peak SNR of the fitted light.
        measured: (y, x) measured light, background subtracted: one bead's window, or the frame.
        fitted: (y, x) fitted light.
        residual_std: (y, x) difference in standard deviations of the noise; of several beads, the
            mean difference in its own standard deviations.
        radius_um: (point,) distance of pixels from their bead; empty for a target.
        profile: (2, point) share of a bead's light in these pixels, measured and fitted.

    Examples:
        >>> from fociscope.calibration import calibrate_beads, simulated_stack
        >>> from fociscope.imager import Imager
        >>> imager = Imager(sensors=1, frame_px=(21, 21))
        >>> stack = simulated_stack(imager, [[10.0, -15.0]], [450.0, 600.0, 750.0])
        >>> [plane.depth_um for plane in calibrate_beads(stack, imager=imager).planes]
        [450.0, 600.0, 750.0]
    """

    sensor: int
    depth_um: float
    distance_um: float
    apparent_um: Estimate
    peak_snr_db: float
    measured: Float64Array
    fitted: Float64Array
    residual_std: Float64Array
    radius_um: Float64Array = field(default_factory=lambda: np.zeros(0))
    profile: Float64Array = field(default_factory=lambda: np.zeros((2, 0)))


@dataclass(frozen=True)
class Calibration:
    """An imager from measurements, with its uncertainties.

    Attributes:
        imager: Imager with the fitted values in place of those assumed.
        source: What was imaged: "beads" or "target".
        fitted: Parametric PSF; also the imager's, unless that is measured.
        estimates: Fitted values with one standard deviation and unit, by name.
        planes: Fit of each plane, sensor A first, by depth.
        beads: Place in pixels of each fitted bead, and its uncertainty.
        excluded: Spots that were not fitted.
        notes: What a user should know; each was also a warning.
        reduced_chi_square: Mean squared residual over the noise's variance; 1 if noise alone
            separates the imager and its measurement.
        outlier_share: Share of the pixels left out as hot, dead or dusty.

    Examples:
        >>> from fociscope.calibration import calibrate_beads, simulated_stack
        >>> from fociscope.imager import Imager
        >>> imager = Imager(sensors=1, frame_px=(21, 21))
        >>> stack = simulated_stack(imager, [[10.0, -15.0]], [450.0, 600.0, 750.0])
        >>> calibration = calibrate_beads(stack, imager=imager)
        >>> sorted(calibration.estimates)
        ['background_a_counts', 'base_blur_um', 'half_angle_deg']
        >>> calibration.source, calibration.imager.psf == calibration.fitted
        ('beads', True)
    """

    imager: Imager
    source: Literal["beads", "target"]
    fitted: Psf
    estimates: Mapping[str, Estimate]
    planes: tuple[PlaneFit, ...]
    beads: tuple[dict[str, Any], ...]
    excluded: tuple[Excluded, ...]
    notes: tuple[str, ...]
    reduced_chi_square: float
    outlier_share: float

    def summary(self, **more: Any) -> dict[str, Any]:
        """Return all that `imager.calibration.json` holds; infinite uncertainties become null."""
        return {
            "format": CALIBRATION_FORMAT_VERSION,
            **{name: version(name) for name in ("fociscope", "numpy", "scipy", "torch")},
            **more,
            "source": self.source,
            "psf": self.imager.psf.kind,
            "parameters": {name: asdict(value) for name, value in self.estimates.items()},
            "uncertainties": "one standard deviation",
            "residuals": {
                "reduced_chi_square": self.reduced_chi_square,
                "outlier_share": self.outlier_share,
            },
            "planes": [
                {
                    "sensor": "AB"[plane.sensor],
                    "depth_um": plane.depth_um,
                    "apparent_distance_um": asdict(plane.apparent_um),
                    "distance_um": plane.distance_um,
                    "peak_snr_db": plane.peak_snr_db,
                    "rms_residual_std": float(np.sqrt(np.mean(plane.residual_std**2))),
                }
                for plane in self.planes
            ],
            "beads": list(self.beads),
            "excluded": [
                {"sensor": "AB"[one.sensor], "y_px": one.y_px, "x_px": one.x_px, "why": one.why}
                for one in self.excluded
            ],
            "warnings": list(self.notes),
        }

    def write_into(self, folder: Path, name: str, **more: Any) -> list[Path]:
        """Write the imager, its PSF file where it was measured, and the summary.

        Args:
            folder: Empty folder that is moved into place when all is written.
            name: Name of the imager's file, such as `imager.toml`.
            more: Entries of the summary, such as the inputs.

        Returns:
            The files written.
        """
        toml = write_imager(folder / name, self.imager, self.summary(**more))
        return imager_first(toml)


def write_imager(toml: Path, imager: Imager, summary: Mapping[str, Any]) -> Path:
    """Write an imager, and beside it the summary of its calibration; return the imager's path."""
    imager.to_toml(toml)
    text = json.dumps(plain(summary), indent=2, ensure_ascii=False)
    toml.with_suffix(".calibration.json").write_text(text + "\n", encoding="utf-8")
    return toml


def imager_first(toml: Path) -> list[Path]:
    """Return the files in an imager's folder, the imager's own first."""
    return sorted(toml.parent.iterdir(), key=lambda path: (path != toml, path.name))


def plain(value: Any) -> Any:
    """Return what JSON can hold: numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
