"""What every registered kind of PSF must satisfy; a kind joins by being registered.

One kind is written here, outside the package, as a plug-in's would be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from pydantic import Field
from torch import Tensor

from fociscope.calibration import calibrate_beads, simulated_stack
from fociscope.errors import ImagerError
from fociscope.figures._psf import draw_psf
from fociscope.figures.calibration import draw_calibration
from fociscope.imager import (
    PSF_KINDS,
    AngleSelectivePsf,
    AngularResponsePsf,
    FitParameter,
    Imager,
    LayerProjector,
    MeasuredPsf,
    Psf,
    radial_pixel_response,
)
from fociscope.imager.psf._base import Blur
from fociscope.networks.conditioning import TabulatedOptics, optics_features
from fociscope.simulation import simulate
from fociscope.training.recipe import Recipe

PITCH_UM = 55.0
DEPTHS_UM = (60.0, 250.0, 700.0)
ENERGIES = (0.2, 0.5, 0.8, 0.95, 0.999)
GAP_UM = 1000.0
#: Of a chip that is most sensitive to oblique light, in air.
RESPONSE = ((0.0, 0.5), (20.0, 0.55), (35.0, 1.0), (50.0, 0.7), (65.0, 0.2), (80.0, 0.0))


class MoffatPsf(Psf):
    """Light that falls as (1 + r^2 / w^2)^-3 from its centre, with w = width * distance."""

    kind: Literal["test-moffat"] = "test-moffat"
    width: float = Field(0.4, gt=0, le=3)
    collected_fraction: float = Field(0.03, gt=0, le=1)

    label: ClassVar[str] = "Moffat"
    fit_parameters: ClassVar[tuple[FitParameter, ...]] = (
        FitParameter("width", 0.05, 3.0, 0.0005, "um/um", label="core width"),
    )
    batched_parameters: ClassVar[tuple[str, ...]] = ("width", "base_blur_um")

    def bare_collection_efficiency(self, distance_um: Tensor) -> Tensor:
        return torch.full_like(distance_um, self.collected_fraction)

    def bare_encircled_radius_um(self, distance_um: float, energy: float) -> float:
        return self.width * distance_um * math.sqrt((1 - energy) ** -0.5 - 1)

    def bare_variance_um2(self, distance_um: float, energy: float) -> float:
        u = (1 - energy) ** -0.5 - 1
        return (self.width * distance_um * u / (1 + u)) ** 2 / (2 * energy)

    def pixel_response(
        self,
        distance_um: Tensor,
        *,
        pixel_pitch_um: float,
        radius_px: int,
        offset_um: tuple[float, float] | None = None,
        **parameters_of_scenes: Tensor,
    ) -> Tensor:
        width = parameters_of_scenes.get("width", self.width)
        w2_um2 = ((width * distance_um) ** 2).clamp(min=1e-12)[..., None, None, None]
        return radial_pixel_response(
            lambda r2_um2: self.collected_fraction * (1 + r2_um2.to(w2_um2) / w2_um2) ** -2,
            torch.full_like(distance_um, self.collected_fraction),
            pixel_pitch_um=pixel_pitch_um,
            radius_px=radius_px,
            offset_um=offset_um,
        )


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    if "test-moffat" not in PSF_KINDS:
        PSF_KINDS.register("test-moffat", MoffatPsf)
    yield
    PSF_KINDS._members.pop("test-moffat")


@cache
def example(kind: str) -> Psf:
    """Return a PSF of a kind; one without defaults takes kernels of a grating."""
    if kind == "measured":
        depth_um = np.arange(0.0, 1050.0, 50.0)
        kernels = AngleSelectivePsf().kernel(depth_um, PITCH_UM, radius_px=30)
        return MeasuredPsf.from_stack(kernels, depth_um, PITCH_UM)
    if kind == "angular-response":
        return AngularResponsePsf(table=RESPONSE)
    return MoffatPsf() if kind == "test-moffat" else PSF_KINDS[kind].model_validate({})


every_kind = pytest.mark.parametrize("kind", [*PSF_KINDS, "test-moffat"])
every_depth = pytest.mark.parametrize("z_um", DEPTHS_UM)


def kernel_of(psf: Psf, z_um: float, pitch_um: float = PITCH_UM, **more: Any) -> np.ndarray:
    """Return a kernel in double precision."""
    return np.asarray(psf.kernel(torch.tensor(z_um, dtype=torch.float64), pitch_um, **more))


def response(psf: Psf, distance_um: Tensor, **more: Any) -> Tensor:
    return psf.pixel_response(distance_um, pixel_pitch_um=PITCH_UM, radius_px=6, **more)


@every_kind
@every_depth
def test_a_kernel_sums_to_the_collection_efficiency(kind: str, z_um: float) -> None:
    psf = example(kind)
    kernel = kernel_of(psf, z_um)
    assert kernel.min() >= -1e-3 * kernel.max()
    assert kernel.sum() == pytest.approx(psf.collection_efficiency(z_um), rel=5e-3)


@every_kind
@every_depth
def test_attenuation_dims_kernels_and_efficiency_alike(kind: str, z_um: float) -> None:
    clear = example(kind)
    dim = clear.with_(tissue={"attenuation_per_mm": 2.0})
    factor = math.exp(-2.0 * z_um / 1000)
    assert dim.collection_efficiency(z_um) == pytest.approx(
        factor * clear.collection_efficiency(z_um), rel=1e-9
    )
    kernels = [kernel_of(p, z_um, radius_px=8) for p in (clear, dim)]
    np.testing.assert_allclose(kernels[1], factor * kernels[0], rtol=1e-9, atol=1e-15)


@every_kind
@every_depth
@pytest.mark.parametrize("base_blur_um", [0.0, 40.0])
def test_a_kernel_is_the_inverse_transform_of_the_transfer_function(
    kind: str, z_um: float, base_blur_um: float
) -> None:
    psf, side = example(kind).with_(base_blur_um=base_blur_um), 128
    transfer = psf.transfer(
        torch.tensor(z_um, dtype=torch.float64),
        pixel_pitch_um=PITCH_UM, radius_px=30, grid=(side, side),
    )  # fmt: skip
    image = torch.fft.irfft2(transfer, s=(side, side)).roll((30, 30), (0, 1))[:61, :61]
    kernel = kernel_of(psf, z_um, radius_px=30)
    # A blur of a cut kernel takes light over its edge, a blur of a wider one does not.
    edge = 1e-9 if base_blur_um == 0 else 1e-3
    np.testing.assert_allclose(image.numpy(), kernel, rtol=0, atol=edge * kernel.max())


@every_kind
@every_depth
def test_symmetry_is_declared_truthfully(kind: str, z_um: float) -> None:
    psf = example(kind)
    distance_um = torch.tensor(z_um, dtype=torch.float64)
    window = response(psf, distance_um, offset_um=(0.0, 0.0))
    assert window.shape == (13, 13)
    tolerance = {"rtol": 0, "atol": 2e-4 * psf.collection_efficiency(z_um)}
    alone = response(psf, distance_um)
    if psf.symmetric:
        torch.testing.assert_close(window, window.flip(0), **tolerance)
        torch.testing.assert_close(window, window.flip(1), **tolerance)
        torch.testing.assert_close(alone, window[6:, 6:], **tolerance)
    else:
        torch.testing.assert_close(alone, window, **tolerance)
    if psf.radial:
        torch.testing.assert_close(window, window.T, **tolerance)


@every_kind
@every_depth
def test_encircled_radii_grow_with_energy_and_hold_it(kind: str, z_um: float) -> None:
    psf = example(kind)
    radii_um = [psf.encircled_radius_um(z_um, energy) for energy in ENERGIES]
    assert all(b >= a > 0 for a, b in pairwise(radii_um))
    blurred = psf.with_(base_blur_um=30.0, tissue={"reduced_scattering_per_mm": 0.5})
    for energy, radius_um in zip(ENERGIES, radii_um, strict=True):
        bare_um = psf.bare_encircled_radius_um(z_um, energy)
        assert bare_um == pytest.approx(blurred.bare_encircled_radius_um(z_um, energy), rel=1e-9)
        assert radius_um == pytest.approx(bare_um, rel=1e-9)
        added_um2 = -2 * math.log(1 - energy) * (30.0**2 + 0.5e-3 * z_um**3 / 3)
        expected_um = math.sqrt(bare_um**2 + added_um2)
        assert blurred.encircled_radius_um(z_um, energy) == pytest.approx(expected_um, rel=1e-9)


@every_kind
@every_depth
def test_the_variance_is_the_kernels_second_moment(kind: str, z_um: float) -> None:
    """On pixels so fine, and within a circle so wide, that neither matters much."""
    psf, energy = example(kind), 0.95
    radius_um = psf.encircled_radius_um(z_um, energy)
    pitch_um = PITCH_UM if kind == "measured" else radius_um / 40
    kernel = kernel_of(psf, z_um, pitch_um, radius_px=math.ceil(radius_um / pitch_um) + 1)
    axis_um = (np.arange(len(kernel)) - len(kernel) // 2) * pitch_um
    r2_um2 = axis_um[:, None] ** 2 + axis_um[None] ** 2
    inside = kernel * (r2_um2 <= radius_um**2)
    moment_um2 = float((inside * r2_um2).sum() / inside.sum() / 2) - pitch_um**2 / 12
    # Measured kernels are cut where mostly noise is left.
    allowed = {"rel": 0.06, "abs": 300.0} if kind == "measured" else {"rel": 0.03}
    assert psf.variance_um2(z_um, energy) == pytest.approx(moment_um2, **allowed)


@every_kind
def test_differentiability_is_declared_truthfully(kind: str) -> None:
    psf = example(kind)
    distance_um = torch.tensor([120.0, 400.0], dtype=torch.float64, requires_grad=True)
    shares = response(psf, distance_um)
    assert shares.requires_grad == psf.differentiable
    if psf.differentiable:
        (slope,) = torch.autograd.grad(shares[..., 0, 0].sum(), distance_um)
        step_um = 0.01
        ahead, behind = (
            response(psf, distance_um.detach() + s)[..., 0, 0] for s in (step_um, -step_um)
        )
        torch.testing.assert_close(slope, (ahead - behind) / (2 * step_um), rtol=1e-3, atol=0)


@every_kind
def test_parameters_of_scenes_are_those_of_a_psf_with_them(kind: str) -> None:
    psf = example(kind)
    for name in psf.batched_parameters:
        value = 1.1 * getattr(psf, name) + 1e-3
        expected = psf.with_(**{name: value}).transfer(
            torch.tensor([200.0], dtype=torch.float64),
            pixel_pitch_um=PITCH_UM, radius_px=8, grid=(32, 32),
        )  # fmt: skip
        batched = psf.transfer(
            torch.tensor([200.0], dtype=torch.float64),
            pixel_pitch_um=PITCH_UM, radius_px=8, grid=(32, 32),
            **{name: torch.tensor([value], dtype=torch.float64)},
        )  # fmt: skip
        torch.testing.assert_close(batched, expected, rtol=1e-6, atol=1e-9)


@every_kind
def test_the_depth_range_is_honoured(kind: str) -> None:
    psf = example(kind)
    least_um, most_um = psf.depth_range_um
    with pytest.raises(ImagerError, match="known for depths"):
        psf.kernel(least_um - 1.0, PITCH_UM)
    if math.isfinite(most_um):
        with pytest.raises(ImagerError, match="known for depths"):
            psf.kernel(most_um + 1.0, PITCH_UM)


@every_kind
def test_an_imagers_file_reads_back(kind: str, tmp_path: Path) -> None:
    imager = Imager(name="chip", psf=example(kind).with_(base_blur_um=3.0))
    imager.to_toml(tmp_path / "chip.toml")
    again = Imager.from_toml(tmp_path / "chip.toml")
    assert again == imager
    assert hash(again) == hash(imager)
    assert Imager.model_validate_json(imager.model_dump_json()) == imager


@every_kind
@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_projector_and_adjoint_belong_together(kind: str, boundary: str) -> None:
    projector = LayerProjector(Imager(psf=example(kind), boundary=boundary))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    layers = torch.rand(2, 3, 16, 17, generator=generator, dtype=torch.float64)
    captures = torch.rand(2, 2, 16, 17, generator=generator, dtype=torch.float64)
    depth_um = torch.tensor([[100.0, 420.0, 777.0], [50.0, 333.0, 900.0]], dtype=torch.float64)
    seen, back = projector.A(layers, depth_um), projector.A_adjoint(captures, depth_um)
    assert float((seen * captures).sum()) == pytest.approx(float((layers * back).sum()), rel=1e-9)


@every_kind
def test_any_kind_is_simulated_conditioned_on_and_drawn(kind: str) -> None:
    imager = Imager(psf=example(kind))
    captures = simulate(1, seed=0, layers=2, imager=imager).captures
    assert np.isfinite(captures).all()
    assert torch.isfinite(optics_features(imager)).all()
    figure = draw_psf(imager)
    assert figure._suptitle.get_text() == (imager.psf.label or kind)  # type: ignore[attr-defined]


@every_kind
def test_a_kinds_declarations_name_its_fields(kind: str) -> None:
    psf = example(kind)
    assert psf.kind == kind
    fields = set(type(psf).model_fields)
    assert set(psf.batched_parameters) <= fields
    assert set(psf.integrated_blurs) <= set(Blur.__args__)
    for one in psf.fit_parameters:
        assert one.name in fields - {"base_blur_um"}
        assert one.lower < getattr(psf, one.name) < one.upper
        for bound in (one.lower, one.upper):
            psf.with_(**{one.name: bound})


@pytest.mark.parametrize(
    "kind", [*(name for name, one in PSF_KINDS.items() if one.fit_parameters), "test-moffat"]
)
def test_beads_give_the_parameters_that_a_kind_declares(kind: str) -> None:
    psf = example(kind)
    (parameter,) = psf.fit_parameters[:1]
    true = psf.with_(**{parameter.name: 0.85 * getattr(psf, parameter.name), "base_blur_um": 15.0})
    imager = Imager(sensors=1, frame_px=(31, 31), psf=psf)
    stack = simulated_stack(
        imager.with_(psf=true), [[10.0, -15.0]], [50.0, 150.0, 250.0], peak_snr_db=40.0
    )
    found = calibrate_beads(stack, imager=imager, model=kind)
    value = found.estimates[parameter.name]
    assert value.unit == parameter.unit
    assert value.value == pytest.approx(getattr(true, parameter.name), abs=4 * value.std)
    assert value.std < 0.05 * value.value
    assert found.imager.psf.kind == kind
    assert getattr(found.imager.psf, parameter.name) == value.value
    texts = [text.get_text() for axes in draw_calibration(found).axes for text in axes.texts]
    assert parameter.label in texts


def test_a_projector_is_differentiated_in_an_outside_kinds_parameter() -> None:
    projector = LayerProjector(
        Imager(sensors=1, psf=MoffatPsf()), parameter_range=("width", (0.2, 0.6))
    )
    layers = torch.zeros(1, 1, 15, 15, dtype=torch.float64)
    layers[..., 7, 7] = 1.0
    depth_um = torch.tensor([[200.0]], dtype=torch.float64)

    def middle(width: Tensor) -> Tensor:
        return projector.A(layers, depth_um, width=width)[0, 0, 7, 7]

    width = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(middle(width), width)
    with torch.no_grad():
        expected = (middle(width + 1e-4) - middle(width - 1e-4)) / 2e-4
    assert float(slope) == pytest.approx(float(expected), rel=1e-3)


def test_features_are_tabulated_over_an_outside_kinds_parameter() -> None:
    imager = Imager(psf=MoffatPsf())
    tabulated = TabulatedOptics(imager, (0.2, 0.6), "width")
    found = tabulated(torch.tensor([0.33]), torch.tensor([0.5]))
    psf = MoffatPsf(width=0.33, base_blur_um=0.5 * PITCH_UM)
    expected = optics_features(imager.with_(psf=psf))
    torch.testing.assert_close(found[0], expected, rtol=0, atol=5e-3)


def test_a_parameter_that_a_kind_does_not_take_by_scene_is_refused() -> None:
    with pytest.raises(ImagerError, match=r"differs from scene to scene .*half_angle_deg"):
        TabulatedOptics(Imager(psf=MoffatPsf()), (14.0, 22.0))


def test_a_recipe_says_that_training_needs_half_angles() -> None:
    with pytest.raises(ValueError, match=r"angle-selective; got test-moffat"):
        Recipe.model_validate(
            {
                "name": "outside",
                "imager": {"psf": {"kind": "test-moffat"}},
                "optimisation": {"steps": 1},
            }
        )


def test_a_kind_that_declares_nothing_to_fit_is_refused_by_name() -> None:
    class BlurOnly(MoffatPsf):
        fit_parameters: ClassVar[tuple[FitParameter, ...]] = ()

    PSF_KINDS.register("test-moffat", BlurOnly, replace=True)
    stack = simulated_stack(Imager(sensors=1), [[0.0, 0.0]], [50.0, 150.0, 250.0])
    with pytest.raises(ImagerError, match="declares no parameters to fit") as refused:
        calibrate_beads(stack, model="test-moffat")
    assert set(refused.value.choices) == {
        "angle-selective",
        "angular-response",
        "gaussian",
        "measured",
    }


def test_an_unknown_model_is_refused_with_the_names() -> None:
    stack = simulated_stack(Imager(sensors=1), [[0.0, 0.0]], [50.0, 150.0, 250.0])
    with pytest.raises(ImagerError, match="no kind of PSF 'gausian'; did you mean gaussian"):
        calibrate_beads(stack, model="gausian")
