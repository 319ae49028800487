r"""The width of the PSF and the base blur from spectra: regression on simulated chips.

Which blurs go with which spectra depends on the tissue, and no formula holds for all of it. So the
relation is learned from chips that are simulated over many kinds of tissue, numbers of layers,
widths and blurs, as kernel ridge regression on principal components of `spectrum_features`. What it
is wrong by is learned as well: a kind of tissue at a time is left out, and the squared error of
those that it has never seen is regressed on the same features. The stated deviations are thus those
of unknown tissue.

The answers are $\ln(\theta\, g / p)$, the half angle times the gap in pixels, which is all that
spectra in pixels depend on while angles are small, and the base blur in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from fociscope.typing import Float64Array

__all__ = ["WIDTH_FILE", "WidthAnswer", "WidthRegression", "fit_width_regression"]

WIDTH_FILE = Path(__file__).with_name("capture_width.safetensors")
"""Written by `benchmarks/blind_training.py`."""
COMPONENTS = 30
"""Principal components that are kept."""
RIDGE, SHARPNESS, LINEAR = 0.1, 0.3, 1.0
"""Of the kernel exp(-sharpness d^2) + linear <x, y>, with the mean square distance d^2."""
SMOOTH_RIDGE, SMOOTH_SHARPNESS = 1.0, 0.05
"""The same for logarithms of errors, which scatter more."""
LARGEST_DEVIATION = 4.0
"""Standard deviations of the training at which features are cut off."""
LEAST_ERROR = 1e-4
#: Mean of ln of a squared standard normal variable: E ln e^2 = ln sigma^2 + this.
MEAN_LOG_SQUARE = -1.2704
ANSWERS = 2


@dataclass(frozen=True)
class WidthAnswer:
    """What spectra say of a chip.

    Attributes:
        log_angle_px: ln of the half angle in degrees times the gap in pixels.
        base_blur_px: Base blur in pixels.
        log_angle_std: Standard deviation for tissue that was never trained on.
        base_blur_std: The same of the base blur.
        distance: How far the features lie from those of the training, in units of its own spread.
    """

    log_angle_px: float
    base_blur_px: float
    log_angle_std: float
    base_blur_std: float
    distance: float


@dataclass(frozen=True)
class WidthRegression:
    """Features of spectra -> width and base blur.

    Attributes:
        centre: (feature,) mean of the training.
        spread: (feature,) its standard deviation.
        axes: (feature, component) principal axes, scaled to a variance of 1 in all.
        places: (chip, component) of the chips of the training.
        weights: (chip, 2) of the answers.
        mean: (2,) of the answers.
        error_weights: (chip, 2) of the logarithm of squared errors.
        error_mean: (2,) of the same.
    """

    centre: Float64Array
    spread: Float64Array
    axes: Float64Array
    places: Float64Array
    weights: Float64Array
    mean: Float64Array
    error_weights: Float64Array
    error_mean: Float64Array

    @classmethod
    def shipped(cls) -> WidthRegression:
        """Return the regression of the package."""
        return _read(WIDTH_FILE)

    def save(self, path: Path) -> None:
        """Write it as safetensors of float32."""
        # A file of safetensors holds an array's memory as it lies there.
        save_file(
            {name: np.array(a, np.float32, order="C") for name, a in vars(self).items()}, path
        )

    def place(self, features: Float64Array) -> Float64Array:
        """Return (..., component) of features (..., feature)."""
        off = (features - self.centre) / self.spread
        return np.clip(off, -LARGEST_DEVIATION, LARGEST_DEVIATION) @ self.axes

    def values(self, features: Float64Array) -> Float64Array:
        """Return (..., 2) the answers, without their uncertainty."""
        return _kernel(self.place(features), self.places, SHARPNESS) @ self.weights + self.mean

    def answer(self, features: Float64Array) -> WidthAnswer:
        """Return what features (feature,) say."""
        place = self.place(features)[None]
        angle, blur = self.values(features[None])[0]
        smooth = _kernel(place, self.places, SMOOTH_SHARPNESS) @ self.error_weights
        std = np.exp((smooth[0] + self.error_mean - MEAN_LOG_SQUARE) / 2)
        nearest = np.sqrt(((self.places - place) ** 2).mean(axis=1).min())
        return WidthAnswer(
            float(angle), float(max(blur, 0.0)), float(std[0]), float(std[1]), float(nearest)
        )


@lru_cache(maxsize=2)
def _read(path: Path) -> WidthRegression:
    arrays = load_file(path)
    return WidthRegression(**{name: a.astype(np.float64) for name, a in arrays.items()})


def fit_width_regression(
    features: Float64Array, answers: Float64Array, kinds: np.ndarray
) -> tuple[WidthRegression, Float64Array]:
    """Fit the regression, and what it is wrong by for kinds of tissue that it has not seen.

    Args:
        features: (chip, feature) of `spectrum_features`.
        answers: (chip, 2) ln of half angle times gap in pixels, and base blur in pixels.
        kinds: (chip,) name of the tissue of each chip; those of one name are left out together.

    Returns:
        The regression, and (chip, 2) the errors of chips whose kind was left out.
    """
    errors = np.empty_like(answers)
    for kind in np.unique(kinds):
        out = kinds == kind
        errors[out] = _fit(features[~out], answers[~out]).values(features[out]) - answers[out]
    fitted = _fit(features, answers)
    log_error = np.log(np.maximum(errors**2, LEAST_ERROR**2))
    mean = log_error.mean(axis=0)
    weights = _ridge(fitted.places, log_error - mean, SMOOTH_RIDGE, SMOOTH_SHARPNESS)
    parts = {**vars(fitted), "error_weights": weights, "error_mean": mean}
    return WidthRegression(**parts), errors


def _fit(features: Float64Array, answers: Float64Array) -> WidthRegression:
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    whole = np.clip((features - centre) / spread, -LARGEST_DEVIATION, LARGEST_DEVIATION)
    _, _, axes = np.linalg.svd(whole, full_matrices=False)
    axes = axes[:COMPONENTS].T
    scale = np.sqrt((whole @ axes).var(axis=0).mean())
    axes = axes / scale
    places, mean = whole @ axes, answers.mean(axis=0)
    weights = _ridge(places, answers - mean, RIDGE, SHARPNESS)
    none = np.zeros_like(weights)
    return WidthRegression(centre, spread, axes, places, weights, mean, none, np.zeros(ANSWERS))


def _kernel(one: Float64Array, other: Float64Array, sharpness: float) -> Float64Array:
    product = one @ other.T
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None, :] - 2 * product
    size = one.shape[1]
    return np.asarray(np.exp(-sharpness * squares / size) + LINEAR * product / size)


def _ridge(
    places: Float64Array, answers: Float64Array, ridge: float, sharpness: float
) -> Float64Array:
    gram = _kernel(places, places, sharpness) + ridge * np.eye(len(places))
    return np.asarray(np.linalg.solve(gram, answers))
