"""The photon budget against figures worked by hand, quadrature and exposures of the camera."""

import math

import numpy as np
import pytest
import torch

from fociscope.errors import ImagerError
from fociscope.imager import Camera, Imager
from fociscope.imager._photon_budget import photon_budget

REFERENCE = Imager.reference()


def transmission(theta: np.ndarray) -> np.ndarray:
    return 2 ** -((theta / np.radians(18)) ** 2)


def quadrature(low: float, high: float, nodes: int = 200) -> tuple[np.ndarray, np.ndarray]:
    x, weight = np.polynomial.legendre.leggauss(nodes)
    return (low + high) / 2 + (high - low) / 2 * x, (high - low) / 2 * weight


def collected_share() -> float:
    """Half the integral of T sin theta over all angles: what passes the grating."""
    theta, weight = quadrature(0, math.pi / 2)
    return float(0.5 * (weight * transmission(theta) * np.sin(theta)).sum())


def pixel_share(distance_um: float, pitch_um: float) -> float:
    """Integral of the irradiance over the pixel under the cell."""
    x, weight = quadrature(-pitch_um / 2, pitch_um / 2)
    r2 = x[:, None] ** 2 + x[None, :] ** 2
    theta = np.arctan(np.sqrt(r2) / distance_um)
    irradiance = distance_um / (4 * math.pi * (distance_um**2 + r2) ** 1.5) * transmission(theta)
    return float(weight @ irradiance @ weight)


def test_a_cell_on_the_sensor_worked_by_hand() -> None:
    # All that passes the grating lands on one pixel: 3.476 % of 1e5 photons/s * 0.1 s = 348.
    camera = Camera(
        quantum_efficiency=0.5,
        exposure_s=0.1,
        dark_current_e_per_s=200.0,
        read_noise_e=10.0,
        reset_noise_e=6.0,
        gain_e_per_count=6.0,
        prnu=0.01,
        dsnu_e=3.0,
    )
    imager = REFERENCE.with_(sensors=1, camera=camera.model_dump())
    budget = photon_budget(imager, cell_photons_per_s=1e5, depth_um=0.0)
    assert budget.emitted_photons == pytest.approx(10_000)
    (a,) = budget.sensors
    assert (a.name, a.distance_um, a.saturated) == ("A", 0.0, False)
    assert collected_share() == pytest.approx(0.03476, rel=1e-3)
    assert a.landing_share == pytest.approx(collected_share(), rel=1e-3)
    assert a.brightest_share == pytest.approx(collected_share(), rel=1e-3)
    assert a.landing_photons == pytest.approx(347.6, rel=1e-3)
    assert a.brightest_photons == pytest.approx(347.6, rel=1e-3)
    assert a.brightest_e == pytest.approx(173.8, rel=1e-3)
    assert a.shot_noise_e == pytest.approx(13.18, rel=1e-3)
    assert a.dark_noise_e == pytest.approx(math.sqrt(20))
    assert (a.read_noise_e, a.reset_noise_e) == (10.0, 6.0)
    assert a.rounding_noise_e == pytest.approx(math.sqrt(3))
    # 173.8 + 20 + 100 + 36 + 3 = 332.8 e^2; 173.8 e / 18.24 e = 9.527 = 19.58 dB.
    assert a.noise_e == pytest.approx(18.24, rel=1e-3)
    assert a.snr == pytest.approx(9.527, rel=1e-3)
    assert a.snr_db == pytest.approx(19.58, abs=0.01)
    assert a.fixed_pattern_e == pytest.approx(math.hypot(1.738, 3.0), rel=1e-3)


def test_double_sampling_reads_twice_and_leaves_the_response() -> None:
    camera = {"read_noise_e": 10.0, "reset_noise_e": 50.0, "prnu": 0.01, "dsnu_e": 40.0}
    imager = REFERENCE.with_(camera={**camera, "correlated_double_sampling": True})
    a = photon_budget(imager, cell_photons_per_s=1e8, depth_um=100.0).sensors[0]
    assert a.read_noise_e == pytest.approx(14.142, rel=1e-4)
    assert a.reset_noise_e == 0
    assert a.fixed_pattern_e == pytest.approx(0.01 * a.brightest_e)


@pytest.mark.parametrize("depth_um", [60.0, 300.0, 900.0])
def test_each_sensor_gets_its_share_of_the_light(depth_um: float) -> None:
    budget = photon_budget(REFERENCE, cell_photons_per_s=1e8, depth_um=depth_um)
    assert [s.name for s in budget.sensors] == ["A", "B"]
    for sensor, distance_um in zip(budget.sensors, (depth_um, 1000 - depth_um), strict=True):
        assert sensor.distance_um == distance_um
        assert sensor.landing_share == pytest.approx(collected_share(), rel=1e-3)
        assert sensor.brightest_share == pytest.approx(pixel_share(distance_um, 55.0), rel=1e-3)


def test_light_beside_the_frame_is_lost() -> None:
    whole, narrow, pixel = (
        photon_budget(
            REFERENCE.with_(frame_px=frame_px), cell_photons_per_s=1e8, depth_um=500.0
        ).sensors[0]
        for frame_px in ((51, 51), (51, 4), (1, 1))
    )
    assert pixel.landing_share == pytest.approx(pixel.brightest_share)
    assert pixel.landing_share < narrow.landing_share < 0.7 * whole.landing_share
    assert whole.brightest_share == narrow.brightest_share == pixel.brightest_share


def test_a_grating_that_leaks_far_beyond_the_frame_has_a_budget() -> None:
    imager = REFERENCE.with_(psf={"kind": "angle-selective", "half_angle_deg": 60.0})
    sensor = photon_budget(imager, cell_photons_per_s=1e8, depth_um=900.0).sensors[0]
    kernel = imager.psf.kernel(900.0, imager.pixel_pitch_um, radius_px=25)
    assert sensor.landing_share == pytest.approx(float(kernel.sum()), rel=1e-4)
    assert sensor.landing_share < 0.8 * float(imager.psf.collection_efficiency(900.0))


@pytest.mark.parametrize("double_sampling", [False, True], ids=["one read", "cds"])
@pytest.mark.parametrize("cell_photons_per_s", [1e6, 1e8])
def test_exposures_have_the_signal_and_the_noise_of_the_budget(
    double_sampling: bool, cell_photons_per_s: float
) -> None:
    camera = Camera(reset_noise_e=30.0, correlated_double_sampling=double_sampling)
    imager = REFERENCE.with_(camera=camera.model_dump())
    budget = photon_budget(imager, cell_photons_per_s=cell_photons_per_s, depth_um=250.0)
    for sensor in budget.sensors:
        light = torch.full((300_000,), sensor.brightest_photons)
        counts = camera.expose(light, generator=torch.Generator().manual_seed(0)).double()
        electrons = (counts - camera.black_level_counts) * camera.gain_e_per_count - camera.dark_e
        four_errors = 4 * sensor.noise_e / math.sqrt(len(light))
        assert float(electrons.mean()) == pytest.approx(sensor.brightest_e, abs=four_errors)
        assert float(electrons.std()) == pytest.approx(sensor.noise_e, rel=0.01)
        parts = [
            sensor.shot_noise_e,
            sensor.dark_noise_e,
            sensor.read_noise_e,
            sensor.reset_noise_e,
            sensor.rounding_noise_e,
        ]
        assert math.hypot(*parts) == pytest.approx(sensor.noise_e)


def test_a_cell_too_bright_for_the_well_is_called_saturated() -> None:
    a, b = photon_budget(REFERENCE, cell_photons_per_s=1e9, depth_um=100.0).sensors
    assert a.saturated
    assert a.brightest_e > REFERENCE.camera.full_well_e
    assert not b.saturated


def test_the_table_names_both_sensors_and_what_limits_them() -> None:
    budget = photon_budget(REFERENCE, cell_photons_per_s=1e9, depth_um=100.0)
    lines = str(budget).splitlines()
    assert "1e+09 photons/s" in lines[0]
    assert "100 µm" in lines[0]
    assert lines[1].split() == ["sensor", "A", "sensor", "B"]
    assert lines[-1].split() == ["saturated", "yes", "no"]
    assert any(line.split() == ["read", "noise,", "e", "15", "15"] for line in lines)
    assert len({len(line) for line in lines[1:]}) == 1


@pytest.mark.parametrize("photons_per_s", [0.0, -1.0, math.inf, math.nan])
def test_a_brightness_that_is_none_is_refused(photons_per_s: float) -> None:
    with pytest.raises(ImagerError, match="photons/s above 0"):
        photon_budget(REFERENCE, cell_photons_per_s=photons_per_s, depth_um=100.0)


@pytest.mark.parametrize("depth_um", [-1.0, 1000.1, math.nan])
def test_a_cell_outside_the_gap_is_refused(depth_um: float) -> None:
    with pytest.raises(ImagerError, match="between the sensors, from 0 to 1000 µm"):
        photon_budget(REFERENCE, cell_photons_per_s=1e8, depth_um=depth_um)
