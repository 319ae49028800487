from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fociscope.errors import FileFormatError, OutputExistsError
from fociscope.files import ImagesDepth, Limits, is_mat, read_images_depth, write_images_depth

RAW, A, B = "tumorImage_noPSF", "tumorImage_withPSF_A", "tumorImage_withPSF_B"
MAP, Z = "depth_map", "zdist_PSF"


def published(samples: int, layers: int = 4, side: int = 6) -> dict[str, Any]:
    """The variables of the layout, samples first, mm."""
    rng = np.random.default_rng(samples)
    depth = np.sort(rng.random((samples, layers)), axis=1)
    raw = rng.random((samples, layers, side, side))
    return {
        RAW: raw,
        A: rng.random((samples, side, side)),
        B: rng.random((samples, side, side)),
        MAP: (raw > 0.5) * depth[:, :, None, None],
        Z: depth,
    }


def last(variables: dict[str, Any]) -> dict[str, Any]:
    return {name: np.moveaxis(array, 0, -1) for name, array in variables.items()}


def write_v73(path: Path, variables: dict[str, Any], **options: object) -> None:
    """As MATLAB does: axes reversed, the class in an attribute."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in variables.items():
            item = file.create_dataset(name, data=np.asarray(array).T, **options)
            item.attrs["MATLAB_class"] = np.bytes_("double")


def check(data: ImagesDepth, expected: dict[str, Any]) -> None:
    np.testing.assert_allclose(data.captures[:, 0], expected[A], rtol=1e-6)
    np.testing.assert_allclose(data.captures[:, 1], expected[B], rtol=1e-6)
    assert data.raw is not None
    assert data.depth_map_um is not None
    assert data.depth_um is not None
    np.testing.assert_allclose(data.raw, expected[RAW], rtol=1e-6)
    np.testing.assert_allclose(data.depth_map_um, expected[MAP] * 1000, rtol=1e-6)
    np.testing.assert_allclose(data.depth_um, expected[Z] * 1000, rtol=1e-6)
    assert {array.dtype for array in (data.captures, data.raw, data.depth_um)} == {np.dtype("f4")}


@pytest.mark.parametrize("samples", [1, 2, 4, 6, 7])
@pytest.mark.parametrize("compressed", [False, True])
def test_v5_samples_first(tmp_path: Path, samples: int, compressed: bool) -> None:
    expected = published(samples)
    scipy.io.savemat(tmp_path / "a.mat", expected, do_compression=compressed)
    assert is_mat(tmp_path / "a.mat")
    check(read_images_depth(tmp_path / "a.mat"), expected)


@pytest.mark.parametrize("samples", [2, 6, 7])
@pytest.mark.parametrize("depths_first", [False, True])
def test_v5_samples_last(tmp_path: Path, samples: int, depths_first: bool) -> None:
    expected = published(samples)
    stored = last(expected)
    if depths_first:
        stored[Z] = expected[Z]
    scipy.io.savemat(tmp_path / "a.mat", stored)
    check(read_images_depth(tmp_path / "a.mat"), expected)


@pytest.mark.parametrize("samples", [1, 3, 6])
@pytest.mark.parametrize("samples_last", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip", "shuffle": True, "fletcher32": True}]
)
def test_v73(tmp_path: Path, samples: int, samples_last: bool, options: dict[str, object]) -> None:
    expected = published(samples)
    write_v73(tmp_path / "a.mat", last(expected) if samples_last else expected, **options)
    assert is_mat(tmp_path / "a.mat")
    check(read_images_depth(tmp_path / "a.mat"), expected)


def test_hdf5_not_written_by_matlab_keeps_its_axes(tmp_path: Path) -> None:
    expected = published(3)
    with h5py.File(tmp_path / "a.mat", "w") as file:
        for name, array in expected.items():
            file[name] = array
    check(read_images_depth(tmp_path / "a.mat"), expected)


@pytest.mark.parametrize("kind", ["v5", "v7.3"])
def test_single_sample_without_a_sample_axis(tmp_path: Path, kind: str) -> None:
    expected = published(1)
    stored = {name: array[0] for name, array in expected.items()}
    stored[Z] = expected[Z]  # 1 x 4, as published
    if kind == "v5":
        scipy.io.savemat(tmp_path / "a.mat", stored)
    else:
        write_v73(tmp_path / "a.mat", stored)
    check(read_images_depth(tmp_path / "a.mat"), expected)


def test_depths_with_the_published_1_kept(tmp_path: Path) -> None:
    expected = published(3)
    stored = last(expected) | {Z: expected[Z].T[None]}  # 1 x 4 x N
    scipy.io.savemat(tmp_path / "a.mat", stored)
    check(read_images_depth(tmp_path / "a.mat"), expected)


def test_sensor_a_alone_is_enough(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {A: np.ones((3, 6, 6), np.uint8), "notes": "hello"})
    data = read_images_depth(tmp_path / "a.mat")
    assert data.captures.shape == (3, 1, 6, 6)
    assert (data.raw, data.depth_map_um, data.depth_um) == (None, None, None)


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_small_integers_and_foreign_variables(tmp_path: Path, byte_order: str) -> None:
    variables = {
        "cells": np.array([1, "two"], dtype=object),
        A: np.ones((2, 2), f"{byte_order}i2"),
        "info": {"x": 1},
    }
    scipy.io.savemat(tmp_path / "a.mat", variables)
    assert read_images_depth(tmp_path / "a.mat").captures.shape == (1, 1, 2, 2)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({B: np.ones((2, 6, 6))}, "has no variable tumorImage_withPSF_A"),
        ({A: np.ones((6, 6, 6))}, "leave open"),
        ({A: np.ones((7, 6, 5))}, "leave open"),
        ({A: np.ones((2, 6, 6)), B: np.ones((2, 6, 5))}, "do not fit"),
        ({A: np.ones((2, 6, 6)), RAW: np.ones((2, 4, 6, 6)), Z: np.ones((2, 3))}, "do not fit"),
        ({A: np.ones((2, 6, 6)), RAW: np.ones((3, 4, 6, 6))}, "do not fit"),
        ({A: np.ones((2, 3, 6, 6))}, "do not fit"),
        ({A: np.ones((2, 6, 6)), Z: np.full((2, 4), 300.0)}, "look like um"),
        ({A: np.ones((2, 6, 6)), Z: np.ones((2, 4)) * 1j}, "complex"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, variables: dict[str, Any], words: str) -> None:
    scipy.io.savemat(tmp_path / "a.mat", variables)
    with pytest.raises(FileFormatError, match=words):
        read_images_depth(tmp_path / "a.mat")


def test_layers_decide_where_sensors_alone_cannot(tmp_path: Path) -> None:
    expected = published(6)  # 6 samples of 6 x 6
    scipy.io.savemat(tmp_path / "a.mat", {A: expected[A], RAW: expected[RAW]})
    np.testing.assert_allclose(
        read_images_depth(tmp_path / "a.mat").captures[:, 0], expected[A], rtol=1e-6
    )


def test_limits_count_all_variables(tmp_path: Path) -> None:
    expected = published(3)
    scipy.io.savemat(tmp_path / "a.mat", expected)
    write_v73(tmp_path / "b.mat", expected)
    total = sum(array.nbytes for array in expected.values())
    for name in ("a.mat", "b.mat"):
        read_images_depth(tmp_path / name, Limits(max_bytes=total))
        with pytest.raises(FileFormatError, match="GiB"):
            read_images_depth(tmp_path / name, Limits(max_bytes=total - 1))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    samples=st.integers(1, 7), layers=st.integers(1, 5), height=st.integers(2, 7),
    width=st.integers(2, 7), fields=st.sets(st.sampled_from(["raw", "map", "depth", "b"])),
)  # fmt: skip
def test_what_is_written_comes_back(
    tmp_path: Path, samples: int, layers: int, height: int, width: int, fields: set[str]
) -> None:
    rng = np.random.default_rng(0)

    def some(name: str, *shape: int) -> np.ndarray | None:
        return rng.random(shape, dtype=np.float32) * 900 if name in fields else None

    data = ImagesDepth(
        captures=rng.random((samples, 2 if "b" in fields else 1, height, width), dtype=np.float32),
        raw=some("raw", samples, layers, height, width),
        depth_map_um=some("map", samples, layers, height, width),
        depth_um=some("depth", samples, layers),
    )
    path = tmp_path / "a.mat"
    write_images_depth(path, data, overwrite=True)
    found = read_images_depth(path)
    for name in ("captures", "raw", "depth_map_um", "depth_um"):
        expected, array = getattr(data, name), getattr(found, name)
        assert (expected is None) == (array is None)
        if expected is not None:
            assert array.shape == expected.shape
            np.testing.assert_allclose(array, expected, rtol=3e-7)


def test_published_names_shapes_and_mm_on_disk(tmp_path: Path) -> None:
    data = ImagesDepth(
        captures=np.ones((3, 2, 6, 6), np.float32),
        raw=np.ones((3, 4, 6, 6), np.float32),
        depth_map_um=np.full((3, 4, 6, 6), 500, np.float32),
        depth_um=np.full((3, 4), 500, np.float32),
    )
    for name in ("a.mat", "b.mat"):
        write_images_depth(tmp_path / name, data)
    assert scipy.io.whosmat(tmp_path / "a.mat") == [
        (RAW, (3, 4, 6, 6), "single"),
        (A, (3, 6, 6), "single"),
        (B, (3, 6, 6), "single"),
        (MAP, (3, 4, 6, 6), "single"),
        (Z, (3, 4), "single"),
    ]
    assert scipy.io.loadmat(tmp_path / "a.mat")[Z].max() == 0.5
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()
    with pytest.raises(OutputExistsError):
        write_images_depth(tmp_path / "a.mat", data)


@pytest.mark.parametrize(
    "fields",
    [
        {"captures": np.ones((2, 6, 6))},
        {"captures": np.ones((2, 3, 6, 6))},
        {"captures": np.ones((2, 1, 6, 6)), "raw": np.ones((2, 4, 6, 5))},
        {"captures": np.ones((2, 1, 6, 6)), "depth_um": np.ones(2)},
        {"captures": np.ones((2, 1, 6, 6)), "raw": np.ones((2, 4, 6, 6)), "depth_um":
         np.ones((2, 3))},
    ],
)  # fmt: skip
def test_shapes_of_images_depth_must_fit(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ImagesDepth(**fields)
