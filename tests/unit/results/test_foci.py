"""Foci: what belongs together, where it lies, how large, how bright, how sure; worked by hand."""

import math

import numpy as np
import pytest

from fociscope.errors import FociscopeError
from fociscope.networks.foci import FocusProbability
from fociscope.results.foci import (
    find_foci,
    focus_probability_image,
    label_foci,
    tabulate_foci,
)

PITCH_UM = 55.0


def test_a_disc_has_its_centroid_area_and_cells(by_hand) -> None:
    y, x = np.mgrid[:60, :60]
    disc = np.hypot(y - 20, x - 33) <= 10.4
    (focus,) = find_foci(by_hand(0.8 * disc[None]), cell_diameter_um=55.0)
    assert focus.x_um == pytest.approx(33.5 * PITCH_UM)
    assert focus.y_um == pytest.approx(20.5 * PITCH_UM)
    assert focus.area_um2 == disc.sum() * PITCH_UM**2
    # Of a circle that covers the pixels' centres, within the share its edge leaves open.
    assert focus.area_um2 == pytest.approx(math.pi * (10.4 * PITCH_UM) ** 2, rel=0.02)
    assert focus.cells == pytest.approx((2 * 10.4) ** 2, rel=0.02)


def test_figures_of_three_pixels_worked_by_hand(by_hand) -> None:
    probability = np.zeros((2, 40, 40))
    probability[1, 4, 7:10] = 0.6, 0.9, 0.9
    intensity = np.zeros((2, 40, 40), np.float32)
    intensity[1, 4, 6:11] = 100, 3, 5, 1, 100
    (focus,) = find_foci(by_hand(probability, intensity=intensity))
    assert (focus.layer, focus.label) == (1, 1)
    # (0.6 * 7.5 + 0.9 * 8.5 + 0.9 * 9.5) / 2.4 = 8.625 pixels
    assert focus.x_um == pytest.approx(8.625 * PITCH_UM)
    assert focus.y_um == pytest.approx(4.5 * PITCH_UM)
    assert focus.brightness == 9  # what lies beside the focus is not its
    assert focus.confidence == pytest.approx(0.8)
    assert focus.area_um2 == 3 * PITCH_UM**2
    assert focus.cells == pytest.approx(3 * 55**2 / (math.pi * 30**2))
    assert (focus.depth_um, focus.depth_std_um) == (400, 12.5)


def test_corners_join_and_layers_and_frames_do_not(by_hand) -> None:
    probability = np.zeros((2, 2, 40, 40))
    probability[0, 0, [3, 4, 5], [3, 4, 5]] = 1  # one focus over corners
    probability[0, 0, 9, 9] = 1
    probability[0, 1, 9, 9] = 1  # under the last
    probability[1, 0, 9, 9] = 1  # after it
    table = tabulate_foci(by_hand(probability))
    assert table.frame.tolist() == [0, 0, 0, 1]
    assert table.layer.tolist() == [0, 0, 1, 0]
    assert table.label.tolist() == [1, 2, 1, 1]
    assert table.counts(2, 2).tolist() == [[2, 1], [1, 0]]
    assert (table.area_um2 / PITCH_UM**2).tolist() == [3, 1, 1, 1]


def test_labels_follow_the_first_pixels_and_are_those_of_the_table(by_hand) -> None:
    rng = np.random.default_rng(3)
    result = by_hand(rng.random((3, 2, 40, 40)) ** 2)
    labels, table = label_foci(result), tabulate_foci(result)
    assert labels.shape == result.probability.shape
    assert ((labels > 0) == result.mask).all()
    for image, frame, layer in zip(
        labels.reshape(-1, 40, 40), np.repeat(range(3), 2), [0, 1] * 3, strict=True
    ):
        here = (table.frame == frame) & (table.layer == layer)
        numbers, first, area = np.unique(image, return_index=True, return_counts=True)
        by_label = np.flatnonzero(here)[np.argsort(table.label[here])]
        assert table.label[by_label].tolist() == numbers[1:].tolist()
        assert (np.diff(first[1:]) > 0).all()
        assert (table.area_um2[by_label] / PITCH_UM**2).tolist() == area[1:].tolist()


def test_an_absent_layer_and_an_empty_frame_have_none(by_hand) -> None:
    ones = np.ones((2, 40, 40))
    assert [f.layer for f in find_foci(by_hand(ones, presence=np.array([0.9, 0.4])))] == [0]
    assert find_foci(by_hand(0 * ones)) == []
    assert len(tabulate_foci(by_hand(0 * ones))) == 0


def test_a_series_and_a_cell_without_size_are_refused(by_hand) -> None:
    series = by_hand(np.ones((2, 1, 40, 40)))
    with pytest.raises(FociscopeError, match="one capture"):
        find_foci(series)
    with pytest.raises(FociscopeError, match="above 0"):
        tabulate_foci(series, cell_diameter_um=0)
    assert len(find_foci(series.frame(1))) == 1


def foci_of_two_sizes() -> np.ndarray:
    """Return a layer with a focus of one pixel, 0.9, and one of two, 0.6 and 0.8."""
    probability = np.zeros((1, 40, 40))
    probability[0, 4, 7], probability[0, 20, 20:22] = 0.9, (0.6, 0.8)
    return probability


def test_without_a_calibration_the_highest_pixel_says_how_likely_a_focus_is(by_hand) -> None:
    foci = find_foci(by_hand(foci_of_two_sizes()))
    assert [f.probability for f in foci] == pytest.approx([0.9, 0.8])


def test_foci_come_by_falling_probability_and_unlikely_ones_are_not_counted(by_hand) -> None:
    # Twice the pixels: twice the odds; a lone pixel is a third.
    model = FocusProbability(weights=(-math.log(2), 0.0, 0.0, 2.0))
    result = by_hand(foci_of_two_sizes(), focus_probability=model)
    table = tabulate_foci(result)
    assert table.probability == pytest.approx([2 / 3, 1 / 3])
    assert table.label.tolist() == [2, 1]
    assert table.counts(1, 1).tolist() == [[1]]
    (layer,) = result.summary()["captures"][0]["layers"]
    assert (layer["foci"], layer["cells"]) == (1, pytest.approx(table.cells[0], abs=0.01))
    image = focus_probability_image(result)
    assert image[0, 4, 7] == pytest.approx(1 / 3)
    assert image[0, 20, 20:22] == pytest.approx(2 / 3)
    assert np.count_nonzero(image) == 3
