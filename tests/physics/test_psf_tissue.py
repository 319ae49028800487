"""Tissue between emitter and sensor, against walks of many small deflections."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri
from scipy.stats import qmc

from fociscope.imager import AngleSelectivePsf, GaussianPsf, Psf, Tissue

PITCH_UM = 55.0
DEPTHS_UM = [50.0, 100.0, 300.0, 800.0]
#: Pixels around the middle one that are compared at most.
WIDEST_PX = 10

Image = NDArray[np.float64]


def walk(z_um: float, scattering_per_mm: float, half_angle_deg: float, radius_px: int) -> Image:
    """Return (2 radius + 1)^2: light that walks from the emitter's plane to the sensor.

    Its slopes in x and in y each gain a variance of mu_s' per length, in many small steps. Emitters
    all over the plane send light evenly into all slopes, and a walk may as well be followed
    backwards (reciprocity): from its exit slope, which weighs by its solid angle and by T, to where
    it came from. Quasi-random numbers draw exit slope and steps.
    """
    planes = 10
    draws = qmc.Sobol(2 + 2 * planes, seed=1).random_base2(17)
    widest = math.radians(min(89.0, 3.7 * half_angle_deg))
    theta, azimuth = widest * draws[:, 0], 2 * math.pi * draws[:, 1]
    transmission = 2.0 ** -((theta / math.radians(half_angle_deg)) ** 2)
    weight = np.sin(theta) / 2 * widest / len(draws) * transmission
    slope = np.tan(theta) * np.stack([np.sin(azimuth), np.cos(azimuth)])
    length_um = z_um / planes
    turns = math.sqrt(scattering_per_mm * 1e-3 * length_um) * ndtri(draws[:, 2:])
    place_um = np.zeros_like(slope)
    for plane in range(planes):
        place_um += slope * length_um / 2
        slope = slope + turns[:, 2 * plane : 2 * plane + 2].T
        place_um += slope * length_um / 2
    side = 2 * radius_px + 1
    counted = np.zeros((side, side))
    for turn in np.linspace(0, math.pi / 2, 8, endpoint=False):  # any azimuth is as likely
        y_um = math.cos(turn) * place_um[0] - math.sin(turn) * place_um[1]
        x_um = math.sin(turn) * place_um[0] + math.cos(turn) * place_um[1]
        row, column = np.rint(y_um / PITCH_UM), np.rint(x_um / PITCH_UM)
        lands = np.maximum(abs(row), abs(column)) <= radius_px
        pixel = ((row + radius_px) * side + column + radius_px)[lands].astype(int)
        counted += np.bincount(pixel, weight[lands] / 8, side**2).reshape(side, side)
    counted = (counted + counted[::-1]) / 2
    counted = (counted + counted[:, ::-1]) / 2
    return np.asarray((counted + counted.T) / 2)


def smeared(sharp: Psf, z_um: float, sigma_um: float, radius_px: int) -> Image:
    """Return a kernel on pixels of an eleventh, smeared by a Gaussian and summed to pixels."""
    parts = 11
    margin_px = math.ceil(6 * sigma_um / PITCH_UM)
    wide = sharp.kernel(
        np.array(z_um), PITCH_UM / parts, radius_px=(radius_px + margin_px) * parts + parts // 2
    )
    wide = gaussian_filter(wide, sigma_um * parts / PITCH_UM, mode="constant", truncate=6)
    cut = slice(margin_px * parts, len(wide) - margin_px * parts)
    side = 2 * radius_px + 1
    return np.asarray(wide[cut, cut].reshape(side, parts, side, parts).sum(axis=(1, 3)))


def window(psf: Psf, z_um: float) -> int:
    return min(math.ceil(psf.encircled_radius_um(z_um, 0.999) / PITCH_UM + 0.5), WIDEST_PX)


def l1(found: Image, expected: Image) -> float:
    return float(np.abs(found - expected).sum() / expected.sum())


@pytest.mark.parametrize("z_um", DEPTHS_UM)
@pytest.mark.parametrize("scattering_per_mm", [0.2, 1.0])
@pytest.mark.parametrize("half_angle_deg", [8.0, 18.0, 40.0])
def test_scattered_light_is_what_walks_leave_on_the_pixels(
    half_angle_deg: float, scattering_per_mm: float, z_um: float
) -> None:
    psf = AngleSelectivePsf(
        half_angle_deg=half_angle_deg, tissue=Tissue(reduced_scattering_per_mm=scattering_per_mm)
    )
    radius_px = window(psf, z_um)
    counted = walk(z_um, scattering_per_mm, half_angle_deg, radius_px)
    assert l1(psf.kernel(np.array(z_um), PITCH_UM, radius_px=radius_px), counted) < 2e-2


@pytest.mark.parametrize("z_um", [20.0, 50.0, 100.0, 300.0])
@pytest.mark.parametrize("scattering_per_mm", [0.2, 1.0])
@pytest.mark.parametrize(
    "fields",
    [{"half_angle_deg": 4.0}, {}, {"cover_um": 100.0, "cover_index": 1.0}, {"leakage": 0.05}],
    ids=["narrow", "plain", "cover", "leaky"],
)
def test_scattering_smears_a_kernel_by_a_gaussian(
    fields: dict[str, float], scattering_per_mm: float, z_um: float
) -> None:
    """Sharper than walks can count."""
    sharp = AngleSelectivePsf().with_(**fields)
    psf = sharp.with_(tissue=Tissue(reduced_scattering_per_mm=scattering_per_mm))
    radius_px = min(window(psf, z_um), 6)
    sigma_um = math.sqrt(scattering_per_mm * 1e-3 * z_um**3 / 3)
    expected = smeared(sharp, z_um, sigma_um, radius_px)
    assert l1(psf.kernel(np.array(z_um), PITCH_UM, radius_px=radius_px), expected) < 3e-3


@pytest.mark.parametrize("offset_um", [(0.0, 27.5), (9.0, -20.0)], ids=str)
@pytest.mark.parametrize("z_um", [50.0, 200.0])
def test_scattering_off_the_middle_of_a_pixel(offset_um: tuple[float, float], z_um: float) -> None:
    """Pixels of a third, summed by nines, hold the same light."""
    psf = AngleSelectivePsf(tissue=Tissue(reduced_scattering_per_mm=0.7))
    large = psf.kernel(np.array(z_um), PITCH_UM, radius_px=5, offset_um=offset_um)
    small = psf.kernel(np.array(z_um), PITCH_UM / 3, radius_px=16, offset_um=offset_um)
    assert l1(small.reshape(11, 3, 11, 3).sum(axis=(1, 3)), large) < 1e-3


def test_scattered_light_is_not_lost() -> None:
    psf = AngleSelectivePsf(tissue=Tissue(reduced_scattering_per_mm=0.5))
    for z_um in (0.0, *DEPTHS_UM):
        found = psf.kernel(np.array(z_um), PITCH_UM, energy=0.999).sum()
        assert psf.collection_efficiency(z_um) == AngleSelectivePsf().collection_efficiency()
        assert 0.998 <= found / psf.collection_efficiency(z_um) <= 1 + 1e-4


@pytest.mark.parametrize("z_um", DEPTHS_UM)
def test_scattering_adds_its_variance(z_um: float) -> None:
    """Of Fermi and Eyges: mu_s' z^3 / 3 in each axis."""
    sharp, psf = (
        AngleSelectivePsf(
            half_angle_deg=15.0, shape="raised-cosine", tissue=Tissue(reduced_scattering_per_mm=mu)
        )
        for mu in (0.0, 0.3)
    )
    radius_px = math.ceil((z_um * math.tan(math.radians(30)) + 7 * z_um**1.5 / 100) / PITCH_UM) + 2
    position_um = PITCH_UM * np.arange(-radius_px, radius_px + 1)
    variances = []
    for p in (sharp, psf):
        kernel = p.kernel(np.array(z_um), PITCH_UM, radius_px=radius_px)
        variances.append(kernel.sum(0) @ position_um**2 / kernel.sum())
    expected = 0.3e-3 * z_um**3 / 3
    tissue = Tissue(reduced_scattering_per_mm=0.3)
    assert float(tissue.variance_um2(torch.tensor(z_um))) == pytest.approx(expected, rel=1e-6)
    if expected > (PITCH_UM / 2) ** 2:  # what moves within a pixel shows in no kernel
        assert variances[1] - variances[0] == pytest.approx(expected, rel=1e-2)
    added = psf.variance_um2(z_um) - sharp.variance_um2(z_um)
    assert added == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", [AngleSelectivePsf, GaussianPsf])
@pytest.mark.parametrize("attenuation_per_mm", [0.3, 2.0])
def test_attenuation_is_exponential(kind: type[Psf], attenuation_per_mm: float) -> None:
    clear, dim = (kind(tissue=Tissue(attenuation_per_mm=a)) for a in (0.0, attenuation_per_mm))
    depth_um = np.array([0.0, *DEPTHS_UM])
    share = np.exp(-attenuation_per_mm * depth_um / 1000)
    kernels = [p.kernel(depth_um, PITCH_UM, radius_px=8) for p in (clear, dim)]
    np.testing.assert_allclose(kernels[1], share[:, None, None] * kernels[0], rtol=1e-12)
    fractions = [p.collection_efficiency(depth_um) for p in (clear, dim)]
    np.testing.assert_allclose(fractions[1], share * fractions[0], rtol=1e-12)
    grid, z = (41, 36), torch.from_numpy(depth_um)
    transfers = [
        p.transfer(z, pixel_pitch_um=PITCH_UM, radius_px=8, grid=grid) for p in (clear, dim)
    ]
    torch.testing.assert_close(
        transfers[1], torch.from_numpy(share)[:, None, None] * transfers[0], rtol=1e-12, atol=1e-15
    )


def test_without_attenuation_and_scattering_nothing_changes() -> None:
    clear = Tissue(attenuation_per_mm=0.0, reduced_scattering_per_mm=0.0)
    assert AngleSelectivePsf(tissue=clear) == AngleSelectivePsf()
