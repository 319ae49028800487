"""BigDataViewer's HDF5: an array for each time point and view setup."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures

FRAMES = np.linspace(0, 65535, 3 * 2 * 6 * 7).astype(np.uint16).reshape(3, 2, 6, 7)
"""(frame, sensor, y, x), over all of 16 bits."""


def write(path: Path, volumes: dict[tuple[int, int], np.ndarray]) -> Path:
    """Write volumes (z, y, x) of time points and setups, with a smaller copy of each."""
    with h5py.File(path, "w") as file:
        for (time, setup), volume in volumes.items():
            place = f"t{time:05}/s{setup:02}"
            file[f"{place}/0/cells"] = volume.view(np.int16)
            file[f"{place}/1/cells"] = volume[:, ::2, ::2].copy().view(np.int16)
    return path


def test_time_points_and_setups_are_frames_and_sensors(tmp_path: Path) -> None:
    volumes = {(t, s): FRAMES[t, s][None] for t in range(3) for s in range(2)}
    path = write(tmp_path / "a.h5", volumes)
    with open_captures([path]) as series:
        np.testing.assert_array_equal(series.read(), FRAMES)
        np.testing.assert_array_equal(series.read(1, 2), FRAMES[1:2])
    np.testing.assert_array_equal(
        read_captures([tmp_path / "a.h5:/t00001/s01/0/cells"]), FRAMES[1, 1][None]
    )
    pair = write(tmp_path / "b.h5", {(0, s): FRAMES[0, s][None] for s in range(2)})
    np.testing.assert_array_equal(read_captures([pair]), FRAMES[0])


def test_slices_of_one_time_point_are_frames(tmp_path: Path) -> None:
    both = write(tmp_path / "a.h5", {(0, s): FRAMES[:, s].copy() for s in range(2)})
    np.testing.assert_array_equal(read_captures([both]), FRAMES)
    one = write(tmp_path / "b.h5", {(0, 0): FRAMES[:, 0].copy()})
    np.testing.assert_array_equal(read_captures([one]), FRAMES[:, :1])


@pytest.mark.parametrize(
    ("volumes", "message"),
    [
        ({(0, s): FRAMES[0, :1] for s in range(3)}, "3 view setups"),
        ({(0, 0): FRAMES[0, :1], (1, 0): FRAMES[1, :1], (1, 1): FRAMES[1, 1:]}, "in 3 arrays"),
        ({(t, 0): FRAMES[t] for t in range(3)}, "3 time points of 2 slices"),
        ({(0, 0): FRAMES[0, :1], (0, 1): FRAMES[0, :1, :5]}, "arrays 6 x 7|1 x 6 x 7"),
    ],
)
def test_what_is_no_captures_is_refused(
    tmp_path: Path, volumes: dict[tuple[int, int], np.ndarray], message: str
) -> None:
    path = write(tmp_path / "a.h5", {place: one.copy() for place, one in volumes.items()})
    with pytest.raises(FileFormatError, match=message), open_captures([path]):
        pass
