r"""What the pixels count of beads on a stage, and how that depends on what is fitted.

The mean of pixel $p$ in frame $i$ of a sweep is

$$ m_{ip} = c + e^{g_p + g_{row(p)}} \sum_b a_b\,
   h_p(x_b + X_i, y_b + Y_i, z + z_0 + d_b; s), $$

with the sweep's background $c$, the beads' light $a_b$ and places, the stage's way $X_i, Y_i$ of
beads that move, the depth $z$ that the stage says, its zero $z_0$, heights $d_b$ of the other beads
over the first, the imager's response $h$ with its parameters $s$, and gains $g$.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fociscope.calibration._stage import StageSweep
from fociscope.imager.geometry import Imager
from fociscope.imager.psf import FitParameter
from fociscope.typing import Float64Array, IndexArray

__all__ = ["SharedParameter", "SweepModel", "SweepState"]

#: Steps of differences in places, um: the light of a point changes little over them.
STEP_UM = 0.2
#: Chips of more rows have no shift and gain fitted for each.
MOST_ROWS = 8
#: Standard deviations of what is expected of a chip, before anything is measured.
DEPTH_ZERO_STD_UM, HEIGHT_STD_UM = 50.0, 10.0
GAIN_OF_ROW = "gain_row_"
"""How the parameters are called that are logarithms of a row's gain over that of the first."""
ROW_SHIFT_PITCHES, ROW_GAIN_STD, PIXEL_GAIN_STD = 0.25, 0.3, 0.1
#: A bead is no nearer to a sensor than this.
NEAREST_UM = 5.0


@dataclass(frozen=True)
class SharedParameter:
    """A number that all sweeps share.

    Attributes:
        name: Name for tables.
        start: Value before the fit.
        std: Standard deviation expected before the fit.
        lower: Least value.
        upper: Greatest value.
        unit: Unit of all of them.
    """

    name: str
    start: float
    std: float
    lower: float
    upper: float
    unit: str


@dataclass
class SweepState:
    """Values of all that is fitted.

    Attributes:
        shared: (parameter,) values of the model's `parameters`.
        own: For each sweep, (3 beads + 1,) x, y, logarithm of the light of each bead, background.
        gains: (pixel,) logarithms of the pixels' gains.
    """

    shared: Float64Array
    own: list[Float64Array]
    gains: Float64Array

    def copy(self) -> SweepState:
        """Return a copy that can be changed."""
        return SweepState(self.shared.copy(), [one.copy() for one in self.own], self.gains.copy())


@dataclass(frozen=True)
class SweepModel:
    """Sweeps over one chip.

    Attributes:
        imager: Imager whose values are fitted.
        sweeps: Sweeps.
        fit_depth_offset: Whether the zero of the depths is free.
    """

    imager: Imager
    sweeps: Sequence[StageSweep]
    fit_depth_offset: bool
    parameters: tuple[SharedParameter, ...] = field(init=False)

    def __post_init__(self) -> None:
        """List the parameters."""
        object.__setattr__(self, "parameters", tuple(self._listed()))

    @property
    def psf_parameters(self) -> tuple[FitParameter, ...]:
        """The PSF's own fit parameters."""
        return self.imager.psf.fit_parameters

    @property
    def rows(self) -> int:
        """Number of rows whose shift and gain are fitted; 1 for none."""
        rows = self.imager.frame_px[0]
        return rows if rows <= MOST_ROWS else 1

    @property
    def beads(self) -> int:
        """Number of beads of each sweep."""
        return len(self.sweeps[0].beads)

    def _listed(self) -> list[SharedParameter]:
        nearest = min(sweep.depth_um for sweep in self.sweeps)
        deepest = max(sweep.depth_um for sweep in self.sweeps)
        least, most = self.imager.psf.depth_range_um
        most = min(most, self.imager.gap_um)
        listed = []
        if self.fit_depth_offset:
            listed.append(
                SharedParameter(
                    "depth_offset_um", 0.0, DEPTH_ZERO_STD_UM,
                    max(least, NEAREST_UM) - nearest, most - deepest, "um",
                )
            )  # fmt: skip
        for one in self.psf_parameters:
            value = float(getattr(self.imager.psf, one.name))
            listed.append(
                SharedParameter(one.name, value, one.largest_std, one.lower, one.upper, one.unit)
            )
        for number in range(2, self.beads + 1):
            name = f"height_bead_{number}_um"
            listed.append(SharedParameter(name, 0.0, HEIGHT_STD_UM, -nearest, most - deepest, "um"))
        pitch_um = self.imager.pitch_um[1]
        shifts = self.imager.row_shift_um or (0.0,)
        if not self._is_blurred_on_the_grid():
            listed += [
                SharedParameter(
                    f"row_shift_{row + 1}_um", shifts[row % len(shifts)],
                    ROW_SHIFT_PITCHES * pitch_um, -pitch_um, pitch_um, "um",
                )
                for row in range(1, self.rows)
            ]  # fmt: skip
        listed += [
            SharedParameter(f"{GAIN_OF_ROW}{row + 1}", 0.0, ROW_GAIN_STD, -2.0, 2.0, "1")
            for row in range(1, self.rows)
        ]
        return listed

    def _is_blurred_on_the_grid(self) -> bool:
        import torch

        distance = torch.tensor([sweep.depth_um for sweep in self.sweeps], dtype=torch.float64)
        return bool((self.imager.psf.grid_variance_um2(distance) > 0).any())

    def slot(self, name: str) -> int | None:
        """Return the number of a shared parameter; None if it is not fitted."""
        names = [one.name for one in self.parameters]
        return names.index(name) if name in names else None

    def value(self, shared: Float64Array, name: str, default: float = 0.0) -> float:
        """Return a shared value by its name."""
        at = self.slot(name)
        return default if at is None else float(shared[at])

    def imager_at(self, shared: Float64Array) -> Imager:
        """Return the imager with the fitted fields of its PSF and the shifts of its rows."""
        psf = self.imager.psf
        fields = {one.name: self.value(shared, one.name) for one in self.psf_parameters}
        imager = self.imager.with_(psf=psf.with_(**fields)) if fields else self.imager
        if self.slot("row_shift_2_um") is None:
            return imager
        before = self.imager.row_shift_um or (0.0,)
        shifts = (before[0], *(
            self.value(shared, f"row_shift_{row + 1}_um") for row in range(1, self.rows)
        ))  # fmt: skip
        return imager.with_(row_shift_um=shifts if any(shifts) else ())

    def row_of_pixel(self) -> IndexArray:
        """Return (pixel,) the row of each pixel of all sensors."""
        rows, columns = self.imager.frame_px
        row = np.repeat(np.arange(rows), columns)
        return np.tile(row, self.imager.sensors)

    def depth_um(self, sweep: StageSweep, shared: Float64Array, bead: int) -> float:
        """Return the depth of a bead in a sweep, within what the imager knows."""
        offset = self.value(shared, "depth_offset_um")
        depth = sweep.depth_um + offset + self.value(shared, f"height_bead_{bead + 1}_um")
        least, most = self.imager.psf.depth_range_um
        return float(np.clip(depth, max(least, 1.0), min(most, self.imager.gap_um) - 1.0))

    def emitters_um(
        self, sweep: StageSweep, shared: Float64Array, own: Float64Array, bead: int
    ) -> Float64Array:
        """Return (place, 3) x, y, depth: one place of a bead that is fixed, else one per frame."""
        moved = sweep.moved_um(sweep.beads[bead])
        moved = moved[:1] if sweep.beads[bead] == "fixed" else moved
        depth = np.full(len(moved), self.depth_um(sweep, shared, bead))
        return np.column_stack([own[3 * bead : 3 * bead + 2] + moved, depth])

    def response(self, imager: Imager, emitters_um: Float64Array) -> Float64Array:
        """Return (emitter, pixel) the share of an emitter's light that each pixel collects."""
        return np.asarray(imager.pixel_response(emitters_um)).reshape(len(emitters_um), -1)

    def gains(self, state: SweepState) -> Float64Array:
        """Return (pixel,) the gain of each pixel, its row's included."""
        row_gain = np.array(
            [0.0, *(self.value(state.shared, f"{GAIN_OF_ROW}{n + 1}") for n in range(1, self.rows))]
        )
        of_row = row_gain[self.row_of_pixel()] if self.rows > 1 else 0.0
        return np.asarray(np.exp(state.gains + of_row))

    def mean(self, number: int, state: SweepState) -> Float64Array:
        """Return (frame, pixel) the mean of a sweep's counts above dark."""
        sweep, own = self.sweeps[number], state.own[number]
        beads = [self.emitters_um(sweep, state.shared, own, n) for n in range(len(sweep.beads))]
        every = self.response(self.imager_at(state.shared), np.concatenate(beads))
        parts = np.split(every, np.cumsum([len(one) for one in beads])[:-1])
        total = np.zeros(())
        for light, part in zip(np.exp(own[2:-1:3]), parts, strict=True):
            total = total + light * part
        mean = total * self.gains(state) + own[-1]
        return np.broadcast_to(mean, (len(sweep.counts), mean.shape[-1]))

    def evaluate(self, number: int, state: SweepState) -> tuple[Float64Array, Float64Array]:
        """Return the mean of a sweep's counts above dark, and its derivatives.

        Args:
            number: Number of the sweep.
            state: Values of all that is fitted.

        Returns:
            (frame, pixel), and (column, frame, pixel): by shared parameters, by the sweep's own
            values, then by the depth of all its beads, and last by the logarithm of a pixel's gain.
        """
        sweep, own = self.sweeps[number], state.own[number]
        gain, first = self.gains(state), len(self.parameters)
        mean = np.zeros((len(sweep.counts), gain.size))
        slopes = np.zeros((first + len(own) + 2, *mean.shape))
        imager = self.imager_at(state.shared)
        stepped = [self._stepped(state.shared, one) for one in self.psf_parameters]
        for bead in range(len(sweep.beads)):
            emitters = self.emitters_um(sweep, state.shared, own, bead)
            factor = np.exp(own[3 * bead + 2]) * gain
            steps = STEP_UM * np.eye(3)[:, None, :]
            near = np.concatenate([emitters, *(emitters + step for step in steps)])
            bare, *moved = self.response(imager, near).reshape(4, len(emitters), -1)
            x, y, depth = (factor * (one - bare) / STEP_UM for one in moved)
            light = factor * bare
            mean += light
            for column, slope in enumerate((x, y, light)):
                slopes[first + 3 * bead + column] += slope
            slopes[-2] += depth
            slopes[-1] += light
            self._add_shared(slopes, state.shared, bead, (light, x, depth))
            for one, (at, other) in zip(self.psf_parameters, stepped, strict=True):
                slopes[at] += factor * (self.response(other, emitters) - bare) / one.step
        slopes[first + len(own) - 1] = 1.0
        return mean + own[-1], slopes

    def _stepped(self, shared: Float64Array, one: FitParameter) -> tuple[int, Imager]:
        """Return a PSF parameter's number, and the imager where it is a step higher."""
        at, higher = self.slot(one.name), shared.copy()
        assert at is not None
        higher[at] += one.step
        return at, self.imager_at(higher)

    def _add_shared(
        self,
        slopes: Float64Array,
        shared: Float64Array,
        bead: int,
        of_bead: tuple[Float64Array, Float64Array, Float64Array],
    ) -> None:
        """Add a bead's part of the derivatives by depths and by what belongs to rows."""
        light, x, depth = of_bead
        for name in ("depth_offset_um", f"height_bead_{bead + 1}_um"):
            at = self.slot(name)
            if at is not None:
                slopes[at] += depth
        row = self.row_of_pixel()
        for n in range(1, self.rows):
            for name, slope in ((f"row_shift_{n + 1}_um", -x), (f"{GAIN_OF_ROW}{n + 1}", light)):
                at = self.slot(name)
                if at is not None:
                    slopes[at] += slope * (row == n)
