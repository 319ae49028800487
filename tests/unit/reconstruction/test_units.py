"""Captures in any unit of light: what is found does not hang on it, nor leaves the numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from fociscope.errors import CaptureError
from fociscope.reconstruction import ChipCorrection, Model, load_model
from fociscope.reconstruction.checks import light_unit
from fociscope.simulation import simulate

#: Of float32, which the largest and the smallest units below come near to.
LARGE, SMALL = 1e30, 1e-30


@pytest.fixture(scope="module")
def captures() -> np.ndarray:
    """One of the imager and one of nothing but noise, which is suspicious."""
    seen = np.asarray(simulate(2, seed=5).captures, dtype=np.float32)
    seen[1] = np.random.default_rng(0).random(seen[1].shape)
    return seen


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("layers-ab", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def refining() -> Model:
    return load_model("layers-ab", device="cpu", precision="float32", refine=True)


@pytest.mark.parametrize("unit", [1e17, 1e-18, LARGE, SMALL])
@pytest.mark.parametrize("which", ["model", "refining"])
def test_a_reconstruction_is_the_same_in_any_unit(which, unit, captures, request) -> None:
    model = request.getfixturevalue(which)
    expected = model.reconstruct(captures)
    found = model.reconstruct(captures * np.float32(unit))
    for name, power in (("depth_um", 0), ("residual", 0), ("intensity", 1), ("reprojection", 1)):
        was = getattr(expected, name)
        now = getattr(found, name).astype(np.float64) / unit**power
        np.testing.assert_allclose(now, was, atol=1e-3 * np.abs(was).max(), err_msg=name)
    assert expected.quality_flags[1] != ""
    assert found.quality_flags.tolist() == expected.quality_flags.tolist()


@pytest.mark.parametrize("which", ["model", "refining"])
def test_each_sensor_may_have_a_unit_of_its_own(which, captures, request) -> None:
    model = request.getfixturevalue(which)
    expected = model.reconstruct(captures)
    found = model.reconstruct(captures * np.array([1, 1000], np.float32)[:, None, None])
    for name in ("depth_um", "residual", "intensity"):
        was = getattr(expected, name)
        np.testing.assert_allclose(
            getattr(found, name), was, atol=1e-3 * np.abs(was).max(), err_msg=name
        )


@pytest.mark.parametrize("unit", [LARGE, SMALL])
def test_a_residual_is_the_same_in_any_unit(by_hand, unit) -> None:
    images = np.full((2, 40, 44), unit, np.float32)
    result = by_hand(np.ones((1, 40, 44)), captures=images, reprojection=np.float32(0.75) * images)
    np.testing.assert_allclose(result.residual, 0.25, rtol=1e-5)


@pytest.mark.parametrize("units", [(1.0, LARGE), (LARGE, SMALL), (SMALL, LARGE)])
def test_sensors_may_have_units_of_their_own(units, refining, captures) -> None:
    found = refining.reconstruct(captures * np.float32(units)[:, None, None])
    assert np.isfinite(found.intensity).all()
    assert np.isfinite(found.residual).all()


def test_one_blazing_pixel_leaves_finite_numbers(model, captures, tmp_path) -> None:
    blazing = captures.copy()
    blazing[0, 0, 5, 5] = 9e34
    found = model.reconstruct(blazing)
    assert np.isfinite(found.intensity).all()
    assert np.isfinite(found.reprojection).all()
    found.save(tmp_path / "map", formats=("csv",))
    said = (tmp_path / "map" / "summary.json").read_text()
    json.loads(said, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize("value", [3e38, -3e38])
def test_values_at_the_end_of_the_numbers_are_refused(model, captures, value) -> None:
    beyond = captures.copy()
    beyond[1, 1, 5, 5] = value
    with pytest.raises(CaptureError, match="sensor B, frame 1 holds values beyond 1e"):
        model.reconstruct(beyond)


def test_flat_frames_may_have_any_unit(captures) -> None:
    response = np.random.default_rng(1).uniform(0.8, 1.2, captures.shape[1:]).astype(np.float32)
    given = torch.as_tensor(captures)
    expected, _ = ChipCorrection(flat=response)(given)
    found, _ = ChipCorrection(flat=np.float32(1e36) * response)(given)
    torch.testing.assert_close(found, expected)


def test_light_units_are_powers_of_two_below_the_peak() -> None:
    peaks = torch.tensor([1.0, 3.9, 4.0, 1e35, 1e-30])
    mantissa, _ = torch.frexp(light_unit(peaks))
    assert (mantissa == 0.5).all()
    share = peaks / light_unit(peaks)
    assert ((share >= 1) & (share < 2)).all()
    assert float(light_unit(torch.tensor(1e-40))) > 0  # less than any unit
