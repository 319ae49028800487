"""Sensor images beside their layers: moved as by a kernel off its middle, and found again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fociscope.calibration import displacement_of_files
from fociscope.errors import SceneError
from fociscope.evaluation import DataSet
from fociscope.imager import Imager, LayerProjector
from fociscope.simulation import DatasetPlan, Surface, simulate, write_dataset


@pytest.mark.parametrize("shift", [(-1, -1), (2, 0), (-3, 1)])
@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_images_are_those_of_before_moved(shift: tuple[int, int], boundary: str) -> None:
    imager = Imager.reference().with_(boundary=boundary)
    plain, moved = (
        simulate(2, seed=4, imager=imager, peak_snr_db=None, displacement_px=by)
        for by in ((0, 0), shift)
    )
    np.testing.assert_array_equal(moved.layers, plain.layers)
    there = np.roll(plain.captures, shift, axis=(-2, -1))
    inner = (..., slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(moved.captures[inner], there[inner], rtol=1e-4, atol=1e-5)


def test_what_comes_into_the_frame_is_what_the_sensor_would_see_there() -> None:
    imager = Imager.reference()
    moved = simulate(1, seed=4, peak_snr_db=None, displacement_px=(-1, -1))
    wide = torch.nn.functional.pad(torch.from_numpy(moved.layers), (1, 1, 1, 1))
    seen = LayerProjector(imager).A(wide.numpy(), moved.depth_um)
    np.testing.assert_allclose(moved.captures, seen[..., 2:, 2:], rtol=1e-4, atol=1e-5)


def test_a_data_set_says_so_and_is_found_so(tmp_path: Path) -> None:
    plan = DatasetPlan(files=1, samples=12, displacement_px=(-1, 1))
    write_dataset(tmp_path / "set", plan, workers=1)
    record = json.loads((tmp_path / "set/dataset.json").read_text())
    assert record["plan"]["displacement_px"] == [-1, 1]
    found = displacement_of_files([tmp_path / "set/1.mat"], Imager.reference())
    assert found is not None
    np.testing.assert_allclose(found.shift_px, [[-1, 1]] * 2, atol=0.05)
    known = DataSet(tmp_path / "set").displacement
    assert known is not None and known.whole_px.tolist() == [[-1, 1]] * 2


def test_sets_that_are_not_displaced_are_taken_as_they_are(tmp_path: Path) -> None:
    write_dataset(tmp_path / "set", DatasetPlan(files=1, samples=2), workers=1)
    assert DataSet(tmp_path / "set").displacement is None


def test_farther_than_any_program_writes_is_refused() -> None:
    with pytest.raises(SceneError, match="at most 3 pixels"):
        simulate(1, seed=0, displacement_px=(0, 4))


def test_tilted_layers_are_not_displaced() -> None:
    with pytest.raises(SceneError, match="flat layers only"):
        simulate(1, seed=0, surface=Surface(tilt_deg=1.0), displacement_px=(1, 0))
