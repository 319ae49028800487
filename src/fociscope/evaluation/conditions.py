"""Scoring a model on unseen scenes, under the reference conditions and around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fociscope.evaluation.metrics import (
    MaskScores,
    depth_scores,
    expected_calibration_error,
    mask_scores,
    relative_squared_error,
)
from fociscope.imager.geometry import Imager
from fociscope.reconstruction.engine import Model
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.simulation.scene import Scenes, simulate

__all__ = ["CardCondition", "Scores", "around_the_reference", "score"]


@dataclass(frozen=True)
class CardCondition:
    """One way of taking captures for a model card, by an imager that the model is not told."""

    name: str
    imager: Imager
    peak_snr_db: float = REFERENCE_PEAK_SNR_DB

    def scenes(self, count: int, **settings: Any) -> Scenes:
        """Simulate scenes; the specimens of a seed are the same under every `zero` condition."""
        return simulate(count, imager=self.imager, peak_snr_db=self.peak_snr_db, **settings)


@dataclass(frozen=True)
class Scores:
    """What a model scores on scenes of one condition."""

    mask: MaskScores
    calibration_error: float
    depth_error_um: NDArray[np.float64]
    """(layer,) mean absolute error."""
    constant_depth_error_um: NDArray[np.float64]
    """(layer,) the same for always giving the layer's mean depth."""
    within_100_um: float
    """Share of layers whose depth is right within 100 um."""
    within_one_std: float
    """Share of layers whose depth lies within one stated standard deviation; 0.683 if it is so."""
    intensity_error: float
    """|restored - true|^2 / |true|^2 over all layers, at each capture's best fitting gain."""
    residual: NDArray[np.float64]
    """(sensor,) mean self-check residual."""


def around_the_reference(imager: Imager) -> Iterator[CardCondition]:
    """Yield the reference conditions first, then one change at a time."""
    yield CardCondition("reference", imager)
    for half_angle_deg in (12.0, 15.0, 21.0, 25.0):
        psf = imager.psf.model_copy(update={"half_angle_deg": half_angle_deg})
        yield CardCondition(f"half angle {half_angle_deg:g} deg", imager.with_(psf=psf))
    for blur_px in (0.6, 1.2):
        psf = imager.psf.model_copy(update={"base_blur_um": blur_px * imager.pixel_pitch_um})
        yield CardCondition(f"base blur {blur_px:g} px", imager.with_(psf=psf))
    for peak_snr_db in (25.0, 30.0, 50.0):
        if peak_snr_db <= imager.camera.highest_peak_snr_db():
            yield CardCondition(f"peak SNR {peak_snr_db:g} dB", imager, peak_snr_db)
    if imager.boundary != "surround":
        yield CardCondition("surround boundary", imager.with_(boundary="surround"))


def score(model: Model, scenes: Scenes) -> Scores:
    """Reconstruct the captures of scenes and hold the maps against the truth."""
    result = model.reconstruct(scenes.captures)
    depth = depth_scores(result.depth_um, scenes.depth_um, std_um=result.depth_std_um)
    assert depth.within_one_std is not None
    error = relative_squared_error(result.intensity, scenes.layers, gain_free=True)
    return Scores(
        mask=mask_scores(result.mask, scenes.mask),
        calibration_error=expected_calibration_error(result.probability, scenes.mask),
        depth_error_um=depth.mae_um,
        constant_depth_error_um=depth.constant_mae_um,
        within_100_um=float(depth.within.mean()),
        within_one_std=float(depth.within_one_std.mean()),
        intensity_error=float(error.mean()),
        residual=result.residual.mean(axis=0, dtype=np.float64),
    )
