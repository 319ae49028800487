"""What a visitor of the app looks at: the example, dropped files, a scene by sliders."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from fociscope.app.capture_input import from_upload, safe_name, shipped_example, simulated
from fociscope.app.methods import answer, methods_for
from fociscope.app.scene import SceneSettings, simulate_scene
from fociscope.app.scores import OUTCOMES, score
from fociscope.app.uploads import save_files
from fociscope.errors import FileFormatError
from fociscope.evaluation.batches import Prediction
from fociscope.figures.reconstruction import Truth
from fociscope.imager import Imager
from fociscope.networks.store import usual_model
from fociscope.reconstruction import Preparation
from fociscope.workflows import ReconstructionOptions


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
    options = ReconstructionOptions(model="layers-ab")
    command = command_line(other, other.options(options))

    assert usual.imager is None
    assert other.imager is not None
    assert "--imager imager.toml" in command
    assert command.startswith("fociscope reconstruct captures.npy -o map --model layers-ab")


@pytest.mark.parametrize("sensors", [1, 2])
def test_methods_see_no_more_sensors_than_there_are(sensors: int) -> None:
    methods = methods_for(sensors)

    assert methods[0].name == usual_model(sensors)
    assert max(method.sensors for method in methods) == sensors
    assert len({method.key for method in methods}) == len(methods)


def test_a_network_beats_the_constant_guess_on_the_example() -> None:
    example = shipped_example()
    found = answer(
        methods_for(2)[0],
        example.frames[0],
        imager=Imager.reference(),
        layers=4,
        in_simulated_light=False,
    )
    truth = example.truth(0)
    assert truth is not None
    right = score(found.estimate, truth)

    assert found.residual.shape == (2,)
    assert right.accuracy > right.constant_accuracy + 0.1
    assert (right.missed, right.false_layers) == (0, 0)
    assert "% of pixels right (constant baseline" in right.in_words


def test_pixels_against_the_truth_are_found_missed_or_false() -> None:
    truth = Truth(np.array([[[1, 1, 0, 0]]], bool), np.array([500.0], np.float32))
    estimate = Prediction(
        mask=np.array([[[1, 0, 1, 0]], [[0, 0, 0, 1]]], bool),
        depth_um=np.array([510.0, 900.0], np.float32),
    )
    scores = score(estimate, truth)

    (layer,) = scores.layers
    assert [OUTCOMES[n] for n in layer.outcome[0]] == ["found", "missed", "false", "none"]
    assert layer.share("missed") == 0.25
    assert [depth for depth, _ in scores.false_masks] == [900.0]


def test_the_truth_is_cropped_and_flipped_as_sensor_a() -> None:
    example = shipped_example()
    whole = example.truth(0)
    cut = example.truth(0, Preparation(crop=(5, 6, 40, 32), flip_a="x", flip_b="y"))
    assert whole is not None
    assert cut is not None

    assert (cut.mask == whole.mask[..., ::-1][:, 5:45, 6:38]).all()


def test_scenes_that_were_simulated_keep_their_imager_and_need_no_correction() -> None:
    scene = simulated(SceneSettings(half_angle_deg=15))
    chosen = ReconstructionOptions(
        imager=Imager.reference(), dark="dark.tif", preparation=Preparation(flip_b="x"), layers=2
    )
    options = scene.options(chosen)

    assert options == ReconstructionOptions(imager=scene.imager, layers=2)


@dataclass
class Sent:
    name: str

    async def save(self, path: str | Path) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(self.name)


def test_files_are_saved_in_the_order_of_their_names(tmp_path: Path) -> None:
    sent = [Sent("run 10_a.tif"), Sent("run 2_a.tif")]
    paths = asyncio.run(save_files(sent, tmp_path / "new"))

    assert [path.name for path in paths] == ["run_2_a.tif", "run_10_a.tif"]
    assert paths[0].read_text() == "run 2_a.tif"


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"Image\.tif: 2 files of this name .* sensor A's"):
        asyncio.run(save_files([Sent("Image.tif"), Sent("image.tif")], tmp_path))
    assert list(tmp_path.iterdir()) == []
