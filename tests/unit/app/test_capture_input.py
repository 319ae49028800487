"""What a visitor of the app looks at: the example, dropped files, a scene by sliders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from fociscope.app.capture_input import from_upload, safe_name, shipped_example, simulated
from fociscope.app.methods import answer, default_model, methods_for
from fociscope.app.scene import SceneSettings, simulate_scene
from fociscope.app.scores import score
from fociscope.errors import FileFormatError


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("sensor_a.tif", "sensor_a.tif"),
        ("../../etc/sensor a.TIF", "sensor_a.TIF"),
        ("C:\\data\\a;rm -rf.png", "a_rm_-rf.png"),
        ("..hidden.npy", "hidden.npy"),
        ("run/*:x.h5", "_x.h5"),
    ],
)
def test_names_of_files_hold_no_path_and_no_pattern(given: str, kept: str) -> None:
    assert safe_name(given) == kept


@pytest.mark.parametrize("given", ["a.py", "", "/", "tif", "a.zarr"])
def test_other_kinds_of_files_are_refused(given: str) -> None:
    with pytest.raises(FileFormatError, match="not a kind of file that is read here"):
        safe_name(given)


def test_the_example_knows_its_truth() -> None:
    example = shipped_example()
    truth = example.truth(0)

    assert example.frames.shape == (1, 2, 51, 51)
    assert truth is not None
    assert truth.mask.shape == (4, 51, 51)


def _write(path: Path, image: NDArray[np.float32]) -> Path:
    tifffile.imwrite(path, image)
    return path


def test_two_files_are_a_pair_in_the_order_given(tmp_path: Path) -> None:
    a = _write(tmp_path / "a.tif", np.full((40, 40), 1, np.float32))
    b = _write(tmp_path / "b.tif", np.full((40, 40), 2, np.float32))
    seen = from_upload([a, b])

    assert seen.frames.shape == (1, 2, 40, 40)
    assert seen.frames[0, :, 0, 0].tolist() == [1, 2]
    assert (seen.names, seen.is_series, seen.truths) == (("a.tif", "b.tif"), False, ())


def test_what_goes_wrong_names_the_file_and_not_its_folder(tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_bytes(b"II*\0 no image")
    with pytest.raises(FileFormatError) as caught:
        from_upload([tmp_path / "bad.tif"])
    assert str(caught.value).startswith("bad.tif")


def test_a_scene_has_the_depths_that_were_asked_for() -> None:
    scene = simulate_scene(SceneSettings(depth_um=(700, 200, 4000), coverage=0.3))

    assert scene.truth.depth_um.tolist() == [200, 700, 1000]  # sorted, none below the gap
    assert scene.captures.shape == (2, 51, 51)
    assert np.allclose(scene.truth.mask.mean(axis=(-2, -1)), 0.3, atol=0.001)


def test_a_layer_moves_without_changing_its_cells() -> None:
    before = simulate_scene(SceneSettings(depth_um=(200, 700)))
    after = simulate_scene(SceneSettings(depth_um=(200, 900)))

    assert (before.truth.mask == after.truth.mask).all()
    assert not np.allclose(before.captures, after.captures)


def test_a_scene_of_the_reference_imager_needs_no_imager_file() -> None:
    pytest.importorskip("nicegui", reason="the app needs NiceGUI: pip install '.[app]'")
    from fociscope.app.download import command_line

    usual, other = simulated(SceneSettings()), simulated(SceneSettings(half_angle_deg=15))
    command = command_line(other, model="layers-ab", layers=None)

    assert usual.imager is None
    assert other.imager is not None
    assert "--imager imager.toml" in command
    assert command.startswith("fociscope reconstruct captures.npy -o map --model layers-ab")


@pytest.mark.parametrize("sensors", [1, 2])
def test_methods_see_no_more_sensors_than_there_are(sensors: int) -> None:
    methods = methods_for(sensors)

    assert methods[0].name == default_model(sensors)
    assert max(method.sensors for method in methods) == sensors
    assert len({method.key for method in methods}) == len(methods)


def test_a_network_beats_the_constant_guess_on_the_example() -> None:
    example = shipped_example()
    found = answer(
        methods_for(2)[0], example.frames[0], imager=None, layers=4, in_simulated_light=False
    )
    truth = example.truth(0)
    assert truth is not None
    right = score(found.estimate, truth)

    assert found.residual.shape == (2,)
    assert right.accuracy > right.constant_accuracy + 0.1
    assert (right.missed, right.false_layers) == (0, 0)
    assert "% of pixels right (constant baseline" in right.in_words
