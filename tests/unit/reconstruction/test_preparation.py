"""Flip, crop and average: what they give, lazily, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fociscope.errors import CaptureError
from fociscope.files import CaptureSeries
from fociscope.reconstruction.preparation import Preparation, prepared


def series_of(captures: np.ndarray, is_single: bool = False) -> CaptureSeries:
    frames, sensors, height, width = captures.shape
    return CaptureSeries(
        (frames, sensors, height, width),
        lambda start, stop: captures[start:stop].astype(np.float32),
        is_single=is_single,
        pixel_size_um=55.0,
        notes=("as given",),
    )


CAPTURES = np.arange(7 * 2 * 4 * 6, dtype=np.float32).reshape(7, 2, 4, 6)


def test_nothing_to_do_is_the_same_series() -> None:
    series = series_of(CAPTURES)
    assert prepared(series, Preparation()) is series


@pytest.mark.parametrize(
    ("flip", "turned"),
    [
        ("x", np.s_[:, ::-1]),
        ("y", np.s_[::-1]),
        ("both", np.s_[::-1, ::-1]),
        ("none", np.s_[:]),
    ],
)
def test_each_sensor_is_flipped_on_its_own(flip: str, turned: object) -> None:
    for sensor, name in enumerate(("flip_a", "flip_b")):
        series = prepared(series_of(CAPTURES), Preparation.model_validate({name: flip}))
        found = series.read(2, 3)[0]
        np.testing.assert_array_equal(found[sensor], CAPTURES[2, sensor][turned])  # type: ignore[index]
        np.testing.assert_array_equal(found[1 - sensor], CAPTURES[2, 1 - sensor])


def test_the_crop_cuts_flipped_images() -> None:
    preparation = Preparation(crop="1, 2, 2, 3", flip_b="x")  # type: ignore[arg-type]
    series = prepared(series_of(CAPTURES), preparation)
    assert series.shape == (7, 2, 2, 3)
    np.testing.assert_array_equal(series.read()[:, 0], CAPTURES[:, 0, 1:3, 2:5])
    np.testing.assert_array_equal(series.read()[:, 1], CAPTURES[:, 1, :, ::-1][:, 1:3, 2:5])


@given(st.integers(1, 9), st.sampled_from(["average", "drop"]), st.integers(0, 6))
def test_averages_are_means_of_frames_in_a_row(average: int, remainder: str, start: int) -> None:
    preparation = Preparation.model_validate({"average": average, "remainder": remainder})
    groups = [CAPTURES[at : at + average] for at in range(0, 7, average)]
    if remainder == "drop":
        groups = [group for group in groups if len(group) == average]
    if not groups:
        with pytest.raises(CaptureError, match="no capture is left"):
            prepared(series_of(CAPTURES), preparation)
        return
    series = prepared(series_of(CAPTURES), preparation)
    expected = np.stack([group.mean(axis=0) for group in groups])
    assert series.shape == expected.shape
    np.testing.assert_allclose(series.read(start), expected[start:])
    assert len(series.notes) == 1 + bool(7 % average and average > 1)


def test_long_averages_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fociscope.reconstruction.preparation.STEP_PIXELS", 2 * 4 * 6 * 2)
    asked: list[int] = []
    given = series_of(CAPTURES)

    def read(start: int, stop: int) -> np.ndarray:
        asked.append(stop - start)
        return given.read_frames(start, stop)

    series = CaptureSeries(given.shape, read)
    found = prepared(series, Preparation(average=7)).read()
    np.testing.assert_allclose(found[0], CAPTURES.mean(axis=0), rtol=1e-6)
    assert max(asked) == 2


def test_what_is_known_of_the_series_stays_known() -> None:
    series = prepared(series_of(CAPTURES[:1], is_single=True), Preparation(flip_a="y"))
    assert series.is_single
    assert series.pixel_size_um == 55.0
    assert series.notes == ("as given",)


@pytest.mark.parametrize("crop", ["1,2,3", "-1,0,2,2", "0,0,0,2", "a,b,c,d", (1.5, 0, 2, 2)])
def test_crops_that_are_none(crop: object) -> None:
    with pytest.raises(ValidationError):
        Preparation.model_validate({"crop": crop})


def test_what_cannot_be_done_is_refused() -> None:
    for values, words in (
        ({"crop": (2, 0, 3, 6)}, "reaches to y = 5, x = 6, but frames have 4 x 6"),
        ({"average": 8, "remainder": "drop"}, "no capture is left"),
    ):
        with pytest.raises(CaptureError, match=words):
            prepared(series_of(CAPTURES), Preparation.model_validate(values))
    with pytest.raises(CaptureError, match="sensor A alone"):
        prepared(series_of(CAPTURES[:, :1]), Preparation(flip_b="x"))
    with pytest.raises(CaptureError, match="one capture was given"):
        prepared(series_of(CAPTURES[:1], is_single=True), Preparation(average=2))
