"""The emitters of one capture or of many: places, brightness, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from fociscope.typing import BoolArray, Float64Array, Int64Array

__all__ = ["COLUMNS", "LARGEST_MISFIT", "Emitters"]

#: Root of the mean squared residual, in units of the noise, up to which emitters explain a capture.
LARGEST_MISFIT = 1.5


@dataclass(frozen=True)
class Emitters:
    """Point emitters, one row each, frame by frame, the brightest first.

    x and y are counted from the middle of pixel (0, 0) of sensor A; depth from sensor A. Standard
    deviations are those of the Fisher information under the capture's own noise.

    Attributes:
        frame: (emitter,) number of its capture, from 0.
        x_um: (emitter,) place along x in um.
        y_um: (emitter,) place along y in um.
        depth_um: (emitter,) distance from sensor A in um.
        x_std_um: (emitter,) standard deviation of `x_um` in um.
        y_std_um: (emitter,) standard deviation of `y_um` in um.
        depth_std_um: (emitter,) standard deviation of `depth_um` in um.
        brightness: (emitter,) light that it sends onto sensor A, in the units of the captures.
        probability: (emitter,) posterior probability that it is there, by the likelihood with and
            without it and the penalty of the Bayesian information criterion.
        background: (frame, sensor) light per pixel that is everywhere, in the captures' units.
        misfit: (frame,) root of the mean squared residual in units of the noise: about 1 where
            emitters explain the capture.

    Examples:
        >>> import numpy as np
        >>> from fociscope.imager import Imager
        >>> from fociscope.localization import EmitterResponse, locate_captures
        >>> imager = Imager.reference()
        >>> light, _ = EmitterResponse(imager, (51, 51))(np.array([[1400.0, 1380.0, 300.0]]))
        >>> noise = np.random.default_rng(0).normal(0, 1e-5, (2, 51, 51))
        >>> emitters = locate_captures(light.reshape(2, 51, 51) + noise, imager)
        >>> len(emitters), bool(abs(emitters.depth_um[0] - 300) < 3)
        (1, True)
    """

    frame: Int64Array
    x_um: Float64Array
    y_um: Float64Array
    depth_um: Float64Array
    x_std_um: Float64Array
    y_std_um: Float64Array
    depth_std_um: Float64Array
    brightness: Float64Array
    probability: Float64Array
    background: Float64Array
    misfit: Float64Array

    def __len__(self) -> int:
        """Return the number of emitters."""
        return len(self.frame)

    def __repr__(self) -> str:
        """Return how many emitters there are in how many captures."""
        return f"Emitters({len(self)} in {len(self.misfit)} capture(s))"

    @property
    def is_explained(self) -> BoolArray:
        """(frame,) whether emitters explain the capture; dense tissue they do not."""
        return np.asarray(self.misfit <= LARGEST_MISFIT)

    @property
    def counts(self) -> Int64Array:
        """(frame,) number of emitters in each capture."""
        return np.bincount(self.frame, minlength=len(self.misfit)).astype(np.int64)

    def of_frame(self, frame: int) -> Emitters:
        """Return the emitters of one capture, whose number becomes 0.

        Args:
            frame: Number of the capture, from 0.
        """
        chosen = self.frame == frame
        columns = {name: getattr(self, name)[chosen] for name in COLUMNS}
        columns["frame"] = np.zeros_like(columns["frame"])
        return Emitters(
            **columns,
            background=self.background[frame : frame + 1],
            misfit=self.misfit[frame : frame + 1],
        )

    @classmethod
    def joined(cls, parts: Sequence[Emitters]) -> Emitters:
        """Return the emitters of captures that follow one another.

        Args:
            parts: Emitters of one capture or of many, in the order of the series.
        """
        first = np.cumsum([0, *(len(part.misfit) for part in parts)])
        columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in _NAMES}
        columns["frame"] = np.concatenate(
            [part.frame + start for part, start in zip(parts, first[:-1], strict=True)]
        )
        return cls(**columns)


_NAMES = tuple(each.name for each in fields(Emitters))
#: Columns of the table, in the order of `emitters.csv`.
COLUMNS = _NAMES[:9]
