"""Scenes out of files: each once per epoch, the same order for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from torch.utils.data import DataLoader

from fociscope.errors import FileFormatError
from fociscope.files import ImagesDepth, ImagesDepthFile, LayoutFormat, write_images_depth
from fociscope.training._file_scenes import FileScenes

SAMPLES = 10


def some(first: int, samples: int = SAMPLES, side: int = 5, layers: int = 3) -> ImagesDepth:
    """Samples whose first depth is their number."""
    rng = np.random.default_rng(first)
    number = first + np.arange(1, samples + 1, dtype=np.float32)
    depth_um = number[:, None] + 1000 * np.arange(layers, dtype=np.float32)
    mask = rng.random((samples, layers, side, side)) > 0.5
    return ImagesDepth(
        captures=rng.random((samples, 2, side, side), dtype=np.float32),
        raw=rng.random((samples, layers, side, side), dtype=np.float32),
        depth_map_um=mask * depth_um[..., None, None],
        depth_um=depth_um,
    )


@pytest.fixture(params=list(LayoutFormat))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for index in range(3):
        path = tmp_path / f"{index + 1}{request.param.suffix}"
        write_images_depth(path, some(index * SAMPLES), format=request.param)
    return tmp_path


def numbers(scenes: FileScenes, workers: int = 0) -> list[int]:
    loader = DataLoader(scenes, batch_size=None, num_workers=workers)
    return [round(float(sample.depth_um[0])) for sample in loader]


def test_every_sample_comes_once_and_shuffled(folder: Path) -> None:
    scenes = FileScenes(folder, seed=1, block_bytes=2000, buffer_samples=8)
    assert scenes.samples == 30
    found = numbers(scenes)
    assert sorted(found) == list(range(1, 31))
    assert found != sorted(found)
    assert found == numbers(scenes)
    scenes.set_epoch(1)
    assert sorted(numbers(scenes)) == sorted(found)
    assert numbers(scenes) != found
    assert numbers(FileScenes(folder, seed=2)) != found


def test_values_belong_together(folder: Path) -> None:
    expected = [some(index * SAMPLES) for index in range(3)]
    for sample in FileScenes(folder, seed=1, block_bytes=2000):
        file, index = divmod(round(float(sample.depth_um[0])) - 1, SAMPLES)
        data = expected[file]
        assert data.raw is not None
        assert data.depth_map_um is not None
        np.testing.assert_array_equal(sample.captures, data.captures[index])
        np.testing.assert_array_equal(sample.light, data.raw[index])
        np.testing.assert_array_equal(sample.mask, data.depth_map_um[index] > 0)
        assert {field.dtype for field in sample} == {torch.float32}


def test_without_shuffling_the_order_is_that_of_the_files(folder: Path) -> None:
    scenes = FileScenes(folder, shuffle=False, block_bytes=2000)
    assert numbers(scenes) == list(range(1, 31))


def test_workers_share_an_epoch(tmp_path: Path) -> None:
    for index in range(3):
        write_images_depth(tmp_path / f"{index}.h5", some(index * SAMPLES))
    scenes = FileScenes(tmp_path, seed=1, block_bytes=2000)
    loader = DataLoader(scenes, batch_size=4, num_workers=2, persistent_workers=True)

    def epoch() -> list[int]:
        return [round(float(z)) for batch in loader for z in batch.depth_um[:, 0]]

    first = epoch()
    assert sorted(first) == list(range(1, 31))
    assert epoch() == first
    scenes.set_epoch(1)
    second = epoch()
    assert sorted(second) == list(range(1, 31))
    assert second != first


def test_a_compressed_mat_file_is_read_too(tmp_path: Path) -> None:
    write_images_depth(tmp_path / "a.mat", some(0))
    found = scipy.io.loadmat(tmp_path / "a.mat")
    arrays = {name: array for name, array in found.items() if not name.startswith("__")}
    scipy.io.savemat(tmp_path / "b.mat", arrays, do_compression=True)
    assert sorted(numbers(FileScenes(tmp_path / "b.mat", block_bytes=1))) == list(range(1, 11))


def test_memory_is_bounded_by_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images_depth(tmp_path / "a.zarr", some(0, samples=64))
    one_bytes = 4 * (2 * 25 + 2 * 3 * 25 + 3)
    scenes = FileScenes(tmp_path / "a.zarr", block_bytes=8 * one_bytes)
    counts = []
    original = ImagesDepthFile.read

    def counted(self: ImagesDepthFile, start: int = 0, stop: int | None = None) -> ImagesDepth:
        data = original(self, start, stop)
        counts.append(len(data.captures))
        return data

    monkeypatch.setattr(ImagesDepthFile, "read", counted)
    assert len(list(scenes)) == 64
    assert counts == [8] * 8


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write_images_depth(tmp_path / "a.mat", some(0))
    write_images_depth(tmp_path / "b.mat", some(0, side=6))
    with pytest.raises(FileFormatError, match=r"b\.mat.*other shapes"):
        FileScenes(tmp_path)
    captures = ImagesDepth(captures=np.ones((2, 2, 5, 5), np.float32))
    write_images_depth(tmp_path / "c.mat", captures)
    with pytest.raises(FileFormatError, match="no variable tumorImage_noPSF"):
        FileScenes(tmp_path / "c.mat")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileFormatError, match="no file of the published layout"):
        FileScenes(tmp_path / "empty")
    with pytest.raises(FileFormatError, match="no file given"):
        FileScenes([])
