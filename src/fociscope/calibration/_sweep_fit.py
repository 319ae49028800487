"""Least squares over all sweeps at once, what is expected of a chip counting as data.

Each gain of a pixel touches that pixel's counts alone, so gains are eliminated from the normal
equations (Schur complement) and cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fociscope.calibration._sweep_model import PIXEL_GAIN_STD, SweepModel, SweepState
from fociscope.calibration._sweep_search import start_state
from fociscope.typing import BoolArray, Float64Array, Progress

__all__ = ["SweepFit", "fit_sweeps"]

#: Steps of one fit, and a gain of half chi square that ends it.
MOST_STEPS, ENOUGH = 25, 0.01
#: Rounds in which the model error and hot pixels are found, and the most that may be wrong.
ROUNDS, MOST_ERROR = 3, 0.2
#: Longest step of a place, um, and of a logarithm.
LONGEST_UM, LONGEST_LOG, LONGEST_GAIN = 20.0, 1.0, 0.3
#: A pixel whose median residual over a sweep is beyond so many standard deviations is hot or dead.
OUTLIER_STD = 8.0
#: Expected deviation of gains from 1 that holds them.
HELD_GAIN_STD = 1e-4
#: Pixels along a row whose residuals hang together.
BLOCK_PX = 4


@dataclass
class SweepFit:
    """A fit of all sweeps.

    Attributes:
        state: Fitted values.
        covariance: (parameter, parameter) of the shared parameters.
        own_std: For each sweep, standard deviations of its own values.
        gain_std: (pixel,) standard deviation of the logarithm of each gain.
        residual: For each sweep, (frame, pixel) residual in standard deviations; NaN if not used.
        model_error: Share of the light by which the imager is wrong, found or stated.
        chi_square: Reduced chi square.
        used: (sweep, pixel) pixels that were fitted.
        depth_shift: For each sweep, by how much deeper it alone fits best, and the standard
            deviation of that, um; light and places of its beads free.
    """

    state: SweepState
    covariance: Float64Array
    own_std: list[Float64Array]
    gain_std: Float64Array
    residual: list[Float64Array]
    model_error: float
    chi_square: float
    used: BoolArray
    depth_shift: list[tuple[float, float]]


def fit_sweeps(
    model: SweepModel,
    *,
    free: BoolArray,
    model_error: float | None = None,
    start: SweepState | None = None,
    progress: Progress | None = None,
) -> SweepFit:
    """Fit all sweeps at once.

    Args:
        model: Model of the sweeps.
        free: (parameter,) which shared parameters are fitted.
        model_error: Share of the light by which the imager is wrong; None to find it.
        start: Where to begin; by default where the beads are found.
        progress: Called with the steps done and their number.
    """
    search = _Search(model, free, 0.05 if model_error is None else model_error, progress)
    search.state = start_state(model, search.used, search.floor) if start is None else start.copy()
    for number in range(ROUNDS):
        search.descend(number)
        if number == ROUNDS - 1:
            break
        if number > 0:  # gains that differ make no outliers
            search.drop_outliers(search.residuals())
        if model_error is None:
            search.find_error()
    return search.done()


class _Search:
    """A damped Gauss-Newton search over places, light, shared parameters and gains."""

    def __init__(
        self, model: SweepModel, free: BoolArray, error: float, progress: Progress | None
    ) -> None:
        self.model, self.free, self.error, self.progress = model, free, error, progress
        camera = model.imager.camera
        self.per_count = 1 / camera.gain_e_per_count
        base = camera.floor_variance_e2 * self.per_count**2
        pixels = int(np.prod(model.sweeps[0].counts.shape[1:]))
        self.black = black = camera.black_level_counts
        self.floor = np.stack([
            np.full(pixels, base) if one.dark is None
            else base + self.per_count * np.maximum(one.dark.ravel() - black, 0)
            for one in model.sweeps
        ])  # fmt: skip
        self.used = np.stack([~one.hot.ravel() for one in model.sweeps])
        for sensor, y, x in model.imager.dead_pixels:
            if sensor < model.imager.sensors:
                dead = np.zeros(model.sweeps[0].counts.shape[1:], bool)
                dead[sensor, y, x] = True
                self.used &= ~dead.ravel()
        self.state = SweepState(np.zeros(0), [], np.zeros(pixels))
        self.gains_fitted = self.half_chi_square = 0.0
        self.gain_std = PIXEL_GAIN_STD
        self.variances: list[Float64Array] = []

    def variance(self, number: int, mean: Float64Array) -> Float64Array:
        """Return (frame, pixel) the variance of a sweep's counts, in counts^2."""
        light = np.maximum(mean - self.state.own[number][-1], 0)
        black = self.black if self.model.sweeps[number].dark is None else 0.0
        level = np.maximum(mean - black, 0)
        return np.asarray(self.floor[number] + self.per_count * level + (self.error * light) ** 2)

    def prior_std(self) -> Float64Array:
        """Return (parameter,) expected standard deviations of shared values; 0 holds a value."""
        std = np.array([one.std for one in self.model.parameters])
        return np.asarray(np.where(self.free, std, 0.0))

    def residuals(self) -> list[Float64Array]:
        """Return each sweep's (frame, pixel) residuals in standard deviations."""
        return [(data - mean) / np.sqrt(self.variance(n, mean)) for n, data, mean, _ in self._all()]

    def _all(self) -> Iterator[tuple[int, Float64Array, Float64Array, Float64Array]]:
        for number, sweep in enumerate(self.model.sweeps):
            mean, slopes = self.model.evaluate(number, self.state)
            yield number, sweep.light.reshape(mean.shape), mean, slopes

    def cost(self) -> float:
        """Return half of chi square by the variances of the last `normal`."""
        total = 0.0
        for number, sweep in enumerate(self.model.sweeps):
            mean = self.model.mean(number, self.state)
            off = sweep.light.reshape(mean.shape) - mean
            total += float((self.used[number] * off**2 / self.variances[number]).sum())
        return 0.5 * (total + self._expected())

    def _expected(self) -> float:
        """Return the part of chi square that holds values to what is expected of a chip."""
        std, apart = self.prior_std(), self._from_start()
        held = std > 0
        return float(((apart[held] / std[held]) ** 2).sum()) + float(
            ((self.state.gains / self.gain_std) ** 2).sum()
        )

    def _from_start(self) -> Float64Array:
        start = np.array([one.start for one in self.model.parameters])
        return np.asarray(self.state.shared - start)

    def normal(self) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array, Float64Array]:
        """Return the normal equations: of columns, between them and gains, of gains; both sides.

        Also sets the variances of the counts, half of chi square and how many gains are fitted.
        """
        shared = len(self.model.parameters)
        sizes = [len(one) for one in self.state.own]
        columns = shared + sum(sizes)
        pixels = self.state.gains.size
        normal, right = np.zeros((columns, columns)), np.zeros(columns)
        between = np.zeros((columns, pixels))
        std = np.full(pixels, self.gain_std)
        gains, gains_right = 1 / std**2, -self.state.gains / std**2
        self.variances, total = [], self._expected()
        for number, data, mean, slopes in self._all():
            variance = self.variance(number, mean)
            self.variances.append(variance)
            weight = self.used[number] / variance
            total += float((weight * (data - mean) ** 2).sum())
            first = shared + sum(sizes[:number])
            at = np.r_[0:shared, first : first + sizes[number]]
            part, gain = slopes[:-2], slopes[-1]
            weighted = (part * weight).reshape(len(part), -1)
            normal[np.ix_(at, at)] += weighted @ part.reshape(len(part), -1).T
            right[at] += weighted @ (data - mean).ravel()
            between[at] += (part * (weight * gain)).sum(axis=1)
            gains = gains + (weight * gain**2).sum(axis=0)
            gains_right = gains_right + (weight * gain * (data - mean)).sum(axis=0)
        self.half_chi_square = total / 2
        self.gains_fitted = float((1 - 1 / (gains * std**2)).sum())
        prior = self.prior_std()
        apart = self._from_start()
        for column, (one, off) in enumerate(zip(prior, apart, strict=True)):
            if one > 0:
                normal[column, column] += 1 / one**2
                right[column] -= off / one**2
            else:
                normal[column] = normal[:, column] = right[column] = between[column] = 0.0
                normal[column, column] = 1.0
        return normal, between, gains, right, gains_right

    def descend(self, number: int) -> None:
        """Go down until chi square hardly falls; gains are held until places are about right."""
        self.gain_std = HELD_GAIN_STD if number == 0 else PIXEL_GAIN_STD
        damping = 1e-3
        for step in range(MOST_STEPS):
            if self.progress is not None:
                self.progress(number * MOST_STEPS + step, ROUNDS * MOST_STEPS)
            normal, between, gains, right, gains_right = self.normal()
            before, kept = self.half_chi_square, self.state
            reduced = normal - (between / gains) @ between.T
            target = right - between @ (gains_right / gains)
            size = np.sqrt(np.diag(reduced).clip(1e-300))
            for _ in range(6):
                scaled = reduced / np.outer(size, size) + damping * np.eye(len(size))
                self.state = kept
                move = self._shortened(np.linalg.solve(scaled, target / size) / size)
                self.state = self._moved(move, (gains_right - between.T @ move) / gains)
                after = self.cost()
                if after < before:
                    break
                damping *= 8
            else:
                self.state = kept
                return
            damping = max(damping / 8, 1e-9)
            if before - after < ENOUGH:
                return

    def _shortened(self, move: Float64Array) -> Float64Array:
        """Return a step that goes nowhere farther than its longest, nor beyond a bound."""
        parameters, shared = self.model.parameters, self.state.shared
        short = move.copy()
        for n, one in enumerate(parameters):
            longest = LONGEST_UM if one.unit == "um" else 0.2 * (one.upper - one.lower)
            margin = 1e-4 * (one.upper - one.lower) if self.free[n] else 0.0
            value = shared[n] + np.clip(move[n], -longest, longest)
            short[n] = np.clip(value, one.lower + margin, one.upper - margin) - shared[n]
        first = len(parameters)
        for own in self.state.own:
            most = np.full(len(own), LONGEST_UM)
            most[2:-1:3] = LONGEST_LOG
            most[-1] = np.inf
            part = slice(first, first + len(own))
            short[part] = np.clip(move[part], -most, most)
            first += len(own)
        return short

    def _moved(self, move: Float64Array, gains: Float64Array) -> SweepState:
        """Return the values after a step."""
        first = len(self.model.parameters)
        ends = first + np.cumsum([len(own) for own in self.state.own])
        parts = np.split(move[first:], (ends - first)[:-1])
        own = [one + part for one, part in zip(self.state.own, parts, strict=True)]
        shared = self.state.shared + move[:first]
        return SweepState(
            shared, own, self.state.gains + np.clip(gains, -LONGEST_GAIN, LONGEST_GAIN)
        )

    def freedom(self, counts: int) -> float:
        """Return the degrees of freedom that so many counts leave.

        A gain that its prior holds takes none of them.
        """
        fitted = self.free.sum() + sum(map(len, self.state.own)) + self.gains_fitted
        return max(float(counts - fitted), 1.0)

    def drop_outliers(self, residuals: list[Float64Array]) -> None:
        """Leave out pixels that are off in a whole sweep, as hot and dead ones are."""
        for number, residual in enumerate(residuals):
            off = np.abs(np.median(residual, axis=0)) * np.sqrt(len(residual))
            usual = np.median(off[self.used[number]])
            self.used[number] &= off < OUTLIER_STD * max(usual, 1.0)

    def find_error(self) -> None:
        """Find the share of the light by which the imager is wrong, from what noise leaves over."""
        before = self.error
        parts = []
        for number, data, mean, _ in self._all():
            light = np.maximum(mean - self.state.own[number][-1], 0)
            self.error = 0.0
            noise = self.variance(number, mean)
            self.error = before
            keep = np.broadcast_to(self.used[number], mean.shape)
            parts.append(np.stack([((data - mean) ** 2)[keep], noise[keep], (light**2)[keep]]))
        squared, noise, light2 = np.concatenate(parts, axis=1)
        freedom = self.freedom(squared.size)
        low, high = 0.0, MOST_ERROR
        for _ in range(40):
            middle = (low + high) / 2
            chi_square = float((squared / (noise + middle**2 * light2)).sum()) / freedom
            low, high = (middle, high) if chi_square > 1 else (low, middle)
        self.error = high

    def depth_shifts(self) -> list[tuple[float, float]]:
        """Return by how much deeper each sweep alone fits best, um, and its uncertainty."""
        shifts = []
        for number, data, mean, slopes in self._all():
            own = slopes[len(self.model.parameters) : -1].reshape(-1, mean.size)
            weight = np.sqrt(self.used[number] / self.variance(number, mean)).ravel()
            columns = (own * weight).T
            size = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
            inverse = np.linalg.pinv((columns / size).T @ (columns / size), hermitian=True)
            move = inverse @ ((columns / size).T @ (weight * (data - mean).ravel()))
            shifts.append(
                (float(move[-1] / size[-1]), float(np.sqrt(max(inverse[-1, -1], 0)) / size[-1]))
            )
        return shifts

    def _widening(self, covariance: Float64Array, per_gain: Float64Array) -> Float64Array:
        """Return (column,) by how much residuals that hang together widen the uncertainties.

        What the response is wrong by comes again in every frame and in neighbouring pixels. The
        scatter of the slope of chi square between blocks of pixels of a sweep, each with all its
        frames, holds that (the sandwich estimate of clustered data; White 1980, Econometrica
        48:817); it counts where it is larger than the Fisher information says.
        """
        shared = len(self.model.parameters)
        sizes = [len(one) for one in self.state.own]
        columns = self.model.imager.frame_px[1]
        block = np.arange(self.state.gains.size) // columns * columns
        block += np.arange(self.state.gains.size) % columns // BLOCK_PX * BLOCK_PX
        meat = np.zeros_like(covariance)
        for number, data, mean, slopes in self._all():
            pulled = self.used[number] * (data - mean) / self.variance(number, mean)
            score = (slopes * pulled).sum(axis=1)
            first = shared + sum(sizes[:number])
            at = np.r_[0:shared, first : first + sizes[number]]
            for one in np.unique(block):
                inside = block == one
                total = -per_gain[:, inside] @ score[-1, inside]
                total[at] += score[:-2, inside].sum(axis=1)
                meat += np.outer(total, total)
        sandwich = np.diag(covariance @ meat @ covariance)
        fisher = np.diag(covariance)
        ratio = np.divide(sandwich, fisher, out=np.ones_like(fisher), where=fisher > 0)
        return np.asarray(np.sqrt(np.maximum(ratio, 1.0)))

    def done(self) -> SweepFit:
        """Return the fit with the uncertainties of the Fisher information."""
        normal, between, gains, *_ = self.normal()
        residuals = self.residuals()
        squared = [
            np.where(used, one**2, 0.0) for one, used in zip(residuals, self.used, strict=True)
        ]
        count = sum(
            one.shape[0] * int(used.sum()) for one, used in zip(residuals, self.used, strict=True)
        )
        chi_square = float(sum(one.sum() for one in squared)) / self.freedom(count)
        reduced = normal - (between / gains) @ between.T
        size = np.sqrt(np.diag(reduced).clip(1e-300))
        covariance = np.linalg.pinv(reduced / np.outer(size, size), hermitian=True) / np.outer(
            size, size
        )
        covariance *= max(chi_square, 1.0)
        widened = self._widening(covariance, between / gains)
        covariance = covariance * np.outer(widened, widened)
        shared = len(self.model.parameters)
        own_std, first = [], shared
        for own in self.state.own:
            own_std.append(np.sqrt(np.diag(covariance)[first : first + len(own)].clip(0)))
            first += len(own)
        spread = (between / gains).T @ covariance
        gain_variance = 1 / gains + (spread * (between / gains).T).sum(axis=1)
        of_shared = covariance[:shared, :shared].copy()
        of_shared[~self.free] = of_shared[:, ~self.free] = 0.0
        return SweepFit(
            self.state, of_shared, own_std, np.sqrt(gain_variance.clip(0)),
            [np.where(u, r, np.nan) for r, u in zip(residuals, self.used, strict=True)],
            self.error, chi_square, self.used, self.depth_shifts(),
        )  # fmt: skip
