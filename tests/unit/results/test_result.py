"""What a reconstruction becomes on the disk, opened again with the tools that others use."""

from __future__ import annotations

import csv
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fociscope.errors import FociscopeError, OutputExistsError
from fociscope.imager import Imager
from fociscope.results import Reconstruction, find_foci
from fociscope.results.foci import label_foci

#: Planes are placed to a thousandth of a um.
NANOMETRE_UM = 1e-3
ALL = ("ome-tiff", "ome-zarr", "mat", "npz", "csv")


@pytest.fixture
def series(by_hand) -> Reconstruction:
    rng = np.random.default_rng(5)
    return by_hand(
        rng.random((3, 4, 40, 44)) ** 3,
        depth_um=(110.5, 361.25, 592.0, 850.0),
        presence=np.array([[1, 1, 0.8, 0.3]] * 3, np.float32),
        quality_flags=np.array(["", "a frame, said to be odd", ""]),
    )


@pytest.fixture
def saved(series, tmp_path: Path) -> Path:
    series.save(tmp_path / "map", formats=ALL)
    return tmp_path / "map"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_tables_and_ome_tiff_are_what_is_written_unasked(series, tmp_path) -> None:
    series.save(tmp_path / "map")
    images = {f"{name}.ome.tif" for name in ("probability", "intensity", "depth_map")}
    tables = {"frames.csv", "layers.csv", "foci.csv"}
    assert {p.name for p in (tmp_path / "map").iterdir()} == images | tables | {"summary.json"}


def test_ome_tiff_is_valid_and_places_every_plane(series, saved) -> None:
    ome_types = pytest.importorskip("ome_types")
    ome = ome_types.from_xml(tifffile.tiffcomment(saved / "probability.ome.tif"))
    pixels = ome.images[0].pixels
    assert (pixels.size_t, pixels.size_z, pixels.size_y, pixels.size_x) == (3, 4, 40, 44)
    assert pixels.physical_size_x == pixels.physical_size_y == 55
    assert pixels.physical_size_x_unit.value == "µm"
    placed = {(p.the_t, p.the_z): p.position_z for p in pixels.planes}
    assert len(placed) == 12
    for (t, z), position_um in placed.items():
        assert position_um == pytest.approx(series.depth_um[t, z], abs=1e-3)
    np.testing.assert_array_equal(tifffile.imread(saved / "intensity.ome.tif"), series.intensity)


def test_ome_zarr_follows_ngff_and_places_pixels_as_the_tables_do(series, saved) -> None:
    group = zarr.open_group(saved / "reconstruction.ome.zarr", mode="r", zarr_format=3)
    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    (scales,) = ome["multiscales"]
    assert [axis["name"] for axis in scales["axes"]] == ["t", "c", "z", "y", "x"]
    assert [axis["type"] for axis in scales["axes"]] == ["time", "channel"] + ["space"] * 3
    assert {axis["unit"] for axis in scales["axes"][2:]} == {"micrometer"}
    (level,) = scales["datasets"]
    scale, translation = level["coordinateTransformations"]
    assert (scale["type"], scale["scale"]) == ("scale", [1, 1, 250, 55, 55])
    assert (translation["type"], translation["translation"][3:]) == ("translation", [27.5, 27.5])
    image = group[level["path"]]
    assert image.metadata.dimension_names == ("t", "c", "z", "y", "x")
    assert image.dtype == np.float32
    labels = [channel["label"] for channel in ome["omero"]["channels"]]
    assert labels == ["probability", "intensity", "depth_map_um"]
    for channel in ome["omero"]["channels"]:
        assert set(channel["window"]) == {"min", "max", "start", "end"}
        assert len(channel["color"]) == 6
    np.testing.assert_array_equal(image[:, 0], series.probability)
    np.testing.assert_array_equal(image[:, 1], series.intensity)
    np.testing.assert_array_equal(image[:, 2], series.depth_map_um)
    np.testing.assert_array_equal(group["depth_um"][:], series.depth_um)
    np.testing.assert_array_equal(group["presence"][:], series.presence)


def test_one_capture_has_no_axis_of_time(series, tmp_path) -> None:
    series.frame(1).save(tmp_path / "one", formats=ALL)
    group = zarr.open_group(tmp_path / "one" / "reconstruction.ome.zarr", mode="r")
    assert group["0"].shape == (3, 4, 40, 44)
    assert [a["name"] for a in group.attrs["ome"]["multiscales"][0]["axes"]] == list("czyx")
    assert tifffile.imread(tmp_path / "one" / "probability.ome.tif").shape == (4, 40, 44)
    assert len(rows(tmp_path / "one" / "layers.csv")) == 4


def test_mat_and_npz_hold_the_arrays(series, saved) -> None:
    mat = scipy.io.loadmat(saved / "reconstruction.mat")
    np.testing.assert_allclose(mat["zdist_PSF"], series.depth_um / 1000, rtol=1e-6)
    np.testing.assert_allclose(mat["depth_map"], series.depth_map_um / 1000, rtol=1e-6)
    with np.load(saved / "reconstruction.npz", allow_pickle=False) as npz:
        np.testing.assert_array_equal(npz["probability"], series.probability)
        np.testing.assert_array_equal(npz["mask"], series.mask)
        np.testing.assert_array_equal(npz["foci"], label_foci(series))
        assert npz["pixel_pitch_um"] == 55


def test_tables_say_what_the_arrays_say(series, saved) -> None:
    layers, frames = rows(saved / "layers.csv"), rows(saved / "frames.csv")
    assert len(layers) == 12
    row = layers[1 * 4 + 2]
    assert (row["frame"], row["layer"], row["present"]) == ("2", "3", "1")
    assert float(row["depth_um"]) == 592.0
    assert float(row["depth_std_um"]) == 12.5
    assert float(row["coverage"]) == pytest.approx(series.mask[1, 2].mean(), abs=1e-5)
    assert (layers[3]["present"], layers[3]["foci"], layers[3]["coverage"]) == ("0", "0", "0.00000")
    foci = [f for f in find_foci(series.frame(1)) if f.layer == 2]
    found = [r for r in rows(saved / "foci.csv") if (r["frame"], r["layer"]) == ("2", "3")]
    assert int(row["foci"]) == len(foci) == len(found)
    assert float(row["cells"]) == pytest.approx(sum(f.cells for f in foci), abs=0.01)
    for focus, r in zip(foci, found, strict=True):
        assert int(r["focus"]) == focus.label
        assert float(r["x_um"]) == pytest.approx(focus.x_um, abs=0.01)
        assert float(r["y_um"]) == pytest.approx(focus.y_um, abs=0.01)
        assert float(r["confidence"]) == pytest.approx(focus.confidence, abs=1e-4)
    assert [r["plausible"] for r in frames] == ["1", "0", "1"]
    assert frames[1]["quality_flags"] == "a frame, said to be odd"
    assert float(frames[0]["residual_a"]) == pytest.approx(0.1, abs=1e-4)


def test_summary_counts_foci_and_cells(series, saved) -> None:
    summary = json.loads((saved / "summary.json").read_text())
    assert summary["cell_diameter_um"] == 60
    layer = summary["captures"][1]["layers"][2]
    foci = [f for f in find_foci(series.frame(1)) if f.layer == 2]
    assert layer["foci"] == len(foci)
    assert layer["cells"] == pytest.approx(sum(f.cells for f in foci), abs=0.01)


def test_the_same_result_gives_the_same_bytes(series, saved, tmp_path) -> None:
    series.save(tmp_path / "again", formats=ALL)
    for file in sorted(p for p in saved.rglob("*") if p.is_file() and p.suffix != ".npz"):
        other = tmp_path / "again" / file.relative_to(saved)
        assert file.read_bytes() == other.read_bytes(), file.name


def test_overwriting_replaces_a_result_in_other_formats(series, saved) -> None:
    (saved / "notes.txt").write_text("mine")
    series.save(saved, formats=("csv",), overwrite=True)
    tables = {"frames.csv", "layers.csv", "foci.csv"}
    assert {p.name for p in saved.iterdir()} == {*tables, "summary.json", "notes.txt"}


def test_what_cannot_be_written_is_refused_and_nothing_stays(series, tmp_path) -> None:
    with pytest.raises(FociscopeError, match="choose among: ome-tiff, ome-zarr"):
        series.save(tmp_path / "map", formats=("jpeg",))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError):
        series.save(tmp_path / "map")
    assert [p.name for p in (tmp_path / "map").iterdir()] == ["mine.txt"]


def test_the_repr_is_one_line_without_arrays(series) -> None:
    assert repr(series) == (
        "<Reconstruction: 3 captures, 4 layers of 40x44 pixels, 2 sensors, model by hand, "
        "depths 110 to 592 µm>"
    )
    assert repr(series.frame(0)) == (
        "<Reconstruction: 4 layers of 40x44 pixels, 2 sensors, model by hand, "
        "depths 110, 361, 592 µm>"
    )
    absent = replace(series.frame(0), presence=np.zeros(4, np.float32))
    assert repr(absent).endswith("model by hand, no layer present>")


@st.composite
def results(draw: st.DrawFn, by_hand: Any) -> Reconstruction:
    """Draw a result of one capture, or of a few frames."""
    frames = draw(st.sampled_from([(), (1,), (3,)]))
    layers = draw(st.integers(1, 6))
    size = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gap_um = draw(st.floats(50, 5000))
    imager = Imager(pixel_pitch_um=draw(st.floats(0.5, 200)), gap_um=gap_um)
    depth_um = np.sort(rng.uniform(0, gap_um, (*frames, layers)), axis=-1).astype(np.float32)
    whole = by_hand(rng.random((*frames, layers, *size)), imager=imager)
    return replace(whole, depth_um=depth_um)


@settings(
    max_examples=15, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(data=st.data())
def test_every_format_holds_the_result(by_hand: Any, data: st.DataObject) -> None:
    result = data.draw(results(by_hand))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "map"
        result.save(folder, formats=ALL)
        holds_ome_tiff(folder, result)
        holds_ome_zarr(folder, result)
        holds_mat(folder, result)
        holds_npz(folder, result)
        holds_layers_csv(folder, result)


def holds_ome_tiff(folder: Path, result: Reconstruction) -> None:
    ome_types = pytest.importorskip("ome_types")
    for name, array in (
        ("probability", result.probability),
        ("intensity", result.intensity),
        ("depth_map", result.depth_map_um),
    ):
        path = folder / f"{name}.ome.tif"
        np.testing.assert_array_equal(np.squeeze(tifffile.imread(path)), np.squeeze(array))
        pixels = ome_types.from_tiff(path).images[0].pixels
        assert pixels.physical_size_x == pytest.approx(result.imager.pixel_pitch_um)
        assert pixels.physical_size_y == pytest.approx(result.imager.pixel_pitch_um)
        assert pixels.physical_size_x_unit.value == "µm"
        placed = sorted(pixels.planes, key=lambda plane: (plane.the_t, plane.the_z))
        np.testing.assert_allclose(
            [plane.position_z for plane in placed], result.depth_um.ravel(), atol=NANOMETRE_UM
        )


def holds_ome_zarr(folder: Path, result: Reconstruction) -> None:
    group: Any = zarr.open_group(folder / "reconstruction.ome.zarr", mode="r")
    expected = np.stack([result.probability, result.intensity, result.depth_map_um], axis=-4)
    np.testing.assert_array_equal(group["0"][:].reshape(expected.shape), expected)
    for name in ("depth_um", "depth_std_um", "presence"):
        stored = group[name][:]
        np.testing.assert_array_equal(stored.ravel(), getattr(result, name).ravel())


def holds_mat(folder: Path, result: Reconstruction) -> None:
    found = scipy.io.loadmat(folder / "reconstruction.mat")["depth_map"]
    layers, height, width = result.depth_map_um.shape[-3:]
    maps_mm = result.depth_map_um.reshape(-1, layers, height, width) / 1000
    np.testing.assert_allclose(found.ravel(), maps_mm.ravel(), rtol=1e-6)


def holds_npz(folder: Path, result: Reconstruction) -> None:
    with np.load(folder / "reconstruction.npz") as stored:
        for name in ("probability", "intensity", "depth_um", "mask", "captures", "reprojection"):
            np.testing.assert_array_equal(stored[name], getattr(result, name))


def holds_layers_csv(folder: Path, result: Reconstruction) -> None:
    found = [float(row["depth_um"]) for row in rows(folder / "layers.csv")]
    np.testing.assert_allclose(found, result.depth_um.ravel(), atol=0.01)
