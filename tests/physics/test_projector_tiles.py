"""The projector with every instrument it knows: tiles, batches and the adjoint."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fociscope.imager import (
    AngleSelectivePsf,
    Boundary,
    GaussianPsf,
    Imager,
    LayerProjector,
    MeasuredPsf,
    Psf,
    Registration,
    Tissue,
)

BOUNDARIES: list[Boundary] = ["zero", "reflect"]
#: A thin one, whose kernels are narrow and soon computed.
GAP_UM = 250.0
#: Working memory too small for any frame: everything that can be cut up is.
LITTLE = 1
MEASURED_AT_UM = np.linspace(0.0, GAP_UM, 11)

PSFS: dict[str, Psf] = {
    "plain": AngleSelectivePsf(),
    "kinked": AngleSelectivePsf(shape="raised-cosine", base_blur_um=30.0),
    "covered": AngleSelectivePsf(cover_um=50.0, fill_factor=0.5),
    "scattering": AngleSelectivePsf(
        tissue=Tissue(reduced_scattering_per_mm=0.3, attenuation_per_mm=1.0)
    ),
    "gaussian": GaussianPsf(base_blur_um=10.0),
    "measured": MeasuredPsf.from_stack(
        AngleSelectivePsf().kernel(MEASURED_AT_UM, 55.0, radius_px=9), MEASURED_AT_UM, 55.0
    ),
}
REGISTRATIONS: dict[str, Registration] = {
    "as A": Registration(),
    "shifted": Registration(shift_um=(30.0, -81.0)),
    "turned": Registration(shift_um=(-20.0, 44.0), rotation_deg=7.0, scale=1.04),
}


def projector(memory_bytes: int = 2**28, **changes: Any) -> LayerProjector:
    return LayerProjector(
        Imager.reference().with_(gap_um=GAP_UM).with_(gap_um=GAP_UM, **changes),
        memory_bytes=memory_bytes,
    )


def random(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def depths(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Different depths, both sensors' own planes among them."""
    count = int(np.prod(shape))
    return GAP_UM * torch.linspace(0, 1, count, dtype=dtype)[torch.randperm(count)].reshape(shape)


def is_adjoint(
    operator: LayerProjector, frame: tuple[int, int], dtype: torch.dtype, **psf: Tensor
) -> None:
    x = random(1, 2, 3, *frame, dtype=dtype)
    y = random(2, 2, operator.imager.sensors, *frame, dtype=dtype)
    z = depths(2, 3, dtype=dtype)
    ahead, back = operator.A(x, z, **psf), operator.A_adjoint(y, z, **psf)
    assert isinstance(ahead, Tensor)
    assert isinstance(back, Tensor)
    assert ahead.dtype == back.dtype == dtype
    assert ahead.shape == y.shape
    assert back.shape == x.shape
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    assert abs(float((ahead * y).sum() - (x * back).sum())) < tolerance * float(
        ahead.norm() * y.norm()
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("registration", REGISTRATIONS.values(), ids=REGISTRATIONS)
@pytest.mark.parametrize("psf", PSFS.values(), ids=PSFS)
def test_the_adjoint_identity_of_every_instrument(
    psf: Psf, registration: Registration, boundary: Boundary, dtype: torch.dtype
) -> None:
    changes = {
        "psf": psf,
        "registration": registration,
        "boundary": boundary,
        "sensor_gains": (1.5, 0.7),
    }
    is_adjoint(projector(**changes), (6, 9), dtype)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("sensors", [1, 2])
@pytest.mark.parametrize("registration", REGISTRATIONS.values(), ids=REGISTRATIONS)
@pytest.mark.parametrize("frame", [(70, 131), (64, 64), (1, 90)], ids=str)
def test_the_adjoint_identity_in_tiles(
    frame: tuple[int, int], registration: Registration, sensors: int, boundary: Boundary
) -> None:
    operator = projector(LITTLE, registration=registration, boundary=boundary, sensors=sensors)
    is_adjoint(operator, frame, torch.float64)


@pytest.mark.parametrize("registration", REGISTRATIONS.values(), ids=REGISTRATIONS)
@pytest.mark.parametrize("name", ["plain", "gaussian"])
def test_the_adjoint_identity_with_parameters_per_sample(
    name: str, registration: Registration
) -> None:
    psf = {"base_blur_um": torch.tensor([0.0, 66.0], dtype=torch.float64)}
    if name == "plain":
        psf["half_angle_deg"] = torch.tensor([12.5, 24.0], dtype=torch.float64)
    else:
        psf["spread"] = torch.tensor([0.1, 0.4], dtype=torch.float64)
    is_adjoint(projector(psf=PSFS[name], registration=registration), (20, 13), torch.float64, **psf)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("registration", REGISTRATIONS.values(), ids=REGISTRATIONS)
@pytest.mark.parametrize("frame", [(70, 131), (150, 30)], ids=str)
def test_tiles_make_no_difference(
    frame: tuple[int, int], registration: Registration, boundary: Boundary
) -> None:
    changes: dict[str, Any] = {"registration": registration, "boundary": boundary}
    layers, z = random(3, 2, 2, *frame), depths(2, 2)
    whole, tiled = projector(**changes), projector(LITTLE, **changes)
    torch.testing.assert_close(tiled.A(layers, z), whole.A(layers, z), rtol=0, atol=1e-13)
    torch.testing.assert_close(
        tiled.A_adjoint(layers, z), whole.A_adjoint(layers, z), rtol=0, atol=1e-13
    )


def test_a_megapixel_frame_in_little_memory() -> None:
    layers = random(4, 2, 1024, 1024, dtype=torch.float32)
    z = torch.tensor([50.0, 190.0])
    plenty, little = projector(boundary="reflect"), projector(2**24, boundary="reflect")
    found, expected = little.A(layers, z), plenty.A(layers, z)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("registration", REGISTRATIONS.values(), ids=REGISTRATIONS)
@pytest.mark.parametrize("name", ["plain", "kinked", "measured"])
def test_a_scene_is_the_same_whatever_its_neighbours(
    name: str, registration: Registration, boundary: Boundary
) -> None:
    """To single rounding: matrix products of other sizes may be summed in another order."""
    operator = projector(psf=PSFS[name], registration=registration, boundary=boundary)
    for count in (1, 2):
        layers = random(5, 20, count, 16, 16, dtype=torch.float32)
        z = depths(20, count, dtype=torch.float32)
        together = operator.A(layers, z)
        for scenes in (slice(0, 1), slice(3, 4), slice(3, 12), slice(17, 20)):
            alone = operator.A(layers[scenes], z[scenes])
            rounding = 3e-7 * float(together.abs().max())
            torch.testing.assert_close(alone, together[scenes], rtol=0, atol=rounding)


def test_a_scene_is_the_same_whatever_its_neighbours_half_angles() -> None:
    """Within its family: kernels then reach as far as those of the widest that may come."""
    operator = LayerProjector(
        Imager.reference().with_(gap_um=GAP_UM), parameter_range=("half_angle_deg", (12.0, 25.0))
    )
    layers, z = random(6, 3, 2, 51, 51), depths(3, 2)
    half_angle_deg = torch.tensor([12.0, 25.0, 18.0], dtype=torch.float64)
    together = operator.A(layers, z, half_angle_deg=half_angle_deg)
    for n in range(3):
        alone = operator.A(layers[n], z[n], half_angle_deg=half_angle_deg[n])
        torch.testing.assert_close(alone, together[n], rtol=0, atol=1e-13)


def test_a_family_is_its_members() -> None:
    operator = LayerProjector(
        Imager.reference().with_(gap_um=GAP_UM), parameter_range=("half_angle_deg", (12.0, 25.0))
    )
    layers, z = torch.rand(3, 2, 51, 51, dtype=torch.float64), depths(3, 2)
    half_angle_deg = torch.tensor([12.0, 16.3, 25.0], dtype=torch.float64)
    found = operator.A(layers, z, half_angle_deg=half_angle_deg)
    expected = LayerProjector(Imager.reference().with_(gap_um=GAP_UM)).A(
        layers, z, half_angle_deg=half_angle_deg
    )
    assert float((found - expected).abs().max()) < 3e-4 * float(expected.max())
    outside = torch.tensor([12.0, 16.3, 30.0], dtype=torch.float64)
    torch.testing.assert_close(
        operator.A(layers, z, half_angle_deg=outside),
        LayerProjector(Imager.reference().with_(gap_um=GAP_UM)).A(
            layers, z, half_angle_deg=outside
        ),
    )


@pytest.mark.parametrize("registration", REGISTRATIONS.values(), ids=REGISTRATIONS)
def test_a_projection_that_stays_is_the_same(registration: Registration) -> None:
    operator = projector(registration=registration)
    layers, z = random(7, 3, 2, 20, 30), depths(3, 2)
    projection = operator.at(z, (20, 30))
    for _ in range(2):
        torch.testing.assert_close(projection.A(layers), operator.A(layers, z), rtol=0, atol=0)
        torch.testing.assert_close(
            projection.A_adjoint(layers), operator.A_adjoint(layers, z), rtol=0, atol=0
        )


def test_gains_multiply() -> None:
    layers, z = random(8, 2, 12, 13), depths(2)
    plain = projector().A(layers, z)
    found = projector(sensor_gains=(2.0, 0.25)).A(layers, z)
    torch.testing.assert_close(found[0], 2 * plain[0])
    torch.testing.assert_close(found[1], plain[1] / 4)
    alone = projector(sensors=1, sensor_gains=(2.0, 0.25)).A(layers, z)
    torch.testing.assert_close(alone, 2 * plain[:1])


def test_a_measured_psf_projects_as_the_kernels_it_was_made_of() -> None:
    layers, z = torch.rand(2, 2, 10, 10, dtype=torch.float64), torch.tensor([[100.0, 140.0]] * 2)
    found = projector(psf=PSFS["measured"]).A(layers, z.double())
    expected = projector().A(layers, z.double())
    assert float((found - expected).abs().max()) < 2e-3 * float(expected.max())
