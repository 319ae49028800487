"""A glow that was taken for cells is said to be one; cells are not."""

import numpy as np
import pytest

from fociscope.reconstruction.volume_checks import are_smooth_glow


def volume(roughness: float, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """One volume with cells in a share of the columns, whose light differs by so much."""
    rng = np.random.default_rng(0)
    probability = np.zeros((1, 5, 40, 40), np.float32)
    probability[:, 2, : round(40 * share)] = 0.9
    light = np.exp(rng.normal(0, roughness, (40, 40))).astype(np.float32)
    return probability, probability * light


# Of two normal numbers, the median of |difference| is 0.6745 * sqrt(2) of their deviation.
@pytest.mark.parametrize(("median", "is_glow"), [(0.09, True), (0.14, False)])
def test_limit_lies_where_it_is_said(median: float, is_glow: bool) -> None:
    assert are_smooth_glow(*volume(median / (0.6745 * np.sqrt(2)))).tolist() == [is_glow]


def test_few_columns_are_no_glow() -> None:
    assert not are_smooth_glow(*volume(0.0, share=0.1)).any()


def test_a_dark_volume_is_none() -> None:
    assert not are_smooth_glow(*(np.zeros((2, 5, 40, 40), np.float32),) * 2).any()
