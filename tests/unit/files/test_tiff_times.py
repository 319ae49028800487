"""Times that the pages of a TIFF carry, and frames that are not of one moment."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError
from fociscope.files import open_captures, read_captures

FRAMES = np.arange(6 * 8 * 9, dtype=np.uint16).reshape(6, 8, 9)


def dated(path: Path, seconds: list[float], *, colons: bool = True) -> Path:
    """A stack whose pages carry DateTime, as TIFF writes it or as MetaMorph does."""
    with tifffile.TiffWriter(path) as stack:
        for frame, second in zip(FRAMES, seconds, strict=False):
            clock = f"{second:02.0f}" if colons else f"{second:06.3f}"
            date = f"{'2024:05:01' if colons else '20240501'} 12:00:{clock}"
            stack.write(frame, metadata=None, contiguous=False, photometric="minisblack",
                        extratags=[(306, 2, 0, date, True)])  # fmt: skip
    return path


@pytest.mark.parametrize("colons", [True, False])
def test_the_date_of_each_page_is_the_time_of_its_frame(tmp_path: Path, colons: bool) -> None:
    with open_captures([dated(tmp_path / "a.tif", [5, 15, 25, 45], colons=colons)]) as series:
        assert series.time_s is not None
        assert np.subtract(series.time_s, series.time_s[0]).tolist() == [0, 10, 20, 40]


@pytest.mark.parametrize("seconds", [[5, 5, 5], [5, 25, 15]])
def test_dates_that_do_not_rise_are_no_times(tmp_path: Path, seconds: list[float]) -> None:
    with open_captures([dated(tmp_path / "a.tif", seconds)]) as series:
        assert series.time_s is None


def test_dates_show_that_each_camera_dropped_another_frame(tmp_path: Path) -> None:
    a = dated(tmp_path / "first.tif", [0, 20, 30, 40, 50])
    b = dated(tmp_path / "second.tif", [1, 11, 21, 31, 51])
    with pytest.raises(FileFormatError, match="frame 4 of sensor A, frame 2 of sensor B"):
        read_captures([a, b])


def test_dates_too_coarse_to_be_certain_are_remarked_on(tmp_path: Path) -> None:
    a = dated(tmp_path / "first.tif", [0, 2, 3, 4, 5])
    b = dated(tmp_path / "second.tif", [0, 1, 2, 3, 5])
    with open_captures([a, b]) as series:
        assert "to the second, frames may be missing (frame 4 of sensor A" in series.notes[-1]
    late = dated(tmp_path / "late.tif", [20, 22, 23, 24, 25])
    with open_captures([a, late]) as series:
        assert not any("to the second" in note for note in series.notes)


@pytest.mark.parametrize(("late_s", "fits"), [(0.4, True), (None, False)])
def test_channels_of_one_stack_are_of_one_moment(
    tmp_path: Path, late_s: float | None, fits: bool
) -> None:
    """A second camera that is later by as much in each frame, or has dropped one."""
    first = [0.0, 1.0, 2.0]
    second = [t + late_s for t in first] if late_s is not None else [0.0, 2.0, 3.0]
    times = [time for pair in zip(first, second, strict=True) for time in pair]
    about = {"axes": "TCYX", "Plane": {"DeltaT": times, "DeltaTUnit": ["s"] * 6}}
    path = tmp_path / "ab.ome.tif"
    tifffile.imwrite(path, FRAMES.reshape(3, 2, 8, 9), ome=True, metadata=about,
                     photometric="minisblack")  # fmt: skip
    if fits:
        assert read_captures([path]).shape == (3, 2, 8, 9)
    else:
        with pytest.raises(FileFormatError, match="frames of its two channels"):
            read_captures([path])
