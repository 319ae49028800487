"""Where beads on a stage lie at first, by their light summed over the frames along their way."""

from __future__ import annotations

import numpy as np

from fociscope.calibration._stage import StageSweep
from fociscope.calibration._sweep_model import SweepModel, SweepState
from fociscope.errors import CaptureError, ImagerError
from fociscope.typing import BoolArray, Float64Array

__all__ = ["start_state"]

#: Misfit of the response that is allowed for while places are sought.
SEARCH_ERROR = 0.1
#: So many places are tried at most.
MOST_PLACES = 1500
#: A bead that moves against the stage explains so many times as much of the light.
AGAINST = 1.5
#: Rounds in which each bead is sought beside the others.
ROUNDS = 3
#: Light that explains less of chi square than this is none.
LEAST_EVIDENCE = 25.0


def start_state(model: SweepModel, used: BoolArray, floor: Float64Array) -> SweepState:
    """Return where a fit begins: each sweep's beads on a grid of places.

    Args:
        model: Model of the sweeps.
        used: (sweep, pixel) pixels that are looked at.
        floor: (sweep, pixel) variance of the noise without light, counts^2.

    Raises:
        CaptureError: If no bead is there.
        ImagerError: If beads move against the stage's coordinate.
    """
    shared = np.array([one.start for one in model.parameters])
    own = [_places(model, sweep, shared, used[n], floor[n]) for n, sweep in enumerate(model.sweeps)]
    return SweepState(shared, own, np.zeros(used.shape[1]))


class _Bank:
    """Images of one bead at a grid of places."""

    def __init__(self, model: SweepModel, depth_um: float) -> None:
        centres = model.imager.pixel_centres_um()
        low = centres.min(axis=(0, 1))
        high = centres.max(axis=(0, 1))
        steps = [min(pitch, max(depth_um / 2, pitch / 4)) for pitch in model.imager.pitch_um]
        counts = [
            max(1, round(float(h - a) / s) + 1) for a, h, s in zip(low, high, steps, strict=True)
        ]
        while counts[0] * counts[1] > MOST_PLACES:
            counts = [max(1, round(n * 0.9)) for n in counts]
        y_um, x_um = (np.linspace(a, b, n) for a, b, n in zip(low, high, counts, strict=True))
        self.y_um, self.x_um = y_um, x_um
        yy, xx = np.meshgrid(y_um, x_um, indexing="ij")
        self.place_um = np.column_stack([xx.ravel(), yy.ravel()])
        emitters = np.column_stack([self.place_um, np.full(len(self.place_um), depth_um)])
        self.images = model.response(model.imager, emitters)

    def nearest(self, place_um: Float64Array) -> np.ndarray:
        """Return the number of the image nearest to places (..., 2)."""
        y, x = (
            np.clip(
                np.rint((place_um[..., axis] - at[0]) / (at[1] - at[0] if len(at) > 1 else 1)),
                0,
                len(at) - 1,
            ).astype(int)
            for axis, at in ((1, self.y_um), (0, self.x_um))
        )
        return np.asarray(y * len(self.x_um) + x)


def _places(
    model: SweepModel,
    sweep: StageSweep,
    shared: Float64Array,
    used: BoolArray,
    floor: Float64Array,
) -> Float64Array:
    """Return a sweep's x, y and logarithm of the light of each bead, and its background."""
    left = sweep.light.reshape(len(sweep.counts), -1)
    weight = used / (floor + np.maximum(left, 1) + (SEARCH_ERROR * left) ** 2)
    bank = _Bank(model, max(model.depth_um(sweep, shared, 0), 20.0))
    parts: list[Float64Array] = [np.zeros_like(left) for _ in sweep.beads]
    found = [np.zeros(3) for _ in sweep.beads]
    for _ in range(ROUNDS):
        for bead, motion in enumerate(sweep.beads):
            rest = left - sum(p for n, p in enumerate(parts) if n != bead)
            moved = sweep.moved_um(motion)
            score, bright, which = _best(bank, rest, weight, moved)
            if motion == "moving" and np.ptp(moved, axis=0).max() > 0:
                _check_direction(sweep, score, _best(bank, rest, weight, -moved)[0])
            if score < LEAST_EVIDENCE:
                raise CaptureError(
                    f"{sweep.name}: no {motion} bead stands out of the noise in {len(left)} "
                    "frame(s); check which beads there are, and the depths",
                    fields=("beads",),
                )
            parts[bead] = bright * bank.images[which]
            found[bead] = np.array([*bank.place_um[which[0]], np.log(bright)])
    background = float((weight * (left - sum(parts))).sum() / weight.sum())
    return np.concatenate([*found, [background]])


def _best(
    bank: _Bank, rest: Float64Array, weight: Float64Array, moved_um: Float64Array
) -> tuple[float, float, np.ndarray]:
    """Return how much chi square the best place explains beside a constant, light and images.

    Images are numbers of the bank's, one per frame.
    """
    which = bank.nearest(bank.place_um[:, None, :] + moved_um[None])
    frame = np.arange(len(rest))
    top, bottom, level = (
        part[frame, which].sum(axis=1)
        for part in (
            (weight * rest) @ bank.images.T,
            weight @ (bank.images**2).T,
            weight @ bank.images.T,
        )
    )
    whole = weight.sum()
    top = top - level * float((weight * rest).sum()) / whole
    bottom = np.maximum(bottom - level**2 / whole, 1e-3 * bottom + 1e-300)
    explained = np.maximum(top, 0) ** 2 / bottom
    at = int(explained.argmax())
    return float(explained[at]), float(top[at] / bottom[at]), which[at]


def _check_direction(sweep: StageSweep, along: float, against: float) -> None:
    """Refuse a bead that moves the other way.

    Raises:
        ImagerError: If that explains the light far better.
    """
    if against > AGAINST * max(along, LEAST_EVIDENCE):
        raise ImagerError(
            f"{sweep.name}: the bead moves against the stage's coordinates; expected those along "
            "the chip's +x and +y: change their signs in the table",
            fields=("stage",),
        )
