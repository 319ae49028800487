"""Where a point of sensor A's frame appears on sensor B: a similarity, and how it is found.

`Similarity` holds the mathematics of shift, rotation and scale, `Registration` is the part of an
imager's description that states one, and `Resampling` applies it to images.

In two dimensions a similarity is linear in (s cos, s sin, shift y, shift x), so weighted least
squares has a closed form, that of Umeyama (IEEE TPAMI 13:376-380, 1991) for equal weights, and the
uncertainties come with it.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from fociscope.configuration import Configuration, changed
from fociscope.errors import FociscopeError, ImagerError
from fociscope.typing import Float64Array, IndexArray

__all__ = ["Registration", "Resampling", "Similarity", "fit_similarity", "match_points"]

Micrometres = Annotated[float, Field(ge=-20_000, le=20_000)]

TAPS = 6
"""Samples that the interpolation of images takes from along each axis."""
LARGEST_TILT = 0.1
"""Of a pair's direction or length from one sensor to the other, while points are being matched:
about 6 degrees, or 10 %."""
MATCHING_ROUNDS = 3
LARGEST_CONDITION = 1e12
"""Condition number of the normal equations above which points determine no similarity."""


@dataclass(frozen=True)
class Similarity:
    r"""A shift, rotation and scaling of the plane.

    $$
    \begin{pmatrix} y' \\ x' \end{pmatrix} =
    s \begin{pmatrix} \cos\varphi & -\sin\varphi \\ \sin\varphi & \cos\varphi \end{pmatrix}
    \begin{pmatrix} y \\ x \end{pmatrix} +
    \begin{pmatrix} t_y \\ t_x \end{pmatrix}
    $$

    Attributes:
        shift_um: (y, x) shift $t$.
        rotation_deg: Rotation $\varphi$; positive turns +y towards +x.
        scale: Scale $s$; 1 if both sensors see one size.
        covariance: (4, 4) of (shift y, shift x, rotation in degrees, scale); None if unknown.

    Examples:
        >>> import numpy as np
        >>> from fociscope.imager import Similarity
        >>> turn = Similarity(shift_um=(10.0, 0.0), rotation_deg=90.0)
        >>> turn.apply(np.array([1.0, 0.0])).round(6).tolist()
        [10.0, 1.0]
    """

    shift_um: tuple[float, float] = (0.0, 0.0)
    rotation_deg: float = 0.0
    scale: float = 1.0
    covariance: Float64Array | None = None

    @property
    def coefficients(self) -> tuple[float, float]:
        """(s cos, s sin): the first column of the matrix."""
        angle = math.radians(self.rotation_deg)
        return math.cos(angle) * self.scale, math.sin(angle) * self.scale

    @property
    def inverse_coefficients(self) -> tuple[float, float]:
        """(cos / s, sin / s): the first row of the inverse matrix."""
        angle = math.radians(self.rotation_deg)
        return math.cos(angle) / self.scale, math.sin(angle) / self.scale

    def apply(self, points_um: Float64Array) -> Float64Array:
        """Return where points appear.

        Args:
            points_um: (..., 2) as (y, x).

        Returns:
            (..., 2) in um.
        """
        moved = np.stack(self.rotated(points_um[..., 0], points_um[..., 1]), axis=-1)
        return np.asarray(moved + np.array(self.shift_um))

    def rotated(self, y: Any, x: Any) -> tuple[Any, Any]:
        """Return (y, x) turned and scaled, the shift left out: numbers, arrays or tensors."""
        c, s = self.coefficients
        return c * y - s * x, s * y + c * x

    def unrotated(self, y: Any, x: Any) -> tuple[Any, Any]:
        """Return (y, x) turned and scaled back, the shift left out: numbers, arrays or tensors."""
        c, s = self.inverse_coefficients
        return c * y + s * x, -s * y + c * x

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

    def fields(self) -> dict[str, Any]:
        """Return the fields of a `Registration` that states this similarity."""
        return {
            "shift_um": self.shift_um,
            "rotation_deg": self.rotation_deg,
            "scale": self.scale,
        }


class Registration(Configuration):
    """Sensor B's frame in terms of sensor A's, as an imager's file states it.

    Examples:
        >>> from fociscope.imager import Registration
        >>> Registration(shift_um=(5.0, -3.0), scale=1.01).to_b(100.0, 0.0)
        (106.0, -3.0)
    """

    error: ClassVar[type[FociscopeError]] = ImagerError

    shift_um: tuple[Micrometres, Micrometres] = (0.0, 0.0)
    """(y, x) at which the middle of sensor A's frame appears on sensor B."""
    rotation_deg: Annotated[float, Field(ge=-180, le=180)] = 0.0
    """Rotation in degrees; positive turns +y towards +x."""
    scale: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    """Above 1, sensor B shows the tissue larger, on more pixels."""

    @property
    def similarity(self) -> Similarity:
        """The similarity that takes sensor A's coordinates to sensor B's."""
        return Similarity(self.shift_um, self.rotation_deg, self.scale)

    @property
    def turned(self) -> bool:
        """The former name of `is_rotated_or_scaled`, for one version."""
        warnings.warn(
            "Registration.turned is now called is_rotated_or_scaled",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.is_rotated_or_scaled

    @property
    def is_rotated_or_scaled(self) -> bool:
        """Whether pixels move differently from one another."""
        return self.rotation_deg != 0 or self.scale != 1

    def to_b(self, y_um: float, x_um: float) -> tuple[float, float]:
        """Return the (y, x) in um on sensor B of a point in sensor A's coordinates."""
        y, x = self.similarity.apply(np.array([y_um, x_um]))
        return float(y), float(x)

    def about(self, y_um: float, x_um: float) -> Registration:
        r"""Return the same registration in coordinates that begin at a point, on both sensors.

        With the point at $c$, $p_B - c = s R (p_A - c) + t'$, so that $t' = t + (s R - 1) c$.

        Args:
            y_um: The point's y in sensor A's coordinates.
            x_um: The point's x.

        Raises:
            ImagerError: If sensor B lies farther away there than a registration may state.
        """
        if not self.is_rotated_or_scaled:
            return self
        y_on_b_um, x_on_b_um = self.to_b(y_um, x_um)
        shift_um = (y_on_b_um - y_um, x_on_b_um - x_um)
        return changed(self, {"shift_um": shift_um}, what="registration", error=ImagerError)

    def shift_in_a_um(self) -> tuple[float, float] | None:
        """Return the shift, turned and scaled back to sensor A's axes; None for no shift."""
        if self.shift_um == (0.0, 0.0):
            return None
        return self.similarity.unrotated(*self.shift_um)

    def margin_px(self, frame_px: tuple[int, int]) -> int:
        """Return how far beyond sensor A's frame its image is needed for sensor B's, in pixels."""
        if not self.is_rotated_or_scaled:
            return 0
        height, width = ((n - 1) / 2 for n in frame_px)
        c, s = (abs(one) for one in self.similarity.inverse_coefficients)
        beyond = max(c * height + s * width - height, s * height + c * width - width)
        return max(0, math.ceil(beyond)) + TAPS // 2


class Resampling(NamedTuple):
    """Takes an image on sensor A's grid, with a margin, to sensor B's turned and scaled grid."""

    corner: Tensor
    """(y * x) flat index of the first sample that a pixel takes from."""
    weight_y: Tensor
    """(y * x, TAPS)."""
    weight_x: Tensor
    frame_px: tuple[int, int]
    wide_px: tuple[int, int]

    @classmethod
    def from_registration(
        cls, registration: Registration, frame_px: tuple[int, int], beside: Tensor
    ) -> Resampling:
        """Return the resampling of a frame, on the device and in the precision of `beside`."""
        margin = registration.margin_px(frame_px)
        height, width = frame_px
        y = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2
        x = torch.arange(width, dtype=torch.float64)[None, :] - (width - 1) / 2
        wide = height + 2 * margin, width + 2 * margin
        in_a = [
            position + (side - 1) / 2
            for position, side in zip(registration.similarity.unrotated(y, x), wide, strict=True)
        ]
        whole = [torch.floor(p) for p in in_a]
        weights = [
            _tap_weights((p - w).reshape(-1)).to(beside) / registration.scale
            for p, w in zip(in_a, whole, strict=True)
        ]  # a pixel of B covers 1 / scale^2 of a pixel of A
        corner = (whole[0] - 2) * wide[1] + whole[1] - 2
        corner = corner.reshape(-1).to(torch.int64).to(beside.device)
        return cls(corner, weights[0], weights[1], frame_px, wide)

    def __call__(self, wide: Tensor) -> Tensor:
        """Return (..., y, x) on sensor B's grid from (..., wide y, wide x) on sensor A's."""
        flat = wide.flatten(-2)
        out = torch.zeros_like(flat[..., : len(self.corner)])
        for step, weight in self._taps():
            out = out + flat.index_select(-1, self.corner + step) * weight
        return out.reshape(*out.shape[:-1], *self.frame_px)

    def adjoint(self, image: Tensor) -> Tensor:
        """Return the adjoint: (..., y, x) -> (..., wide y, wide x)."""
        flat = image.flatten(-2)
        out = flat.new_zeros(*flat.shape[:-1], self.wide_px[0] * self.wide_px[1])
        for step, weight in self._taps():
            out = out.index_add(-1, self.corner + step, flat * weight)
        return out.reshape(*out.shape[:-1], *self.wide_px)

    def _taps(self) -> list[tuple[int, Tensor]]:
        """Return the step from the first sample, and the weight of each pixel, for each tap."""
        return [
            (i * self.wide_px[1] + j, self.weight_y[:, i] * self.weight_x[:, j])
            for i in range(TAPS)
            for j in range(TAPS)
        ]


def fit_similarity(
    points_um: npt.ArrayLike, seen_um: npt.ArrayLike, std_um: npt.ArrayLike
) -> Similarity:
    """Fit the similarity that takes points to where they are seen.

    One point determines the shift alone: rotation and scale stay 0 and 1 with infinite variance.

    Args:
        points_um: (point, 2) places as (y, x).
        seen_um: (point, 2) places at which the points are seen.
        std_um: (point,) or (point, 2) standard deviation of the distance between the two.

    Returns:
        The similarity with its covariance.

    Raises:
        ImagerError: If several points lie on one.

    Examples:
        >>> from fociscope.imager import Similarity, fit_similarity
        >>> import numpy as np
        >>> points_um = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 200.0]])
        >>> seen_um = Similarity((5.0, -3.0), 2.0, 1.1).apply(points_um)
        >>> found = fit_similarity(points_um, seen_um, np.ones(3))
        >>> round(found.rotation_deg, 6), round(found.scale, 6)
        (2.0, 1.1)
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
    if np.linalg.cond(normal) > LARGEST_CONDITION:
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
) -> tuple[IndexArray, IndexArray]:
    """Find which points are the same on both sensors, whatever the shift between the sensors.

    Every pair of one point here and one there proposes a shift; the one that brings most points
    together wins, and among equals the smallest. A similarity fitted to these then decides.

    Args:
        points_um: (point, 2) places on sensor A as (y, x).
        seen_um: (point, 2) places on sensor B.
        tolerance_um: Distance up to which two places are one.

    Returns:
        Indices into both, of one length; empty if nothing matches.

    Examples:
        >>> from fociscope.imager import match_points
        >>> here, there = match_points([[0, 0], [90, 10]], [[97, 10], [7, 0]], tolerance_um=2.0)
        >>> here.tolist(), there.tolist()
        ([0, 1], [1, 0])
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
    for _ in range(MATCHING_ROUNDS):
        if len(best[0]) < 2:
            break
        found = fit_similarity(here[best[0]], there[best[1]], np.full(len(best[0]), 1.0))
        best = _nearest(found.apply(here), there, tolerance_um)
    return best


def _tap_weights(fraction: Tensor) -> Tensor:
    """Return (..., TAPS): the weights of the samples at -2 ... 3 for a position in 0 ... 1."""
    t = (fraction[..., None] - torch.arange(-2, 4, device=fraction.device)).abs()
    near = (4 / 3 * t - 7 / 3) * t**2 + 1
    middle = ((-7 / 12 * t + 3) * t - 59 / 12) * t + 5 / 2
    far = ((t / 12 - 2 / 3) * t + 7 / 4) * t - 3 / 2
    return torch.where(t < 1, near, torch.where(t < 2, middle, far))


def _nearest(
    here: Float64Array, there: Float64Array, tolerance_um: float
) -> tuple[IndexArray, IndexArray]:
    """Return the pairs that are each other's nearest."""
    apart = np.linalg.norm(here[:, None] - there[None], axis=-1)
    partner = apart.argmin(axis=1)
    index = np.arange(len(here))
    mutual = (apart.argmin(axis=0)[partner] == index) & (apart[index, partner] <= tolerance_um)
    return index[mutual], partner[mutual]
