r"""How far sensor images lie beside the layers that they are images of.

Programs that blur layers by a kernel whose peak is not at its middle move what they blur: the
published sample's sensor images lie a pixel up and left of its layers. With the layers $x_l$ and
the imager's blur $h_l$, sensor $s$ shows

$$ y_s(p) = b_s + \sum_l a_{sl}\, (h_l * x_l)(p - d_s) . $$

The displacement $d_s$ is found by least squares, each layer with a strength of its own. The blur is
symmetric, so that a width which is not quite the chip's costs precision, but moves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.ndimage

from fociscope.arrays import without_autocast
from fociscope.errors import CaptureError
from fociscope.files.published.samples import spread_samples
from fociscope.imager import Imager, LayerProjector
from fociscope.typing import Float32Array, Float64Array

__all__ = ["Displacement", "displacement_of_files", "measure_displacement", "on_the_layers"]

#: Samples that are compared, spread over the files; those that say where to look, roughly.
SAMPLES, FIRST = 20, 3

#: Farthest displacement in pixels along an axis, and pixels at the edges that are not compared.
FARTHEST_PX, MARGIN_PX = 3, 4
#: Step of the differences in pixels, steps of a fit, and the change at which it rests.
STEP_PX, STEPS, REST_PX = 0.1, 8, 1e-3
#: Least side of a frame in pixels.
LEAST_SIDE_PX = 4 * MARGIN_PX
_INNER = (slice(MARGIN_PX, -MARGIN_PX),) * 2


@dataclass(frozen=True)
class Displacement:
    """Where sensor images lie, counted from the layers.

    Attributes:
        shift_px: (sensor, 2) along y and x, pixels; (-1, -1) is one up and one left.
        std_px: (sensor, 2) standard deviations.
        samples: Number of samples that say so.

    Examples:
        >>> import numpy as np
        >>> from fociscope.calibration import Displacement
        >>> Displacement(np.array([[-1.0, 0.2]]), np.full((1, 2), 0.02), 20).whole_px.tolist()
        [[-1, 0]]
    """

    shift_px: Float64Array
    std_px: Float64Array
    samples: int

    @property
    def whole_px(self) -> np.ndarray:
        """(sensor, 2) whole pixels, as int."""
        return np.rint(self.shift_px).astype(int)

    def in_words(self) -> str:
        """Return the displacement of each sensor in one line."""
        parts = [
            f"{'AB'[s]}: {y:+.2f} ± {dy:.2f} down, {x:+.2f} ± {dx:.2f} right"
            for s, ((y, x), (dy, dx)) in enumerate(zip(self.shift_px, self.std_px, strict=True))
        ]
        return "; ".join(parts)


@without_autocast
def measure_displacement(
    captures: Float32Array, raw: Float32Array, depth_um: Float32Array, imager: Imager
) -> Displacement:
    """Measure how far sensor images lie beside the layers.

    Args:
        captures: (sample, sensor, y, x) light.
        raw: (sample, layer, y, x) the layers before blur, in any unit of light.
        depth_um: (sample, layer) distances from sensor A, um.
        imager: Imager that took the captures, roughly: its pitch, gap and PSF.

    Returns:
        The displacement of each sensor, the mean over samples by what each knows of it.

    Raises:
        CaptureError: If shapes do not fit, the frame is smaller than 16 pixels along a side, or no
            layer holds any light.

    Examples:
        >>> import numpy as np
        >>> from fociscope.calibration import measure_displacement
        >>> from fociscope.imager import Imager, LayerProjector
        >>> raw = np.random.default_rng(0).random((4, 2, 40, 40), np.float32) ** 8
        >>> depth_um = np.tile(np.float32([200.0, 700.0]), (4, 1))
        >>> captures = LayerProjector(Imager.reference()).A(raw, depth_um)
        >>> moved = np.roll(captures, (-1, 1), axis=(-2, -1))
        >>> found = measure_displacement(moved, raw, depth_um, Imager.reference())
        >>> bool(np.abs(found.shift_px - [-1, 1]).max() < 0.05)
        True
    """
    samples, sensors, height, width = captures.shape
    if raw.ndim != 4 or (len(raw), *raw.shape[2:]) != (samples, height, width):
        raise CaptureError(f"captures {captures.shape} and layers {raw.shape} do not fit")
    if min(height, width) < LEAST_SIDE_PX:
        raise CaptureError(
            f"frames of {height} x {width} pixels are too small to measure a displacement in; at "
            f"least {LEAST_SIDE_PX} along a side are needed"
        )
    projector = LayerProjector(imager.with_(sensors=sensors))
    pairs: list[list[_Pair]] = []
    for capture, layers, depths in zip(captures, raw, depth_um, strict=True):
        lit = layers.reshape(len(layers), -1).max(1) > 0
        if not lit.any():
            continue
        each = np.eye(int(lit.sum()), dtype=np.float32)[:, :, None, None] * layers[lit]
        blurred = np.asarray(projector.A(each, np.tile(depths[lit], (len(each), 1))))
        pairs.append([_Pair.of(capture[s], blurred[:, s]) for s in range(sensors)])
    if not pairs:
        raise CaptureError("no layer holds any light, so nothing says where the captures lie")
    starts = [_start([sample[s] for sample in pairs[:FIRST]]) for s in range(sensors)]
    fits = [[pair.shift(start) for pair, start in zip(one, starts, strict=True)] for one in pairs]
    return _combined(
        np.array([[shift for shift, _ in one] for one in fits]),
        np.array([[information for _, information in one] for one in fits]),
    )


def displacement_of_files(paths: Sequence[Path], imager: Imager) -> Displacement | None:
    """Measure the displacement in samples that are spread over files of the published layout.

    Args:
        paths: Files of one data set.
        imager: Imager that took the captures, roughly.

    Returns:
        The displacement; None if the files hold no layers or depths, their frames are too small,
        or no layer holds any light.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.calibration import displacement_of_files
        >>> from fociscope.files import write_images_depth
        >>> from fociscope.imager import Imager
        >>> from fociscope.simulation import simulate
        >>> from fociscope.simulation.dataset import images_depth
        >>> scenes = simulate(3, seed=0)
        >>> write_images_depth(Path("1.h5"), images_depth(scenes))
        >>> found = displacement_of_files([Path("1.h5")], Imager.reference())
        >>> found.samples, found.whole_px.tolist()
        (3, [[0, 0], [0, 0]])
    """
    data, _ = spread_samples(paths, SAMPLES)
    if data.raw is None or data.depth_um is None:
        return None
    try:
        return measure_displacement(data.captures, data.raw, data.depth_um, imager)
    except CaptureError:
        return None


def on_the_layers(captures: Float32Array, displacement: Displacement) -> Float32Array:
    """Return captures (sample, sensor, y, x) moved by whole pixels, onto the layers' pixels.

    What comes in at an edge repeats the edge.

    Args:
        captures: (sample, sensor, y, x) light.
        displacement: How far they lie beside the layers.

    Returns:
        (sample, sensor, y, x) the captures; the very same if they lie on the layers.

    Examples:
        >>> import numpy as np
        >>> from fociscope.calibration import Displacement, on_the_layers
        >>> up = Displacement(np.array([[-1.0, 0.0]]), np.zeros((1, 2)), 1)
        >>> image = np.arange(6, dtype=np.float32).reshape(1, 1, 3, 2)
        >>> on_the_layers(image, up)[0, 0].tolist()
        [[0.0, 1.0], [0.0, 1.0], [2.0, 3.0]]
    """
    if not displacement.whole_px.any():
        return captures
    out = np.array(captures)
    for s, (down, right) in enumerate(displacement.whole_px):
        rows = np.clip(np.arange(out.shape[2]) + down, 0, out.shape[2] - 1)
        columns = np.clip(np.arange(out.shape[3]) + right, 0, out.shape[3] - 1)
        out[:, s] = captures[:, s][:, rows][:, :, columns]
    return out


@dataclass(frozen=True)
class _Pair:
    """An image, and the splines (layer, y, x) of what layers of unit strength would show."""

    target: Float64Array
    splines: list[Float64Array]

    @classmethod
    def of(cls, capture: Float32Array, blurred: Float32Array) -> _Pair:
        """Take an image (y, x) and blurred layers (layer, y, x)."""
        layers = blurred.astype(np.float64)
        splines = [scipy.ndimage.spline_filter(one, mode="mirror") for one in layers]
        return cls(capture.astype(np.float64)[_INNER].ravel(), splines)

    def functions(self, shift: Float64Array) -> Float64Array:
        """Return (pixel, layer + 1): the layers moved, and a constant."""
        moved = [
            scipy.ndimage.shift(one, shift, mode="mirror", prefilter=False)[_INNER].ravel()
            for one in self.splines
        ]
        return np.stack([*moved, np.ones(len(self.target))], axis=1)

    def left(self, functions: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return what functions leave of the image, and their strengths."""
        inverse = np.linalg.pinv(functions.T @ functions, hermitian=True)
        strengths = inverse @ (functions.T @ self.target)
        return self.target - functions @ strengths, strengths

    def shift(self, start: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return (2,) the shift that fits best, near another, and (2, 2) what is known of it."""
        shift, information = start, np.zeros((2, 2))
        for _ in range(STEPS):
            functions = self.functions(shift)
            residual, strengths = self.left(functions)
            sides = [
                self.functions(shift + step) - self.functions(shift - step)
                for step in STEP_PX * np.eye(2)
            ]
            slopes = np.stack([side @ strengths for side in sides], axis=1) / (2 * STEP_PX)
            slopes -= functions @ np.linalg.lstsq(functions, slopes, rcond=None)[0]
            normal = slopes.T @ slopes
            least = 1e-12 * float((self.target**2).mean())
            information = normal / max(float((residual**2).mean()), least, 1e-300)
            step = np.linalg.pinv(normal, hermitian=True) @ (slopes.T @ residual)
            shift = np.clip(shift + np.clip(step, -1, 1), -FARTHEST_PX - 1, FARTHEST_PX + 1)
            if np.abs(step).max() < REST_PX:
                break
        return shift, information


def _start(pairs: Sequence[_Pair]) -> Float64Array:
    """Return (2,) the whole pixels by which a few images fit best."""
    whole = range(-FARTHEST_PX, FARTHEST_PX + 1)
    grid = [np.array([y, x], np.float64) for y in whole for x in whole]

    def missed(shift: Float64Array) -> float:
        rest = [pair.left(pair.functions(shift))[0] for pair in pairs]
        return sum(
            float((one**2).sum() / max(float((pair.target**2).sum()), 1e-300))
            for one, pair in zip(rest, pairs, strict=True)
        )

    return min(grid, key=missed)


def _combined(found: Float64Array, known: Float64Array) -> Displacement:
    """Return the mean of (sample, sensor, 2) shifts, weighted by (sample, sensor, 2, 2)."""
    total = known.sum(0)
    inverse = np.linalg.pinv(total, hermitian=True)
    weighted = np.einsum("nsij,nsj->si", known, found)
    shift = np.einsum("sij,sj->si", inverse, weighted)
    # By how samples scatter, which holds what the imager is wrong by; of few, by the residuals.
    apart = np.einsum("nsij,nsj->nsi", known, found - shift)
    covariance = inverse
    if len(found) > 2:
        scatter = np.einsum("nsi,nsj->sij", apart, apart) * len(found) / (len(found) - 1)
        covariance = inverse @ scatter @ inverse
    std = np.sqrt(np.maximum(np.einsum("sii->si", covariance), 0))
    return Displacement(shift, std, len(found))
