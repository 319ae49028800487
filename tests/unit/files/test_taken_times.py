"""Times that single images state, and what they say of frames that one camera dropped."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures

IMAGE = np.arange(8 * 9, dtype=np.uint16).reshape(8, 9)


def dated(folder: Path, name: str, seconds: list[float], kind: str = "DateTime") -> Path:
    """A folder of images `name`_0 ..., each with its moment."""
    folder.mkdir(exist_ok=True)
    for number, second in enumerate(seconds):
        path = folder / f"{name}_{number}.tif"
        if kind == "OME":
            date = f"2024-05-01T12:00:{second:06.3f}"
            tifffile.imwrite(
                path, IMAGE, ome=True, metadata={"axes": "YX", "AcquisitionDate": date}
            )
            continue
        if kind == "DeltaT":
            plane = {"DeltaT": second * 1000, "DeltaTUnit": "ms"}
            about = {"axes": "YX", "AcquisitionDate": "2024-05-01T12:00:00", "Plane": plane}
            tifffile.imwrite(path, IMAGE, ome=True, metadata=about)
            continue
        code, text = 306, f"2024:05:01 12:00:{int(second):02d}"
        if kind == "Micro-Manager":
            code, text = 51123, json.dumps({"ElapsedTime-ms": 1000 * second})
        tifffile.imwrite(path, IMAGE, metadata=None, extratags=[(code, 2, 0, text, True)],
                         photometric="minisblack")  # fmt: skip
    return folder


@pytest.mark.parametrize("kind", ["DateTime", "OME", "DeltaT", "Micro-Manager"])
def test_a_folder_of_images_has_the_times_that_its_files_state(tmp_path: Path, kind: str) -> None:
    with open_captures([dated(tmp_path / "run", "x", [5, 7, 12], kind)]) as series:
        assert series.time_s is not None
        np.testing.assert_allclose(np.subtract(series.time_s, series.time_s[0]), [0, 2, 7])


@pytest.mark.parametrize("seconds", [[5, 5, 6], [5, 7, 6], [5, 5, 5]])
def test_stamps_that_do_not_rise_are_no_times(tmp_path: Path, seconds: list[float]) -> None:
    with open_captures([dated(tmp_path / "run", "x", seconds)]) as series:
        assert series.time_s is None


def test_a_file_without_a_stamp_leaves_the_folder_without_times(tmp_path: Path) -> None:
    folder = dated(tmp_path / "run", "x", [5, 7, 12])
    tifffile.imwrite(folder / "x_1.tif", IMAGE)
    with open_captures([folder]) as series:
        assert series.time_s is None


def test_stamps_show_that_each_camera_dropped_another_frame(tmp_path: Path) -> None:
    a = dated(tmp_path / "first", "left", [0, 20, 30, 40, 50])
    b = dated(tmp_path / "second", "right", [1, 11, 21, 31, 51])
    # numbers in names agree, so nothing but the stamps shows it
    with pytest.raises(FileFormatError, match="frame 4 of sensor A, frame 2 of sensor B"):
        read_captures([a, b])


def test_frames_faster_than_stamps_tell_are_said_or_refused(tmp_path: Path) -> None:
    """Two a second: an offset that changes by two seconds cannot be rounding."""
    a = dated(tmp_path / "first", "left", [0, 0, 1, 1, 2, 2])
    same = dated(tmp_path / "same", "right", [5, 5, 6, 6, 7, 7])
    with open_captures([a, same]) as series:
        assert not any("dropped" in note for note in series.notes)
    late = dated(tmp_path / "late", "right", [5, 6, 6, 7, 7, 8])
    with open_captures([a, late]) as series:
        assert any("cannot be noticed" in note for note in series.notes)
    gap = dated(tmp_path / "gap", "right", [5, 5, 6, 8, 9, 9])
    with pytest.raises(FileFormatError, match="not all frames have a partner"):
        read_captures([a, gap])


def test_names_that_pair_are_believed_before_stamps(tmp_path: Path) -> None:
    """Files that were exported one after the other carry the times of their export."""
    dated(tmp_path / "run", "x_A", [0, 1, 2, 3])
    folder = dated(tmp_path / "run", "x_B", [10, 13, 16, 30])
    with open_captures([folder]) as series:
        assert "not all of which are of one moment" in " ".join(series.notes)
        assert series.pairs[1] == (folder / "x_A_1.tif", folder / "x_B_1.tif")
