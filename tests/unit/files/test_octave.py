"""Variables of GNU Octave's `save -hdf5`: a group each, its array stored by columns."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from fociscope.calibration import read_stack
from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures

PAIR = np.arange(2 * 40 * 41, dtype=np.float32).reshape(2, 40, 41)


def variable(file: h5py.Group, name: str, value: np.ndarray | None) -> h5py.Group:
    group = file.create_group(name)
    group.attrs["OCTAVE_NEW_FORMAT"] = np.uint8(1)
    group["type"] = np.bytes_("matrix")
    if value is not None:
        group["value"] = value.T
    return group


def test_variables_go_by_their_names(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "pair.h5", "w") as file:
        variable(file, "img_A", PAIR[0])
        variable(file, "img_B", PAIR[1])
    np.testing.assert_array_equal(read_captures([tmp_path / "pair.h5"]), PAIR)
    a, b = (f"{tmp_path}/pair.h5:/img_{side}" for side in "AB")
    np.testing.assert_array_equal(read_captures([a, b]), PAIR)
    np.testing.assert_array_equal(read_captures([f"{a}/value", f"{b}/value"]), PAIR)


def test_captures_beside_their_times(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        variable(file, "captures", PAIR.transpose(1, 2, 0)[:, :, [0, 1, 1]])
        variable(file, "dark", PAIR[0])
        variable(file, "time_s", np.array([[0.0, 0.5, 1.0]]))
    with open_captures([tmp_path / "run.h5"]) as series:
        assert series.time_s == (0.0, 0.5, 1.0)
        np.testing.assert_array_equal(series.read()[:, 0], PAIR[[0, 1, 1]])


def test_a_stack_of_beads(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "beads.h5", "w") as file:
        variable(file, "beads", PAIR.transpose(1, 2, 0)[:, :, [0, 1, 1]])
        variable(file, "depth_um", np.array([[50.0, 150.0, 250.0]]))
    stack = read_stack(tmp_path / "beads.h5")
    np.testing.assert_array_equal(stack.counts[0], PAIR[[0, 1, 1]])
    assert stack.depth_um.tolist() == [50, 150, 250]


@pytest.mark.parametrize(
    ("kind", "word"),
    [("complex", "is complex"), ("cell", "is a cell array"), ("sparse", "is a sparse matrix")],
)
def test_what_is_no_matrix_is_said(tmp_path: Path, kind: str, word: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = variable(file, "img", None)
        if kind == "complex":
            group["value"] = np.zeros((5, 6), [("real", "f8"), ("imag", "f8")])
        elif kind == "cell":
            for n in range(2):
                variable(group.require_group("value"), f"_{n}", PAIR[n])
        else:
            group["value/ridx"] = np.zeros((7, 1), np.int32)
            group["value/data"] = np.zeros((7, 1))
    with pytest.raises(FileFormatError, match=f"img {word}"):
        read_captures([tmp_path / "a.h5"])
