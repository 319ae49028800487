"""How much light lands, and how wide: each kind of PSF against integrals over its rays."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import integrate

from fociscope.errors import ImagerError
from fociscope.imager import AngleSelectivePsf, GaussianPsf, MeasuredPsf, Psf, Tissue

PITCH_UM = 55.0
Array = NDArray[np.float64]
DEPTHS_UM = [50.0, 100.0, 300.0, 800.0]
TABLE = ((0.0, 0.8), (12.0, 0.6), (20.0, 0.3), (45.0, 0.02), (60.0, 0.0))

GRATINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "narrow": {"half_angle_deg": 4.0},
    "wide": {"half_angle_deg": 60.0},
    "raised cosine": {"shape": "raised-cosine"},
    "tabulated": {"shape": "tabulated", "table": TABLE},
    "leaky": {"leakage": 0.1},
    "thin cover": {"cover_um": 20.0, "cover_index": 2.0},
    "thick cover": {"cover_um": 300.0, "cover_index": 1.5},
    "reflecting": {"cover_um": 300.0, "cover_index": 1.0, "leakage": 0.02, "half_angle_deg": 40.0},
}
every_grating = pytest.mark.parametrize("name", GRATINGS)


class Rays:
    """An isotropic emitter's rays behind a grating: where they land and what passes, by angle."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.psf = psf = AngleSelectivePsf(**fields)
        ratio = psf.tissue_index / psf.cover_index if psf.cover_um else 1.0
        # Beyond this polar angle all is reflected; the closer to it, the closer the rays.
        self.last = math.asin(1 / ratio) if ratio > 1 else math.pi / 2
        self.theta = self.last * (1 - np.linspace(1, 0, 100_001) ** 2)
        self.at_grating = np.arcsin(np.minimum(ratio * np.sin(self.theta), 1.0))
        self.passing = np.asarray(psf.transmission(self.at_grating)) * np.sin(self.theta) / 2
        self.share = integrate.cumulative_simpson(self.passing, x=self.theta, initial=0)

    def radius_um(self, z_um: float) -> Array:
        return z_um * np.tan(self.theta) + self.psf.cover_um * np.tan(self.at_grating)

    def angle(self, energy: float) -> float:
        """Return the polar angle that a share of the light stays within."""
        return float(np.interp(energy * self.share[-1], self.share, self.theta))


@lru_cache
def rays_behind(name: str) -> Rays:
    return Rays(GRATINGS[name])


@every_grating
def test_the_energy_fraction_is_the_integral_over_all_angles(name: str) -> None:
    rays = rays_behind(name)
    # Where the light ends abruptly, between two entries of the table, it is known less well.
    tolerance = 2e-4 if rays.last < math.pi / 2 else 1e-6
    for z_um in (0.0, 300.0):
        assert rays.psf.collection_efficiency(z_um) == pytest.approx(rays.share[-1], rel=tolerance)


@every_grating
@pytest.mark.parametrize("energy", [0.5, 0.9, 0.99])
def test_the_energy_radius_holds_the_energy_and_hardly_more(name: str, energy: float) -> None:
    rays = rays_behind(name)
    theta = rays.angle(energy)
    # Looked up in steps of u = sqrt(1 - cos theta): at most one too far.
    u = math.sqrt(1 - math.cos(theta)) + 1.05 / 2048
    beyond = min(math.acos(1 - u**2), rays.last)
    for z_um in DEPTHS_UM:
        least, most = np.interp([theta, beyond], rays.theta, rays.radius_um(z_um))
        found = rays.psf.encircled_radius_um(z_um, energy)
        assert least * (1 - 1e-3) <= found <= most * (1 + 1e-6)


@every_grating
@pytest.mark.parametrize("energy", [0.5, 0.9, 0.99])
def test_the_second_moment_is_that_of_the_light_within_the_radius(name: str, energy: float) -> None:
    rays = rays_behind(name)
    inside = rays.theta <= rays.angle(energy)
    for z_um in DEPTHS_UM:
        moment = (rays.passing * rays.radius_um(z_um) ** 2 / 2)[inside]
        expected = integrate.simpson(moment, x=rays.theta[inside]) / rays.share[inside][-1]
        assert rays.psf.variance_um2(z_um, energy) == pytest.approx(expected, rel=2e-2)


@every_grating
@pytest.mark.parametrize("z_um", DEPTHS_UM)
def test_a_window_sums_to_what_lands_within_it(name: str, z_um: float) -> None:
    """More than the circle in the window holds, and less than the circle around it."""
    rays = rays_behind(name)
    for radius_px in (3, 12):
        half_um = (radius_px + 0.5) * PITCH_UM
        inner, outer = np.interp(
            [half_um, math.sqrt(2) * half_um], rays.radius_um(z_um), rays.share
        )
        found = rays.psf.kernel(np.array(z_um), PITCH_UM, radius_px=radius_px).sum()
        assert inner * (1 - 3e-4) <= found <= outer * (1 + 3e-4)


@pytest.mark.parametrize(
    "psf",
    [
        AngleSelectivePsf(),
        AngleSelectivePsf(half_angle_deg=4.0, base_blur_um=40.0),
        AngleSelectivePsf(shape="raised-cosine", half_angle_deg=30.0),
        AngleSelectivePsf(cover_um=300.0, cover_index=1.2),
        GaussianPsf(),
        GaussianPsf(spread=0.1, base_blur_um=40.0, collected_fraction=0.5),
    ],
)
@pytest.mark.parametrize("energy", [0.9, 0.999, 0.99999])
@pytest.mark.parametrize("z_um", [0.0, *DEPTHS_UM])
def test_kernels_tend_to_the_energy_fraction(psf: Psf, z_um: float, energy: float) -> None:
    found = psf.kernel(np.array(z_um), PITCH_UM, energy=energy).sum()
    # Blurs are added as Gaussians, and the one on the pixel grid has a slightly longer tail.
    assert energy * (1 - 3e-5) <= found / psf.collection_efficiency(z_um) <= 1 + 1e-5


def test_part_of_the_pixels_catches_part_of_the_light() -> None:
    """Far away, light is even over a pixel, and its sensitive part catches its share."""
    whole, part = (
        AngleSelectivePsf(fill_factor=f).kernel(np.array(900.0), PITCH_UM, energy=0.9999).sum()
        for f in (1.0, 0.36)
    )
    assert part == pytest.approx(0.36 * whole, rel=1e-3)


@pytest.mark.parametrize("energy", [0.5, 0.99])
@pytest.mark.parametrize("z_um", DEPTHS_UM)
def test_a_gaussian_holds_what_a_gaussian_holds(z_um: float, energy: float) -> None:
    psf = GaussianPsf(spread=0.2, base_blur_um=30.0, tissue=Tissue(reduced_scattering_per_mm=0.5))
    sigma2 = 30.0**2 + (0.2 * z_um) ** 2 + 0.5e-3 * z_um**3 / 3
    radius_um = psf.encircled_radius_um(z_um, energy)
    inside, _ = integrate.quad(lambda r: r / sigma2 * math.exp(-r * r / 2 / sigma2), 0, radius_um)
    assert inside == pytest.approx(energy, rel=1e-9)
    moment, _ = integrate.quad(
        lambda r: r**3 / 2 / sigma2 * math.exp(-r * r / 2 / sigma2), 0, radius_um
    )
    assert psf.variance_um2(z_um, energy) == pytest.approx(moment / energy, rel=1e-6)
    assert psf.collection_efficiency(z_um) == pytest.approx(0.035)


def test_a_measured_psf_holds_what_was_measured() -> None:
    exact = GaussianPsf(spread=0.3, collected_fraction=0.1)
    depth_um = np.arange(0.0, 901.0, 100.0)
    stack = exact.kernel(depth_um, PITCH_UM, radius_px=24) * (1 - depth_um / 2000)[:, None, None]
    psf = MeasuredPsf.from_stack(stack, depth_um, PITCH_UM)
    for z_um in (0.0, 100.0, 250.0, 900.0):
        expected = 0.1 * (1 - z_um / 2000)
        assert psf.collection_efficiency(z_um) == pytest.approx(expected, rel=1e-3)
        assert psf.kernel(np.array(z_um), PITCH_UM).sum() == pytest.approx(expected, rel=1e-3)
        assert psf.encircled_radius_um(z_um, 0.99) == pytest.approx(24.5 * PITCH_UM)
        variance = (0.3 * z_um) ** 2
        assert psf.variance_um2(z_um) == pytest.approx(variance, rel=3e-2, abs=300.0)


def test_fractions_come_back_as_they_were_asked_for() -> None:
    psf = AngleSelectivePsf(tissue=Tissue(attenuation_per_mm=2.0))
    whole = psf.collection_efficiency()
    assert isinstance(whole, float)
    several = psf.collection_efficiency(np.array([0.0, 500.0], np.float32))
    assert isinstance(several, np.ndarray)
    assert several.dtype == np.float32
    assert several == pytest.approx([whole, whole * math.exp(-1)], rel=1e-6)
    assert torch.is_tensor(psf.collection_efficiency(torch.tensor([1.0, 2.0], dtype=torch.float64)))


@pytest.mark.parametrize("energy", [0.0, 1.0, -0.5, math.nan])
def test_a_kernel_of_no_energy_or_of_all_is_refused(energy: float) -> None:
    with pytest.raises(ImagerError, match=f"energy.*{energy:g}"):
        AngleSelectivePsf().kernel(np.array(100.0), PITCH_UM, energy=energy)
