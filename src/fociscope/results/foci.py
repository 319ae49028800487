"""The foci of a reconstruction: connected cells of a layer, measured in micrometres.

Pixels of a mask that share an edge or a corner are one focus (8-connectivity); layers, and frames,
are never connected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from fociscope.errors import FociscopeError
from fociscope.networks.foci import highest_in_each, number_foci
from fociscope.results._layered_map import LayeredMap
from fociscope.typing import BoolArray, Float32Array, Float64Array, Int64Array

__all__ = [
    "CELL_DIAMETER_UM",
    "LEAST_COUNTED",
    "FociTable",
    "Focus",
    "find_foci",
    "focus_probability_image",
    "label_foci",
    "tabulate_foci",
]

#: Of a typical cell with its halo in a map, about a pixel of the reference imager; an assumption.
CELL_DIAMETER_UM = 60.0
#: Foci of at least this probability are counted.
LEAST_COUNTED = 0.5


@dataclass(frozen=True)
class Focus:
    r"""One focus of one capture.

    The centroid is weighted by the probability $p_i$ of its pixels at $(x_i, y_i)$,

    $$ \bar x = \frac{\sum_i p_i x_i}{\sum_i p_i}, $$

    with the outer edge of the frame's first pixel at 0, so that the centre of that pixel lies at
    half a pitch.

    Attributes:
        layer: Index of its layer, from 0.
        label: Number within that layer, from 1, as in `label_foci`.
        x_um: Centroid along x in um.
        y_um: Centroid along y in um.
        depth_um: Depth of its layer below sensor A in um.
        depth_std_um: Standard deviation of that depth in um.
        area_um2: Area of its pixels in um^2.
        brightness: Sum of the layer's restored intensity over its pixels, in the units of sensor
            A's image.
        cells: Number of cells of the assumed diameter that, side by side, have its area.
        confidence: Mean calibrated probability of its pixels, which is the share of them expected
            to hold cells. The probability that the layer is absent is included.
        probability: Calibrated probability that the focus is there: that one of its pixels lies on
            a true focus of its layer or beside one. Of a model that was exported without this
            calibration, the highest probability of its pixels.

    Examples:
        >>> import fociscope
        >>> from fociscope.results import find_foci
        >>> scenes = fociscope.simulate(1, seed=0)
        >>> result = fociscope.load_model("layers-ab").reconstruct(scenes.captures[0])
        >>> focus = find_foci(result)[0]
        >>> focus.probability > 0.9
        True
    """

    layer: int
    label: int
    x_um: float
    y_um: float
    depth_um: float
    depth_std_um: float
    area_um2: float
    brightness: float
    cells: float
    confidence: float
    probability: float


@dataclass(frozen=True)
class FociTable:
    """The foci of one capture or of many, one row each, frame by frame, the surest first."""

    frame: Int64Array
    """(focus,) number of its capture from 0, all leading axes counted as one."""
    layer: Int64Array
    label: Int64Array
    x_um: Float64Array
    y_um: Float64Array
    depth_um: Float64Array
    depth_std_um: Float64Array
    area_um2: Float64Array
    brightness: Float64Array
    cells: Float64Array
    confidence: Float64Array
    probability: Float64Array

    def __len__(self) -> int:
        """Return the number of foci."""
        return len(self.frame)

    @property
    def is_likely(self) -> BoolArray:
        """(focus,) whether it is more likely there than not."""
        return np.asarray(self.probability >= LEAST_COUNTED)

    def surest_first(self) -> FociTable:
        """Return the table in the order of frame, falling probability, layer and label."""
        order = np.lexsort((self.label, self.layer, -self.probability, self.frame))
        return FociTable(**{each.name: getattr(self, each.name)[order] for each in fields(self)})

    def counts(self, frames: int, layers: int) -> Int64Array:
        """Return (frame, layer) how many foci are more likely there than not."""
        place = (self.frame * layers + self.layer)[self.is_likely]
        return np.bincount(place, minlength=frames * layers).reshape(frames, layers)


def label_foci(result: LayeredMap) -> NDArray[np.int32]:
    """Return (..., layer, y, x): 0 where there is no focus, else its number in its layer, from 1.

    Labels follow the order of each focus's first pixel, row by row.
    """
    numbers, image = _numbered(result)
    before = _offset(image, len(numbers)).astype(np.int32)[:, None, None]
    return np.where(numbers > 0, numbers - before, 0).reshape(result.probability.shape)


def focus_probability_image(result: LayeredMap) -> Float32Array:
    """Return (..., layer, y, x) the probability of the focus that a pixel belongs to, else 0."""
    numbers, image = _numbered(result)
    table, layers = tabulate_foci(result), result.probability.shape[-3]
    place = table.frame * layers + table.layer
    of_number = np.zeros(len(image) + 1, dtype=np.float32)
    of_number[table.label + _offset(image, len(numbers))[place]] = table.probability
    return of_number[numbers].reshape(result.probability.shape)


def find_foci(result: LayeredMap, *, cell_diameter_um: float = CELL_DIAMETER_UM) -> list[Focus]:
    """Find the foci of one capture, the surest first.

    A focus is a group of pixels of a layer's mask that touch at an edge or a corner
    (8-connectivity).

    Args:
        result: Map of one capture; `result.frame(n)` is one of a series.
        cell_diameter_um: Diameter of a typical cell in um, for the number of cells.

    Returns:
        Foci by falling probability; equally likely ones in the order of layer and label.

    Raises:
        FociscopeError: If the map is that of a series, or if the diameter is not above 0.

    Examples:
        >>> import fociscope
        >>> from fociscope.results import find_foci
        >>> scenes = fociscope.simulate(1, seed=0)
        >>> result = fociscope.load_model("layers-ab").reconstruct(scenes.captures[0])
        >>> foci = find_foci(result)
        >>> all(0.5 < focus.confidence <= 1 for focus in foci)
        True
    """
    if result.probability.ndim != 3:
        raise FociscopeError(
            f"find_foci takes one capture; got probabilities of the shape "
            f"{result.probability.shape}; use result.frame(n), or tabulate_foci for all frames"
        )
    table = tabulate_foci(result, cell_diameter_um=cell_diameter_um)
    names = [field.name for field in fields(Focus)]
    rows = zip(*(getattr(table, name).tolist() for name in names), strict=True)
    return [Focus(**dict(zip(names, row, strict=True))) for row in rows]


def tabulate_foci(result: LayeredMap, *, cell_diameter_um: float = CELL_DIAMETER_UM) -> FociTable:
    """Find the foci of all captures.

    Args:
        result: Map of one capture or of many.
        cell_diameter_um: Diameter of a typical cell in um, for the number of cells.

    Returns:
        One row for each focus, frame by frame, the surest first.

    Raises:
        FociscopeError: If the diameter is not above 0.
    """
    if not (math.isfinite(cell_diameter_um) and cell_diameter_um > 0):
        raise FociscopeError(f"the diameter of a cell must be above 0 µm; got {cell_diameter_um}")
    numbers, image = _numbered(result)
    layers, height, width = result.probability.shape[-3:]
    inside = np.flatnonzero(numbers)
    within = inside % (height * width)
    number = numbers.ravel()[inside] - 1
    foci = len(image)

    def summed(weights: Float32Array | Float64Array | None = None) -> Float64Array:
        return np.bincount(number, weights, foci).astype(np.float64)

    probability = result.probability.ravel()[inside].astype(np.float64)
    area_px, weight = summed(), summed(probability)
    pitch_um = result.imager.square_pitch_um
    area_um2 = area_px * pitch_um**2
    y, x = within // width + 0.5, within % width + 0.5
    highest = highest_in_each(numbers, foci, result.probability)
    model = result.focus_probability
    table = FociTable(
        frame=image // layers,
        layer=image % layers,
        label=np.arange(foci) - _offset(image, len(numbers))[image] + 1,
        x_um=summed(probability * x) / weight * pitch_um,
        y_um=summed(probability * y) / weight * pitch_um,
        depth_um=result.depth_um.ravel()[image].astype(np.float64),
        depth_std_um=result.depth_std_um.ravel()[image].astype(np.float64),
        area_um2=area_um2,
        brightness=summed(result.intensity.ravel()[inside]),
        cells=area_um2 / (math.pi / 4 * cell_diameter_um**2),
        confidence=weight / area_px,
        probability=highest if model is None else model(highest, weight / area_px, area_px),
    )
    return table.surest_first()


def _numbered(result: LayeredMap) -> tuple[NDArray[np.int32], Int64Array]:
    """Return the numbers (image, y, x) and images (focus,) of all foci, as `number_foci` does."""
    return number_foci(result.mask.reshape(-1, *result.probability.shape[-2:]))


def _offset(image: Int64Array, images: int) -> Int64Array:
    """Return (image,) how many foci lie in the images before."""
    count = np.bincount(image, minlength=images)
    return np.asarray(np.cumsum(count) - count)
