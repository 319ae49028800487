"""The angle-selective point spread function against closed forms and numerical integrals."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, optimize
from scipy.signal import fftconvolve
from scipy.special import erf, ive

from fociscope.errors import ImagerError
from fociscope.imager import AngleSelectivePsf, AngularResponsePsf, Imager, LayerProjector, Psf

PITCH_UM = 55.0
HALF_ANGLES_DEG = [4.0, 8.0, 12.0, 18.0, 25.0, 40.0, 60.0]
TINY_PITCH_UM = 5.0

Kernel = NDArray[np.float64]


def transmission(theta_rad: float, half_angle_deg: float) -> float:
    return float(2.0 ** -((theta_rad / math.radians(half_angle_deg)) ** 2))


def irradiance(r_um: float, z_um: float, half_angle_deg: float) -> float:
    """Per emitted photon (`docs/references.md`): the solid angle of a unit area, times T."""
    solid_angle = z_um / (z_um**2 + r_um**2) ** 1.5
    return solid_angle / (4 * math.pi) * transmission(math.atan2(r_um, z_um), half_angle_deg)


def cone_fraction(theta_rad: float, half_angle_deg: float) -> float:
    """The fraction of an emitter's light that passes T within a cone, in closed form.

    It is 1/2 * integral of exp(-(s t)^2) sin t from 0 to theta, s^2 = ln 2 / (half angle)^2. With
    sin t = Im exp(i t) and (s t)^2 - i t = (s t - i / (2 s))^2 + 1 / (4 s^2), the substitution
    u = s t - i / (2 s) turns it into the error function of a complex argument.
    """
    s = math.sqrt(math.log(2)) / math.radians(half_angle_deg)
    ends = erf(s * theta_rad - 0.5j / s) - erf(-0.5j / s)
    return float((math.exp(-1 / (4 * s**2)) * math.sqrt(math.pi) / (2 * s) * ends).imag / 2)


def kernel(z_um: float, half_angle_deg: float = 18.0, **options: float) -> Kernel:
    """A kernel in double precision."""
    pitch_um = options.pop("pitch_um", PITCH_UM)
    base_blur_um = options.pop("base_blur_um", 0.0)
    psf = AngleSelectivePsf(half_angle_deg=half_angle_deg, base_blur_um=base_blur_um)
    result = psf.kernel(np.array(z_um), pitch_um, **options)
    assert isinstance(result, np.ndarray)
    assert result.dtype == np.float64
    return result


def centroid_px(image: Kernel) -> NDArray[np.float64]:
    return np.array([(image * axis).sum() / image.sum() for axis in np.indices(image.shape)])


def variance_px2(image: Kernel) -> NDArray[np.float64]:
    y, x = centroid_px(image)
    axes = np.indices(image.shape)
    return np.array([(image * (axes[i] - c) ** 2).sum() / image.sum() for i, c in ((0, y), (1, x))])


# --- energy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("half_angle_deg", HALF_ANGLES_DEG)
def test_the_energy_fraction_is_the_closed_form(half_angle_deg: float) -> None:
    expected = cone_fraction(math.pi / 2, half_angle_deg)
    found = AngleSelectivePsf(half_angle_deg=half_angle_deg).collection_efficiency()
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("half_angle_deg", "energy"),
    [(4.0, 0.99999), (12.0, 0.99999), (18.0, 0.99999), (25.0, 0.9999), (18.0, 0.999), (18.0, 0.5)],
)
@pytest.mark.parametrize("z_um", [0.0, 5.0, 50.0, 300.0, 800.0])
def test_a_kernel_holds_the_energy_it_is_asked_for_at_any_depth(
    z_um: float, half_angle_deg: float, energy: float
) -> None:
    whole = cone_fraction(math.pi / 2, half_angle_deg)
    rounding = 1e-6 * whole
    found = kernel(z_um, half_angle_deg, energy=energy).sum()
    assert energy * whole - rounding <= found <= whole + rounding


def test_an_emitter_on_the_sensor_lights_one_pixel() -> None:
    found = kernel(0.0)
    centre = len(found) // 2
    assert found[centre, centre] == pytest.approx(cone_fraction(math.pi / 2, 18.0), rel=1e-6)
    found[centre, centre] = 0
    assert np.abs(found).max() < 1e-15


# --- shape --------------------------------------------------------------------------------------


@pytest.mark.parametrize("z_um", [20.0, 100.0, 300.0, 800.0])
def test_pixels_are_integrals_of_the_irradiance(z_um: float) -> None:
    found = kernel(z_um, energy=0.99999)
    centre = len(found) // 2
    for i, j in ((0, 0), (1, 0), (1, 1), (2, 1), (2, 2)):
        y, x = i * PITCH_UM, j * PITCH_UM
        expected, _ = integrate.dblquad(
            lambda a, b: irradiance(math.hypot(a, b), z_um, 18.0),
            y - PITCH_UM / 2, y + PITCH_UM / 2, x - PITCH_UM / 2, x + PITCH_UM / 2,
            epsabs=1e-10, epsrel=1e-6,
        )  # fmt: skip
        assert found[centre + i, centre + j] == pytest.approx(
            expected, rel=2e-4, abs=2e-6 * found.max()
        )


def seen_by_sensor_a(source_px: tuple[int, int], z_um: float, imager: Imager) -> Kernel:
    layer = np.zeros((1, *imager.frame_px))
    layer[(0, *source_px)] = 1
    captures = LayerProjector(imager).A(layer, np.array([z_um]))
    assert isinstance(captures, np.ndarray)
    return captures[0]


@pytest.mark.parametrize("z_um", [0.0, 30.0, 150.0, 300.0])
def test_a_point_source_lands_where_it_was_put(z_um: float) -> None:
    imager = Imager(frame_px=(41, 64))
    image = seen_by_sensor_a((15, 47), z_um, imager)
    assert centroid_px(image) == pytest.approx([15, 47], abs=1e-3)
    assert np.unravel_index(image.argmax(), image.shape) == (15, 47)


@pytest.mark.parametrize("half_angle_deg", [12.0, 18.0, 25.0])
def test_a_point_source_is_as_wide_as_the_formula(half_angle_deg: float) -> None:
    z_um = 200.0
    imager = Imager(
        frame_px=(141, 141),
        pixel_pitch_um=TINY_PITCH_UM,
        sensors=1,
        psf=AngleSelectivePsf(half_angle_deg=half_angle_deg),
    )
    image = seen_by_sensor_a((70, 70), z_um, imager)

    peak = irradiance(0.0, z_um, half_angle_deg)
    expected_um = optimize.brentq(
        lambda r: irradiance(r, z_um, half_angle_deg) - peak / 2, 0.0, z_um
    )
    profile = image[70, 70:] / image[70, 70]
    found_um = TINY_PITCH_UM * np.interp(-0.5, -profile, np.arange(len(profile)))
    assert found_um == pytest.approx(expected_um, rel=1e-2)

    r_um = TINY_PITCH_UM * np.hypot(*(np.indices(image.shape) - 70))
    for theta_deg in (10.0, 20.0, 30.0):
        radius_um = z_um * math.tan(math.radians(theta_deg))
        # A pixel that the circle cuts counts by how much of it lies inside, to first order.
        inside = np.clip((radius_um - r_um) / TINY_PITCH_UM + 0.5, 0, 1)
        expected = cone_fraction(math.radians(theta_deg), half_angle_deg)
        assert (image * inside).sum() == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("z_um", [10.0, 100.0, 400.0])
def test_a_kernel_depends_on_depth_in_pixels_alone(z_um: float) -> None:
    once = kernel(z_um, base_blur_um=40.0)
    doubled = kernel(2 * z_um, pitch_um=2 * PITCH_UM, base_blur_um=80.0)
    np.testing.assert_allclose(doubled, once, rtol=1e-9, atol=1e-15)


@settings(max_examples=40, deadline=None)
@given(
    z_um=st.floats(0.0, 1000.0),
    half_angle_deg=st.floats(4.0, 25.0),
    pitch_um=st.floats(30.0, 120.0),
    base_blur_um=st.sampled_from([0.0, 20.0, 66.0]),
)
def test_kernels_are_symmetric_positive_and_fall_off(
    z_um: float, half_angle_deg: float, pitch_um: float, base_blur_um: float
) -> None:
    found = kernel(z_um, half_angle_deg, pitch_um=pitch_um, base_blur_um=base_blur_um)
    rounding = 1e-12 * found.max()
    assert found.shape[0] == found.shape[1]
    assert found.shape[0] % 2 == 1
    assert found.max() == found[len(found) // 2, len(found) // 2]
    for image in (found.T, found[::-1], found[:, ::-1]):
        assert np.abs(image - found).max() < rounding
    assert found.min() > -rounding
    centre = len(found) // 2
    assert np.diff(found[:, centre:], axis=1).max() < rounding


# --- transmission -------------------------------------------------------------------------------

TABLE = ((0.0, 0.8), (10.0, 0.6), (20.0, 0.2), (40.0, 0.0))  # half of 0.8 at 15 degrees


@pytest.mark.parametrize("half_angle_deg", HALF_ANGLES_DEG)
@pytest.mark.parametrize(
    ("shape", "at_twice"), [("gaussian", 1 / 16), ("raised-cosine", 0.0), ("tabulated", 0.125)]
)
def test_half_of_the_light_passes_at_the_half_angle(
    shape: str, at_twice: float, half_angle_deg: float
) -> None:
    table = TABLE if shape == "tabulated" else ()
    psf = AngleSelectivePsf(half_angle_deg=half_angle_deg, shape=shape, table=table)
    at = np.radians(half_angle_deg) * np.array([0.0, 1.0, 2.0])
    assert psf.transmission(at) == pytest.approx([1.0, 0.5, at_twice], abs=1e-6)
    leaky = AngleSelectivePsf(half_angle_deg=half_angle_deg, shape=shape, table=table, leakage=0.2)
    assert leaky.transmission(at) == pytest.approx([1.0, 0.6, 0.2 + 0.8 * at_twice], abs=1e-6)


def test_transmission_is_even_where_it_is_gaussian() -> None:
    found = AngleSelectivePsf().transmission(np.radians([-36.0, -18.0, 18.0, 36.0]))
    assert found == pytest.approx([1 / 16, 0.5, 0.5, 1 / 16], rel=1e-6)


def test_a_table_brings_its_own_half_angle_and_is_stretched_to_another() -> None:
    own = AngleSelectivePsf(shape="tabulated", table=TABLE)
    assert own.half_angle_deg == pytest.approx(15.0)
    found = own.transmission(np.radians([5.0, 10.0, 12.5, 30.0, 40.0, 41.0]))
    assert found == pytest.approx([0.875, 0.75, 0.625, 0.125, 0.0, 0.0], abs=1e-9)
    stretched = AngleSelectivePsf(shape="tabulated", table=TABLE, half_angle_deg=30.0)
    assert stretched.transmission(np.radians([20.0, 60.0])) == pytest.approx([0.75, 0.125])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"shape": "tabulated"}, "a table belongs to"),
        ({"table": ((0.0, 1.0), (20.0, 0.0))}, "a table belongs to"),
        ({"shape": "tabulated", "table": ((1.0, 1.0), (20.0, 0.0))}, "start at 0"),
        ({"shape": "tabulated", "table": ((0.0, 1.0), (20.0, 0.2), (20.0, 0.0))}, "increase"),
        ({"shape": "tabulated", "table": ((0.0, 0.0), (20.0, 0.0))}, "above 0"),
        ({"shape": "tabulated", "table": ((0.0, 1.0), (20.0, 0.6))}, "never falls to half"),
        ({"shape": "tabulated", "table": ((0.0, 1.0), (200.0, 0.0))}, "90"),
        ({"shape": "tabulated", "table": ((0.0, 1.0),)}, "never falls to half"),
        ({"shape": "tabulated", "table": "steep"}, "table"),
        ({"shape": "square"}, "raised-cosine"),
        ({"leakage": 1.0}, "leakage"),
        ({"cover_index": 0.9}, "cover_index"),
        ({"fill_factor": 0.0}, "fill_factor"),
    ],
)
def test_an_impossible_grating_is_refused_in_one_line(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ImagerError) as caught:
        AngleSelectivePsf().with_(**fields)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# --- medium -------------------------------------------------------------------------------------


def test_a_half_angle_in_air_is_smaller_in_tissue() -> None:
    psf = AngleSelectivePsf(half_angle_deg=18.0, half_angle_medium="air", tissue_index=1.37)
    assert psf.half_angle_in("tissue") == pytest.approx(13.04, abs=0.01)
    assert psf.half_angle_in("air") == pytest.approx(18.0)
    assert AngleSelectivePsf(half_angle_deg=60.0).half_angle_in("air") != pytest.approx(60.0)
    assert math.isnan(AngleSelectivePsf(half_angle_deg=60.0).half_angle_in("air"))


def test_a_stated_medium_of_the_tissues_index_changes_nothing() -> None:
    plain = kernel_of_psf(AngleSelectivePsf())
    for medium in ("tissue", 1.38):
        np.testing.assert_array_equal(
            kernel_of_psf(AngleSelectivePsf(half_angle_medium=medium)), plain
        )
    under_glass = AngleSelectivePsf(cover_um=50.0)
    np.testing.assert_array_equal(
        kernel_of_psf(under_glass.with_(half_angle_medium=1.5)), kernel_of_psf(under_glass)
    )


@pytest.mark.parametrize("cover_um", [0.0, 60.0])
def test_a_half_angle_in_air_is_a_measured_response_in_air(cover_um: float) -> None:
    angle = np.linspace(0, 90, 361)
    table = tuple(zip(angle, 2.0 ** -((angle / 18.0) ** 2), strict=True))
    response = AngularResponsePsf(
        table=table, table_medium="air", includes_projection=False, cover_um=cover_um
    )
    half_angle = AngleSelectivePsf(
        half_angle_deg=18.0, half_angle_medium="air", tissue_index=1.37, cover_um=cover_um
    )
    expected = kernel_of_psf(response)
    assert np.abs(kernel_of_psf(half_angle) - expected).sum() < 2e-4 * expected.sum()


def kernel_of_psf(psf: Psf) -> Kernel:
    found = psf.kernel(torch.tensor(200.0, dtype=torch.float64), PITCH_UM, radius_px=6)
    return np.asarray(found)


# --- base blur ----------------------------------------------------------------------------------


@pytest.mark.parametrize("blur_px", [0.0625, 0.25, 1.25])
def test_base_blur_alone_has_exactly_its_variance(blur_px: float) -> None:
    psf = AngleSelectivePsf(base_blur_um=blur_px * 64.0)
    transfer = psf.transfer(
        torch.tensor(0.0, dtype=torch.float64), pixel_pitch_um=64.0, radius_px=1, grid=(31, 33)
    )
    blur = np.fft.fftshift(np.fft.irfft2(transfer.numpy(), s=(31, 33)))
    assert blur.sum() == pytest.approx(cone_fraction(math.pi / 2, 18.0), rel=1e-6)
    assert variance_px2(blur) == pytest.approx([blur_px**2] * 2, rel=1e-9)
    assert blur.min() > -1e-15


@pytest.mark.parametrize("z_um", [30.0, 100.0])
@pytest.mark.parametrize("blur_px", [0.3, 1.2])
def test_base_blur_adds_its_variance_to_a_kernel(z_um: float, blur_px: float) -> None:
    # A narrow grating: a kernel cut off where nothing is left, so that its variance exists.
    sharp = kernel(z_um, half_angle_deg=8.0, energy=1 - 1e-9)
    blurred = kernel(z_um, half_angle_deg=8.0, base_blur_um=blur_px * PITCH_UM, energy=1 - 1e-9)
    added = variance_px2(blurred) - variance_px2(sharp)
    assert added == pytest.approx([blur_px**2] * 2, rel=1e-4)
    assert blurred.sum() == pytest.approx(sharp.sum(), rel=1e-6)


@pytest.mark.parametrize("z_um", [0.0, 30.0])
@pytest.mark.parametrize("blur_px", [0.3, 1.2, 3.0])
def test_base_blur_is_a_convolution_with_the_discrete_gaussian(z_um: float, blur_px: float) -> None:
    sharp = kernel(z_um, half_angle_deg=8.0, energy=1 - 1e-9)
    taps = ive(np.abs(np.arange(-40, 41)), blur_px**2)
    expected = fftconvolve(np.pad(sharp, 40), np.outer(taps, taps), mode="same")
    found = kernel(z_um, half_angle_deg=8.0, base_blur_um=blur_px * PITCH_UM)
    cut = (len(expected) - len(found)) // 2
    np.testing.assert_allclose(
        found, expected[cut:-cut, cut:-cut], rtol=1e-5, atol=1e-8 * found.max()
    )
