"""The projector's derivatives against finite differences."""

import pytest
import torch
from torch import Tensor

from fociscope.imager import Boundary, Imager, LayerProjector

BOUNDARIES: list[Boundary] = ["zero", "surround"]
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


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    ("name", "at", "step"),
    [("depth_um", 225.0, 4.0), ("depth_um", 640.0, 4.0), ("half_angle_deg", 18.0, 0.05),
     ("base_blur_um", 40.0, 0.05)],
)  # fmt: skip
def test_derivatives_in_depth_and_psf(
    name: str, at: float, step: float, boundary: Boundary
) -> None:
    """Automatic differentiation against differences.

    Depth moves along a table of 2048 steps of cos theta that is interpolated linearly. Its
    derivative is that of one straight piece, off by half a step times the curvature, while a
    difference over +-4 um averages many pieces: they agree within 1 % of the larger one. The other
    parameters do not move along the table: theirs agree to the error of the difference.
    """
    # With one sensor, at these depths, the kernel's cut-off stays in the same pixel for all steps.
    operator = projector(boundary, sensors=1)
    layers = random_layers(11, 2, 1, *SMALL)
    weights = random_layers(12, 2, 1, *SMALL) - 0.5

    def seen(value: Tensor) -> Tensor:
        still = torch.full((2, 1), 640.0, dtype=torch.float64)
        if name == "depth_um":
            captures = operator.A(layers, value[:, None])
        else:
            captures = operator.A(layers, still, **{name: value})
        assert isinstance(captures, Tensor)
        return (captures * weights).sum(dim=(-3, -2, -1))

    value = torch.tensor([at, 1.02 * at], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(seen(value).sum(), value)
    with torch.no_grad():
        difference = (seen(value + step) - seen(value - step)) / (2 * step)
    tolerance = 1e-2 if name == "depth_um" else 1e-4
    assert float((slope - difference).abs().max()) < tolerance * float(difference.abs().max())


def test_derivatives_are_finite_where_a_layer_touches_a_sensor() -> None:
    z = torch.tensor([0.0, GAP_UM], requires_grad=True)
    half_angle_deg = torch.tensor(18.0, requires_grad=True)
    projector().A(torch.ones(2, *SMALL), z, half_angle_deg=half_angle_deg).sum().backward()
    assert torch.isfinite(z.grad).all()
    assert torch.isfinite(half_angle_deg.grad)
