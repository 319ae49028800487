"""Samples of a volume, its own grids, and their files."""

import csv
import json

import numpy as np
import pytest
import scipy.io
import tifffile

from fociscope.errors import FociscopeError
from fociscope.imager import Imager
from fociscope.networks import FieldCorrelation, VolumeCopula
from fociscope.results import VolumeMap

SLICE_UM = np.arange(25.0, 1000, 50).astype(np.float32)
SCALES = FieldCorrelation(lateral_um=150.0)
COPULA = VolumeCopula(presence=SCALES, depth=SCALES, axial_um=1e4)


def made(copula: VolumeCopula | None = COPULA) -> VolumeMap:
    probability = np.zeros((20, 40, 36), np.float32)
    probability[9:12, 10:13, 12:15] = np.float32([0.25, 0.5, 0.25])[:, None, None]
    captures = np.ones((2, 40, 36), np.float32)
    return VolumeMap(
        probability,
        100 * probability,
        SLICE_UM,
        captures,
        0.9 * captures,
        Imager.reference(),
        "own",
        copula=copula,
    )


def test_the_same_seed_draws_the_same():
    one, again, other = (made().samples(4, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.occupied, again.occupied)
    np.testing.assert_array_equal(one.light, again.light)
    assert (one.occupied != other.occupied).any()


def test_a_sure_focus_is_in_every_sample_and_its_depth_spreads():
    figures = made().samples(300, seed=0).figures
    assert (figures["volume_um3"] == 9 * 55.0**2 * 50).all()
    assert figures["foci"].mean() < 1.3
    assert figures["mean_depth_um"].mean() == pytest.approx(525.0, abs=5)
    # That of slices 50 um apart with a quarter, a half and a quarter of the cells.
    assert 25 < figures["mean_depth_um"].std() < 36


@pytest.mark.parametrize("count", [0, 10_001])
def test_no_or_too_many_samples_are_refused(count):
    with pytest.raises(FociscopeError, match="expected 1 to 10000") as error:
        made().samples(count)
    assert error.value.fields == ("samples",)


def test_a_model_without_correlation_draws_none():
    with pytest.raises(FociscopeError, match="holds no correlation of voxels"):
        made(None).samples(2)


def test_files_of_samples(tmp_path):
    from fociscope.results.volume_map import write_volume

    volume, samples = made(), made().samples(5, seed=1)
    write_volume(volume, tmp_path, ("ome-tiff", "npz"), samples=samples)
    with (tmp_path / "samples.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["mean_depth_um"]) for row in rows] == pytest.approx(
        samples.figures["mean_depth_um"], abs=0.01
    )
    spread = tifffile.imread(tmp_path / "intensity_std.ome.tif")
    np.testing.assert_array_equal(spread, samples.light_std)
    with np.load(tmp_path / "samples.npz") as arrays:
        np.testing.assert_array_equal(arrays["occupied"], samples.occupied)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["samples"]["count"] == 5
    assert len(summary["samples"]["mean_depth_um"]["interval_90"]) == 2
    assert "samples.csv" in {one["name"] for one in summary["files"]}


@pytest.mark.parametrize("grid", [10, 40, 33, (0.0, 1000.0, 12.5)])
def test_a_grid_keeps_cells_light_and_depth(grid):
    volume = made()
    other = volume.on_grid(grid)
    np.testing.assert_allclose(other.intensity.sum(axis=0), volume.intensity.sum(axis=0), rtol=1e-4)
    np.testing.assert_allclose(other.column_probability, volume.column_probability, rtol=1e-4)
    held = volume.column_probability > 0
    np.testing.assert_allclose(other.depth_map_um[held], volume.depth_map_um[held], atol=13)


def test_a_part_of_the_depths_holds_its_part():
    part = made().on_grid((500.0, 600.0, 25.0))
    np.testing.assert_allclose(part.slice_um, [512.5, 537.5, 562.5, 587.5])
    np.testing.assert_allclose(part.probability[:, 11, 13], [0.25, 0.25, 0.125, 0.125])


@pytest.mark.parametrize(
    "grid", [1, 1001, (0.0, 100.0, 30.0), (0.0, 1100.0, 50.0), (9.0, 1.0, 1.0)]
)
def test_what_is_no_grid_is_refused(grid):
    with pytest.raises(FociscopeError, match="expected") as error:
        made().on_grid(grid)
    assert error.value.fields == ("grid",)


def test_matlab_reads_the_volume(tmp_path):
    made().save(tmp_path / "one", ("mat",))
    made().save(tmp_path / "two", ("mat",))
    arrays = scipy.io.loadmat(tmp_path / "one" / "reconstruction.mat")
    np.testing.assert_array_equal(arrays["probability"], made().probability)
    np.testing.assert_array_equal(arrays["slice_um"][0], SLICE_UM)
    one, two = ((tmp_path / n / "reconstruction.mat").read_bytes() for n in ("one", "two"))
    assert one == two
