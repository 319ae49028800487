"""Dark, flat and bad-pixel frames that one file, the same file twice, or a number gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fociscope.errors import FociscopeError
from fociscope.reconstruction.preparation import Preparation
from fociscope.series.options import ReconstructionOptions
from fociscope.workflows._loading import loaded_correction

FRAME = np.arange(40 * 40, dtype=np.float32).reshape(40, 40) + 1


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.save(tmp_path / "one.npy", FRAME)
    return tmp_path / "one.npy"


def corrected(options: ReconstructionOptions, sensors: int = 2) -> np.ndarray:
    """Return captures of 5000 everywhere, corrected."""
    correction = loaded_correction(options, sensors)
    assert correction is not None
    return correction(torch.full((sensors, 40, 40), 5000.0))[0].numpy()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("sensors", [1, 2])
def test_one_dark_frame_is_of_all_sensors(file: Path, times: int, sensors: int) -> None:
    found = corrected(ReconstructionOptions(dark=[file] * times), sensors)
    np.testing.assert_array_equal(found, np.stack([5000 - FRAME] * sensors))


def test_each_sensor_is_flipped_its_own_way(file: Path) -> None:
    options = ReconstructionOptions(dark=file, preparation=Preparation(flip_b="x"))
    found = corrected(options)
    np.testing.assert_array_equal(found, 5000 - np.stack([FRAME, FRAME[:, ::-1]]))


def test_one_flat_frame_is_of_both_sensors(file: Path) -> None:
    a, b = corrected(ReconstructionOptions(flat=file))
    np.testing.assert_array_equal(a, b)
    assert a.std() > 0


def test_a_bad_pixel_map_of_both_sensors_is_given_twice(tmp_path: Path) -> None:
    bad = np.zeros((40, 40), np.uint8)
    bad[3, 4] = 1
    np.save(tmp_path / "bad.npy", bad)
    correction = loaded_correction(ReconstructionOptions(bad_pixels=[tmp_path / "bad.npy"] * 2), 2)
    assert correction is not None
    where = correction(torch.ones((2, 40, 40)))[1]
    assert where.nonzero().tolist() == [[0, 3, 4], [1, 3, 4]]


@pytest.mark.parametrize("dark", [100, 100.0, "100", ["100"], [Path("100")]])
def test_a_number_of_counts(dark: object) -> None:
    options = replace(ReconstructionOptions(dark=dark), layers=2)  # type: ignore[arg-type]
    assert options.has_dark
    assert options.chip_files[0] == ()
    np.testing.assert_array_equal(corrected(options), np.full((2, 40, 40), 4900))


def test_a_number_for_each_sensor() -> None:
    found = corrected(ReconstructionOptions(dark=["100", "200"]))
    assert found[:, 0, 0].tolist() == [4900, 4800]


def test_a_file_whose_name_is_a_number_is_a_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("100").touch()
    assert ReconstructionOptions(dark="100").chip_files[0] == (Path("100"),)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(FociscopeError, match="one finite number") as caught:
        ReconstructionOptions(dark="nan")
    assert caught.value.fields == ("dark",)
