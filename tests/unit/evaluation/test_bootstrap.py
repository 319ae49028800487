import numpy as np
import pytest
from scipy import stats

from fociscope.evaluation.bootstrap import (
    bootstrap_mean,
    bootstrap_of_means,
    rate_interval,
    share_interval,
)


def test_the_interval_is_scipys() -> None:
    values = np.random.default_rng(0).exponential(size=40)
    found = bootstrap_mean(values, seed=3, level=0.9, resamples=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, confidence_level=0.9, method="BCa",
        rng=np.random.default_rng(4),
    ).confidence_interval  # fmt: skip
    assert found.value == pytest.approx(values.mean())
    # Two draws of 20 000: the ends of the interval scatter by about 1 % of its width.
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=0.04 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.04 * width)


def test_means_that_are_nearly_normal_get_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 2000)
    found = bootstrap_mean(values, seed=0)
    half = 1.96 * values.std() / np.sqrt(2000)
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(30, 400))  # 400 experiments of 30 scenes, side by side
    found = bootstrap_mean(values, seed=0, level=0.8, resamples=500)
    # Of 400, 0.8 +- 0.02; thirty scenes make it a little too narrow.
    assert ((found.low < 0) & (found.high > 0)).mean() == pytest.approx(0.78, abs=0.06)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(3).random((20, 2, 3))
    one, again, other = (bootstrap_mean(values, seed=s, resamples=200) for s in (5, 5, 6))
    assert one.low.shape == (2, 3)
    assert (one.low == again.low).all()
    assert (one.high == again.high).all()
    assert (one.low != other.low).any()


def test_each_score_by_itself() -> None:
    values = np.random.default_rng(4).random((25, 3))
    together = bootstrap_mean(values, seed=1, resamples=300)
    for n in range(3):
        alone = bootstrap_mean(values[:, n], seed=1, resamples=300)
        assert together.low[n] == pytest.approx(alone.low)
        assert together.high[n] == pytest.approx(alone.high)


def test_a_function_of_means() -> None:
    # A ratio of sums, as Dice is; the ratio of every scene is exactly 2.
    part = np.random.default_rng(5).random(30) + 0.5
    pair = np.stack([2 * part, part], axis=-1)
    ratio = bootstrap_of_means(pair, lambda mean: mean[:, 0] / mean[:, 1], seed=0)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2))
    error = np.random.default_rng(6).normal(0, 3.0, 3000)
    rmse = bootstrap_of_means(error**2, np.sqrt, seed=0)
    assert rmse.low < 3.0 < rmse.high
    # The standard error of a standard deviation is sigma / sqrt(2 n).
    assert rmse.high - rmse.low == pytest.approx(2 * 1.96 * 3 / np.sqrt(6000), rel=0.1)


def test_values_without_spread() -> None:
    for value in (1.0, 0.0):
        found = bootstrap_mean(np.full(10, value), seed=0, resamples=100)
        assert (found.value, found.low, found.high) == (value, value, value)
    single = bootstrap_mean([0.5], seed=0)
    assert single.value == 0.5
    assert np.isnan([single.low, single.high]).all()
    mixed = bootstrap_mean(np.array([[1.0, 0.1], [1.0, 0.3], [1.0, 0.7]]), seed=0, resamples=200)
    assert mixed.low[0] == mixed.high[0] == 1
    assert mixed.low[1] < mixed.high[1]


def test_nan_stays_nan() -> None:
    found = bootstrap_mean(np.array([[1.0, 2.0], [np.nan, 3.0], [2.0, 5.0]]), seed=0, resamples=99)
    assert np.isnan([found.value[0], found.low[0], found.high[0]]).all()
    assert found.low[1] < found.value[1] < found.high[1]


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="scene"):
        bootstrap_mean(np.zeros((0, 3)), seed=0)
    with pytest.raises(ValueError, match=r"got 1 and 2000"):
        bootstrap_mean([1.0, 2.0], seed=0, level=1.0)


def test_wilson_is_scipys() -> None:
    found = share_interval([0, 3, 10], [10, 10, 10])
    for n, events in enumerate((0, 3, 10)):
        theirs = stats.binomtest(events, 10).proportion_ci(method="wilson")
        assert found.value[n] == events / 10
        assert found.low[n] == pytest.approx(theirs.low, abs=1e-12)
        assert found.high[n] == pytest.approx(theirs.high, abs=1e-12)
    assert np.isnan(share_interval(0, 0)).all()


def test_garwood_by_hand() -> None:
    # No event: exp(-rate) = 0.025, so the upper end is -ln 0.025.
    none = rate_interval(0, 2.0)
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(-np.log(0.025) / 2)
    # The ends are the rates at which as many events, or as few, happen with 2.5 %.
    some = rate_interval(7, 1.0)
    assert stats.poisson.sf(6, some.low) == pytest.approx(0.025)
    assert stats.poisson.cdf(7, some.high) == pytest.approx(0.025)
