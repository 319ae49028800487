"""The Gaussian point spread function against products of differences of the error function."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import erf

from fociscope.imager import GaussianPsf, Tissue

PITCH_UM = 55.0
OFFSETS_UM = [(0.0, 0.0), (27.5, -11.0), (27.5, 27.5), (-60.0, 140.0)]
#: In L1, of a kernel's light, above the middle of a pixel; elsewhere more nodes lie on the edges.
TOLERANCE = 2e-4

Image = NDArray[np.float64]


def closed_form(
    psf: GaussianPsf, sigma_um: float, radius_px: int, offset_um: tuple[float, float]
) -> Image:
    middle_um = PITCH_UM * np.arange(-radius_px, radius_px + 1)
    half_um = math.sqrt(psf.fill_factor) * PITCH_UM / 2
    y, x = (
        (erf((middle_um + half_um - o) / sigma_um / math.sqrt(2))
         - erf((middle_um - half_um - o) / sigma_um / math.sqrt(2))) / 2
        for o in offset_um
    )  # fmt: skip
    return psf.collected_fraction * np.outer(y, x)


@pytest.mark.parametrize("offset_um", OFFSETS_UM, ids=str)
@pytest.mark.parametrize("z_um", [50.0, 100.0, 300.0, 800.0])
@pytest.mark.parametrize(
    "psf",
    [
        GaussianPsf(),
        GaussianPsf(spread=0.07),
        GaussianPsf(spread=1.7, collected_fraction=0.4),
        GaussianPsf(base_blur_um=20.0),
        GaussianPsf(fill_factor=0.4),
        GaussianPsf(tissue=Tissue(reduced_scattering_per_mm=1.0, attenuation_per_mm=2.0)),
    ],
    ids=["default", "narrow", "wide", "blurred", "fill factor", "tissue"],
)
def test_a_kernel_is_a_product_of_error_functions(
    psf: GaussianPsf, z_um: float, offset_um: tuple[float, float]
) -> None:
    scattered = psf.tissue.reduced_scattering_per_mm * 1e-3 * z_um**3 / 3
    sigma_um = math.sqrt(psf.base_blur_um**2 + (psf.spread * z_um) ** 2 + scattered)
    radius_px = min(math.ceil(4 * sigma_um / PITCH_UM) + 4, 40)
    expected = closed_form(psf, sigma_um, radius_px, offset_um)
    expected *= math.exp(-psf.tissue.attenuation_per_mm * 1e-3 * z_um)
    found = psf.kernel(np.array(z_um), PITCH_UM, radius_px=radius_px, offset_um=offset_um)
    tolerance = TOLERANCE if offset_um == (0.0, 0.0) else 1e-6
    assert np.abs(found - expected).sum() < tolerance * expected.sum()


def test_its_variance_is_the_formula() -> None:
    psf = GaussianPsf(base_blur_um=12.0, spread=0.25)
    z_um = torch.tensor([0.0, 100.0, 400.0], dtype=torch.float64)
    expected = [144.0, 144.0 + 625.0, 144.0 + 10_000.0]
    assert psf.sigma2_um2(z_um).tolist() == pytest.approx(expected)
    # The pixel adds its own width to the kernel's.
    kernel = psf.kernel(np.array(400.0), PITCH_UM, radius_px=15)
    position_um = PITCH_UM * np.arange(-15, 16)
    variance = kernel.sum(0) @ position_um**2 / kernel.sum()
    assert variance == pytest.approx(expected[2] + PITCH_UM**2 / 12, rel=1e-3)


def test_it_is_as_wide_as_a_grating_of_18_degrees() -> None:
    """What the default spread stands for: T falls to half at the half angle."""
    assert GaussianPsf().spread == pytest.approx(
        math.tan(math.radians(18.0)) / math.sqrt(2 * math.log(2)), abs=5e-4
    )


@pytest.mark.parametrize("spread", [0.0, 0.276])
def test_on_the_sensor_all_light_stays_under_the_emitter(spread: float) -> None:
    found = GaussianPsf(spread=spread).kernel(np.array(0.0), PITCH_UM, radius_px=2)
    expected = np.zeros((5, 5))
    expected[2, 2] = 0.035
    np.testing.assert_allclose(found, expected, atol=1e-15)
