r"""How far a projection is from captures: the gain that fits it best, and the relative residual.

Fluorescence images have no absolute unit, so an image is compared with another at the gain $g$ that
brings it nearest in the sense of least squares,

$$ g = \frac{\langle x, y \rangle}{\lVert x \rVert^2}, \qquad
   r = \frac{\lVert g x - y \rVert}{\lVert y \rVert}. $$

Both work on NumPy arrays and on tensors.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

__all__ = ["at_best_gain", "best_gain", "relative_residual"]

Array = TypeVar("Array", Tensor, np.ndarray)
Axes = tuple[int, ...]

IMAGE_AXES = (-2, -1)


def best_gain(image: Array, target: Array, *, axes: Axes = IMAGE_AXES) -> Array:
    r"""Return the gain $g$ that minimises $\lVert g x - y \rVert$.

    Args:
        image: Image $x$, (..., y, x) in any unit of light.
        target: Image $y$, of the same shape.
        axes: Axes of what shares a gain.

    Returns:
        The gains, with axes of length 1 in place of `axes`; 0 for a dark image.

    Examples:
        >>> import numpy as np
        >>> from fociscope.residuals import best_gain
        >>> best_gain(np.array([[1.0, 1.0]]), np.array([[2.0, 4.0]]))
        array([[3.]])
    """
    overlap, power = _total(image * target, axes), _total(image * image, axes)
    gain: Array = overlap / _lit(power)
    return gain


def at_best_gain(image: Array, target: Array, *, good: Array | None = None) -> Array:
    r"""Return $g x$, an image at the gain that brings it nearest to another.

    Args:
        image: Image $x$, (..., y, x) in any unit of light.
        target: Image $y$, of the same shape.
        good: 1 for pixels that count for the gain, 0 for others, (..., y, x); None if all do.

    Returns:
        The image in the unit of `target`, (..., y, x); dark if it is dark where pixels count.

    Examples:
        >>> import numpy as np
        >>> from fociscope.residuals import at_best_gain
        >>> at_best_gain(np.array([[1.0, 1.0]]), np.array([[2.0, 4.0]]))
        array([[3., 3.]])
    """
    counted = image if good is None else image * good
    overlap = _total(counted * target, IMAGE_AXES)
    fitted: Array = image * overlap / _lit(_total(counted * counted, IMAGE_AXES))
    return fitted


def relative_residual(image: Array, target: Array, *, dark: float | None = None) -> Array:
    r"""Return $\lVert x - y \rVert / \lVert y \rVert$ of each image.

    Args:
        image: Image $x$, (..., y, x).
        target: Image $y$, of the same shape.
        dark: Value for a target without light; None for $\lVert x \rVert$ itself.

    Returns:
        The residuals, (...).

    Examples:
        >>> import numpy as np
        >>> from fociscope.residuals import relative_residual
        >>> float(relative_residual(np.array([[3.0, 0.0]]), np.array([[3.0, 4.0]])))
        0.8
    """
    error, size = _norm(image - target), _norm(target)
    if isinstance(image, Tensor):
        beyond = error if dark is None else torch.full_like(error, dark)
        return torch.where(size > 0, error / torch.where(size > 0, size, 1.0), beyond)
    relative = error / np.where(size > 0, size, 1)
    return np.asarray(np.where(size > 0, relative, error if dark is None else dark))


def _lit(power: Array) -> Array:
    """Return the power of images, and 1 for dark ones, whose overlap is 0."""
    if isinstance(power, Tensor):
        return torch.where(power > 0, power, 1.0)
    return np.asarray(np.where(power > 0, power, 1))


def _total(images: Array, axes: Axes) -> Array:
    """Return the sum over some axes, which stay with length 1."""
    if isinstance(images, Tensor):
        return images.sum(dim=axes, keepdim=True)
    return np.asarray(images.sum(axis=axes, keepdims=True))


def _norm(images: Array) -> Array:
    """Return (...): the root of the sum of squares over the pixels."""
    if isinstance(images, Tensor):
        norm: Tensor = torch.linalg.vector_norm(images, dim=IMAGE_AXES)
        return norm
    return np.asarray(np.linalg.norm(images, axis=IMAGE_AXES))
