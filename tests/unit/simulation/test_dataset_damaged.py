"""Files of a data set are held against its record before anything is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fociscope.errors import FileFormatError
from fociscope.evaluation.data_sets import DataSet
from fociscope.imager import Imager
from fociscope.simulation import DatasetPlan, write_dataset
from fociscope.simulation.dataset_check import check_dataset
from fociscope.training import FileScenes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    imager = Imager.reference().with_(frame_px=(32, 32))
    plan = DatasetPlan(files=1, samples=1, layers=1, format="zarr", imager=imager)
    write_dataset(tmp_path / "d", plan, workers=1)
    return tmp_path / "d"


def chunk(folder: Path) -> Path:
    return next(path for path in (folder / "1.zarr").rglob("c/**/*") if path.is_file())


@pytest.mark.parametrize("read", [DataSet, FileScenes])
def test_a_bit_that_flips_is_seen(folder: Path, read: type) -> None:
    read(folder)
    content = bytearray(chunk(folder).read_bytes())
    content[-3] ^= 1
    chunk(folder).write_bytes(content)
    with pytest.raises(FileFormatError, match=r"1\.zarr: damaged, not the file that dataset\.json"):
        read(folder)


def test_a_link_in_a_circle_is_damage(folder: Path) -> None:
    path = chunk(folder)
    path.unlink()
    path.symlink_to(path.name)
    assert check_dataset(folder).states == {"1.zarr": "damaged"}


def test_a_record_that_is_a_link_to_nowhere_is_not_overlooked(folder: Path) -> None:
    (folder / "dataset.json").unlink()
    (folder / "dataset.json").symlink_to("nowhere.json")
    with pytest.raises(FileFormatError, match=r"dataset\.json: there is no such file"):
        DataSet(folder)
