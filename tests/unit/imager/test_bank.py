"""The Chebyshev series of kernels against the kernels themselves."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor

from fociscope.imager import AngleSelectivePsf, GaussianPsf, MeasuredPsf, Psf, Tissue
from fociscope.imager.psf import _bank
from fociscope.imager.psf._bank import KernelInterpolator, chebyshev, kernel_interpolator

PITCH_UM = 55.0
RADIUS_PX = 8
RANGE_UM = (0.0, 1000.0)
OFFSET_UM = (11.0, -27.5)
#: Of a kernel's light, in L1.
TOLERANCE = 2e-4

SMOOTH: dict[str, Psf] = {
    "plain": AngleSelectivePsf(),
    "narrow": AngleSelectivePsf(half_angle_deg=4.0),
    "wide": AngleSelectivePsf(half_angle_deg=60.0),
    "leaky": AngleSelectivePsf(leakage=0.1),
    "cover": AngleSelectivePsf(cover_um=300.0, cover_index=1.0),
    "fill factor": AngleSelectivePsf(fill_factor=0.4),
    "scattering": AngleSelectivePsf(cover_um=50.0, tissue=Tissue(reduced_scattering_per_mm=0.5)),
    "gaussian": GaussianPsf(),
    "blurred gaussian": GaussianPsf(base_blur_um=20.0),
}
KINKED: dict[str, Psf] = {
    "raised cosine": AngleSelectivePsf(shape="raised-cosine"),
    "tabulated": AngleSelectivePsf(shape="tabulated", table=((0.0, 1.0), (12.0, 1.0), (12.1, 0.0))),
}


def measured() -> MeasuredPsf:
    depth_um = np.linspace(*RANGE_UM, 21)
    stack = AngleSelectivePsf().kernel(depth_um, PITCH_UM, radius_px=RADIUS_PX)
    return MeasuredPsf.from_stack(stack, depth_um, PITCH_UM)


@lru_cache
def bank_of(psf: Psf, offset_um: tuple[float, float] | None = None) -> KernelInterpolator:
    interpolator = kernel_interpolator(
        psf, pixel_pitch_um=PITCH_UM, radius_px=RADIUS_PX, depth_um=RANGE_UM, offset_um=offset_um
    )
    assert interpolator is not None
    return interpolator


def shares(psf: Psf, z_um: Tensor, offset_um: tuple[float, float] | None = None) -> Tensor:
    return psf.pixel_response(
        z_um, pixel_pitch_um=PITCH_UM, radius_px=RADIUS_PX, offset_um=offset_um
    )


def depths(seed: int, count: int) -> Tensor:
    random = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return RANGE_UM[1] * random


def l1(found: Tensor, expected: Tensor) -> float:
    """The largest L1 difference of a kernel, relative to its light."""
    return float(((found - expected).abs().sum((-2, -1)) / expected.abs().sum((-2, -1))).max())


@pytest.mark.parametrize("name", SMOOTH)
def test_it_predicts_kernels_at_any_depth(name: str) -> None:
    z_um = depths(0, 60)
    assert l1(bank_of(SMOOTH[name]).pixel_response(z_um), shares(SMOOTH[name], z_um)) < TOLERANCE


@pytest.mark.parametrize("name", ["plain", "cover", "scattering", "gaussian"])
def test_it_predicts_kernels_beside_the_middle_of_a_pixel(name: str) -> None:
    z_um, psf = depths(1, 40), SMOOTH[name]
    found = bank_of(psf, OFFSET_UM).pixel_response(z_um)
    assert found.shape == (40, 2 * RADIUS_PX + 1, 2 * RADIUS_PX + 1)
    assert l1(found, shares(psf, z_um, OFFSET_UM)) < TOLERANCE


@pytest.mark.parametrize("name", SMOOTH)
def test_it_holds_at_both_ends(name: str) -> None:
    z_um = torch.tensor(RANGE_UM, dtype=torch.float64)
    assert l1(bank_of(SMOOTH[name]).pixel_response(z_um), shares(SMOOTH[name], z_um)) < TOLERANCE


@pytest.mark.parametrize("half_angle_deg", [12.0, 15.7, 25.0])
def test_a_second_axis_predicts_kernels_of_any_half_angle(half_angle_deg: float) -> None:
    interpolator = kernel_interpolator(
        AngleSelectivePsf(),
        pixel_pitch_um=PITCH_UM,
        radius_px=RADIUS_PX,
        depth_um=RANGE_UM,
        parameter=("half_angle_deg", (12.0, 25.0)),
    )
    assert interpolator is not None
    z_um = depths(2, 40)
    found = interpolator.pixel_response(z_um, half_angle_deg=torch.full_like(z_um, half_angle_deg))
    assert l1(found, shares(AngleSelectivePsf(half_angle_deg=half_angle_deg), z_um)) < TOLERANCE


@pytest.mark.parametrize("name", ["plain", "cover", "scattering", "gaussian"])
def test_its_slope_is_that_of_the_kernels(name: str) -> None:
    """By depth, against differences of kernels and of itself; per pitch of depth, in L1.

    Kernels come from a table that is joined by straight lines: their own differences over a short
    step show its corners.
    """
    psf, interpolator, step_um = SMOOTH[name], bank_of(SMOOTH[name]), 3.0
    for z_um in depths(3, 12).clamp(10.0, 990.0):
        slope = torch.autograd.functional.jacobian(interpolator.pixel_response, z_um)
        own, differences = (
            (f(z_um + step_um) - f(z_um - step_um)) / (2 * step_um)
            for f in (interpolator.pixel_response, lambda z: shares(psf, z))
        )
        light = float(shares(psf, z_um).sum())
        assert float((slope - own).abs().sum()) * PITCH_UM < 1e-2 * light
        assert float((slope - differences).abs().sum()) * PITCH_UM < 1e-2 * light


@pytest.mark.parametrize("name", ["plain", "gaussian"])
def test_its_slope_is_the_derivative_of_shares(name: str) -> None:
    psf, interpolator = SMOOTH[name], bank_of(SMOOTH[name])
    for z_um in (30.0, 111.0, 444.0, 860.0):
        at = torch.tensor(z_um, dtype=torch.float64)
        found = torch.autograd.functional.jacobian(interpolator.pixel_response, at)
        expected = torch.autograd.functional.jacobian(lambda z: shares(psf, z), at)
        assert float((found - expected).abs().sum() / expected.abs().sum()) < 2e-2


def test_its_slope_matches_differences_of_itself_to_rounding() -> None:
    interpolator = bank_of(SMOOTH["plain"])
    z_um = torch.tensor([1.0, 77.0, 500.0, 999.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        interpolator.pixel_response, z_um, eps=1e-3, atol=1e-9, rtol=1e-6
    )


def test_it_can_be_differentiated_at_both_ends() -> None:
    z_um = torch.tensor(RANGE_UM, dtype=torch.float64, requires_grad=True)
    interpolator = bank_of(SMOOTH["plain"])
    weight = torch.linspace(0, 1, (RADIUS_PX + 1) ** 2, dtype=torch.float64).reshape(
        RADIUS_PX + 1, -1
    )
    (slope,) = torch.autograd.grad((interpolator.pixel_response(z_um) * weight).sum(), z_um)
    inwards = torch.tensor([1e-4, -1e-4], dtype=torch.float64)
    with torch.no_grad():
        difference = (
            interpolator.pixel_response(z_um + inwards) - interpolator.pixel_response(z_um)
        ) * weight
    assert torch.isfinite(slope).all()
    assert slope.tolist() == pytest.approx((difference.sum((1, 2)) / inwards).tolist(), rel=1e-3)


@pytest.mark.parametrize("name", SMOOTH)
def test_single_precision_is_as_good(name: str) -> None:
    z_um = depths(4, 30)
    found = bank_of(SMOOTH[name]).pixel_response(z_um.float())
    assert found.dtype == torch.float32
    assert l1(found.double(), bank_of(SMOOTH[name]).pixel_response(z_um)) < 1e-5


def test_any_shape_of_depths() -> None:
    interpolator, side = bank_of(SMOOTH["plain"]), RADIUS_PX + 1
    z_um = depths(5, 6)
    together = interpolator.pixel_response(z_um.reshape(2, 3))
    assert together.shape == (2, 3, side, side)
    assert interpolator.pixel_response(z_um[0]).shape == (side, side)
    torch.testing.assert_close(
        together.reshape(6, side, side), interpolator.pixel_response(z_um), rtol=0, atol=0
    )


@pytest.mark.parametrize("name", KINKED)
def test_kernels_that_change_abruptly_have_none(name: str) -> None:
    kwargs = {"pixel_pitch_um": PITCH_UM, "radius_px": RADIUS_PX, "depth_um": RANGE_UM}
    assert kernel_interpolator(KINKED[name], **kwargs) is None


@pytest.mark.parametrize("nodes", [16, 32])
def test_kernels_too_large_to_hold_have_none(monkeypatch: pytest.MonkeyPatch, nodes: int) -> None:
    """Neither where the first series is too long, nor where the one that is long enough is."""
    monkeypatch.setattr(_bank, "LARGEST_INTERPOLATOR", nodes * (RADIUS_PX + 1) ** 2)
    found = kernel_interpolator.__wrapped__(
        AngleSelectivePsf(), pixel_pitch_um=PITCH_UM, radius_px=RADIUS_PX, depth_um=RANGE_UM
    )
    assert found is None


def test_a_measured_psf_has_one_in_any_case() -> None:
    """It has no derivative of its own: the bank's is all there is."""
    psf = measured()
    interpolator = bank_of(psf)
    z_um = depths(6, 20)
    assert l1(interpolator.pixel_response(z_um), shares(psf, z_um)) < 1e-2
    at = z_um.clone().requires_grad_()
    (slope,) = torch.autograd.grad(
        interpolator.pixel_response(at)[:, RADIUS_PX, RADIUS_PX].sum(), at
    )
    assert torch.isfinite(slope).all()
    assert bool((slope[z_um > 100] < 0).all())  # the farther, the less light in the middle


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 17, 33, 64, 100])
def test_chebyshev_polynomials(length: int) -> None:
    x = torch.linspace(-1, 1, 41, dtype=torch.float64, requires_grad=True)
    basis = chebyshev(x, length)
    expected = np.polynomial.chebyshev.chebvander(x.detach().numpy(), length - 1)
    np.testing.assert_allclose(basis.detach().numpy(), expected, atol=1e-12)
    if length > 1:
        (slope,) = torch.autograd.grad(basis[:, -1].sum(), x)
        highest = np.polynomial.chebyshev.Chebyshev.basis(length - 1)
        np.testing.assert_allclose(slope, highest.deriv()(x.detach().numpy()), rtol=1e-8, atol=1e-8)
