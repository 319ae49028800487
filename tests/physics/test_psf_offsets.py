"""Kernels of emitters beside the middle of a pixel: symmetries, sums and closed forms."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fociscope.errors import ImagerError
from fociscope.imager import AngleSelectivePsf, GaussianPsf, MeasuredPsf, Psf, Tissue

PITCH_UM = 55.0
WIDE = AngleSelectivePsf(half_angle_deg=40.0)

PSFS: dict[str, Psf] = {
    "angle-selective": AngleSelectivePsf(),
    "narrow": AngleSelectivePsf(half_angle_deg=4.0),
    "leaky, covered": AngleSelectivePsf(leakage=0.1, cover_um=200.0, cover_index=1.2),
    "fill factor": AngleSelectivePsf(fill_factor=0.4),
    "blurred": AngleSelectivePsf(
        base_blur_um=30.0, tissue=Tissue(reduced_scattering_per_mm=0.5, attenuation_per_mm=1.0)
    ),
    "gaussian": GaussianPsf(base_blur_um=10.0, fill_factor=0.7),
}
every_psf = pytest.mark.parametrize("psf", PSFS.values(), ids=PSFS)

Image = NDArray[np.float64]


def kernel(psf: Psf, z_um: float, radius_px: int = 9, **options: Any) -> Image:
    found = psf.kernel(np.array(z_um), PITCH_UM, radius_px=radius_px, **options)
    assert isinstance(found, np.ndarray)
    assert found.shape == (2 * radius_px + 1,) * 2
    return found


@every_psf
@pytest.mark.parametrize("z_um", [0.0, 40.0, 300.0])
def test_offsets_mirror_as_the_pixels_do(psf: Psf, z_um: float) -> None:
    found = kernel(psf, z_um, offset_um=(12.0, -31.0))
    for mirrored, offset_um in (
        (found[::-1], (-12.0, -31.0)),
        (found[:, ::-1], (12.0, 31.0)),
        (found.T, (-31.0, 12.0)),
    ):
        np.testing.assert_allclose(
            kernel(psf, z_um, offset_um=offset_um), mirrored, rtol=1e-9, atol=1e-12 * found.max()
        )


@every_psf
@pytest.mark.parametrize("z_um", [0.0, 40.0, 300.0])
def test_on_a_border_both_pixels_get_the_same_and_on_a_corner_all_four(
    psf: Psf, z_um: float
) -> None:
    border = kernel(psf, z_um, offset_um=(0.0, PITCH_UM / 2))[:, 1:]
    corner = kernel(psf, z_um, offset_um=(PITCH_UM / 2, PITCH_UM / 2))[1:, 1:]
    rounding = 1e-12 * border.max()
    np.testing.assert_allclose(border, border[:, ::-1], rtol=1e-9, atol=rounding)
    np.testing.assert_allclose(corner, corner[::-1], rtol=1e-9, atol=rounding)
    np.testing.assert_allclose(corner, corner.T, rtol=1e-9, atol=rounding)


@pytest.mark.parametrize(
    ("offset_um", "lit"),
    [
        ((0.0, 0.0), {(0, 0): 1.0}),
        ((20.0, -27.4), {(0, 0): 1.0}),
        ((20.0, 27.6), {(0, 1): 1.0}),
        ((0.0, 27.5), {(0, 0): 0.5, (0, 1): 0.5}),
        ((-82.5, 0.0), {(-1, 0): 0.5, (-2, 0): 0.5}),
        ((27.5, -27.5), {(0, 0): 0.25, (1, 0): 0.25, (0, -1): 0.25, (1, -1): 0.25}),
        ((55.0, 110.0), {(1, 2): 1.0}),
    ],
)
@pytest.mark.parametrize("name", ["angle-selective", "gaussian"])
def test_an_emitter_on_the_sensor_lights_the_pixels_that_it_touches(
    name: str, offset_um: tuple[float, float], lit: dict[tuple[int, int], float]
) -> None:
    psf = PSFS[name].with_(base_blur_um=0.0, fill_factor=1.0)
    expected = np.zeros((7, 7))
    for (y, x), share in lit.items():
        expected[3 + y, 3 + x] = share * psf.collection_efficiency()
    found = kernel(psf, 0.0, radius_px=3, offset_um=offset_um)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@every_psf
@pytest.mark.parametrize("z_um", [0.0, 40.0, 300.0])
@pytest.mark.parametrize("steps", [(1, 0), (-2, 3)])
def test_a_whole_pixel_moves_the_kernel_by_one(
    psf: Psf, z_um: float, steps: tuple[int, int]
) -> None:
    y, x = steps
    moved = kernel(psf, z_um, offset_um=(y * PITCH_UM, x * PITCH_UM))
    still = kernel(psf, z_um, radius_px=9 + 3)[3 - y : 22 - y, 3 - x : 22 - x]
    # In the middle of a pixel fewer nodes lie on its edges; a kernel is good to 1e-4.
    assert np.abs(moved - still).sum() < 2e-4 * still.sum()


@pytest.mark.parametrize("name", ["angle-selective", "narrow", "blurred", "gaussian"])
@pytest.mark.parametrize("offset_um", [(1.0, 0.0), (27.5, 27.5), (-13.0, 40.0)], ids=str)
def test_no_light_is_lost_between_pixels(name: str, offset_um: tuple[float, float]) -> None:
    psf = PSFS[name]
    if isinstance(psf, GaussianPsf):
        psf = psf.with_(fill_factor=1.0)
    radius_px = math.ceil(psf.encircled_radius_um(60.0, 0.9999) / PITCH_UM) + 3
    found = kernel(psf, 60.0, radius_px, offset_um=offset_um)
    assert found.sum() == pytest.approx(psf.collection_efficiency(60.0), rel=1e-4)


@pytest.mark.parametrize("z_um", [300.0, 800.0])
def test_the_light_lands_around_the_emitter(z_um: float) -> None:
    psf = AngleSelectivePsf(half_angle_deg=20.0, shape="raised-cosine")  # none beyond 40 degrees
    radius_px = math.ceil(z_um * math.tan(math.radians(40.0)) / PITCH_UM) + 2
    position_um = PITCH_UM * np.arange(-radius_px, radius_px + 1)
    for offset_um in ((5.0, -17.0), (27.5, 50.0)):
        found = kernel(psf, z_um, radius_px, offset_um=offset_um)
        centroid_um = np.array([found.sum(1) @ position_um, found.sum(0) @ position_um])
        assert centroid_um / found.sum() == pytest.approx(offset_um, abs=0.05)


def test_closely_below_and_closely_beside_a_border_agree() -> None:
    """Around a border nothing jumps."""
    for z_um in (10.0, 100.0):
        on = kernel(WIDE, z_um, offset_um=(0.0, PITCH_UM / 2))
        for step_um in (1e-3, 1e-6, 1e-8, 1e-10):
            for sign in (-1, 1):
                near = kernel(WIDE, z_um, offset_um=(0.0, PITCH_UM / 2 + sign * step_um))
                assert np.abs(near - on).sum() < (1e-4 + 4 * step_um / z_um) * on.sum()


def test_smaller_pixels_add_up_to_larger_ones() -> None:
    """A pixel is the sum of nine of a third of its side, whose emitter lies off their middle."""
    psf, z_um, offset_um = AngleSelectivePsf(cover_um=50.0), 130.0, (9.0, -22.0)
    large = kernel(psf, z_um, 4, offset_um=offset_um)
    small = psf.kernel(np.array(z_um), PITCH_UM / 3, radius_px=13, offset_um=offset_um)
    summed = small.reshape(9, 3, 9, 3).sum(axis=(1, 3))
    np.testing.assert_allclose(summed, large, rtol=1e-5, atol=1e-7 * large.max())


def test_a_kernel_too_wide_to_hold_is_refused() -> None:
    for radius_px, words in ((-1, "-1"), (1025, "1025"), (None, "1024")):
        with pytest.raises(ImagerError, match=words):
            AngleSelectivePsf(leakage=0.2).kernel(np.array(900.0), PITCH_UM, radius_px=radius_px)


def test_a_measured_psf_moves_too() -> None:
    exact = AngleSelectivePsf(cover_um=300.0)
    depth_um = np.arange(0.0, 900.0, 50.0)
    psf = MeasuredPsf.from_stack(exact.kernel(depth_um, PITCH_UM, radius_px=24), depth_um, PITCH_UM)
    for z_um, offset_um in ((70.0, (11.0, -25.0)), (420.0, (27.5, 27.5)), (400.0, (-55.0, 3.0))):
        found, expected = (kernel(p, z_um, 12, offset_um=offset_um) for p in (psf, exact))
        assert np.abs(found - expected).sum() < 1e-2 * expected.sum()
