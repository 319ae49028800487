"""Absolute exposure: from the photons of a cell to the noise of a pixel."""

import numpy as np
import pytest

from fociscope.imager import Imager
from fociscope.simulation import PerlinFoci, SingleCells, Specimen, simulate

#: Around the frame the tissue goes on, so what a frame loses at its edges it gains there.
IMAGER = Imager.reference().with_(boundary="reflect")
EVEN = {"autofluorescence": (0.0, 0.0), "brightness_sigma": 0.0}
DENSITY_PER_MM2 = 400.0


@pytest.mark.parametrize(
    "specimen",
    [
        PerlinFoci(coverage=(1.0, 1.0), cells_per_mm2=DENSITY_PER_MM2, **EVEN),
        SingleCells(cells_per_mm2=DENSITY_PER_MM2, cell_diameter_um=15.0, **EVEN),
        SingleCells(cells_per_mm2=DENSITY_PER_MM2, cell_diameter_um=150.0, **EVEN),
    ],
    ids=["filled", "single", "large"],
)
@pytest.mark.parametrize("cell_photons_per_s", [3e4, 1e6])
def test_noise_is_that_of_the_photons_that_cells_emit(
    specimen: Specimen, cell_photons_per_s: float
) -> None:
    """Cells per pixel, times the photons of each, times the share that lands, times the QE."""
    settings = {"seed": 3, "layers": 1, "specimen": specimen, "imager": IMAGER}
    clean = simulate(24, peak_snr_db=None, **settings).captures.astype(float)  # type: ignore[arg-type]
    noisy = simulate(24, cell_photons_per_s=cell_photons_per_s, **settings).captures  # type: ignore[arg-type]
    camera = IMAGER.camera
    # At any depth the same share of a cell's light lands.
    landing = np.asarray(IMAGER.psf.kernel(np.array(300.0), 55.0, energy=0.9999)).sum()
    mean_e = (
        DENSITY_PER_MM2
        * 0.055**2
        * cell_photons_per_s
        * camera.exposure_s
        * landing
        * camera.quantum_efficiency
    )
    electrons = clean / clean.mean() * mean_e
    noise_e = (noisy - clean) / clean.mean() * mean_e
    deviation = noise_e / np.sqrt(electrons + camera.floor_variance_e2)
    assert deviation.mean() == pytest.approx(0.0, abs=0.02)
    assert deviation.std() == pytest.approx(1.0, abs=0.015)


def test_bright_scenes_have_less_noise_than_dark_ones() -> None:
    def relative_noise(photons: float) -> float:
        settings = {"seed": 3, "peak_snr_db": None}
        clean = simulate(6, **settings).captures  # type: ignore[arg-type]
        noisy = simulate(6, **settings, cell_photons_per_s=photons).captures  # type: ignore[arg-type]
        return float((noisy - clean).std() / clean.mean())

    # Ten times the light, where shot noise prevails.
    assert relative_noise(1e6) / relative_noise(1e7) == pytest.approx(10**0.5, rel=0.15)


def test_more_light_than_the_well_holds_is_cut_off() -> None:
    captures = simulate(2, seed=3, cell_photons_per_s=1e10).captures
    camera = Imager.reference().camera
    room = camera.full_well_e / camera.quantum_efficiency
    per_unit = 1e10 * camera.exposure_s * PerlinFoci().cells_per_unit_light(55.0)
    assert captures.max() <= 1.01 * room / per_unit
    assert (captures > 0.99 * (room - camera.dark_e) / per_unit).mean() > 0.5
