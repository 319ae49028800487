"""The depth of a single layer against simulated layers."""

import numpy as np
import pytest
import torch

from fociscope import load_model, simulate
from fociscope.errors import FociscopeError
from fociscope.imager import Boundary, Imager
from fociscope.simulation import AnyTissue, SingleCells, Specimen
from fociscope.solvers import SolverError, depth_around, single_layer_depth


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


@pytest.mark.parametrize(
    ("specimen", "peak_snr_db", "within_um"),
    [(SingleCells(), 40.0, 30), (AnyTissue(), 40.0, 30), (None, 28.0, 60)],
    ids=["cells", "any", "noisy"],
)
def test_a_search_around_a_start_finds_the_depth_of_any_specimen(
    specimen: Specimen | None, peak_snr_db: float, within_um: float
) -> None:
    scenes = simulate(4, seed=9405, layers=1, specimen=specimen, peak_snr_db=peak_snr_db)
    true_um = torch.from_numpy(scenes.depth_um[:, 0])
    start_um = true_um + torch.tensor([25.0, -25.0, 25.0, -25.0])
    found, std_um = depth_around(
        torch.from_numpy(scenes.captures), Imager.reference(), start_um, torch.full((4,), 25.0)
    )
    error = (found - true_um).abs()
    assert error.max() < within_um
    assert (error / std_um).max() < 4


def test_the_slope_is_that_of_the_likelihood() -> None:
    from fociscope.solvers._single_depth import _TwoSensors

    captures = torch.from_numpy(simulate(1, seed=9406, layers=1).captures).double()
    captures = captures / captures.amax()
    both = _TwoSensors(captures, Imager.reference())
    likelihood = both.log_likelihood
    by_difference = likelihood(torch.tensor([415.0])) - likelihood(torch.tensor([405.0]))
    slope = both.slope(torch.tensor([410.0]))
    assert float(slope) == pytest.approx(float(by_difference) / 10, rel=0.1)


def test_a_model_fits_the_depth_of_a_layer_that_is_alone() -> None:
    scenes = simulate(2, seed=9407, layers=1)
    usual, fitted = (
        load_model("layers-ab", refine_depth=way).reconstruct(scenes.captures, layers=1)
        for way in (False, True)
    )
    error = [np.abs(result.depth_um - scenes.depth_um).max() for result in (usual, fitted)]
    assert error[1] < min(error[0], 10)
    assert (fitted.depth_std_um < usual.depth_std_um).all()
    np.testing.assert_array_equal(fitted.probability, usual.probability)


def test_depths_of_several_layers_stay_as_the_network_states_them() -> None:
    captures = simulate(1, seed=9408).captures
    usual, fitted = (
        load_model("layers-ab", refine_depth=way).reconstruct(captures) for way in (False, True)
    )
    np.testing.assert_array_equal(fitted.depth_um, usual.depth_um)


def test_one_sensor_has_no_second_view_to_fit_the_depth_to() -> None:
    with pytest.raises(FociscopeError, match="two sensors"):
        load_model("layers-a", refine_depth=True)
