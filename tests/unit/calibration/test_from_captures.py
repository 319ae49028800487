"""An imager from ordinary captures: what they determine, and what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fociscope.calibration import BlindCalibration, calibrate_captures, calibrate_from_captures
from fociscope.errors import (
    CaptureError,
    FileFormatError,
    FociscopeWarning,
    ImagerError,
    OutputExistsError,
)
from fociscope.imager import Imager
from fociscope.simulation import simulate

SHIFT_UM, ROTATION_DEG, GAIN = (70.0, -40.0), 0.8, 0.9
DEAD, HOT = (0, 20, 30), (1, 11, 40)


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore what users are warned of, such as few captures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FociscopeWarning)
        yield


@pytest.fixture(scope="module")
def chip() -> Imager:
    reference = Imager.reference()
    return reference.with_(
        psf=reference.psf.with_(half_angle_deg=14.0),
        registration={"shift_um": SHIFT_UM, "rotation_deg": ROTATION_DEG},
        sensor_gains=(1.0, GAIN),
        boundary="reflect",
    )


@pytest.fixture(scope="module")
def captures(chip: Imager) -> np.ndarray:
    """(40, 2, 51, 51) of single layers, which both sensors see whole, with a bad pixel each."""
    light = simulate(40, seed=3, imager=chip, layers=1).captures
    counts = 100 + 2000 * light
    counts[:, *DEAD] = 100
    counts[:, *HOT] += 3000 * light.max()
    return counts


@pytest.fixture(scope="module")
def found(captures: np.ndarray) -> BlindCalibration:
    with quiet():
        return calibrate_captures(captures)


def test_width_lies_within_two_deviations(found: BlindCalibration) -> None:
    estimate = found.estimates["half_angle_deg"]
    assert abs(estimate.value - 14.0) < 2 * estimate.std < 4.0


def test_registration_is_found(found: BlindCalibration) -> None:
    values = found.estimates
    assert values["shift_y_um"].value == pytest.approx(SHIFT_UM[0], abs=8)
    assert values["shift_x_um"].value == pytest.approx(SHIFT_UM[1], abs=8)
    assert values["rotation_deg"].value == pytest.approx(ROTATION_DEG, abs=0.3)
    assert found.imager.registration.scale == 1.0


def test_gain_of_sensor_b_is_found(found: BlindCalibration) -> None:
    estimate = found.estimates["gain_b"]
    assert abs(estimate.value - GAIN) < 3 * estimate.std < 0.3


def test_dead_and_hot_pixels_are_found_and_no_others(found: BlindCalibration) -> None:
    assert np.argwhere(found.pixels.dead).tolist() == [list(DEAD)]
    assert np.argwhere(found.pixels.hot).tolist() == [list(HOT)]
    assert found.imager.dead_pixels == (DEAD, HOT)


def test_one_sensor_says_what_it_cannot_know(captures: np.ndarray) -> None:
    with quiet():
        found = calibrate_captures(captures[:, :1])
    assert found.estimates["half_angle_deg"].std == np.inf
    assert "one sensor" in found.undetermined["half_angle_deg"]
    assert found.imager.psf == Imager.reference().psf


def test_a_wider_gap_means_a_narrower_angle(captures: np.ndarray, found: BlindCalibration) -> None:
    wide = Imager.reference().with_(gap_um=1250.0)
    with quiet():
        again = calibrate_captures(captures, imager=wide)
    ratio = again.estimates["half_angle_deg"].value / found.estimates["half_angle_deg"].value
    assert ratio == pytest.approx(0.8)


def test_fixed_pattern_is_told_from_tissue(captures: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    gains = 1 + 0.2 * rng.standard_normal(captures.shape[1:])
    with quiet():
        found = calibrate_captures(100 + (captures - 100) * gains)
    for name in ("prnu_a", "prnu_b"):
        assert found.estimates[name].value == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c[:1], r"1 capture\(s\), expected at least 10"),
        (lambda c: np.ones_like(c), "same count all over"),
        (lambda c: np.repeat(c[:1], 20, axis=0), "1 different capture"),
        (lambda c: np.minimum(c, np.quantile(c, 0.5)), "saturated"),
        (lambda c: np.where(c > 0, np.nan, c), "NaN"),
        (lambda c: c[:, 0], "expected \\(capture, sensor, y, x\\)"),
    ],
)  # fmt: skip
def test_what_holds_nothing_is_refused(
    captures: np.ndarray, change: Callable[[np.ndarray], np.ndarray], says: str
) -> None:
    with pytest.raises(CaptureError, match=says):
        calibrate_captures(change(captures))


def test_another_frame_than_the_imagers_is_refused(captures: np.ndarray) -> None:
    with pytest.raises(ImagerError, match=r"51 x 51 pixels .* of 36 x 80") as error:
        calibrate_captures(captures, imager=Imager(frame_px=(36, 80)))
    assert error.value.fields == ("imager",)


def test_a_psf_of_another_kind_is_refused(captures: np.ndarray) -> None:
    with pytest.raises(ImagerError, match="gaussian"):
        calibrate_captures(captures, imager=Imager(psf={"kind": "gaussian"}))


def test_files_are_written_and_never_replaced(captures: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "run.npy", captures[:12].astype(np.float32))
    output = tmp_path / "chip.toml"
    with quiet():
        found = calibrate_from_captures(tmp_path / "run.npy", output)
    assert Imager.from_toml(output) == found.imager
    assert found.imager.name == "chip"
    with pytest.raises(OutputExistsError):
        calibrate_from_captures(tmp_path / "run.npy", output)


def test_few_captures_are_warned_of(captures: np.ndarray) -> None:
    with pytest.warns(FociscopeWarning) as warned:
        calibrate_captures(captures[:, :1])
    assert any("40 captures are few" in str(one.message) for one in warned)


def test_files_of_other_sizes_are_refused(tmp_path: Path) -> None:
    for number, side in enumerate((51, 51, 60)):
        np.save(tmp_path / f"cell{number}_A.npy", np.ones((side, side), np.float32))
        np.save(tmp_path / f"cell{number}_B.npy", np.ones((side, side), np.float32))
    with pytest.raises((FileFormatError, CaptureError)):
        calibrate_from_captures(tmp_path)
