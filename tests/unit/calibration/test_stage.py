"""Files of captures and a table of the stage: sweeps by file and depth."""

from pathlib import Path

import numpy as np
import pytest

from fociscope.calibration import StageSweep, read_sweeps
from fociscope.errors import ImagerError
from fociscope.imager import Imager

CHIP = Imager.preset("acus").with_(frame_px=(2, 8))
FRAMES = np.arange(5 * 16, dtype=np.float64).reshape(5, 2, 8)


def test_each_file_and_depth_is_a_sweep(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", FRAMES[:3])
    np.savez(tmp_path / "b.npz", counts=FRAMES[3:], other=np.zeros((2, 2, 8)))
    np.save(tmp_path / "dark.npy", np.full((2, 8), 7.0))
    (tmp_path / "stage.csv").write_text("x_um,depth_um\n0,50\n5,50\n0,90\n0,50\n5,50\n")
    sweeps = read_sweeps(
        [tmp_path / "a.npy", f"{tmp_path}/b.npz:/counts"],
        tmp_path / "stage.csv",
        imager=CHIP,
        dark=tmp_path / "dark.npy",
    )
    assert [(one.name, one.depth_um, len(one.counts)) for one in sweeps] == [
        ("a, 50 µm", 50.0, 2),
        ("a, 90 µm", 90.0, 1),
        ("b, 50 µm", 50.0, 2),
    ]
    np.testing.assert_array_equal(sweeps[2].light[:, 0], FRAMES[3:] - 7)


def test_captures_of_another_chip_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 1, 4, 8)))
    (tmp_path / "stage.csv").write_text("x_um,depth_um\n0,50\n5,50\n0,90\n")
    with pytest.raises(ImagerError, match="4 x 8 pixels"):
        read_sweeps([tmp_path / "a.npy"], tmp_path / "stage.csv", imager=CHIP)


def test_hot_pixels_stand_out_of_the_dark_frame() -> None:
    dark = np.full((1, 2, 8), 60.0)
    dark[0, 1, 3] = 300.0
    sweep = StageSweep(FRAMES[:, None], np.zeros(5), np.zeros(5), 50.0, dark=dark)
    assert np.argwhere(sweep.hot).tolist() == [[0, 1, 3]]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"x_um": np.zeros(4)}, "one position each"),
        ({"y_um": np.full(5, np.nan)}, "finite"),
        ({"beads": ("flying",)}, "'fixed' or 'moving'"),
        ({"dark": np.zeros((2, 8))}, "dark frame"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict, why: str) -> None:
    values = {"counts": FRAMES[:, None], "x_um": np.zeros(5), "y_um": np.zeros(5), "depth_um": 50.0}
    with pytest.raises(ImagerError, match=why):
        StageSweep(**{**values, **changes})
