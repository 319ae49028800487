"""The depth of a single layer: the most likely z under a Gaussian model of the layer.

The layer x is a Gaussian field of unknown variance a and power spectrum a P, the noise is white of
variance a lambda, so that captures are Gaussian with covariance a C(z), C = H P H* + lambda, and
with a at its best value the log-likelihood of the depth is

    -1/2 (n ln(y* C^-1 y / n) + ln det C),     n pixels.

One sensor: y is the capture times a Hann window, C is taken for diagonal in the frequencies
(Whittle), and P and lambda are taken from a family, at their best for each depth. Depth is then
what the capture lacks of high frequencies, and as uncertain as the layer's own spectrum.

Two sensors: what tells is how A's and B's images differ, and edges count. C is that of the frame:
of tissue that ends with the frame for `zero`, or goes on beyond it for `reflect`, solved by
conjugate gradients; the layer's mean is free; ln det C is n times the mean of its logarithmic
spectrum (Szego's limit).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fociscope.arrays import ArrayLike, like
from fociscope.errors import SolverError
from fociscope.imager import Imager
from fociscope.noise import noise_std
from fociscope.solvers._depth_grid import plane_depths_um
from fociscope.solvers._operators import Operator, SpectralOperator, operator_at
from fociscope.solvers._problem import Problem, Progress
from fociscope.solvers._spectra import LayerSpectrum, circular_of

__all__ = ["SingleLayerDepth", "depth_around", "single_layer_depth"]

#: The family of spectra that a single sensor's layer may have.
FAMILY = tuple(
    LayerSpectrum(cell_um=cell_um, foci_share=share)
    for cell_um in (90.0, 115.0, 144.0, 180.0, 230.0)
    for share in (0.15, 0.32, 0.55)
)
#: With two sensors the spectrum hardly matters; a nearly flat one is quickly solved for.
NEARLY_FLAT = LayerSpectrum(foci_share=0.05, cell_um=60.0)
#: lambda over the largest eigenvalue of H H*; the noise of 40 dB is about 1e-4.
NOISE = tuple(10.0**e for e in (-6, -5.5, -5, -4.5, -4, -3.5, -3, -2.5, -2))
#: Annuli of frequencies in which one sensor's power is averaged.
ANNULI = 64
#: A Hann window leaves that share of independent frequencies: ((3/8)^2 / (35/128))^2.
HANN_SHARE = ((3 / 8) ** 2 / (35 / 128)) ** 2
#: Mean squared error over the variance that the model's curvature says, of default specimens (seed
#: 9300, 96 scenes with one sensor and 40 with two): real layers are no Gaussian fields. The
#: log-likelihood is divided by it.
DISPERSION = {
    (1, "zero"): 25.0,
    (1, "reflect"): 25.0,
    (2, "zero"): 45.0,
    (2, "reflect"): 210.0,
}
#: Conjugate gradients for each depth.
ITERATIONS = 25
#: Least and greatest lambda of two sensors, over the largest eigenvalue of H H*.
NOISE_WITHIN = (1e-4, 1e-1)
#: Half the distance of the two depths that a slope is the difference of.
SLOPE_UM = 0.5
#: A search around a start narrows its steps so often, each time to so much of them.
ROUNDS, NARROWER = 3, 0.3
#: Its first step is the start's deviation, within these.
FIRST_STEP_UM = (5.0, 60.0)
#: How often the search is narrowed to a third around the best of five depths.
NARROWINGS = 2


@dataclass(frozen=True)
class SingleLayerDepth:
    """The depth of a single layer, from `single_layer_depth`; arrays of the kind of the captures.

    Attributes:
        depth_um: Maximum-likelihood depth in um, (...).
        depth_std_um: Standard deviation of the depth in um, (...): from the likelihood's curvature,
            widened by the dispersion that was measured on simulated layers.
        curve_um: Depths of the curve in um, (plane,), increasing.
        log_likelihood: Log-likelihood at those depths, (..., plane), 0 at the best of them.

    Examples:
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import single_layer_depth
        >>> captures = simulate(1, seed=9000, layers=1).captures
        >>> depth = single_layer_depth(captures, Imager.reference(), planes=9)
        >>> depth.depth_um.shape, depth.curve_um.shape, depth.log_likelihood.shape
        ((1,), (9,), (1, 9))
    """

    depth_um: Any
    depth_std_um: Any
    curve_um: Any
    log_likelihood: Any


def single_layer_depth(
    captures: ArrayLike,
    imager: Imager,
    *,
    planes: int = 33,
    progress: Progress | None = None,
) -> SingleLayerDepth:
    r"""Find the maximum-likelihood depth of a single layer, and how sure it is.

    The layer is taken for a Gaussian field, and the depth maximises $-\tfrac{1}{2} (n \ln(y^*
    C^{-1} y / n) + \ln \det C)$ with the covariance $C(z) = H P H^* + \lambda$ of the captures (the
    module says how).

    Args:
        captures: Captures of one layer, (..., sensor, y, x), in any unit of light.
        imager: Instrument that took the captures.
        planes: Number of depths that are tried first, at least 5; the search goes on around the
            best.
        progress: Called with the scenes done and their number.

    Returns:
        The depth and its standard deviation in um, (...), and the log-likelihood over depth.

    Raises:
        CaptureError: If the captures do not fit the imager.
        SolverError: If there are too few planes, or the imager or frame is one that `admm` refuses.

    Examples:
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import single_layer_depth
        >>> scenes = simulate(1, seed=9000, layers=1)
        >>> found = single_layer_depth(scenes.captures, Imager.reference(), planes=9)
        >>> bool(abs(found.depth_um - scenes.depth_um[:, 0]) < 20)
        True
    """
    curve_um = plane_depths_um(imager, planes)
    if planes < 5:
        raise SolverError(f"a curve of depths needs at least 5 planes; got {planes}")
    problem = Problem(captures, curve_um[:1], imager)
    bounds = float(curve_um[0]), float(curve_um[-1])
    spacing = float(curve_um[1] - curve_um[0])
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    with torch.inference_mode():
        for scenes in problem.chunks():
            y = problem.captures[scenes]
            y = y / y.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-30)
            if imager.sensors == 1:
                likelihood = _one_sensor(y, imager)
            else:
                likelihood = _TwoSensors(y, imager).log_likelihood
            curve = torch.stack(
                [likelihood(y.new_full((len(y),), float(z))) for z in curve_um], dim=1
            )
            best = curve.argmax(dim=1)
            depth_um = curve_um.to(curve.device, curve.dtype)[best]
            found.append((*_refined(likelihood, depth_um, spacing, bounds), curve))
            if progress is not None:
                progress(scenes.stop, len(problem))
    depth_um, std_um, curve = (torch.cat(parts) for parts in zip(*found, strict=True))
    curve = curve - curve.amax(dim=1, keepdim=True)
    kind = problem.captures.dtype

    def shaped(values: Tensor) -> Any:
        return like(values.to(kind).reshape((*problem.lead, *values.shape[1:])), captures)

    return SingleLayerDepth(
        shaped(depth_um), shaped(std_um), like(curve_um, captures), shaped(curve)
    )


Likelihood = Callable[[Tensor], Tensor]
"""(scene,) depths -> (scene,) log-likelihoods."""


def _refined(
    likelihood: Likelihood, depth_um: Tensor, spacing: float, bounds: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Return depths and standard deviations, by ever finer steps and a last parabola."""
    step = spacing
    for _ in range(NARROWINGS):
        step /= 3
        tried = [(depth_um + k * step).clamp(*bounds) for k in range(-2, 3)]
        values = torch.stack([likelihood(z) for z in tried], dim=1)
        best = values.argmax(dim=1, keepdim=True)
        depth_um = torch.stack(tried, dim=1).gather(1, best)[:, 0]
    # The parabola spans more than rounding errors of the likelihood.
    inner = depth_um.clamp(bounds[0] + step, bounds[1] - step)
    below, at, above = (likelihood(inner + k * step) for k in (-1, 0, 1))
    bend = (below - 2 * at + above) / step**2
    move = torch.where(bend < 0, (below - above) / (2 * step * bend.clamp(max=-1e-12)), 0.0)
    std_um = torch.where(bend < 0, (-bend).clamp(min=1e-12).rsqrt(), bounds[1] - bounds[0])
    return (inner + move.clamp(-step, step)).clamp(*bounds), std_um


def _spectral(operator: Operator) -> SpectralOperator:
    if not isinstance(operator, SpectralOperator):
        raise SolverError(
            "the depth search needs even kernels, sensor B where A is and a frame of at most "
            "about 100 pixels"
        )
    return operator


def _one_sensor(captures: Tensor, imager: Imager) -> Likelihood:
    """Return the log-likelihood of a depth, at the best spectrum and noise for it."""
    frame_px = captures.shape[-2], captures.shape[-1]
    window_y, window_x = (
        torch.hann_window(n + 2, periodic=False, dtype=captures.dtype, device=captures.device)[1:-1]
        for n in frame_px
    )
    windowed = captures * window_y[:, None] * window_x

    def likelihood(depth_um: Tensor) -> Tensor:
        operator = _spectral(operator_at(imager, depth_um[:, None].to(captures), frame_px))
        circular = circular_of(operator, imager)
        power = circular.analysed(windowed)[:, 0].double().square()
        response = circular.transfer[:, 0, 0].double().square()
        f2 = circular.frequency2_per_px2.double()
        annulus = (f2.sqrt() * (ANNULI / math.sqrt(0.5))).long().clamp(max=ANNULI - 1)
        annulus[0, 0] = ANNULI  # the mean tells nothing

        def averaged(values: Tensor) -> Tensor:
            sums = values.new_zeros(len(values), ANNULI + 1)
            return sums.index_add(1, annulus.flatten(), values.flatten(1))[:, :ANNULI] / count

        count = f2.new_zeros(ANNULI + 1).index_add(
            0, annulus.flatten(), torch.ones_like(f2).flatten()
        )
        count = count[:ANNULI].clamp(min=1)
        used = (count * HANN_SHARE)[None, :]
        power, response, f2 = (
            averaged(power),
            averaged(response.expand(power.shape)),
            averaged(f2[None]),
        )
        largest = response.amax(dim=1, keepdim=True)
        n = used.sum()
        best = torch.full_like(power[:, 0], -torch.inf)
        for spectrum in FAMILY:
            prior = spectrum.power(f2 / imager.square_pitch_um**2)
            prior = prior * count.sum() / (prior * count).sum()
            for noise in NOISE:
                covariance = prior * response + noise * largest
                quadratic = (used * power / covariance).sum(1)
                value = -0.5 * (n * (quadratic / n).log() + (used * covariance.log()).sum(1))
                best = torch.maximum(best, value)
        return best / DISPERSION[1, imager.boundary]

    return likelihood


class _TwoSensors:
    """The likelihood of the depth of one layer that both sensors see, and its slope."""

    def __init__(self, captures: Tensor, imager: Imager) -> None:
        self.captures, self.imager = captures, imager
        self.dark = imager.with_(boundary="zero")
        self.frame_px = captures.shape[-2], captures.shape[-1]
        nearest_um, farthest_um = imager.psf.depth_range_um
        self.bounds_um = nearest_um, min(imager.gap_um, farthest_um)
        # Of the sensor farther away, whose image is smooth: a near layer's texture is no noise.
        self.noise2 = noise_std(captures).amin(dim=1).square()[:, None, None, None]
        self.variance = captures.var(dim=(-2, -1)).mean(dim=1)[:, None, None, None]

    def at(self, depth_um: Tensor) -> _CovarianceAt:
        """Return the covariance of the captures of a layer at (scene,) depths."""
        depths_um = depth_um[:, None].to(self.captures)
        operator = _spectral(operator_at(self.dark, depths_um, self.frame_px))
        prior = circular_of(operator, self.dark).prior(NEARLY_FLAT, self.imager.square_pitch_um)
        assert prior is not None
        response = operator.transfer[:, 0].square().sum(1, keepdim=True)
        # The variance of the layer follows from that of the captures.
        scale = (prior * response).mean(dim=(-2, -1), keepdim=True) / operator.transfer.shape[2]
        signal = (self.variance - self.noise2).clamp(min=1e-3 * self.variance)
        largest = response.amax(dim=(1, 2, 3), keepdim=True)
        least, most = (share * largest for share in NOISE_WITHIN)
        noise = torch.minimum(torch.maximum(self.noise2 * scale / signal, least), most)
        return _CovarianceAt(operator, prior, response, noise, self.imager, self.captures)

    def solved(self, at: _CovarianceAt) -> Tensor:
        """Return C^-1 on the captures and on the image of an even layer."""
        return _conjugate_gradients(
            at.covariance, at.nearly_inverse, torch.stack([self.captures, at.mean])
        )

    def log_likelihood(self, depth_um: Tensor) -> Tensor:
        """Return the log-likelihood of (scene,) depths, (scene,)."""
        at = self.at(depth_um)
        u, w = self.solved(at)
        return at.log_likelihood(_dot(u, self.captures), _dot(w, self.captures), _dot(w, at.mean))

    def slope(self, depth_um: Tensor) -> Tensor:
        """Return the derivative of the log-likelihood by depth, (scene,) per um.

        With u = C^-1 y held, 2 u*y - u* C(z) u has the value and the slope of y* C(z)^-1 y, so one
        solution serves two depths beside this one.
        """
        u, w = self.solved(self.at(depth_um))
        y = self.captures

        def held(depth_um: Tensor) -> Tensor:
            at = self.at(depth_um)
            c_u, c_w = at.covariance(u), at.covariance(w)
            return at.log_likelihood(
                2 * _dot(u, y) - _dot(u, c_u),
                _dot(u, at.mean) + _dot(w, y) - _dot(w, c_u),
                2 * _dot(w, at.mean) - _dot(w, c_w),
            )

        below, above = ((depth_um + k * SLOPE_UM).clamp(*self.bounds_um) for k in (-1, 1))
        return (held(above) - held(below)) / (above - below)


class _CovarianceAt:
    """C(z) = H P H* + lambda of captures, up to the variance of the layer."""

    def __init__(
        self,
        operator: SpectralOperator,
        prior: Tensor,
        response: Tensor,
        noise: Tensor,
        imager: Imager,
        captures: Tensor,
    ) -> None:
        self.operator, self.prior, self.response, self.noise = operator, prior, response, noise
        self.transfer = operator.transfer[:, 0]
        self.imager, self.pixels = imager, captures[0].numel()
        self.is_unbounded = imager.boundary == "reflect"
        even = captures.new_ones(len(captures), 1, *captures.shape[-2:])
        self.mean = (
            torch.ones_like(captures)
            if self.is_unbounded
            else operator.A(even) / response.amax(dim=(1, 2, 3), keepdim=True).sqrt()
        )

    def covariance(self, v: Tensor) -> Tensor:
        operator = self.operator
        if self.is_unbounded:
            layer = (operator.analysed(v) * self.transfer).sum(1, keepdim=True)
            return operator.synthesised(layer * self.prior * self.transfer) + self.noise * v
        layer = operator.synthesised(operator.analysed(operator.A_adjoint(v)) * self.prior)
        return operator.A(layer) + self.noise * v

    def nearly_inverse(self, v: Tensor) -> Tensor:
        response, noise = self.response, self.noise
        found = self.operator.analysed(v)
        along = (found * self.transfer).sum(1, keepdim=True) * self.transfer
        along = along / response.clamp(min=1e-30)
        return self.operator.synthesised(
            along / (self.prior * response + noise) + (found - along) / noise
        )

    def log_likelihood(self, y_y: Tensor, m_y: Tensor, m_m: Tensor) -> Tensor:
        """Return it, (scene,), of what C^-1 makes of captures y and the even layer's image m."""
        pixels = self.pixels
        quadratic = (y_y - m_y.square() / m_m).clamp(min=1e-30)
        spectrum = (self.prior * self.response + self.noise).log() + self.noise.log()
        log_det = pixels / 2 * spectrum.double().mean(dim=(1, 2, 3))
        value = -0.5 * (pixels * (quadratic / pixels).log() + log_det)
        return value / DISPERSION[2, self.imager.boundary]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """(scene, sensor, y, x) twice -> (scene,), summed in float64."""
    return (a.double() * b).sum((1, 2, 3))


def _conjugate_gradients(
    matrix: Callable[[Tensor], Tensor], nearly_inverse: Callable[[Tensor], Tensor], right: Tensor
) -> Tensor:
    """Return matrix^-1 on (right-hand side, scene, sensor, y, x), after a fixed number of steps."""

    def each(apply: Callable[[Tensor], Tensor], v: Tensor) -> Tensor:
        return torch.stack([apply(one) for one in v])

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum((-3, -2, -1), keepdim=True)

    tiny = torch.finfo(right.dtype).tiny
    solution = torch.zeros_like(right)
    left = right
    better = each(nearly_inverse, left)
    direction, power = better, dot(left, better)
    for _ in range(ITERATIONS):
        moved = each(matrix, direction)
        step = power / dot(direction, moved).clamp(min=tiny)
        solution, left = solution + step * direction, left - step * moved
        better = each(nearly_inverse, left)
        now = dot(left, better)
        direction, power = better + now / power.clamp(min=tiny) * direction, now
    return solution


def depth_around(
    captures: Tensor, imager: Imager, start_um: Tensor, start_std_um: Tensor
) -> tuple[Tensor, Tensor]:
    """Find the most likely depth near a start, of one layer that both sensors see.

    The likelihood is that of `single_layer_depth`. Three times, its slope at two depths gives the
    place where it vanishes; the two draw nearer each time.

    Args:
        captures: Captures of one layer, (scene, sensor, y, x), in any unit of light.
        imager: Instrument with two sensors that took them.
        start_um: Depths to start from, (scene,).
        start_std_um: Their standard deviations, (scene,).

    Returns:
        Depth and standard deviation in um, (scene,); the latter from the likelihood's curvature,
        and the gap where there is none.

    Raises:
        SolverError: If the imager or the frame is one that `single_layer_depth` refuses.

    Examples:
        >>> import torch
        >>> from fociscope import simulate
        >>> from fociscope.imager import Imager
        >>> from fociscope.solvers import depth_around
        >>> scenes = simulate(1, seed=9000, layers=1)
        >>> start_um = torch.from_numpy(scenes.depth_um[:, 0]) + 15
        >>> depth_um, std_um = depth_around(
        ...     torch.from_numpy(scenes.captures),
        ...     Imager.reference(),
        ...     start_um,
        ...     start_std_um=torch.tensor([20.0]),
        ... )
        >>> bool(abs(depth_um - scenes.depth_um[0, 0]) < 10)
        True
    """
    y = captures / captures.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-30)
    solve, gap_um = _TwoSensors(y, imager), imager.gap_um
    low, high = solve.bounds_um
    depth_um = start_um.double()
    step = start_std_um.double().clamp(*FIRST_STEP_UM)
    bend = torch.zeros_like(depth_um)
    for _ in range(ROUNDS):
        middle = torch.minimum(torch.maximum(depth_um, low + step), high - step)
        below, above = (solve.slope(middle + k * step).double() for k in (-1, 1))
        bend, slope = (above - below) / (2 * step), (above + below) / 2
        move = torch.where(bend < 0, -slope / bend.clamp(max=-1e-12), 2 * step * slope.sign())
        depth_um = (middle + torch.minimum(torch.maximum(move, -2 * step), 2 * step)).clamp(
            low, high
        )
        step = (step * NARROWER).clamp(min=2.0)
    std_um = torch.where(bend < 0, (-bend).clamp(min=1e-12).rsqrt(), torch.full_like(bend, gap_um))
    return depth_um, std_um.clamp(max=gap_um)
