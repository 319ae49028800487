"""Layers for napari, without napari: where things lie, and what is left out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from fociscope.errors import FociscopeError, OutputExistsError
from fociscope.files import ImagesDepth, write_images_depth
from fociscope.files.safe.records import read_record, write_record
from fociscope.imager import Imager
from fociscope.localization import Emitters
from fociscope.napari_plugin.reader import capture_layers, get_reader
from fociscope.napari_plugin.result_layers import result_layers
from fociscope.napari_plugin.sample_data import example, scene, series
from fociscope.napari_plugin.transforms import KEY, LEAST_THICKNESS_UM, LayerData
from fociscope.napari_plugin.writer import write_result
from fociscope.results import Reconstruction
from fociscope.results.emitters import emitter_headers, emitter_lines, write_tracks
from fociscope.results.foci import tabulate_foci
from fociscope.results.writers import write_result as write_maps

IMAGER = Imager.reference().with_(pixel_pitch_um=20.0, gap_um=800.0)


def made(frames: int | None = None, *, present: tuple[bool, ...] = (True, True, False)) -> Any:
    """A reconstruction of three layers with one focus of 4 x 3 pixels in each."""
    lead = () if frames is None else (frames,)
    probability = np.full((*lead, 3, 40, 40), 0.1, np.float32)
    probability[..., 10:14, 20:23] = 0.9
    depth_um = np.broadcast_to(np.float32([100, 250, 700]), (*lead, 3)).copy()
    if frames is not None:
        depth_um += 10 * np.arange(frames, dtype=np.float32)[:, None]
    captures = np.random.default_rng(0).uniform(1, 2, (*lead, 2, 40, 40)).astype(np.float32)
    presence = np.where(present, 0.99, 0.01).astype(np.float32)
    return Reconstruction(
        probability=probability,
        presence=np.broadcast_to(presence, (*lead, 3)).copy(),
        intensity=probability * 3,
        depth_um=depth_um,
        depth_std_um=np.broadcast_to(np.float32([2, 30, 40]), (*lead, 3)).copy(),
        captures=captures,
        reprojection=captures,
        imager=IMAGER,
        model="made",
    )


def named(layers: list[LayerData], kind: str) -> list[LayerData]:
    return [layer for layer in layers if layer[1]["metadata"][KEY]["kind"] == kind]


def test_layers_lie_at_their_depths_as_thick_as_they_are_uncertain() -> None:
    second, first = named(result_layers(made()), "P(cells)")  # the third layer is absent
    assert first[0].shape == (1, 40, 40)
    assert first[1]["translate"] == (100.0, 10.0, 10.0)
    assert first[1]["scale"] == (LEAST_THICKNESS_UM, 20.0, 20.0)
    assert second[1]["translate"] == (250.0, 10.0, 10.0)
    assert second[1]["scale"] == (60.0, 20.0, 20.0)
    assert second[1]["units"] == ("um", "um", "um")
    assert second[1]["metadata"][KEY]["depth_std_um"] == 30.0
    np.testing.assert_array_equal(second[0][0], made().probability[1])


def test_captures_lie_in_the_planes_of_their_sensors() -> None:
    a, b = named(result_layers(made()), "sensor")
    assert (a[1]["translate"][0], b[1]["translate"][0]) == (0.0, 800.0)
    assert not named(result_layers(made(), with_captures=False), "sensor")


def test_foci_are_points_where_the_table_has_them() -> None:
    (points,) = named(result_layers(made()), "foci")
    table = tabulate_foci(made())
    np.testing.assert_allclose(
        points[0], np.stack([table.depth_um, table.y_um, table.x_um], axis=1)
    )
    np.testing.assert_allclose(points[0], [[100, 240, 430], [250, 240, 430]])
    assert list(points[1]["features"]["layer"]) == [1, 2]
    np.testing.assert_allclose(points[1]["features"]["depth_std_um"], [2, 30])


def test_a_map_without_foci_has_no_layer_of_points() -> None:
    result = made(present=(False, False, False))
    assert not named(result_layers(result), "foci")
    assert not named(result_layers(result), "P(cells)")


def test_a_series_has_an_axis_of_frames_and_a_depth_for_each() -> None:
    layers = result_layers(made(3))
    _, first = named(layers, "P(cells)")
    assert first[0].shape == (3, 1, 40, 40)
    assert first[1]["translate"] == (0.0, 100.0, 10.0, 10.0)
    assert first[1]["axis_labels"] == ("frame", "depth", "y", "x")
    assert first[1]["metadata"][KEY]["depth_um"] == [100.0, 110.0, 120.0]
    (points,) = named(layers, "foci")
    assert points[0].shape == (6, 4)
    np.testing.assert_allclose(points[0][-1], [2, 270, 240, 430])


def test_a_layer_is_dark_in_frames_that_lack_it() -> None:
    result = made(2)
    result.presence[1, 0] = 0.1
    _, first = named(result_layers(result), "P(cells)")
    assert first[0][0].max() > 0.5
    assert first[0][1].max() == 0


def test_more_than_one_leading_axis_is_refused() -> None:
    result = made(2)
    nested = Reconstruction(**{**vars(result), "captures": result.captures[None]})
    with pytest.raises(ValueError, match="one leading axis"):
        result_layers(nested)


def test_the_example_is_the_shipped_pair() -> None:
    a, b = example()
    assert a[0].shape == b[0].shape == (1, 51, 51)
    assert b[1]["translate"] == (1000.0, 27.5, 27.5)


def test_a_simulated_scene_brings_its_truth() -> None:
    layers = scene()
    truth = named(layers, "true light")
    assert len(named(layers, "sensor")) == 2
    assert len(truth) == 4
    for layer in truth:
        assert layer[1]["translate"][0] == pytest.approx(layer[1]["metadata"][KEY]["depth_um"])


def test_a_simulated_series_has_depths_of_its_own_in_each_frame() -> None:
    depths_um = named(series(), "true light")[-1][1]["metadata"][KEY]["depth_um"]
    assert len(set(depths_um)) == 8


def test_reader_opens_captures_of_the_names_we_use(tmp_path: Path) -> None:
    image = np.random.default_rng(0).uniform(1, 2, (40, 40)).astype(np.float32)
    np.save(tmp_path / "sensor_b.npy", image)
    path = str(tmp_path / "sensor_b.npy")
    reader = get_reader(path)
    assert reader is not None
    (layer,) = reader(path)
    assert layer[1]["metadata"][KEY]["sensor"] == "B"
    assert layer[1]["translate"][0] == 1000.0
    np.testing.assert_array_equal(layer[0][0], image)


def test_two_files_are_sensor_a_and_sensor_b(tmp_path: Path) -> None:
    for name in ("one.npy", "two.npy"):
        np.save(tmp_path / name, np.ones((40, 40)))
    paths = [str(tmp_path / "one.npy"), str(tmp_path / "two.npy")]
    reader = get_reader(paths)
    assert reader is not None
    assert [layer[1]["name"] for layer in reader(paths)] == ["sensor A", "sensor B"]


def data_set(path: Path, samples: int, *, depths: bool = True) -> None:
    rng = np.random.default_rng(0)
    depth_um = np.sort(rng.uniform(0, 1000, (samples, 3)), axis=1).astype(np.float32)
    raw = rng.uniform(0, 1, (samples, 3, 32, 32)).astype(np.float32)
    mask = raw > 0.5
    write_images_depth(
        path,
        ImagesDepth(
            captures=rng.uniform(1, 2, (samples, 2, 32, 32)).astype(np.float32),
            raw=raw,
            depth_map_um=mask * depth_um[..., None, None] if depths else None,
            depth_um=depth_um if depths else None,
        ),
    )


@pytest.mark.parametrize("samples", [1, 3])
def test_reader_opens_the_published_layout(tmp_path: Path, samples: int) -> None:
    path = tmp_path / "data.mat"
    data_set(path, samples)
    reader = get_reader(str(path))
    assert reader is not None
    layers = reader(str(path))
    lead = () if samples == 1 else (samples,)
    assert len(named(layers, "sensor")) == 2
    for kind in ("light", "depth map"):
        found = named(layers, kind)
        assert [layer[0].shape for layer in found] == [(*lead, 1, 32, 32)] * 3
    for light, depths in zip(named(layers, "light"), named(layers, "depth map"), strict=True):
        assert light[1]["translate"][-3] == pytest.approx(depths[0].reshape(samples, -1)[0].max())


def test_layers_without_depths_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "data.mat"
    data_set(path, 2, depths=False)
    reader = get_reader(str(path))
    assert reader is not None
    with pytest.warns(UserWarning, match="no depths"):
        layers = reader(str(path))
    assert len(layers) == 2


@pytest.mark.parametrize("name", ["notes.mat", "sensor_a.tif", "summary.json", "missing.mat"])
def test_reader_leaves_alone_what_only_looks_like_ours(tmp_path: Path, name: str) -> None:
    if name != "missing.mat":
        (tmp_path / name).write_text("{}")
    assert get_reader(str(tmp_path / name)) is None


def test_what_is_saved_opens_where_it_was(tmp_path: Path) -> None:
    result = made()
    written = write_result(str(tmp_path / "map"), result_layers(result))
    assert str(tmp_path / "map" / "summary.json") in written
    for name in ("summary.json", "probability.ome.tif"):
        path = str(tmp_path / "map" / name)
        reader = get_reader(path)
        assert reader is not None
        again = reader(path)
        for kind in ("P(cells)", "intensity", "foci"):
            before, after = named(result_layers(result), kind), named(again, kind)
            assert len(before) == len(after)
            for one, other in zip(before, after, strict=True):
                np.testing.assert_allclose(one[0], other[0])
                assert one[1].get("translate") == other[1].get("translate")


def test_a_series_saved_without_ome_zarr_is_left_to_others(tmp_path: Path) -> None:
    write_result(str(tmp_path / "map"), result_layers(made(2)))
    assert get_reader(str(tmp_path / "map" / "summary.json")) is None


def test_a_series_saved_as_ome_zarr_opens_frame_by_frame_where_it_was(tmp_path: Path) -> None:
    pytest.importorskip("dask", reason="comes with napari")
    result = made(3)
    write_maps(result, tmp_path / "map", formats=("ome-zarr", "csv"))
    path = str(tmp_path / "map" / "summary.json")
    reader = get_reader(path)
    assert reader is not None
    again = reader(path)
    for kind in ("P(cells)", "intensity", "foci"):
        before, after = named(result_layers(result), kind), named(again, kind)
        assert len(before) == len(after) > 0
        for one, other in zip(before, after, strict=True):
            # foci.csv has hundredths of a micrometre
            np.testing.assert_allclose(one[0], np.asarray(other[0]), atol=0.006)
            assert one[1].get("translate") == other[1].get("translate")
            assert one[1].get("scale") == other[1].get("scale")


def test_a_series_whose_figures_do_not_fit_its_image_is_not_claimed(tmp_path: Path) -> None:
    for name, frames in (("map", 3), ("other", 2)):
        write_maps(made(frames), tmp_path / name, formats=("ome-zarr",))
    store = tmp_path / "map" / "reconstruction.ome.zarr"
    shutil.rmtree(store / "depth_um")
    shutil.move(tmp_path / "other" / store.name / "depth_um", store / "depth_um")
    assert get_reader(str(tmp_path / "map" / "summary.json")) is None


def test_a_damaged_map_is_not_claimed(tmp_path: Path) -> None:
    write_result(str(tmp_path / "map"), result_layers(made()))
    (tmp_path / "map" / "summary.json").write_text('{"captures": [{"layers": [{"depth_um": 1}]}]}')
    assert get_reader(str(tmp_path / "map" / "probability.ome.tif")) is None


def test_a_map_of_another_size_than_its_summary_is_refused(tmp_path: Path) -> None:
    write_result(str(tmp_path / "map"), result_layers(made()))
    for name in ("probability.ome.tif", "intensity.ome.tif"):
        (tmp_path / "map" / name).unlink()
    capture = np.ones((40, 40), np.float32)
    tifffile.imwrite(tmp_path / "map" / "probability.ome.tif", capture)
    path = tmp_path / "map" / "summary.json"
    reader = get_reader(str(path))
    assert reader is not None
    with pytest.raises(FociscopeError, match=r"probability\.ome\.tif: changed since"):
        reader(str(path))
    said = read_record(path, "a summary")
    del said["files"]  # as in a result of an earlier version
    write_record(path, said, overwrite=True)
    with pytest.raises(FociscopeError, match="1 planes, expected 3"):
        reader(str(path))


def located(folder: Path, frames: int = 1) -> Path:
    """Write a folder of `fociscope locate` with an emitter in each frame, and one in the first."""
    count = frames + 1
    emitters = Emitters(
        frame=np.array([0, *range(frames)]),
        x_um=np.full(count, 100.0),
        y_um=np.full(count, 200.0),
        depth_um=np.array([700.0, *[300.0] * frames]),
        x_std_um=np.full(count, 1.0),
        y_std_um=np.full(count, 2.0),
        depth_std_um=np.full(count, 3.0),
        brightness=np.ones(count),
        probability=np.ones(count),
        background=np.zeros((frames, 2)),
        misfit=np.ones(frames),
    )
    header, lines = emitter_headers(2), emitter_lines(emitters)
    for name in header:
        (folder / name).write_text(header[name] + lines[name])
    summary = {"kind": "emitters", "imager": IMAGER.model_dump(mode="json", exclude_none=True)}
    (folder / "summary.json").write_text(json.dumps(summary))
    write_tracks(folder, emitters, np.array([0, *[1] * frames]))
    return folder


@pytest.mark.parametrize("name", ["emitters.csv", "summary.json"])
def test_emitters_open_where_they_are_with_their_errors(tmp_path: Path, name: str) -> None:
    path = str(located(tmp_path) / name)
    read = get_reader(path)
    assert read is not None
    (bars, _, _), (places, looks, kind), _ = read(path)

    assert kind == "points"
    half_px = IMAGER.square_pitch_um / 2  # from the pixel's middle to its outer corner
    np.testing.assert_allclose(places[0], [700, 200 + half_px, 100 + half_px])
    assert looks["units"] == ("um", "um", "um")
    assert looks["features"]["depth_std_um"].tolist() == [3.0, 3.0]
    assert looks["face_color"][0] != looks["face_color"][1]
    np.testing.assert_allclose(bars[0], [places[0] - [3, 0, 0], [6, 0, 0]])
    np.testing.assert_allclose(bars[4], [places[1] - [0, 2, 0], [0, 4, 0]])


def test_emitters_of_a_series_have_frames_and_tracks(tmp_path: Path) -> None:
    path = str(located(tmp_path, frames=3) / "emitters.csv")
    read = get_reader(path)
    assert read is not None
    _, (places, looks, _), (tracks, _, kind) = read(path)

    assert places[:, 0].tolist() == [0, 0, 1, 2]
    assert looks["axis_labels"] == ("frame", "depth", "y", "x")
    assert looks["features"]["frame"].tolist() == [1, 1, 2, 3]
    assert kind == "tracks"
    assert tracks[:, :3].tolist() == [[1, 0, 700], [2, 0, 300], [2, 1, 300], [2, 2, 300]]


def test_a_table_of_emitters_without_its_summary_is_not_claimed(tmp_path: Path) -> None:
    located(tmp_path)
    (tmp_path / "summary.json").unlink()

    assert get_reader(str(tmp_path / "emitters.csv")) is None


def test_writer_wants_one_reconstruction(tmp_path: Path) -> None:
    with pytest.raises(FociscopeError, match="none is among"):
        write_result(str(tmp_path / "map"), example())
    with pytest.raises(FociscopeError, match="2 is among"):
        write_result(str(tmp_path / "map"), [*result_layers(made()), *result_layers(made())])
    assert not (tmp_path / "map").exists()


def test_writer_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError):
        write_result(str(tmp_path), result_layers(made()))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_captures_of_a_colour_picture_are_refused_in_words(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), "orange").save(tmp_path / "colour.png")
    with pytest.raises(FociscopeError, match="colour"):
        capture_layers([tmp_path / "colour.png"])


def test_reader_writer_and_samples_need_neither_napari_nor_qt() -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['napari', 'qtpy', 'magicgui']))\n"
        "from fociscope.napari_plugin import reader, sample_data, writer\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
