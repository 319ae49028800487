"""What a calibration refuses, leaves out, and writes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fociscope.calibration import (
    Calibration,
    MeasuredStack,
    calibrate_beads,
    calibrate_target,
    simulated_stack,
)
from fociscope.calibration._psf_fit import base_blur_estimate
from fociscope.calibration._rendering import BeadRendering, RenderGrid
from fociscope.errors import CaptureError, FociscopeWarning, ImagerError
from fociscope.imager import AngleSelectivePsf, Imager

PITCH_UM = 55.0
PSF = AngleSelectivePsf(half_angle_deg=14, base_blur_um=20)
ONE = Imager(sensors=1, frame_px=(45, 45), psf=PSF)
DEPTH_UM = np.array([50.0, 150.0, 300.0, 450.0])
BEAD_UM = np.array([[12.0, -20.0]])


def stack(*, points_um: object = BEAD_UM, seed: int = 3, **options: object) -> MeasuredStack:
    return simulated_stack(ONE, points_um, DEPTH_UM, seed=seed, **options)  # type: ignore[arg-type]


def changed(counts: np.ndarray) -> MeasuredStack:
    return MeasuredStack(counts, DEPTH_UM)


@cache
def measured() -> Calibration:
    return calibrate_beads(stack(), imager=ONE, model="measured")


@pytest.mark.parametrize("distance_um", [20.0, 50.0, 120.0, 250.0, 700.0])
@pytest.mark.parametrize("offset_px", [(0.0, 0.0), (0.31, -0.44), (1.2, 0.07)])
def test_a_drawn_bead_is_the_psfs_own_kernel(distance_um: float, offset_px: tuple) -> None:
    psf = AngleSelectivePsf(half_angle_deg=18, base_blur_um=8)
    render_grid = RenderGrid.from_psf(psf, distance_um, PITCH_UM, energy=0.999, most_px=40)
    drawn = BeadRendering(psf, distance_um, PITCH_UM, render_grid).at(offset_px, 9)
    whole = np.rint(offset_px).astype(int)
    y, x = (float(v) * PITCH_UM for v in offset_px - whole)
    exact = psf.kernel(np.float64(distance_um), PITCH_UM, radius_px=12, offset_um=(y, x))
    rows, columns = (slice(3 - n, 22 - n) for n in whole)
    assert np.abs(drawn - exact[rows, columns]).max() < 2e-3 * exact.max()


@pytest.mark.parametrize(("model", "depths"), [("angle-selective", 2), ("measured", 3)])
def test_too_few_depths_are_refused(model: str, depths: int) -> None:
    full = stack()
    few = MeasuredStack(full.counts[:, :depths], full.depth_um[:depths])
    with pytest.raises(ImagerError, match=rf"{depths} distinct depth\(s\), expected at least"):
        calibrate_beads(few, imager=ONE, model=model)  # type: ignore[arg-type]


def test_depths_beyond_sensor_b_are_refused() -> None:
    both = MeasuredStack(np.repeat(stack().counts, 2, axis=0), DEPTH_UM)
    with pytest.raises(ImagerError, match="sensor B lies 400 µm from A") as refused:
        calibrate_beads(both, imager=ONE.with_(gap_um=400.0))
    assert (refused.value.fields, refused.value.most) == (("gap_um",), 400.0)


def test_beads_at_the_full_scale_are_refused_by_plane_and_pixel() -> None:
    counts = np.minimum(stack(peak_snr_db=45).counts, 4095)
    with pytest.raises(CaptureError, match=r"saturated: plane \d \(\d+ µm\), pixel \(y 2\d, x 2"):
        calibrate_beads(changed(counts), imager=ONE)


def test_beads_with_a_flat_top_are_refused() -> None:
    counts = stack(peak_snr_db=45).counts
    with pytest.raises(CaptureError, match="saturated"):
        calibrate_beads(changed(np.minimum(counts, 0.6 * counts.max())), imager=ONE)


def test_a_stated_saturation_counts() -> None:
    counts = stack().counts
    with pytest.raises(CaptureError, match="saturated"):
        calibrate_beads(changed(counts), imager=ONE, saturation_counts=0.9 * counts.max())


def test_noise_alone_is_refused_with_its_number() -> None:
    counts = np.random.default_rng(0).normal(100, 4, stack().counts.shape)
    with pytest.raises(CaptureError, match=r"no bead found.*\d\.\d standard deviations"):
        calibrate_beads(changed(counts), imager=ONE)


def test_an_empty_stack_is_refused() -> None:
    with pytest.raises(CaptureError, match="no bead found"):
        calibrate_beads(changed(np.zeros((1, 4, 45, 45))), imager=ONE)


def test_beads_in_one_window_are_refused() -> None:
    with pytest.raises(CaptureError, match="another bead in its window, 3 pixels away"):
        calibrate_beads(stack(points_um=[[0, 0], [0, 3 * PITCH_UM]]), imager=ONE)


def test_a_crowded_pair_and_a_bead_at_the_edge_are_left_out() -> None:
    points = np.array([[0, 0], [-15, -16], [-15, -12.5], [21, 3]]) * PITCH_UM
    with pytest.warns(FociscopeWarning) as warned:
        found = calibrate_beads(stack(points_um=points), imager=ONE)
    text = " ".join(str(one.message) for one in warned)
    assert "another bead in its window" in text
    assert "pixels from the edge" in text
    assert len(found.excluded) == 3
    (bead,) = found.beads
    assert (bead["y_px"], bead["x_px"]) == pytest.approx((22, 22), abs=0.1)
    assert found.imager.psf.half_angle_deg == pytest.approx(14, abs=0.5)


def test_a_doublet_is_known_by_its_residuals() -> None:
    points = np.array([[-11, -11], [11, -11], [11, 11], [11.9, 11.8]]) * PITCH_UM
    with pytest.warns(FociscopeWarning, match="several emitters in one spot"):
        found = calibrate_beads(stack(points_um=points, peak_snr_db=40), imager=ONE)
    assert [(one.y_px > 30, one.x_px > 30) for one in found.excluded] == [(True, True)]
    assert found.imager.psf.half_angle_deg == pytest.approx(14, abs=0.5)


def test_one_bead_on_both_sensors_gives_the_shift_alone() -> None:
    imager = ONE.with_(sensors=2, gap_um=500.0, registration={"shift_um": (30.0, -40.0)})
    both = simulated_stack(imager, BEAD_UM, DEPTH_UM, seed=1)
    with pytest.warns(FociscopeWarning, match="rotation and scale are not"):
        found = calibrate_beads(both, imager=ONE.with_(gap_um=500.0))
    assert found.imager.registration.shift_um == pytest.approx((30, -40), abs=3)
    assert found.imager.registration.rotation_deg == 0
    assert found.estimates["scale"].std == np.inf


def test_a_target_must_be_a_picture() -> None:
    for wrong in (np.zeros((5, 5)), np.ones((2, 5, 5)), -np.eye(5), np.full((5, 5), np.nan)):
        with pytest.raises(CaptureError, match="the target"):
            calibrate_target(stack(), wrong, imager=ONE)


def test_a_target_that_is_not_there_is_refused() -> None:
    rng = np.random.default_rng(0)
    noise = changed(rng.normal(100, 4, (1, 4, 45, 45)))
    target = (rng.random((45, 45)) > 0.97).astype(float)
    with pytest.raises(CaptureError, match=r"not to be found.*correlation"):
        calibrate_target(noise, target, imager=ONE)


def test_a_saturated_target_is_refused() -> None:
    counts = np.minimum(stack().counts, 110)
    with pytest.raises(CaptureError, match=r"plane 1 .* is saturated"):
        calibrate_target(changed(counts), np.eye(45), imager=ONE)


def test_base_blur_uncertainty_is_that_of_its_variance() -> None:
    far = base_blur_estimate(400.0, 4.0)
    assert far.value == 20
    assert far.std == pytest.approx(4 / (2 * 20), rel=0.01)
    assert base_blur_estimate(0.0, 4.0).std == pytest.approx(2)


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    found = measured()
    files = found.write_into(tmp_path, "chip.toml", inputs=[{"name": "s.tif"}])
    assert [path.name for path in files] == [
        "chip.toml",
        "chip.calibration.json",
        "chip.psf.ome.tif",
    ]
    again = Imager.from_toml(tmp_path / "chip.toml")
    assert again.psf.kernel(200.0, PITCH_UM, radius_px=5) == pytest.approx(
        found.imager.psf.kernel(200.0, PITCH_UM, radius_px=5), abs=1e-7
    )
    assert again.with_(psf=found.imager.psf) == found.imager
    summary = json.loads((tmp_path / "chip.calibration.json").read_text())
    assert summary["parameters"]["half_angle_deg"]["unit"] == "deg"
    assert summary["parameters"]["half_angle_deg"]["std"] > 0
    assert summary["inputs"] == [{"name": "s.tif"}]
    assert [plane["depth_um"] for plane in summary["planes"]] == DEPTH_UM.tolist()


def test_a_measured_psf_is_known_from_the_sensor_to_the_gap() -> None:
    psf = measured().imager.psf
    assert psf.depth_range_um == (0, ONE.gap_um)
    for distance_um in (0.0, 75.0, 220.0, 900.0):
        kernel = psf.kernel(distance_um, PITCH_UM, radius_px=12)
        true = PSF.kernel(distance_um, PITCH_UM, radius_px=12)
        assert np.abs(kernel - true).sum() < 0.08 * true.sum()
