import numpy as np
import pytest

from fociscope.errors import FileFormatError
from fociscope.evaluation.data_sets import DataSet
from fociscope.files import ImagesDepth, write_images_depth
from fociscope.imager import Imager
from fociscope.simulation import simulate
from fociscope.simulation.dataset import write_dataset
from fociscope.simulation.dataset_record import DatasetPlan


@pytest.fixture(scope="module")
def scenes():
    return simulate(5, seed=31, layers=3)


def write(path, scenes, *, truth=("raw", "depth_map_um", "depth_um")):
    held = {
        "raw": scenes.layers,
        "depth_map_um": scenes.depth_map_um,
        "depth_um": scenes.depth_um,
    }
    write_images_depth(
        path, ImagesDepth(captures=scenes.captures, **{name: held[name] for name in truth})
    )
    return path


def test_a_file_is_scored_on_whatever_truth_it_holds(scenes, tmp_path):
    data = DataSet(write(tmp_path / "1.mat", scenes))
    assert (data.name, data.scenes, data.layers) == ("1.mat", 5, 3)
    (batch,) = data.batches()
    np.testing.assert_array_equal(batch.mask, scenes.mask)
    np.testing.assert_allclose(batch.depth_um, scenes.depth_um, rtol=1e-5)
    assert data.task.layers == 3
    assert data.task.depths_known


def test_depths_are_read_from_the_map_where_nothing_else_says_them(scenes, tmp_path):
    scenes.mask[0, 1] = False
    data = DataSet(write(tmp_path / "1.mat", scenes, truth=("depth_map_um",)))
    (batch,) = data.batches()
    assert np.isnan(batch.depth_um[0, 1])
    there = ~np.isnan(batch.depth_um)
    np.testing.assert_allclose(batch.depth_um[there], scenes.depth_um[there], rtol=1e-5)
    assert batch.layers is None


def test_images_alone_leave_masks_and_depths_open(scenes, tmp_path):
    data = DataSet(write(tmp_path / "1.mat", scenes, truth=("raw",)))
    (batch,) = data.batches()
    assert batch.mask is None and batch.depth_um is None
    assert not data.task.depths_known


def test_captures_without_any_truth_are_refused(scenes, tmp_path):
    with pytest.raises(FileFormatError, match="no truth to score against"):
        DataSet(write(tmp_path / "1.mat", scenes, truth=()))


def test_a_simulated_set_brings_its_imager(tmp_path):
    imager = Imager(frame_px=(40, 44), gap_um=900.0)
    plan = DatasetPlan(files=2, samples=3, layers=2, imager=imager, min_separation_um=180.0)
    write_dataset(tmp_path / "set", plan, workers=1)
    data = DataSet(tmp_path / "set")
    assert data.imager == imager
    assert data.scenes == 6
    assert data.task.min_separation_um == 180.0
    assert sum(len(batch) for batch in data.batches()) == 6
    assert data.described().files == ("1.mat", "2.mat")
    other = Imager(gap_um=800.0)
    assert DataSet(tmp_path / "set", imager=other).imager.gap_um == 800.0
