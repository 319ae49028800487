"""The projector against its adjoint, direct convolutions and energy balances."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from torch import Tensor

from fociscope.errors import ImagerError
from fociscope.imager import Boundary, Imager, LayerProjector
from fociscope.imager.psf import KERNEL_ENERGY

FRAMES = [(51, 51), (36, 80), (33, 47), (8, 8), (9, 40)]
BOUNDARIES: list[Boundary] = ["zero", "reflect"]
GAP_UM = 1000.0
WHOLE = Imager.reference().psf.collection_efficiency()
#: What a cut-off kernel may lose of one layer's light.
LOSS = (1 - KERNEL_ENERGY) * WHOLE
#: What the series of kernels over depth may be off, in L1.
SERIES = 2e-4 * WHOLE
#: Light from farther away than this is not followed in `reflect`.
FARTHEST_FRAMES = 2
#: A frame so small that every kernel reaches beyond it, so that none is cut off within.
SMALL = (12, 12)

Image = NDArray[np.float64]


def projector(boundary: Boundary = "zero", **changes: object) -> LayerProjector:
    return LayerProjector(Imager.reference().with_(boundary=boundary, **changes))


def depths(layers: int) -> list[float]:
    """Depths that include both sensors' own planes."""
    return [421.0, 0.0, GAP_UM, 250.0, 733.0, 55.0][:layers]


def random_layers(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def convolved(layer: Image, distance_um: float, boundary: Boundary, energy: float) -> Image:
    """One layer as one sensor sees it, convolved directly."""
    kernel = np.asarray(Imager.reference().psf.kernel(np.array(distance_um), 55.0, energy=energy))
    if boundary == "zero":
        return np.asarray(fftconvolve(layer, kernel, mode="same"))
    beyond = max(0, len(kernel) // 2 - FARTHEST_FRAMES * max(layer.shape))
    kernel = kernel[beyond : len(kernel) - beyond, beyond : len(kernel) - beyond]
    mirrored = np.pad(layer, len(kernel) // 2, mode="symmetric")
    return np.asarray(fftconvolve(mirrored, kernel, mode="valid"))


# --- the adjoint --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["f32", "f64"]
)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("sensors", [1, 2])
@pytest.mark.parametrize("layers", [1, 3, 6])
@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_the_adjoint_identity(
    frame: tuple[int, int],
    layers: int,
    sensors: int,
    boundary: Boundary,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    operator = projector(boundary, sensors=sensors)
    rng = torch.Generator().manual_seed(layers)
    x = torch.randn(2, layers, *frame, generator=rng, dtype=dtype)
    y = torch.randn(2, sensors, *frame, generator=rng, dtype=dtype)
    z = torch.tensor([depths(layers)[::-1], depths(layers)], dtype=dtype)
    psf = {
        "half_angle_deg": torch.tensor([12.5, 24.0], dtype=dtype),
        "base_blur_um": torch.tensor([0.0, 66.0], dtype=dtype),
    }
    ahead, back = operator.A(x, z, **psf), operator.A_adjoint(y, z, **psf)
    assert isinstance(ahead, Tensor)
    assert isinstance(back, Tensor)
    assert ahead.dtype == back.dtype == dtype
    assert ahead.shape == y.shape
    assert back.shape == x.shape
    # The products nearly cancel by chance, so rounding is held against their size.
    size = float(ahead.norm() * y.norm())
    assert abs(float((ahead * y).sum() - (x * back).sum())) < tolerance * size


# --- direct convolutions ------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("frame", FRAMES, ids=str)
@pytest.mark.parametrize("z_um", [0.0, 60.0, 300.0, 800.0])
def test_one_layer_is_convolved_with_the_kernel_of_its_depth(
    z_um: float, frame: tuple[int, int], boundary: Boundary
) -> None:
    layer = random_layers(0, 1, *frame).numpy()
    # With its depth for a gap, the kernel is cut off where `kernel` cuts it: only the series
    # over depth stands between them.
    found = projector(boundary, sensors=1, gap_um=max(z_um, 1.0)).A(layer, np.array([z_um]))
    expected = convolved(layer[0], z_um, boundary, KERNEL_ENERGY)
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=SERIES)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_sensors_sum_the_layers_at_their_distances(
    frame: tuple[int, int], boundary: Boundary
) -> None:
    layers = random_layers(1, 3, *frame).numpy()
    z_um = [130.0, 420.0, 890.0]
    found = projector(boundary).A(layers, np.array(z_um))
    for sensor, distances in enumerate([z_um, [GAP_UM - z for z in z_um]]):
        expected = sum(
            convolved(layer, distance, boundary, energy=0.99999)
            for layer, distance in zip(layers, distances, strict=True)
        )
        np.testing.assert_allclose(found[sensor], expected, rtol=0, atol=3 * LOSS)


# --- energy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_a_uniform_layer_surrounded_by_its_like_gives_a_uniform_capture(
    frame: tuple[int, int],
) -> None:
    layers = np.ones((2, *frame)) * np.array([[[1.0]], [[3.0]]])
    found = projector("reflect").A(layers, np.array([200.0, 900.0]))
    assert np.ptp(found, axis=(-2, -1)).max() < 1e-12
    assert found.max() <= 4 * (WHOLE + SERIES)
    if max(frame) * FARTHEST_FRAMES > 28:  # pixels that the widest kernel reaches
        assert found.min() >= 4 * (WHOLE - LOSS - SERIES)


def test_surrounded_tissue_keeps_its_light_whatever_it_looks_like() -> None:
    layers = random_layers(2, 4, 33, 47).numpy()
    found = projector("reflect").A(layers, np.array([0.0, 300.0, 600.0, GAP_UM]))
    expected = layers.sum() * WHOLE
    for capture in found:
        assert (1 - 1.2e-3) * expected <= capture.sum() <= (1 + 2e-4) * expected


def test_in_the_dark_nothing_is_lost_far_from_the_edges() -> None:
    layers = np.zeros((1, 51, 51))
    layers[0, 20:31, 20:31] = random_layers(3, 11, 11).numpy()
    share = projector(sensors=1).A(layers, np.array([150.0])).sum() / (layers.sum() * WHOLE)
    assert 1 - 1.2e-3 <= share <= 1 + 2e-4


def test_in_the_dark_an_emitter_gives_the_same_image_wherever_it_lies() -> None:
    operator, z = projector(sensors=1), np.array([600.0])
    middle, corner = np.zeros((2, 1, 51, 51))
    middle[0, 25, 25] = corner[0, 0, 50] = 1
    np.testing.assert_allclose(
        operator.A(corner, z)[0, :26, 25:], operator.A(middle, z)[0, 25:, :26], atol=1e-15
    )


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_layer_on_a_sensor_is_its_image(boundary: Boundary) -> None:
    layers = random_layers(4, 1, 9, 13).numpy()
    on_a, on_b = (projector(boundary).A(layers, np.array([z])) for z in (0.0, GAP_UM))
    np.testing.assert_allclose(on_a[0], WHOLE * layers[0], rtol=0, atol=SERIES)
    np.testing.assert_allclose(on_b[1], WHOLE * layers[0], rtol=0, atol=SERIES)


# --- linear, symmetric, sample by sample --------------------------------------------------------


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_it_is_linear_in_the_layers(boundary: Boundary) -> None:
    operator = projector(boundary)
    x, y = random_layers(5, 2, 3, 20, 30).unbind()
    z = torch.tensor([100.0, 400.0, 900.0], dtype=torch.float64)
    torch.testing.assert_close(
        operator.A(2 * x - 5 * y, z), 2 * operator.A(x, z) - 5 * operator.A(y, z)
    )


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_sensor_b_sees_from_the_other_side(boundary: Boundary) -> None:
    operator = projector(boundary)
    layers = random_layers(6, 4, 36, 40)
    z = torch.tensor([125.0, 250.0, 500.0, 937.5], dtype=torch.float64)
    straight, turned = operator.A(layers, z), operator.A(layers, GAP_UM - z)
    torch.testing.assert_close(straight.flip(0), turned, rtol=1e-12, atol=1e-15)
    assert float((straight[0] - straight[1]).abs().max()) > 1e-3


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_it_commutes_with_reflections_and_turns(boundary: Boundary) -> None:
    operator = projector(boundary)
    layers, z = random_layers(7, 2, 24, 24), torch.tensor([90.0, 610.0], dtype=torch.float64)
    seen = operator.A(layers, z)
    for move in (lambda t: t.flip(-1), lambda t: t.flip(-2), lambda t: t.transpose(-1, -2)):
        torch.testing.assert_close(operator.A(move(layers), z), move(seen), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("frame", [SMALL, (51, 51)], ids=str)
def test_a_batch_is_its_samples_each_with_its_own_depths_and_psf(
    frame: tuple[int, int], boundary: Boundary
) -> None:
    operator = projector(boundary)
    layers = random_layers(8, 3, 2, *frame)
    z = torch.tensor([[20.0, 400.0], [333.0, 999.0], [700.0, 800.0]], dtype=torch.float64)
    half_angle_deg = torch.tensor([12.0, 18.0, 25.0], dtype=torch.float64)
    base_blur_um = torch.tensor([0.0, 30.0, 66.0], dtype=torch.float64)
    together = operator.A(layers, z, half_angle_deg=half_angle_deg, base_blur_um=base_blur_um)
    for i in range(3):
        psf = operator.imager.psf.model_copy(
            update={
                "half_angle_deg": float(half_angle_deg[i]),
                "base_blur_um": float(base_blur_um[i]),
            }
        )
        own = LayerProjector(operator.imager.with_(psf=psf)).A(layers[i], z[i])
        # In one batch all kernels are as wide as the widest. In the dark of a small frame, none
        # is cut off; elsewhere the own, narrower one may lose its share.
        exact = boundary == "zero" and frame == SMALL
        loss = 0.0 if exact else 2 * (1 - KERNEL_ENERGY)
        allowed = (loss + 2 * 2e-4) * psf.collection_efficiency()
        assert float((together[i] - own).abs().max()) < allowed


def test_leading_axes_are_all_batch() -> None:
    operator = projector()
    layers = random_layers(9, 2, 3, 2, *SMALL)
    z = torch.linspace(0, GAP_UM, 12, dtype=torch.float64).reshape(2, 3, 2)
    captures = operator.A(layers, z)
    assert captures.shape == (2, 3, 2, *SMALL)
    flat = operator.A(layers.flatten(0, 1), z.flatten(0, 1))
    torch.testing.assert_close(captures.flatten(0, 1), flat)
    back = operator.A_adjoint(captures, z)
    assert back.shape == layers.shape
    torch.testing.assert_close(
        back.flatten(0, 1), operator.A_adjoint(captures.flatten(0, 1), z.flatten(0, 1))
    )


# --- at the door --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_stays_numpy(dtype: Any) -> None:
    operator = projector()
    layers = np.ones((2, 9, 9), dtype)
    captures = operator.A(layers, [100.0, 500.0])
    assert isinstance(captures, np.ndarray)
    assert captures.dtype == dtype
    back = operator.A_adjoint(captures, np.array([100.0, 500.0]))
    assert isinstance(back, np.ndarray)
    assert back.dtype == dtype
    as_tensors = operator.A(torch.from_numpy(layers), torch.tensor([100.0, 500.0]))
    assert isinstance(as_tensors, Tensor)
    assert np.array_equal(as_tensors.numpy(), captures)


def refuses(words: list[str], call: Any, *arrays: Any, **psf: Any) -> None:
    with pytest.raises(ImagerError) as caught:
        call(*arrays, **psf)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_shapes_that_do_not_fit_are_named() -> None:
    operator = projector()
    ahead, back = operator.A, operator.A_adjoint
    refuses(["(9, 9)"], ahead, np.ones((9, 9)), np.array([1.0]))
    refuses(["(3, 2, 9, 9)", "(3, 2)", "(2,)"], ahead, np.ones((3, 2, 9, 9)), np.ones(2))
    refuses(["(2, 9, 9)", "(2,)", "(3,)"], ahead, np.ones((2, 9, 9)), np.ones(3))
    refuses(["(3, 9, 9)", "2 sensor"], back, np.ones((3, 9, 9)), np.ones(1))
    refuses(["(9, 9)", "2 sensor"], back, np.ones((9, 9)), np.ones(1))
    refuses(["(4, 2, 9, 9)", "(3, 2)"], back, np.ones((4, 2, 9, 9)), np.ones((3, 2)))


@pytest.mark.parametrize("z_um", [-1.0, 1001.0, np.nan, np.inf])
def test_depths_outside_the_gap_are_refused(z_um: float) -> None:
    operator = projector()
    z = np.array([500.0, z_um])
    refuses(["0 to 1000 µm", f"{z_um:g}"], operator.A, np.ones((2, 9, 9)), z)
    refuses(["0 to 1000 µm", f"{z_um:g}"], operator.A_adjoint, np.ones((2, 9, 9)), z)


def test_a_depth_that_single_precision_rounds_beyond_the_gap_is_the_gap() -> None:
    operator = projector(gap_um=333.3)
    z = np.nextafter(np.float32(333.3), np.float32(400))
    layer = np.ones((1, *SMALL), np.float32)
    captures = operator.A(layer, np.array([z]))
    np.testing.assert_allclose(captures, operator.A(layer, np.array([333.3])), rtol=1e-5)
    assert np.isfinite(captures).all()


def test_unknown_psf_parameters_are_named() -> None:
    operator, sigma = projector(), torch.tensor(1.0)
    for call, array in ((operator.A, np.ones((1, 9, 9))), (operator.A_adjoint, np.ones((2, 9, 9)))):
        refuses(["angle-selective", "sigma"], call, array, np.ones(1), sigma=sigma)
