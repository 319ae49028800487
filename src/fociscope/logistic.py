r"""Logistic regression: probabilities $P = \sigma(w \cdot t)$ of greatest likelihood.

`fit_platt` scales one score (Platt, in Advances in Large Margin Classifiers, MIT Press, 1999, pages
61-74); `fit_weights` weighs many terms, with a small ridge.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from fociscope.typing import BoolArray, Float64Array

__all__ = ["fit_platt", "fit_weights"]

#: Newton steps of `fit_weights`.
NEWTON_STEPS = 12


def fit_platt(
    score: Float64Array,
    truth: Float64Array,
    *,
    certainty: Float64Array | None = None,
    start: tuple[float, float] = (1.0, 0.0),
    tolerance: float = 1e-5,
) -> tuple[float, float]:
    r"""Fit scale $a$ and shift $b$ of $P = c\,\sigma(a s + b)$ by maximum likelihood.

    Args:
        score: Scores $s$, (...).
        truth: Truths within 0 ... 1, of the same shape.
        certainty: Factors $c$ within 0 ... 1, such as the probability that there is a layer at all,
            of a shape that broadcasts to that of the scores; None for 1.
        start: Scale and shift from which the search starts.
        tolerance: Largest slope of the mean negative log-likelihood at which the search ends.

    Returns:
        Scale and shift.

    Examples:
        >>> import numpy as np
        >>> from fociscope.logistic import fit_platt
        >>> score = np.linspace(-3, 3, 2001)
        >>> truth = 1 / (1 + np.exp(-(2 * score - 1)))
        >>> tuple(round(value, 3) for value in fit_platt(score, truth))
        (2.0, -1.0)
    """

    from scipy.optimize import minimize  # a quarter of a second, for trainings alone

    def loss(parameters: Float64Array) -> tuple[float, Float64Array]:
        logit = parameters[0] * score + parameters[1]
        if certainty is None:
            wrong = expit(logit) - truth
            value = np.logaddexp(0, logit) - truth * logit
        else:
            value, wrong = _less_certain(logit, truth, certainty)
        return float(value.mean()), np.array([(wrong * score).mean(), wrong.mean()])

    found = minimize(loss, np.array(start), jac=True, method="BFGS", options={"gtol": tolerance})
    return float(found.x[0]), float(found.x[1])


def fit_weights(terms: Float64Array, truth: BoolArray, *, penalty: float) -> Float64Array:
    r"""Fit the weights of $P = \sigma(w \cdot t)$ by Newton's method.

    Args:
        terms: Terms $t$ of each sample, (sample, term).
        truth: Whether it is so, (sample,).
        penalty: Weight of the ridge, $\tfrac{1}{2} \lambda \lVert w \rVert^2$, which keeps the
            weights finite where the samples can be separated.

    Returns:
        The weights, (term,).

    Examples:
        >>> import numpy as np
        >>> from fociscope.logistic import fit_weights
        >>> x = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
        >>> truth = np.array([False, True, True, True, False])
        >>> fit_weights(np.stack([np.ones(5), x], axis=1), truth, penalty=1e-6).round(2)
        array([0.  , 0.69])
    """
    weights = np.zeros(terms.shape[1])
    ridge = penalty * np.eye(len(weights))
    for _ in range(NEWTON_STEPS):
        p = expit(terms @ weights)
        curvature = terms.T @ (terms * (p * (1 - p))[:, None]) + ridge
        slope = terms.T @ (truth - p) - penalty * weights
        weights = weights + np.linalg.solve(curvature, slope)
    return weights


def _less_certain(
    logit: Float64Array, truth: Float64Array, certainty: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return the negative log-likelihood of each sample and its derivative by the logit."""
    p, q = expit(logit), expit(-logit)
    # 1 - c p, without the difference of two numbers near 1.
    other = np.maximum(q + (1 - certainty) * p, 1e-300)
    value = truth * (np.logaddexp(0, -logit) - np.log(certainty)) - (1 - truth) * np.log(other)
    slope = (1 - truth) * certainty * p * q / other - truth * q
    return value, slope
