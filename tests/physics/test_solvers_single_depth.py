"""The depth of a single layer against simulated layers."""

import numpy as np
import pytest

from fociscope import simulate
from fociscope.imager import Boundary, Imager
from fociscope.solvers import SolverError, single_layer_depth


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_two_sensors_tell_the_depth_within_what_they_state(boundary: Boundary) -> None:
    imager = Imager.reference().with_(boundary=boundary)
    scenes = simulate(4, seed=9400, layers=1, imager=imager)
    found = single_layer_depth(scenes.captures, imager, planes=21)
    error = found.depth_um - scenes.depth_um[:, 0]
    assert np.abs(error).max() < 20
    assert np.abs(error / found.depth_std_um).max() < 4
    assert abs(np.mean(error)) < 3 * np.sqrt(np.mean(found.depth_std_um**2) / len(error))
    assert found.log_likelihood.shape == (4, 21)
    np.testing.assert_array_equal(found.log_likelihood.max(axis=1), 0)
    nearest = np.abs(found.curve_um - found.depth_um[:, None]).argmin(axis=1)
    assert (np.abs(found.log_likelihood.argmax(axis=1) - nearest) <= 1).all()


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_one_sensor_tells_the_depth_within_what_it_states(boundary: Boundary) -> None:
    imager = Imager.reference().with_(boundary=boundary, sensors=1)
    scenes = simulate(12, seed=9401, layers=1, imager=imager)
    found = single_layer_depth(scenes.captures, imager)
    error = found.depth_um - scenes.depth_um[:, 0]
    z = error / found.depth_std_um
    assert np.sqrt(np.mean(z**2)) < 2
    assert abs(np.mean(error)) < 3 * np.sqrt(np.mean(found.depth_std_um**2) / len(error))
    assert np.abs(error).mean() < 0.25 * np.abs(scenes.depth_um - 500).mean()


def test_brightness_and_batch_change_nothing() -> None:
    imager = Imager.reference().with_(sensors=1)
    captures = simulate(2, seed=9402, layers=1, imager=imager).captures
    together = single_layer_depth(captures, imager)
    alone = single_layer_depth(1000 * captures[1], imager)
    assert alone.depth_um == pytest.approx(together.depth_um[1], abs=0.5)
    assert alone.depth_um.shape == ()


def test_progress_is_told_and_few_planes_refused() -> None:
    imager = Imager.reference().with_(sensors=1)
    captures = simulate(1, seed=9402, layers=1, imager=imager).captures
    told: list[tuple[int, int]] = []
    single_layer_depth(captures, imager, progress=lambda d, t: told.append((d, t)))
    assert told[-1] == (1, 1)
    with pytest.raises(SolverError, match="5 planes"):
        single_layer_depth(captures, imager, planes=3)
