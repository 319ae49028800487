"""Where a point of sensor A's frame appears on sensor B: the similarity between matched points.

In two dimensions a similarity is linear in (s cos, s sin, shift y, shift x), so weighted least
squares has a closed form, that of Umeyama (IEEE TPAMI 13:376-380, 1991) for equal weights, and the
uncertainties come with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fociscope.errors import ImagerError

__all__ = ["Similarity", "fit_similarity", "match_points"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

LARGEST_TILT = 0.1
"""Of a pair's direction or length from one sensor to the other, while points are being matched:
about 6 degrees, or 10 %."""


@dataclass(frozen=True)
class Similarity:
    """y' = scale (cos y - sin x) + shift y,  x' = scale (sin y + cos x) + shift x.

    Attributes:
        shift_um: (y, x).
        rotation_deg: positive turns +y towards +x.
        scale: 1 where both sensors see one size.
        covariance: (4, 4) of (shift y, shift x, rotation in degrees, scale).
    """

    shift_um: tuple[float, float] = (0.0, 0.0)
    rotation_deg: float = 0.0
    scale: float = 1.0
    covariance: FloatArray | None = None

    def apply(self, points_um: FloatArray) -> FloatArray:
        """Return (..., 2) where points (..., 2) = (y, x) appear."""
        angle = math.radians(self.rotation_deg)
        c, s = self.scale * math.cos(angle), self.scale * math.sin(angle)
        y, x = points_um[..., 0], points_um[..., 1]
        moved = np.stack([c * y - s * x, s * y + c * x], axis=-1)
        return np.asarray(moved + np.array(self.shift_um))

    def inverse(self) -> Similarity:
        """Return the way back, without uncertainties."""
        back = Similarity((0.0, 0.0), -self.rotation_deg, 1 / self.scale)
        y, x = -back.apply(np.array(self.shift_um))
        return Similarity((float(y), float(x)), back.rotation_deg, back.scale)

    def after(self, first: Similarity) -> Similarity:
        """Return `first` followed by this one, without uncertainties."""
        y, x = self.apply(np.array(first.shift_um))
        return Similarity(
            (float(y), float(x)), self.rotation_deg + first.rotation_deg, self.scale * first.scale
        )


def fit_similarity(
    points_um: npt.ArrayLike, seen_um: npt.ArrayLike, std_um: npt.ArrayLike
) -> Similarity:
    """Fit the similarity that takes points to where they are seen.

    One point determines the shift alone: rotation and scale stay 0 and 1 with infinite variance.

    Args:
        points_um: (point, 2) as (y, x).
        seen_um: (point, 2).
        std_um: (point,) or (point, 2) of the distance between the two.
    """
    points, seen = np.asarray(points_um, dtype=float), np.asarray(seen_um, dtype=float)
    std = np.broadcast_to(np.asarray(std_um, dtype=float).reshape(len(points), -1), points.shape)
    weight = 1 / std**2
    if len(points) == 1:
        y, x = (float(v) for v in seen[0] - points[0])
        variance = np.array([*(std[0] ** 2), np.inf, np.inf])
        return Similarity((y, x), covariance=np.diag(variance))
    size = math.sqrt(float((points**2).mean())) or 1.0  # brings all four unknowns to one size
    y, x = points.T / size
    one, zero = np.ones_like(y), np.zeros_like(y)
    design = np.concatenate(
        [np.stack([y, -x, one, zero], axis=1), np.stack([x, y, zero, one], axis=1)]
    )
    weights = np.concatenate([weight[:, 0], weight[:, 1]])
    normal = design.T * weights @ design
    if np.linalg.cond(normal) > 1e12:
        raise ImagerError("the matched beads lie on one point; spread them over the frame")
    covariance = np.linalg.inv(normal)
    a, b, shift_y, shift_x = covariance @ (design.T * weights) @ seen.T.ravel()
    length = math.hypot(a, b)
    angle_rad = math.atan2(b, a)
    toward = np.zeros((4, 4))  # (shift y, shift x, rotation in degrees, scale) by (a, b, y, x)
    toward[0, 2] = toward[1, 3] = 1
    toward[2, :2] = np.degrees([-b / length**2, a / length**2])
    toward[3, :2] = np.array([a, b]) / (length * size)
    return Similarity(
        (float(shift_y), float(shift_x)),
        math.degrees(angle_rad),
        length / size,
        toward @ covariance @ toward.T,
    )


def match_points(
    points_um: npt.ArrayLike, seen_um: npt.ArrayLike, *, tolerance_um: float
) -> tuple[IntArray, IntArray]:
    """Find which points are the same on both sensors, whatever the shift between the sensors.

    Every pair of one point here and one there proposes a shift; the one that brings most points
    together wins, and among equals the smallest. A similarity fitted to these then decides.

    Args:
        points_um: (point, 2) on sensor A.
        seen_um: (point, 2) on sensor B.
        tolerance_um: how far two may lie apart and still be one.

    Returns:
        Indices into both, of one length; empty where there is nothing to match.
    """
    here, there = np.asarray(points_um, dtype=float), np.asarray(seen_um, dtype=float)
    nothing = np.zeros(0, dtype=np.intp)
    if len(here) == 0 or len(there) == 0:
        return nothing, nothing
    reach = np.ptp(here, axis=0).max() * LARGEST_TILT
    shifts = (there[None, :] - here[:, None]).reshape(-1, 2)
    best, best_score = (nothing, nothing), (-1, 0.0)
    for shift in shifts[np.argsort(np.hypot(*shifts.T), kind="stable")]:
        pair = _nearest(here + shift, there, tolerance_um + reach)
        score = (len(pair[0]), -float(np.hypot(*shift)))
        if score > best_score:
            best, best_score = pair, score
    for _ in range(3):
        if len(best[0]) < 2:
            break
        found = fit_similarity(here[best[0]], there[best[1]], np.full(len(best[0]), 1.0))
        best = _nearest(found.apply(here), there, tolerance_um)
    return best


def _nearest(here: FloatArray, there: FloatArray, tolerance_um: float) -> tuple[IntArray, IntArray]:
    """Return the pairs that are each other's nearest."""
    apart = np.linalg.norm(here[:, None] - there[None], axis=-1)
    partner = apart.argmin(axis=1)
    index = np.arange(len(here))
    mutual = (apart.argmin(axis=0)[partner] == index) & (apart[index, partner] <= tolerance_um)
    return index[mutual], partner[mutual]
