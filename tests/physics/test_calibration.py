"""Calibrations against the imagers they were simulated with, at 30 dB of peak SNR."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from fociscope.calibration import (
    Calibration,
    MeasuredStack,
    calibrate_beads,
    calibrate_target,
    simulated_stack,
)
from fociscope.errors import FociscopeWarning
from fociscope.imager import AngleSelectivePsf, GaussianPsf, Imager

PITCH_UM = 55.0
HALF_ANGLE_DEG, BASE_BLUR_UM, GAIN_B = 14.0, 20.0, 0.8
SHIFT_UM, ROTATION_DEG = (31.0, -47.0), 0.6
IMAGER = Imager(
    frame_px=(51, 51),
    psf=AngleSelectivePsf(half_angle_deg=HALF_ANGLE_DEG, base_blur_um=BASE_BLUR_UM),
    registration={"shift_um": SHIFT_UM, "rotation_deg": ROTATION_DEG},
    sensor_gains=(1.0, GAIN_B),
)
DEPTH_UM = np.array([50.0, 350.0, 650.0, 950.0])
BEADS_UM = np.array([[-640.0, -655.0], [-633.0, 670.0], [655.0, -630.0], [660.0, 645.0]])
HALF_ANGLE_WITHIN_DEG, BLUR_WITHIN_PX, REGISTRATION_WITHIN_PX = 0.5, 0.1, 0.1
"""What a calibration at 30 dB must reach."""


def target_points_um() -> np.ndarray:
    """Thirty points of a target, on its pixels."""
    rng = np.random.default_rng(5)
    return (rng.permutation(37 * 37)[:30, None] // np.array([37, 1]) % 37 - 18) * PITCH_UM


@cache
def from_beads() -> Calibration:
    stack = simulated_stack(IMAGER, BEADS_UM, DEPTH_UM, brightness=[1, 0.8, 0.6, 0.9], seed=1)
    return calibrate_beads(stack, imager=Imager(frame_px=(51, 51)))


@cache
def from_target() -> Calibration:
    points_um = target_points_um()
    target = np.zeros((51, 51))
    rows, columns = (points_um / PITCH_UM + 25).astype(int).T
    target[rows, columns] = brightness = np.linspace(0.5, 1, len(points_um))
    stack = simulated_stack(
        IMAGER, points_um, DEPTH_UM[[0, 1, 3]], brightness=brightness, peak_snr_db=30, seed=2
    )
    return calibrate_target(stack, target, imager=Imager(frame_px=(51, 51)))


@pytest.mark.parametrize("calibrated", [from_beads, from_target])
def test_half_angle_base_blur_gain_and_registration_come_back(calibrated) -> None:
    imager = calibrated().imager
    assert imager.psf.half_angle_deg == pytest.approx(HALF_ANGLE_DEG, abs=HALF_ANGLE_WITHIN_DEG)
    assert imager.psf.base_blur_um == pytest.approx(BASE_BLUR_UM, abs=BLUR_WITHIN_PX * PITCH_UM)
    assert imager.sensor_gains[1] == pytest.approx(GAIN_B, rel=0.05)
    corners = np.array([(y, x) for y in (-1.3, 1.3) for x in (-1.3, 1.3)]) * 1000
    for y, x in corners:  # at the frame's corners, where rotation and scale count most
        found, true = imager.registration.to_b(y, x), IMAGER.registration.to_b(y, x)
        assert found == pytest.approx(true, abs=REGISTRATION_WITHIN_PX * PITCH_UM)


@pytest.mark.parametrize("calibrated", [from_beads, from_target])
def test_the_truth_lies_within_four_standard_deviations(calibrated) -> None:
    found = calibrated().estimates
    truth = {
        "half_angle_deg": HALF_ANGLE_DEG,
        "base_blur_um": BASE_BLUR_UM,
        "gain_b": GAIN_B,
        "shift_y_um": SHIFT_UM[0],
        "shift_x_um": SHIFT_UM[1],
        "rotation_deg": ROTATION_DEG,
        "scale": 1.0,
    }
    for name, value in truth.items():
        assert abs(found[name].value - value) < 4 * found[name].std, (name, found[name])


@pytest.mark.parametrize("calibrated", [from_beads, from_target])
def test_noise_alone_is_left_over(calibrated) -> None:
    found = calibrated()
    assert found.reduced_chi_square == pytest.approx(1, abs=0.1)
    for plane in found.planes:
        assert np.sqrt(np.mean(plane.residual_std**2)) == pytest.approx(1, abs=0.15)
        assert abs(plane.apparent_um.value - plane.distance_um) < 4 * plane.apparent_um.std


def test_black_level_holds_camera_and_dark_current() -> None:
    camera = IMAGER.camera
    expected = camera.black_level_counts + camera.dark_e / camera.gain_e_per_count
    assert from_beads().imager.camera.black_level_counts == pytest.approx(expected, abs=1)


ONE = Imager(sensors=1, frame_px=(45, 45), psf=IMAGER.psf)
NEAR_UM = np.array([50.0, 250.0, 500.0])
MIDDLE_UM = np.array([[12.0, -20.0]])


def one_bead(**changes: object) -> MeasuredStack:
    options = {"points_um": MIDDLE_UM, "depth_um": NEAR_UM, "seed": 3, **changes}
    return simulated_stack(ONE, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("start_deg", [8.0, 30.0])
def test_a_wrong_start_ends_at_the_same_place(start_deg: float) -> None:
    start = ONE.with_(psf=AngleSelectivePsf(half_angle_deg=start_deg, base_blur_um=40))
    found = calibrate_beads(one_bead(), imager=start).imager.psf
    assert found.half_angle_deg == pytest.approx(HALF_ANGLE_DEG, abs=HALF_ANGLE_WITHIN_DEG)
    assert found.base_blur_um == pytest.approx(BASE_BLUR_UM, abs=BLUR_WITHIN_PX * PITCH_UM)


def test_hot_and_dead_pixels_and_a_gradient_do_no_harm() -> None:
    clean = one_bead()
    counts = clean.counts.copy()
    counts += np.linspace(0, 60, counts.shape[-1])
    counts[..., 24, 25] += 900  # beside the bead
    counts[..., 20, 17] = 0
    with pytest.warns(FociscopeWarning, match="hot pixel"):
        found = calibrate_beads(MeasuredStack(counts, clean.depth_um), imager=ONE).imager.psf
    assert found.half_angle_deg == pytest.approx(HALF_ANGLE_DEG, abs=HALF_ANGLE_WITHIN_DEG)
    assert found.base_blur_um == pytest.approx(BASE_BLUR_UM, abs=BLUR_WITHIN_PX * PITCH_UM)


def test_planes_of_different_exposure_and_brightness_do_no_harm() -> None:
    clean = one_bead()
    counts = clean.counts * np.array([1.0, 0.3, 5.0])[:, None, None]
    found = calibrate_beads(MeasuredStack(counts, clean.depth_um), imager=ONE).imager.psf
    assert found.half_angle_deg == pytest.approx(HALF_ANGLE_DEG, abs=HALF_ANGLE_WITHIN_DEG)


def test_a_stage_with_a_wrong_zero_is_found() -> None:
    true = one_bead(depth_um=np.array([80.0, 230.0, 430.0, 630.0]))
    stated = MeasuredStack(true.counts, true.depth_um - 30)
    found = calibrate_beads(stated, imager=ONE, fit_depth_offset=True)
    offset = found.estimates["depth_offset_um"]
    assert abs(offset.value - 30) < 4 * offset.std
    assert offset.std < 15
    assert found.imager.psf.half_angle_deg == pytest.approx(HALF_ANGLE_DEG, abs=1)


def test_a_gaussian_psf_comes_back() -> None:
    true = GaussianPsf(spread=0.22, base_blur_um=15)
    stack = simulated_stack(ONE.with_(psf=true), MIDDLE_UM, NEAR_UM, seed=4)
    found = calibrate_beads(stack, imager=ONE, model="gaussian").imager.psf
    assert isinstance(found, GaussianPsf)
    assert found.spread == pytest.approx(true.spread, abs=0.006)
    assert found.base_blur_um == pytest.approx(true.base_blur_um, abs=BLUR_WITHIN_PX * PITCH_UM)


@pytest.mark.parametrize("radial", [True, False])
def test_a_measured_psf_is_nearer_the_truth_than_the_wrong_family(radial: bool) -> None:
    true = AngleSelectivePsf(half_angle_deg=14, shape="raised-cosine")
    depth_um = np.array([150.0, 300.0, 450.0, 600.0])
    stack = simulated_stack(ONE.with_(psf=true), MIDDLE_UM, depth_um, peak_snr_db=45, seed=5)
    found = calibrate_beads(stack, imager=ONE, model="measured", radial=radial)
    errors = []
    for distance_um in depth_um:
        kernels = [
            psf.kernel(distance_um, PITCH_UM, radius_px=8)
            for psf in (true, found.fitted, found.imager.psf)
        ]
        shape, fitted, measured = (kernel / kernel.sum() for kernel in kernels)
        errors.append([np.abs(measured - shape).sum(), np.abs(fitted - shape).sum()])
    assert (np.array(errors) @ [1, -1] < 0).all()
    of_measured, of_fitted = np.sum(errors, axis=0)
    assert of_measured < 0.6 * of_fitted
