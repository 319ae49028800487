"""A volume in memory and in files."""

import csv
import json

import numpy as np
import pytest
import tifffile
import zarr

from fociscope.errors import FileFormatError, FociscopeError, OutputExistsError
from fociscope.imager import Imager
from fociscope.results import VolumeMap, load_result

SLICE_UM = np.arange(25.0, 1000, 50).astype(np.float32)


@pytest.fixture
def volume() -> VolumeMap:
    rng = np.random.default_rng(0)
    probability = np.zeros((20, 40, 36), np.float32)
    probability[4, 10, 12], probability[15, 30, 20] = 0.9, 0.8
    captures = rng.random((2, 40, 36)).astype(np.float32)
    return VolumeMap(
        probability,
        100 * probability,
        SLICE_UM,
        captures,
        0.9 * captures,
        Imager.reference(),
        "own",
    )


def test_columns_hold_depth_and_spread(volume):
    assert volume.depth_map_um[10, 12] == pytest.approx(225.0)
    assert volume.depth_std_um[10, 12] == pytest.approx(0.0, abs=1e-3)
    np.testing.assert_allclose(volume.residual, 0.1, rtol=1e-5)


def test_two_depths_in_a_column_spread(volume):
    p = volume.probability.copy()
    p[15, 10, 12] = 0.9
    two = VolumeMap(
        p, p, SLICE_UM, volume.captures, volume.reprojection, volume.imager, volume.model
    )
    assert two.depth_map_um[10, 12] == pytest.approx(500.0)
    assert two.depth_std_um[10, 12] == pytest.approx(275.0)


def test_files_hold_the_volume_with_its_depths(volume, tmp_path):
    folder = tmp_path / "out"
    volume.save(folder, ("ome-tiff", "ome-zarr", "npz", "csv"))
    with tifffile.TiffFile(folder / "probability.ome.tif") as file:
        assert file.series[0].axes == "ZYX"
        np.testing.assert_array_equal(file.asarray(), volume.probability)
        assert 'PositionZ="225' in file.ome_metadata
        assert 'PhysicalSizeZ="50' in file.ome_metadata
    store = zarr.open_group(folder / "reconstruction.ome.zarr", mode="r")
    np.testing.assert_array_equal(np.asarray(store["0"])[1], volume.intensity)
    np.testing.assert_array_equal(np.asarray(store["depth_um"]), SLICE_UM)
    with np.load(folder / "reconstruction.npz") as arrays:
        np.testing.assert_array_equal(arrays["slice_um"], SLICE_UM)
    with (folder / "foci.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["depth_um"]) for row in rows] == [225.0, 775.0]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["kind"] == "volume" and summary["foci"] == 2


def test_results_are_not_overwritten_unasked(volume, tmp_path):
    volume.save(tmp_path / "out", ("csv",))
    with pytest.raises(OutputExistsError):
        volume.save(tmp_path / "out", ("csv",))
    volume.save(tmp_path / "out", ("npz",), overwrite=True)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"reconstruction.npz", "summary.json"}


def test_unknown_format_is_refused(volume, tmp_path):
    with pytest.raises(FociscopeError, match="no format of volumes 'bmp'"):
        volume.save(tmp_path / "out", ("bmp",))
    assert not (tmp_path / "out").exists()


def test_several_captures_are_saved_one_by_one(volume, tmp_path):
    many = VolumeMap(
        *(np.stack([a, a]) for a in (volume.probability, volume.intensity)),
        SLICE_UM,
        *(np.stack([a, a]) for a in (volume.captures, volume.reprojection)),
        volume.imager,
        "own",
    )
    with pytest.raises(FociscopeError, match="one capture"):
        many.save(tmp_path / "out")
    np.testing.assert_array_equal(many.frame(1).probability, volume.probability)


def test_layers_are_not_read_from_a_volume(volume, tmp_path):
    volume.save(tmp_path / "out")
    with pytest.raises(FileFormatError, match="volume"):
        load_result(tmp_path / "out")
