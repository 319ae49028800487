from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fociscope.errors import FileFormatError
from fociscope.files import (
    ImagesDepth,
    ImagesDepthFile,
    LayoutFormat,
    Limits,
    is_mat,
    read_images_depth,
    write_images_depth,
)

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
        (
            {A: np.ones((2, 6, 6)), RAW: np.ones((2, 4, 6, 6)), Z: np.ones((2, 3))},
            "not fit the images",
        ),
        ({A: np.ones((6, 6, 4)), RAW: np.ones((4, 6, 6, 4)), Z: np.eye(4)}, "leaves open"),
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


def squeezed(array: np.ndarray) -> np.ndarray:
    """As MATLAB's squeeze leaves it: at least two axes."""
    left = array.squeeze()
    return left.reshape(-1, 1) if left.ndim == 1 else left


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    samples=st.integers(1, 7), layers=st.integers(1, 4), side=st.integers(2, 7),
    names=st.sets(st.sampled_from([RAW, B, MAP, Z])), samples_last=st.booleans(),
    squeeze=st.booleans(), depths=st.sampled_from(["as the rest", "N x layers", "with a 1"]),
    kind=st.sampled_from(["f8", "f4"]), v73=st.booleans(),
)  # fmt: skip
@example(
    samples=2, layers=2, side=2, names={RAW, Z}, samples_last=True, squeeze=False,
    depths="as the rest", kind="f8", v73=False,
)  # fmt: skip
def test_any_order_of_axes_is_read_right_or_refused(
    tmp_path: Path, samples: int, layers: int, side: int, names: set[str], samples_last: bool,
    squeeze: bool, depths: str, kind: str, v73: bool,
) -> None:  # fmt: skip
    expected = published(samples, layers, side)
    stored = {name: expected[name] for name in (RAW, A, B, MAP, Z) if name in {A, *names}}
    if samples_last:
        stored = last(stored)
    if Z in stored and depths == "N x layers":
        stored[Z] = expected[Z]
    elif Z in stored and depths == "with a 1":
        stored[Z] = expected[Z].T[None] if samples_last else expected[Z][:, None]
    if squeeze:
        stored = {name: squeezed(array) for name, array in stored.items()}
    stored = {name: array.astype(kind) for name, array in stored.items()}
    path = tmp_path / "a.mat"
    write_v73(path, stored) if v73 else scipy.io.savemat(path, stored)
    try:
        data = read_images_depth(path)
    except FileFormatError as error:
        # Ambiguous only where a count of samples looks like a side or like the layers.
        assert samples in (side, layers) or (samples == 1 and "leave" in str(error)), str(error)
        return
    np.testing.assert_allclose(data.captures[:, 0], expected[A], rtol=1e-6)
    for name, found, unit in ((RAW, data.raw, 1), (MAP, data.depth_map_um, 1000),
                              (Z, data.depth_um, 1000)):  # fmt: skip
        assert (found is None) == (name not in stored)
        if found is not None:
            np.testing.assert_allclose(found, expected[name] * unit, rtol=1e-6)


def test_a_single_layer_with_its_depths_in_a_row(tmp_path: Path) -> None:
    expected = published(5, layers=1)
    stored = {name: array.squeeze() for name, array in expected.items()}
    scipy.io.savemat(tmp_path / "a.mat", stored, oned_as="row")
    check(read_images_depth(tmp_path / "a.mat"), expected)


def test_an_axis_for_one_sensor_is_dropped(tmp_path: Path) -> None:
    expected = published(5)
    stored = expected | {A: expected[A][:, None], B: expected[B][:, None]}
    scipy.io.savemat(tmp_path / "a.mat", stored)
    check(read_images_depth(tmp_path / "a.mat"), expected)


@pytest.mark.parametrize("file_format", LayoutFormat)
def test_a_part_is_what_the_whole_holds_there(tmp_path: Path, file_format: LayoutFormat) -> None:
    path = tmp_path / f"a{file_format.suffix}"
    expected = published(150)
    scipy.io.savemat(tmp_path / "in.mat", expected)
    whole = read_images_depth(tmp_path / "in.mat")
    write_images_depth(path, whole, format=file_format)
    with ImagesDepthFile.open(path) as file:
        assert file.is_sliceable
        assert file.samples == 150
        for start, stop in ((0, 1), (60, 70), (100, 150), (149, 999)):
            part = file.read(start, stop)
            for name, array in vars(part).items():
                np.testing.assert_allclose(array, getattr(whole, name)[start:stop], rtol=3e-7)


@pytest.mark.parametrize("how", ["v5 compressed", "v5 last", "v7.3 last", "v7.3 gzip"])
def test_a_part_of_others_files(tmp_path: Path, how: str) -> None:
    expected = published(9)
    stored = last(expected) if how.endswith("last") else expected
    if how.startswith("v5"):
        scipy.io.savemat(tmp_path / "a.mat", stored, do_compression=how == "v5 compressed")
    else:
        write_v73(tmp_path / "a.mat", stored, **({"compression": "gzip"} if "gzip" in how else {}))
    with ImagesDepthFile.open(tmp_path / "a.mat") as file:
        assert file.is_sliceable == (how != "v5 compressed")
        check(file.read(2, 7), {name: array[2:7] for name, array in expected.items()})


def test_a_part_of_a_file_beyond_the_limits(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", published(50))
    limits = Limits(max_bytes=40_000)
    with pytest.raises(FileFormatError, match="GiB"):
        read_images_depth(tmp_path / "a.mat", limits)
    with ImagesDepthFile.open(tmp_path / "a.mat", limits) as file:
        assert len(file.read(40, 44).captures) == 4


def wrong(change: str, variables: dict[str, Any]) -> None:
    variables[MAP][1, 2, 3, 3] = {
        "another depth": variables[Z][1, 2] + 0.01, "infinite": np.inf, "negative": -0.1,
    }[change]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("another depth", "layer 3 of sample 2"),
        ("infinite", "NaN or infinity in sample 2"),
        ("negative", "0 mm and more"),
    ],
)
def test_a_depth_map_must_agree_with_the_depths(tmp_path: Path, change: str, words: str) -> None:
    variables = published(4)
    wrong(change, variables)
    scipy.io.savemat(tmp_path / "a.mat", variables)
    with pytest.raises(FileFormatError, match=words):
        read_images_depth(tmp_path / "a.mat")


def test_depths_that_were_rounded_to_um_still_agree(tmp_path: Path) -> None:
    variables = published(4)
    variables[MAP] = np.round(variables[MAP], 3)
    scipy.io.savemat(tmp_path / "a.mat", variables)
    check(read_images_depth(tmp_path / "a.mat"), variables | {Z: variables[Z]})


@pytest.mark.parametrize("name", [RAW, A, B, Z])
def test_numbers_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    variables = published(4)
    variables[name].reshape(4, -1)[2, 0] = np.nan
    scipy.io.savemat(tmp_path / "a.mat", variables)
    with pytest.raises(FileFormatError, match=f"{name} holds NaN or infinity in sample 3"):
        read_images_depth(tmp_path / "a.mat")


def test_layers_come_in_the_order_of_their_depth(tmp_path: Path) -> None:
    expected = published(3)
    turned = {n: a[:, ::-1] if n in (RAW, MAP, Z) else a for n, a in expected.items()}
    scipy.io.savemat(tmp_path / "a.mat", turned)
    check(read_images_depth(tmp_path / "a.mat"), expected)
