"""What speaks against captures is said of each frame, by its number and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fociscope.series.series import SeriesOutcome
from fociscope.workflows._outcome import quality_warnings
from fociscope.workflows._run import series_warnings

FILES = tuple(f"mouse{n}/x_A.tif" for n in range(1, 8))


def test_a_single_capture_is_named_by_its_file(by_hand) -> None:
    result = by_hand(np.zeros((1, 8, 9)), quality_flags=np.array("no light"), names=FILES[:1])
    (warning,) = quality_warnings(result)
    assert str(warning) == "mouse1/x_A.tif: no light; do not trust this map"


def test_every_frame_is_named_with_its_file_and_its_reason(by_hand) -> None:
    flags = np.array(["", "no light", "", "saturated"])
    (warning,) = quality_warnings(
        by_hand(np.zeros((4, 1, 8, 9)), quality_flags=flags, names=FILES[:4])
    )
    assert str(warning) == (
        "2 of 4 captures do not look like the imager's, do not trust their maps: "
        "frame 2 (mouse2/x_A.tif): no light; frame 4 (mouse4/x_A.tif): saturated"
    )


def test_many_frames_are_counted(by_hand) -> None:
    result = by_hand(np.zeros((7, 1, 8, 9)), quality_flags=np.array(["odd"] * 7))
    (warning,) = quality_warnings(result)
    assert str(warning).endswith("frame 4: odd; 3 more, see frames.csv")


def test_nothing_is_said_of_plausible_captures(by_hand) -> None:
    assert quality_warnings(by_hand(np.zeros((2, 1, 8, 9)))) == ()


def test_a_series_names_the_frames_of_its_table(tmp_path: Path) -> None:
    table = tmp_path / "frames.csv"
    table.write_text("frame,name,plausible,quality_flags\n1,a.tif,1,\n2,b.tif,0,no light\n")
    done = SeriesOutcome(2, 2, {"series": {"plausible_frames": 1}}, [table])
    (warning,) = series_warnings(done)
    assert str(warning).endswith("frame 2 (b.tif): no light")
