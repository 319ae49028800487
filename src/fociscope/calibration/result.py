"""What a calibration found: the imager, how sure it is, and what a figure of it needs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fociscope.calibration.beads import Excluded
from fociscope.calibration.psf_fit import Estimate
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import Psf
from fociscope.typing import Float64Array

__all__ = ["Calibration", "PlaneFit"]


CALIBRATION_FORMAT_VERSION = 1


@dataclass(frozen=True)
class PlaneFit:
    """One plane of one sensor, beside the fitted imager.

    Attributes:
        sensor: 0 for A, 1 for B.
        depth_um: as stated, from sensor A.
        distance_um: from this sensor, the fitted depth offset included.
        apparent_um: the distance at which this plane alone would fit best.
        peak_snr_db: of the fitted light.
        measured: (y, x) light measured: one bead's window, or the frame; background subtracted.
        fitted: (y, x) light fitted.
        residual_std: (y, x) their difference in standard deviations of the noise; of several
            beads, of their mean.
        radius_um: (point,) distance of pixels from their bead; empty for a target.
        profile: (2, point) share of a bead's light in these pixels, measured and fitted.
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
    """An imager from measurements.

    Attributes:
        imager: with what was fitted in place of what was assumed.
        source: what was imaged.
        fitted: the parametric PSF; the imager has it too, unless its PSF is measured.
        estimates: fitted values with one standard deviation and units.
        planes: how each plane fits, sensor A first, by depth.
        beads: (y, x) in pixels of each bead that was fitted, and its uncertainty.
        excluded: spots that were not fitted.
        notes: what a reader should know; each was also a warning.
        reduced_chi_square: 1 where noise alone separates the imager and its measurement.
        outlier_share: of the pixels left out as hot, dead or dusty.
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
            folder: an empty one that is moved into place when all is written.
            name: of the imager's file, such as `imager.toml`.
            more: entries of the summary, such as the inputs.

        Returns:
            The files written.
        """
        toml = folder / name
        self.imager.to_toml(toml)
        summary = toml.with_suffix(".calibration.json")
        text = json.dumps(_plain(self.summary(**more)), indent=2, ensure_ascii=False)
        summary.write_text(text + "\n", encoding="utf-8")
        return sorted(folder.iterdir(), key=lambda path: (path != toml, path.name))


def _plain(value: Any) -> Any:
    """Return what JSON can hold: numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
