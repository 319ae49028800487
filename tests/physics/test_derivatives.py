"""The projector's derivatives against finite differences."""

import pytest
import torch
from torch import Tensor

from fociscope.imager import (
    AngleSelectivePsf,
    Boundary,
    GaussianPsf,
    Imager,
    LayerProjector,
    Psf,
    Registration,
    Tissue,
)

BOUNDARIES: list[Boundary] = ["zero", "reflect"]
GAP_UM = 1000.0
#: A frame so small that every kernel reaches beyond it, so that none is cut off within.
SMALL = (12, 12)


def projector(boundary: Boundary = "zero", **changes: object) -> LayerProjector:
    return LayerProjector(Imager.reference().with_(boundary=boundary, **changes))


def random_layers(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_derivatives_in_layers_and_captures(boundary: Boundary) -> None:
    operator = projector(boundary)
    z = torch.tensor([[100.0, 700.0], [300.0, 900.0]], dtype=torch.float64)
    x = random_layers(10, 2, 2, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: operator.A(t, z), x)
    assert torch.autograd.gradcheck(lambda t: operator.A_adjoint(t, z), x)


PSFS: dict[str, Psf] = {
    "plain": AngleSelectivePsf(),
    "covered": AngleSelectivePsf(cover_um=100.0, base_blur_um=20.0),
    "scattering": AngleSelectivePsf(
        tissue=Tissue(reduced_scattering_per_mm=0.4, attenuation_per_mm=1.0)
    ),
    "gaussian": GaussianPsf(),
}
TURNED = Registration(shift_um=(20.0, -70.0), rotation_deg=5.0, scale=1.03)


@pytest.mark.parametrize(
    ("boundary", "registration"),
    [("zero", Registration()), ("reflect", TURNED)],
    ids=["zero, as A", "reflect, turned"],
)
@pytest.mark.parametrize("psf", PSFS.values(), ids=PSFS)
def test_derivatives_in_depth_through_the_series(
    psf: Psf, boundary: Boundary, registration: Registration
) -> None:
    """Kernels come from a series over depth: a polynomial, whose derivative is exact."""
    operator = projector(boundary, psf=psf, registration=registration, gap_um=300.0)
    layers, captures = random_layers(13, 2, 2, 3, 4), random_layers(14, 2, 2, 3, 4)
    z = torch.tensor([[40.0, 200.0], [120.0, 265.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda d: operator.A(layers, d), z, eps=1e-3, atol=1e-9, rtol=1e-4
    )
    assert torch.autograd.gradcheck(
        lambda d: operator.A_adjoint(captures, d), z, eps=1e-3, atol=1e-9, rtol=1e-4
    )


@pytest.mark.parametrize("registration", [Registration(), TURNED], ids=["as A", "turned"])
@pytest.mark.parametrize(
    ("psf", "name", "values", "tolerance"),
    [
        (PSFS["plain"], "half_angle_deg", [14.0, 22.0], 1e-4),
        (PSFS["covered"], "half_angle_deg", [14.0, 22.0], 1e-4),
        (PSFS["scattering"], "half_angle_deg", [14.0, 22.0], 1e-4),
        (PSFS["plain"], "base_blur_um", [10.0, 60.0], 1e-4),
        (PSFS["gaussian"], "base_blur_um", [10.0, 60.0], 1e-4),
        (PSFS["gaussian"], "spread", [0.15, 0.4], 1e-4),
    ],
)
def test_derivatives_in_parameters_of_the_psf(
    psf: Psf, name: str, values: list[float], tolerance: float, registration: Registration
) -> None:
    operator = projector(psf=psf, registration=registration, gap_um=300.0)
    layers = random_layers(15, 2, 2, 3, 4)
    z = torch.tensor([[40.0, 200.0], [120.0, 265.0]], dtype=torch.float64)
    value = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda v: operator.A(layers, z, **{name: v}), value, eps=1e-4, atol=1e-9, rtol=tolerance
    )


def test_derivatives_within_a_family() -> None:
    """Half angle and depth at once, through the series over both."""
    imager = Imager.reference().with_(gap_um=300.0)
    operator = LayerProjector(imager, parameter_range=("half_angle_deg", (12.0, 25.0)))
    layers = random_layers(16, 2, 2, 3, 4)
    z = torch.tensor([[40.0, 200.0], [120.0, 265.0]], dtype=torch.float64, requires_grad=True)
    half_angle_deg = torch.tensor([12.0, 19.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda d, h: operator.A(layers, d, half_angle_deg=h.clamp(12.0, 25.0)),
        (z, half_angle_deg + 0.01),
        eps=1e-3,
        atol=1e-9,
        rtol=1e-4,
    )


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("at_um", [225.0, 640.0])
@pytest.mark.parametrize("shape", ["gaussian", "raised-cosine"])
def test_derivatives_in_depth_without_the_series(
    shape: str, at_um: float, boundary: Boundary
) -> None:
    """Automatic differentiation against differences, where kernels are computed one by one.

    Depth then moves along a table of 2048 steps that is interpolated linearly. Its derivative is
    that of one straight piece, off by half a step times the curvature, while a difference over
    +-4 um averages many pieces: they agree within 1 % of the larger one.
    """
    # With one sensor, at these depths, the kernel's cut-off stays in the same pixel for all steps.
    psf = AngleSelectivePsf(shape=shape)
    operator = projector(boundary, sensors=1, psf=psf)
    layers = random_layers(11, 2, 1, *SMALL)
    weights = random_layers(12, 2, 1, *SMALL) - 0.5
    half_angle_deg = torch.full((2,), 18.0, dtype=torch.float64)  # per sample: without the series

    def seen(value: Tensor) -> Tensor:
        captures = operator.A(layers, value[:, None], half_angle_deg=half_angle_deg)
        assert isinstance(captures, Tensor)
        return (captures * weights).sum(dim=(-3, -2, -1))

    value = torch.tensor([at_um, 1.02 * at_um], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(seen(value).sum(), value)
    with torch.no_grad():
        difference = (seen(value + 4.0) - seen(value - 4.0)) / 8.0
    assert float((slope - difference).abs().max()) < 1e-2 * float(difference.abs().max())


@pytest.mark.parametrize("psf", PSFS.values(), ids=PSFS)
def test_derivatives_are_finite_where_layers_of_any_psf_touch_a_sensor(psf: Psf) -> None:
    for registration in (Registration(), TURNED):
        z = torch.tensor([0.0, 300.0], requires_grad=True)
        operator = projector(psf=psf, registration=registration, gap_um=300.0)
        operator.A(torch.ones(2, 5, 5), z).square().sum().backward()
        assert torch.isfinite(z.grad).all()


def test_a_projection_that_stays_can_be_differentiated_in_layers_again_and_again() -> None:
    operator = projector()
    z = torch.tensor([[100.0, 700.0]], dtype=torch.float64)
    projection = operator.at(z, (6, 7))
    layers = random_layers(17, 1, 2, 6, 7).requires_grad_()
    for _ in range(2):
        (slope,) = torch.autograd.grad(projection.A(layers).square().sum() / 2, layers)
        expected = operator.A_adjoint(operator.A(layers, z), z)
        torch.testing.assert_close(slope, expected.detach(), rtol=1e-9, atol=1e-15)


def test_derivatives_are_finite_where_a_layer_touches_a_sensor() -> None:
    z = torch.tensor([0.0, GAP_UM], requires_grad=True)
    half_angle_deg = torch.tensor(18.0, requires_grad=True)
    projector().A(torch.ones(2, *SMALL), z, half_angle_deg=half_angle_deg).sum().backward()
    assert torch.isfinite(z.grad).all()
    assert torch.isfinite(half_angle_deg.grad)
