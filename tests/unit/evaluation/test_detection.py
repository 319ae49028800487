import numpy as np
import pytest

from fociscope.evaluation.metrics import detect_foci

# Foci: 3 pixels, joined by a corner; 1 pixel; 2 pixels. The second frame is free of tumour.
TRUTH = np.array(
    [[[1, 0, 0, 0, 0, 1],
      [0, 1, 0, 0, 0, 0],
      [0, 1, 0, 0, 1, 1]],
     [[0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0]]], bool,
)  # fmt: skip
# Finds one of the 3 pixels, and both of the 2; a false focus in each frame.
PREDICTED = np.array(
    [[[0, 0, 0, 1, 0, 0],
      [0, 1, 0, 0, 0, 0],
      [0, 0, 0, 0, 1, 1]],
     [[0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 1, 1],
      [0, 0, 0, 0, 0, 1]]], bool,
)  # fmt: skip


def detection(**changes: object):  # type: ignore[no-untyped-def]
    settings = {"cells_per_pixel": 2.0, "pixel_pitch_um": 100.0, **changes}
    return detect_foci(PREDICTED, TRUTH, **settings)


def test_foci_by_hand() -> None:
    found = detection()
    assert found.area_px.tolist() == [3, 1, 2]
    assert found.cells.tolist() == [6, 2, 4]
    assert found.covered.tolist() == pytest.approx([1 / 3, 0, 1])
    assert found.frame.tolist() == [0, 0, 0]
    assert found.predicted_foci.tolist() == [3, 1]
    assert found.false_foci.tolist() == [1, 1]
    assert found.frame_mm2 == pytest.approx(18 * 0.01)


def test_detected_from_a_pixel_or_from_a_share() -> None:
    assert detection().detected().tolist() == [True, False, True]
    assert detection().detected(0.5).tolist() == [False, False, True]


def test_sensitivity_by_size() -> None:
    found = detection().sensitivity([0, 3, 5, np.inf])
    assert found.foci.tolist() == [1, 1, 1]
    assert found.detected.tolist() == [0, 1, 1]
    assert found.share.value.tolist() == [0, 1, 1]
    assert (found.share.low[1], found.share.high[0]) == pytest.approx((0.2065, 0.7935), abs=1e-3)
    # An edge belongs to the bin above it; what lies outside the edges is not counted.
    assert detection().sensitivity([2, 4, 6]).foci.tolist() == [1, 1]
    empty = detection().sensitivity([50, 100])
    assert np.isnan(empty.share.value[0])
    with pytest.raises(ValueError, match="increase"):
        detection().sensitivity([3, 3])


def test_false_foci_and_precision() -> None:
    rate = detection().false_foci_per_mm2()
    assert rate.value == pytest.approx(2 / 0.36)
    assert rate.low < rate.value < rate.high
    assert detection().precision().value == pytest.approx(2 / 4)


def test_counted_cells() -> None:
    cells = np.zeros(TRUTH.shape)
    cells[0, 0, 0], cells[0, 1, 1], cells[0, 2, 5], cells[1, 0, 0] = 1, 4, 7, 99
    assert detection(cells_per_pixel=cells).cells.tolist() == [5, 0, 7]
    with pytest.raises(ValueError, match="masks' shape"):
        detection(cells_per_pixel=np.zeros(3))


def test_frames_are_not_connected() -> None:
    truth = np.ones((3, 2, 4, 4), bool)
    found = detect_foci(truth, truth, cells_per_pixel=1, pixel_pitch_um=55)
    assert found.area_px.tolist() == [16] * 6
    assert found.frame.tolist() == list(range(6))


def test_cells_everywhere_finds_all_and_cells_nowhere_none() -> None:
    everywhere = detect_foci(np.ones_like(TRUTH), TRUTH, cells_per_pixel=1, pixel_pitch_um=55)
    assert everywhere.sensitivity([0, np.inf]).share.value == 1
    nowhere = detect_foci(np.zeros_like(TRUTH), TRUTH, cells_per_pixel=1, pixel_pitch_um=55)
    assert nowhere.sensitivity([0, np.inf]).share.value == 0
    assert np.isnan(nowhere.precision().value)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3, 6\) and \(3, 6\)"):
        detect_foci(PREDICTED, TRUTH[0], cells_per_pixel=1, pixel_pitch_um=55)
