"""Captures of a design: scenes at the photons that its pixels, grating and exposure give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from fociscope.simulation.exposure import Exposure
from fociscope.simulation.scene import Scenes, simulate

if TYPE_CHECKING:
    from fociscope.imager import Imager
    from fociscope.simulation import Specimen
    from fociscope.typing import Float32Array, Float64Array

__all__ = ["DesignCaptures", "fitting_separation_um", "simulated_captures"]

#: Share of the gap that the layers' separations may take up, as in training.
MOST_SEPARATED = 0.75


@dataclass(frozen=True)
class DesignCaptures:
    """Scenes as one design sees them, without noise and with it.

    Attributes:
        scenes: The truth, and noisy captures in the units of the layers.
        clean: (scene, sensor, y, x) the captures without noise, in the same units.
        photons_per_light: Photons in a pixel for each unit of light.
        floor_photons: Standard deviation of the noise in the dark, in photons.
        quantum_efficiency: Electrons per photon.
        full_photons: Photons that fill a pixel.
    """

    scenes: Scenes
    clean: Float32Array
    photons_per_light: float
    floor_photons: float
    quantum_efficiency: float
    full_photons: float

    @property
    def noise_variance(self) -> Float64Array:
        """(scene, sensor, y, x) variance of each pixel's noise, in the units of the layers."""
        photons = np.maximum(self.clean.astype(np.float64), 0) * self.photons_per_light
        variance = photons / self.quantum_efficiency + self.floor_photons**2
        return np.asarray(variance / self.photons_per_light**2)

    @property
    def mean_photons(self) -> float:
        """Mean photons that a pixel collects in one exposure."""
        return float(self.clean.mean(dtype=np.float64) * self.photons_per_light)

    @property
    def peak_snr_db(self) -> float:
        """Median over captures of the peak SNR in dB, at least -60."""
        peak = self.clean.max(axis=(-2, -1)).astype(np.float64)
        variance = self.noise_variance.max(axis=(-2, -1))
        return float(np.median(20 * np.log10(np.maximum(peak / np.sqrt(variance), 1e-3))))

    @property
    def saturated_share(self) -> float:
        """Share of the captures whose brightest pixel fills its well or the converter."""
        full = self.full_photons / self.photons_per_light
        return float((self.clean.max(axis=(-2, -1)) >= full).mean())


def fitting_separation_um(imager: Imager, layers: int, wanted_um: float) -> float:
    """Return the separation of layers in um: less than wanted where they would fill the gap."""
    if layers < 2:
        return wanted_um
    return min(wanted_um, MOST_SEPARATED * imager.gap_um / (layers - 1))


def simulated_captures(
    imager: Imager,
    specimen: Specimen,
    count: int,
    *,
    layers: int,
    min_separation_um: float,
    cell_photons_per_s: float,
    seed: int,
) -> DesignCaptures:
    """Simulate scenes, and expose them for the imager's exposure.

    The photons are those of the package's photon budget: the cells in a pixel, the share of their
    light that the grating lets through to it, the exposure.

    Args:
        imager: Imager of the design.
        specimen: What the layers show.
        count: Number of scenes.
        layers: Number of layers.
        min_separation_um: Least distance of neighbouring layers in um.
        cell_photons_per_s: Photons that a mean cell emits per second in all directions.
        seed: Seed of scenes and noise; designs of one seed see alike specimens.

    Raises:
        SceneError: If the layers or the specimen do not fit.
    """
    scenes = simulate(
        count,
        seed=seed,
        layers=layers,
        imager=imager,
        peak_snr_db=None,
        min_separation_um=min_separation_um,
        specimen=specimen,
    )
    camera = imager.camera
    cells = specimen.cells_per_unit_light(imager.square_pitch_um)
    exposure = Exposure(None, cell_photons_per_s)
    seeds = np.random.default_rng([seed, 1]).integers(2**62, size=count)
    pattern = imager.fixed_pattern()
    noisy = [
        exposure.expose(
            torch.from_numpy(clean),
            imager,
            cells_per_unit_light=cells,
            seed=int(own),
            fixed_pattern=pattern,
        ).numpy()
        for clean, own in zip(scenes.captures, seeds, strict=True)
    ]
    seen = Scenes(scenes.layers, scenes.mask, scenes.depth_um, np.stack(noisy), scenes.surface_um)
    return DesignCaptures(
        scenes=seen,
        clean=scenes.captures,
        photons_per_light=cell_photons_per_s * camera.exposure_s * cells,
        floor_photons=camera.floor_variance_e2**0.5 / camera.quantum_efficiency,
        quantum_efficiency=camera.quantum_efficiency,
        full_photons=camera.light_room_e / camera.quantum_efficiency,
    )
