"""Gains and residuals: closed forms, the same on arrays and tensors, and no light at all."""

import numpy as np
import pytest
import torch

from fociscope.residuals import at_best_gain, best_gain, relative_residual

RNG = np.random.default_rng(7)
IMAGE, TARGET = RNG.uniform(0, 1, (2, 3, 5, 4)), RNG.uniform(0, 1, (2, 3, 5, 4))


def test_no_other_gain_leaves_less() -> None:
    gain = best_gain(IMAGE, TARGET)
    least = relative_residual(at_best_gain(IMAGE, TARGET), TARGET)
    for factor in (0.999, 1.001):
        assert (relative_residual(factor * gain * IMAGE, TARGET) > least).all()


def test_a_gain_may_be_shared_by_the_layers() -> None:
    gain = best_gain(IMAGE, 3 * IMAGE, axes=(-3, -2, -1))
    assert gain.shape == (2, 1, 1, 1)
    np.testing.assert_allclose(gain, 3)


def test_the_unit_of_light_does_not_matter() -> None:
    faint = (1e-25 * IMAGE).astype(np.float32)
    np.testing.assert_allclose(best_gain(faint.astype(np.float64), TARGET) * faint,
                               best_gain(IMAGE, TARGET) * IMAGE, rtol=1e-6)  # fmt: skip


def test_tensors_give_what_arrays_give() -> None:
    tensors = torch.from_numpy(IMAGE), torch.from_numpy(TARGET)
    torch.testing.assert_close(best_gain(*tensors), torch.from_numpy(best_gain(IMAGE, TARGET)))
    torch.testing.assert_close(
        relative_residual(*tensors), torch.from_numpy(relative_residual(IMAGE, TARGET))
    )


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_darkness_has_a_gain_of_0_and_a_residual_of_choice(kind) -> None:
    dark, light = kind(np.zeros((2, 3))), kind(np.ones((2, 3)))
    assert float(best_gain(dark, light).squeeze()) == 0
    assert float(relative_residual(dark, light)) == 1
    assert float(relative_residual(light, dark)) == pytest.approx(np.sqrt(6))
    assert np.isnan(float(relative_residual(light, dark, dark=np.nan)))


def test_bad_pixels_do_not_count_for_the_gain() -> None:
    good, target = np.ones((5, 4)), 2 * IMAGE
    good[2, 1], target[..., 2, 1] = 0.0, 1e6
    np.testing.assert_allclose(at_best_gain(IMAGE, target, good=good), 2 * IMAGE)
