"""Sensor images that lie beside their layers: how far, from the data alone, and put right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from fociscope.calibration import Displacement, measure_displacement, on_the_layers
from fociscope.errors import CaptureError
from fociscope.evaluation.data_sets import DataSet
from fociscope.files import ImagesDepth, write_images_depth
from fociscope.imager import Imager
from fociscope.simulation import Scenes, simulate
from fociscope.simulation.dataset import images_depth
from fociscope.training import FileScenes
from fociscope.typing import Float32Array

REFERENCE = Imager.reference()


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return simulate(3, seed=5)


def moved(captures: Float32Array, shift_px: tuple[float, float]) -> Float32Array:
    """Return captures (sample, sensor, y, x) that lie beside where they were."""
    shift = (0, 0, *shift_px)
    return scipy.ndimage.shift(captures, shift, order=5, mode="nearest").astype(np.float32)


@pytest.mark.parametrize("shift_px", [(-1.0, -1.0), (0.4, -0.7), (0.0, 0.0)])
def test_a_displacement_is_known_to_a_twentieth_of_a_pixel(scenes: Scenes, shift_px) -> None:
    captures = moved(np.asarray(scenes.captures), shift_px)
    found = measure_displacement(captures, scenes.layers, scenes.depth_um, REFERENCE)

    assert found.shift_px == pytest.approx(np.tile(shift_px, (2, 1)), abs=0.05)
    assert (found.std_px < 0.05).all()


@pytest.mark.parametrize("half_angle_deg", [12.0, 24.0])
def test_a_width_that_is_not_the_chips_moves_nothing(half_angle_deg: float) -> None:
    psf = REFERENCE.psf.model_copy(update={"half_angle_deg": half_angle_deg})
    scenes = simulate(3, seed=6, imager=REFERENCE.with_(psf=psf))
    captures = moved(np.asarray(scenes.captures), (-1.0, -1.0))
    found = measure_displacement(captures, scenes.layers, scenes.depth_um, REFERENCE)

    assert found.shift_px == pytest.approx(-np.ones((2, 2)), abs=0.05)


def test_sensors_may_lie_apart(scenes: Scenes) -> None:
    captures = np.asarray(scenes.captures).copy()
    captures[:, 1] = np.roll(captures[:, 1], 2, axis=-1)
    found = measure_displacement(captures, scenes.layers, scenes.depth_um, REFERENCE)

    assert found.shift_px == pytest.approx(np.array([[0, 0], [0, 2]]), abs=0.05)
    assert found.in_words().startswith("A: ")


def test_a_move_onto_the_layers_undoes_the_displacement(scenes: Scenes) -> None:
    captures = np.asarray(scenes.captures)
    displaced = np.roll(captures, (-1, 2), axis=(-2, -1))
    back = on_the_layers(displaced, Displacement(np.tile([-1.0, 2.0], (2, 1)), np.ones((2, 2)), 1))

    inner = np.s_[..., 3:-3, 3:-3]
    assert back[inner].tolist() == captures[inner].tolist()


def test_layers_without_light_tell_nothing() -> None:
    dark = np.zeros((1, 4, 51, 51), np.float32)
    depths = np.float32([[100, 350, 600, 850]])
    with pytest.raises(CaptureError, match="no layer holds any light"):
        measure_displacement(np.ones((1, 2, 51, 51), np.float32), dark, depths, REFERENCE)


def test_small_frames_are_refused() -> None:
    with pytest.raises(CaptureError, match="at least 16 along a side"):
        measure_displacement(
            np.ones((1, 1, 9, 20), np.float32),
            np.ones((1, 1, 9, 20), np.float32),
            np.float32([[100]]),
            REFERENCE,
        )


@pytest.fixture
def displaced_file(scenes: Scenes, tmp_path: Path) -> tuple[Path, ImagesDepth]:
    """Return a file as another program writes it, a pixel up and left, and what it should be."""
    right = images_depth(scenes)
    captures = np.roll(right.captures, (-1, -1), axis=(-2, -1))
    path = tmp_path / "theirs.mat"
    write_images_depth(path, ImagesDepth(captures, right.raw, right.depth_map_um, right.depth_um))
    return path, right


def test_a_data_set_is_scored_on_its_layers(displaced_file) -> None:
    path, right = displaced_file
    scored = DataSet(path)
    (batch,) = scored.batches()

    inner = np.s_[..., 1:, 1:]
    assert np.asarray(batch.captures)[inner] == pytest.approx(right.captures[inner])
    assert scored.described().displacement_px == ((-1.0, -1.0), (-1.0, -1.0))


def test_training_files_are_moved_onto_their_layers(displaced_file) -> None:
    path, right = displaced_file
    scenes = FileScenes(path, shuffle=False, imager=REFERENCE)
    first = next(iter(scenes)).captures.numpy()

    assert first[:, 1:, 1:] == pytest.approx(right.captures[0][:, 1:, 1:])
    plain = next(iter(FileScenes(path, shuffle=False))).captures.numpy()
    assert plain[:, :-1, :-1] == pytest.approx(right.captures[0][:, 1:, 1:])
