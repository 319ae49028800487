"""Least squares where all but a few parameters are linear, and what the noise leaves uncertain.

Each block of pixels (one emitter in one plane, or one plane of a target) is modelled as columns @
coefficients: brightness, background and its slope are linear, and solved for exactly whatever the
few nonlinear parameters are. What is left is a small problem in the PSF and the positions: variable
projection (Golub, Pereyra, SIAM J. Numer. Anal. 10:413-432, 1973).

Noise is taken from the residuals, see `noise`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse
from scipy.optimize import least_squares

from fociscope.calibration._noise import OUTLIER_STD, first_guess, from_residuals
from fociscope.errors import ImagerError
from fociscope.typing import BoolArray, Float64Array, IndexArray

__all__ = ["ROUNDS", "Fit", "SeparableModel", "fit"]


ROUNDS = 3
"""Of fitting and then judging noise and outliers anew; another changes nothing to speak of."""


class SeparableModel(Protocol):
    """Blocks of pixels, each a sum of columns that depend on the nonlinear parameters."""

    data: Float64Array
    """(block, pixel)."""
    shape: tuple[int, int]
    """(y, x) of a block's pixels."""
    seen: BoolArray
    """(block, pixel): whether there is a pixel, and a sound one."""
    plane: IndexArray
    """(block,) number of the plane, which has a noise of its own."""
    sensor: IndexArray
    """(block,)."""
    start: Float64Array
    """(parameter,) where the search begins; so are `lower`, `upper` and `step`."""
    lower: Float64Array
    upper: Float64Array
    step: Float64Array
    """Of finite differences."""
    moved_by: IndexArray
    """(block, slot): the parameters that move a block; those of one slot can be tried at once."""

    def columns(self, parameters: Float64Array) -> Float64Array:
        """Return (block, column, pixel): first the light, then evenness, then other background.

        A column of zeros is none.
        """


@dataclass(frozen=True)
class Fit:
    """What least squares found.

    Attributes:
        parameters: (parameter,).
        covariance: (parameter, parameter), the linear coefficients' uncertainty included.
        coefficients: (block, column).
        coefficient_std: (block, column), with the nonlinear parameters held.
        coefficient_slope: (block, slot) of the first coefficient by the parameters that move it.
        light: (block, pixel) first column times its coefficient.
        residual: (block, pixel) data minus model, 0 where nothing is seen.
        std: (block, pixel) of the noise.
        used: (block, pixel) seen and no outlier.
        reduced_chi_square: 1 where noise alone separates model and data.
    """

    parameters: Float64Array
    covariance: Float64Array
    coefficients: Float64Array
    coefficient_std: Float64Array
    coefficient_slope: Float64Array
    light: Float64Array
    residual: Float64Array
    std: Float64Array
    used: BoolArray
    reduced_chi_square: float


def fit(
    model: SeparableModel,
    *,
    rounds: int = ROUNDS,
    roughly: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit a model to its data.

    Uncertainties follow from the Jacobian and the noise; where the residuals are larger than the
    noise in the dark explains, they are widened by the square root of the reduced chi square.

    Args:
        model: what to fit, and to what.
        rounds: of fitting and then judging noise and outliers.
        roughly: stop where chi square changes by little beside the number of pixels.
        progress: called with the rounds done and their number.

    Raises:
        ImagerError: too few pixels are seen to tell the parameters apart.
    """
    columns_at = _Remembered(model)
    used = model.seen.copy()
    std = np.broadcast_to(first_guess(model.data, used, model.plane)[model.plane, None], used.shape)
    x = np.clip(model.start, model.lower, model.upper)
    for number in range(rounds):
        if progress is not None:
            progress(number, rounds)
        weight = used / std
        x = _solve(model, columns_at, x, weight, 1e-4 if roughly else None)
        columns = columns_at(x)
        coefficients, normal = _linear(model, columns, weight)
        light = columns[:, 0] * coefficients[:, :1]
        residual = model.data - (coefficients[:, None] @ columns)[:, 0]
        jacobian, slope = _jacobian(model, columns_at, x, weight)
        covariance = _inverse((jacobian.T @ jacobian).toarray())
        if number < rounds - 1:
            leverage = _leverage(columns, normal, weight, jacobian, covariance)
            std = from_residuals(
                residual, light, used, leverage, model.plane, model.sensor, model.shape
            )
            used = model.seen & (np.abs(residual) <= OUTLIER_STD * std)
    if progress is not None:
        progress(rounds, rounds)
    unknowns = int(np.abs(columns).any(axis=2).sum()) + x.size
    freedom = int(used.sum()) - unknowns
    if freedom <= 0:
        raise ImagerError(f"{int(used.sum())} pixels are too few to fit {unknowns} unknowns")
    chi_square = float(((residual * weight) ** 2).sum() / freedom)
    widened = max(1.0, chi_square)
    return Fit(
        parameters=x,
        covariance=covariance * widened,
        coefficients=coefficients,
        coefficient_std=np.sqrt(np.linalg.inv(normal).diagonal(axis1=1, axis2=2) * widened),
        coefficient_slope=slope,
        light=light,
        residual=np.where(model.seen, residual, 0.0),
        std=std,
        used=used,
        reduced_chi_square=chi_square,
    )


class _Remembered:
    """The latest columns of a model: they cost far more than all that is done with them."""

    def __init__(self, model: SeparableModel) -> None:
        self._model = model
        self._columns: OrderedDict[bytes, Float64Array] = OrderedDict()
        self._most = model.moved_by.shape[1] + 3

    def __call__(self, x: Float64Array) -> Float64Array:
        key = x.tobytes()
        if key not in self._columns:
            self._columns[key] = self._model.columns(x)
        self._columns.move_to_end(key)
        while len(self._columns) > self._most:
            self._columns.popitem(last=False)
        return self._columns[key]


def _solve(
    model: SeparableModel,
    columns_at: _Remembered,
    start: Float64Array,
    weight: Float64Array,
    tolerance: float | None,
) -> Float64Array:
    """Return the nonlinear parameters of least squares from one start.

    Without a tolerance the search stops where chi square changes by less than a hundredth.
    """
    found = least_squares(
        lambda x: _projected(model, columns_at(x), weight)[0].ravel(),
        start,
        lambda x: _jacobian(model, columns_at, x, weight)[0],
        bounds=(model.lower, model.upper),
        x_scale="jac",
        tr_solver="lsmr",
        xtol=1e-9,
        ftol=tolerance or 1e-2 / max(int(np.count_nonzero(weight)), 1),
        max_nfev=40,
    )
    solution: Float64Array = found.x
    return solution


def _linear(
    model: SeparableModel, columns: Float64Array, weight: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return the coefficients and the normal matrices of the weighted linear problems."""
    weighted = columns * weight[:, None]
    normal = weighted @ weighted.swapaxes(1, 2)
    # A column that no pixel sees keeps the coefficient 0.
    size = normal.diagonal(axis1=1, axis2=2)
    normal = normal + np.where(size > 0, 1e-12 * size, 1.0)[..., None] * np.eye(size.shape[1])
    aim = weighted @ (model.data * weight)[..., None]
    return np.asarray(np.linalg.solve(normal, aim)[..., 0]), np.asarray(normal)


def _projected(
    model: SeparableModel, columns: Float64Array, weight: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return (block, pixel) weighted residuals with the best coefficients, and these."""
    coefficients, _ = _linear(model, columns, weight)
    return (model.data - (coefficients[:, None] @ columns)[:, 0]) * weight, coefficients


def _jacobian(
    model: SeparableModel, columns_at: _Remembered, x: Float64Array, weight: Float64Array
) -> tuple[sparse.csr_array, Float64Array]:
    """Return the sparse (block * pixel, parameter) derivative of `_projected`.

    And (block, slot) that of the first coefficient.
    """
    at_x, coefficients = _projected(model, columns_at(x), weight)
    blocks, pixels = at_x.shape
    slots = model.moved_by.shape[1]
    values, slope = np.empty((blocks, pixels, slots)), np.empty((blocks, slots))
    for slot in range(slots):
        owners = model.moved_by[:, slot]
        moved = np.zeros(x.size, dtype=bool)
        moved[owners] = True
        step = np.where(x + model.step <= model.upper, model.step, -model.step)
        other = _projected(model, columns_at(np.where(moved, x + step, x)), weight)
        values[..., slot] = (other[0] - at_x) / step[owners][:, None]
        slope[:, slot] = (other[1] - coefficients)[:, 0] / step[owners]
    column = np.broadcast_to(model.moved_by[:, None, :], values.shape)
    row_ends = np.arange(blocks * pixels + 1) * slots
    jacobian = sparse.csr_array(
        (values.ravel(), column.ravel(), row_ends), shape=(blocks * pixels, x.size)
    )
    return jacobian, slope


def _inverse(information: Float64Array) -> Float64Array:
    """Return the covariance; what the data do not determine at all gets an infinite variance."""
    size = np.sqrt(np.diag(information))
    known = size > 0
    covariance = np.diag(np.where(known, 0.0, np.inf))
    scaled = information[np.ix_(known, known)] / np.outer(size[known], size[known])
    covariance[np.ix_(known, known)] = np.linalg.pinv(scaled, hermitian=True) / np.outer(
        size[known], size[known]
    )
    return covariance


def _leverage(
    columns: Float64Array,
    normal: Float64Array,
    weight: Float64Array,
    jacobian: sparse.csr_array,
    covariance: Float64Array,
) -> Float64Array:
    """Return (block, pixel) how far the fit bends toward each pixel, 0 ... 1."""
    weighted = columns * weight[:, None]
    linear = ((np.linalg.inv(normal) @ weighted) * weighted).sum(axis=1)
    finite = np.where(np.isfinite(covariance), covariance, 0.0)
    nonlinear = jacobian.multiply(jacobian @ finite).sum(axis=1)
    every = linear + np.asarray(nonlinear).reshape(linear.shape)
    return np.asarray(np.clip(every, 0.0, 1.0))
