"""Calibration from beads on a stage, against sweeps whose truth is known."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fociscope.calibration import (
    StageSweep,
    SweepCalibration,
    calibrate_sweeps,
    simulated_sweep,
)
from fociscope.errors import CaptureError, ImagerError
from fociscope.imager import AngleSelectivePsf, Imager

REAL = Path(__file__).parents[3] / "shared" / "real-chip"
CHIP = Imager.preset("acus").with_(frame_px=(2, 32))
STAGE_UM = np.linspace(0.0, 180.0, 4)
OFFSET_UM, SCALE, ROW_GAIN, ROW_SHIFT_UM = 9.0, 1.06, 1.25, 4.0
TRUE = CHIP.with_(psf=CHIP.psf.with_(angle_scale=SCALE), row_shift_um=(0.0, ROW_SHIFT_UM))
GAINS = np.stack([np.ones((1, 32)), np.full((1, 32), ROW_GAIN)], axis=1)
TRUTH = {
    "depth_offset_um": OFFSET_UM,
    "angle_scale": SCALE,
    "height_bead_2_um": -3.0,
    "row_shift_2_um": ROW_SHIFT_UM,
    "gain_row_2": ROW_GAIN,
}


def sweep(depth_um: float, seed: int, light: float = 3e7) -> StageSweep:
    deep = depth_um + OFFSET_UM
    beads = [[600.0, 12.0, deep, light], [200.0, 30.0, deep - 3.0, 0.7 * light]]
    return simulated_sweep(
        TRUE, beads, depth_um, x_um=STAGE_UM, motions=("fixed", "moving"), gains=GAINS, seed=seed
    )


@cache
def found(seed: int) -> SweepCalibration:
    sweeps = [sweep(z, 10 * seed + n) for n, z in enumerate((45.0, 110.0))]
    return calibrate_sweeps(sweeps, imager=CHIP, fit_depth_offset=True)


def test_truths_lie_within_the_stated_errors() -> None:
    off = np.array([
        [(found(seed).estimates[n].value - true) / found(seed).estimates[n].std
         for n, true in TRUTH.items()]
        for seed in range(4)
    ])  # fmt: skip
    assert 0.4 <= (np.abs(off) < 1).mean() <= 0.95
    assert np.abs(off).max() < 4


def test_what_is_determined_goes_into_the_imager() -> None:
    one = found(0)
    assert not one.undetermined
    assert one.imager.psf.angle_scale == one.estimates["angle_scale"].value
    assert one.imager.row_shift_um == (0.0, one.estimates["row_shift_2_um"].value)
    assert one.model_error < 0.02
    assert one.reduced_chi_square == pytest.approx(1.0, abs=0.15)
    for result, true in zip(one.sweeps, (54.0, 119.0), strict=True):
        assert result.own_depth_um.value == pytest.approx(true, abs=2.0)


def test_a_pixel_that_answers_less_is_found_where_light_falls() -> None:
    gains = np.ones((1, 2, 32))
    gains[0, 1, 10] = 0.85
    beads = [[200.0, 40.0, 50.0, 5e7]]
    one = calibrate_sweeps(
        [simulated_sweep(CHIP, beads, 50.0, x_um=STAGE_UM, gains=gains)],
        imager=CHIP,
        model_error=0.0,
    )
    level = np.median(one.gains[one.known_gains])
    assert one.known_gains[0, 1, 10]
    assert one.gains[0, 1, 10] / level == pytest.approx(0.85, abs=0.02)


def test_one_depth_with_a_free_zero_does_not_tell_the_scale_of_angles() -> None:
    one = calibrate_sweeps([sweep(45.0, 1)], imager=CHIP, fit_depth_offset=True)
    assert "one depth" in one.undetermined["angle_scale"]
    assert one.imager.psf.angle_scale == CHIP.psf.angle_scale
    assert one.estimates["angle_scale"].std == np.inf
    assert one.summary()["not_determined"]["angle_scale"]


def test_faint_beads_tell_no_shift_of_rows() -> None:
    faint = [sweep(z, 3, light=5e4) for z in (45.0, 80.0)]
    one = calibrate_sweeps(faint, imager=CHIP, fit_depth_offset=True, model_error=0.0)
    assert "row_shift_2_um" in one.undetermined
    assert not any(one.imager.row_shift_um)


def test_a_bead_that_moves_against_the_stage_is_refused() -> None:
    right = sweep(45.0, 1)
    wrong = StageSweep(right.counts, -right.x_um, right.y_um, 45.0, right.beads)
    with pytest.raises(ImagerError, match="against the stage"):
        calibrate_sweeps([wrong], imager=CHIP)


def test_saturated_pixels_are_refused() -> None:
    bright = simulated_sweep(CHIP, [[200.0, 40.0, 50.0, 3e8]], 50.0, x_um=STAGE_UM)
    with pytest.raises(CaptureError, match="saturated in frame 1"):
        calibrate_sweeps([bright], imager=CHIP)


def test_a_bead_that_is_not_there_is_refused() -> None:
    dark = np.random.default_rng(0).poisson(20.0, (4, 1, 2, 32)).astype(float)
    with pytest.raises(CaptureError, match="stands out"):
        calibrate_sweeps([StageSweep(dark, STAGE_UM, 0 * STAGE_UM, 50.0)], imager=CHIP)


def test_square_pixels_of_two_sensors_and_another_psf() -> None:
    chip = Imager(frame_px=(9, 9), gap_um=400.0, psf=AngleSelectivePsf(half_angle_deg=14.0))
    start = chip.with_(psf=chip.psf.with_(half_angle_deg=18.0))
    sweeps = [
        simulated_sweep(
            chip, [[150.0, 230.0, z + 5.0, 1e7]], z, x_um=[0.0, 60.0, 120.0],
            y_um=[0.0, -20.0, 20.0], seed=int(z),
        )
        for z in (120.0, 250.0)
    ]  # fmt: skip
    one = calibrate_sweeps(sweeps, imager=start, fit_depth_offset=True, model_error=0.0)
    for name, true in (("half_angle_deg", 14.0), ("depth_offset_um", 5.0)):
        assert one.estimates[name].value == pytest.approx(true, abs=4 * one.estimates[name].std)
    assert one.imager.psf.half_angle_deg == pytest.approx(14.0, abs=0.2)
    assert one.imager.row_shift_um == ()


@pytest.mark.skipif(not REAL.exists(), reason="captures of the real chip are not here")
def test_real_sweeps_agree_on_depth_and_scale() -> None:
    sweeps = []
    for depth_um in (50.0, 100.0):
        file = np.load(REAL / f"beads_z{depth_um:03.0f}.npz")
        frames = file["counts"][::20, None].astype(float)
        x_um = file["stage_um"][::20]
        dark = file["blank"][None].astype(float)
        sweeps.append(StageSweep(frames, x_um, 0 * x_um, depth_um, ("fixed", "moving"), dark))
    one = calibrate_sweeps(sweeps, imager=Imager.preset("acus"), fit_depth_offset=True)
    assert one.estimates["angle_scale"].value == pytest.approx(0.97, abs=0.06)
    assert one.estimates["depth_offset_um"].value == pytest.approx(-4.0, abs=8.0)
    assert one.sweeps[0].beads[0]["x_um"] == pytest.approx(956.0, abs=8.0)
