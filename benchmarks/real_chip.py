"""Beads over a real chip at known depths, located frame by frame: a row per sweep, and a figure.

    python benchmarks/real_chip.py ../shared/real-chip [--every 1] [--figure FILE.png] > table.md

The chip (repository `klshepard/acus`, CC0 1.0) has 2 x 128 pixels of 73 x 26 um and a measured
angular response. Two beads of 10 um: one stays, the other is moved along the rows by 10 um a step.
Nothing is calibrated but that response, in air; the number of beads is not given, and the noise is
found in each frame. The folder is not part of the repository; without it there is nothing to do.
The zero of depth is unknown, so one offset for all sweeps is taken out.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fociscope.imager import Imager
from fociscope.localization import Emitters, Locator

DEPTHS_UM = (50, 100, 200)
NEAR_UM = 10.0


@dataclass
class Sweep:
    """What was found in the frames of one sweep."""

    nominal_um: int
    apart_um: np.ndarray
    """(frame,) how far the stage has moved the bead."""
    found: list[Emitters]
    fixed_um: float = 0.0
    start_um: float = 0.0

    def place(self) -> None:
        """Find the fixed bead, and where the moving one starts: the places that recur most."""
        places = np.concatenate([one.x_um for one in self.found])
        self.fixed_um = most_frequent(places)
        pairs = zip(self.found, self.apart_um, strict=True)
        starts = np.concatenate([one.x_um + apart for one, apart in pairs])
        self.start_um = most_frequent(
            starts[
                np.abs(np.concatenate([one.x_um for one in self.found]) - self.fixed_um) > NEAR_UM
            ]
        )

    def beads(self) -> np.ndarray:
        """Return (frame, bead, 5): x, its std, depth, its std, how far x is off; NaN if not there.

        The first bead is the fixed one. In a frame, each is the nearest emitter, and not the same.
        """
        out = np.full((len(self.found), 2, 5), np.nan)
        for n, (one, apart) in enumerate(zip(self.found, self.apart_um, strict=True)):
            if len(one) < 2:
                continue
            expected = (self.fixed_um, self.start_um - apart)
            nearest = [int(np.abs(one.x_um - x).argmin()) for x in expected]
            if nearest[0] == nearest[1]:
                continue
            for b, (k, x) in enumerate(zip(nearest, expected, strict=True)):
                values = one.x_um, one.x_std_um, one.depth_um, one.depth_std_um, one.x_um - x
                out[n, b] = [float(value[k]) for value in values]
        return out

    @property
    def is_far(self) -> np.ndarray:
        """(frame,) whether the beads are more than one depth apart."""
        moving = self.start_um - self.apart_um
        return np.asarray(np.abs(moving - self.fixed_um) > self.nominal_um)

    @property
    def is_right(self) -> np.ndarray:
        """(frame,) whether two emitters were found."""
        return np.array([len(one) == 2 for one in self.found])


def most_frequent(values: np.ndarray) -> float:
    """Return the median of the values within 5 um of the one that has most of them."""
    best = max(values, key=lambda x: int((np.abs(values - x) < 5).sum()))
    return float(np.median(values[np.abs(values - best) < 5]))


def percent(what: np.ndarray) -> str:
    """Return the share that is true, in percent."""
    return f"{100 * float(np.mean(what)):.0f}" if np.size(what) else "-"


def print_table(sweeps: list[Sweep]) -> float:
    """Print the table, and return the offset of depth."""
    depths = {s.nominal_um: np.nanmedian(s.beads()[..., 2]) for s in sweeps}
    offset = float(np.mean([depth - nominal for nominal, depth in depths.items()]))
    print(f"One offset of {offset:.1f} µm for all sweeps is taken out.\n")
    print(
        "| sweep (µm) | frames | two beads found: of all, of those one depth apart (%) | depth, "
        "median (µm) | off by (µm): median of all, of each bead | beads within 10 µm in depth (%) "
        "| both within 10 µm along the row: of all, of those one depth apart (%) | step (µm) | "
        "scatter of the fixed bead along the row, far (µm) | within one std: depth, x (%) |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for s in sweeps:
        beads = s.beads()
        there = np.isfinite(beads[..., 0]).all(1)
        off = beads[there][..., 2] - offset - s.nominal_um
        sideways = np.abs(np.nan_to_num(beads[..., 4], nan=1e9)).max(1) <= NEAR_UM
        far = there & s.is_far
        step = np.polyfit(s.apart_um[far], beads[far, 1, 0], 1)[0] if far.sum() > 2 else np.nan
        x_off = beads[far][..., 4]
        x_off = x_off - np.median(x_off, axis=0)
        print(
            f"| {s.nominal_um} | {len(s.found)} | {percent(s.is_right)}, "
            f"{percent(s.is_right[s.is_far])} | {depths[s.nominal_um]:.1f} | "
            f"{np.median(off):+.1f}; {np.median(off[:, 0]):+.1f}, {np.median(off[:, 1]):+.1f} | "
            f"{percent(np.abs(off) <= NEAR_UM)} | {percent(sideways)}, "
            f"{percent(sideways[s.is_far])} | {-10 * step:.1f} | {np.std(x_off[:, 0]):.1f} | "
            f"{percent(np.abs(off) <= beads[there][..., 3])}, "
            f"{percent(np.abs(x_off) <= beads[far][..., 1])} |"
        )
    return offset


def draw(sweeps: list[Sweep], offset_um: float, path: Path) -> None:
    """Draw the depth and the place of every emitter that was found, beside the truth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.4), layout="constrained")
    axes = figure.subplots(2, len(sweeps), sharex="col")
    for column, s in enumerate(sweeps):
        for row, (name, truth) in enumerate(
            (("depth (µm)", [s.nominal_um + offset_um] * 2), ("x (µm)", None))
        ):
            at = axes[row, column]
            for n, one in enumerate(s.found):
                value = one.depth_um if row == 0 else one.x_um
                std = one.depth_std_um if row == 0 else one.x_std_um
                color = "tab:blue" if len(one) == 2 else "tab:orange"
                at.errorbar(
                    [s.apart_um[n]] * len(one), value, std, fmt="o", ms=2.5, lw=0.8, c=color
                )
            ends = s.apart_um[[0, -1]]
            if truth is not None:
                at.plot(ends, truth, "k-", lw=1, label="stage, one offset for all")
                at.set_ylim(0, 1.8 * s.nominal_um)
                at.set_title(f"{s.nominal_um} µm")
            else:
                at.plot(ends, [s.fixed_um] * 2, "k-", lw=1, label="stage")
                at.plot(ends, s.start_um - ends, "k-", lw=1)
                at.set_ylim(min(s.start_um - ends) - 100, s.fixed_um + 150)
                at.set_xlabel("moved by (µm)")
            at.set_ylabel(name if column == 0 else "")
    axes[0, 0].plot([], [], "o", ms=4, c="tab:blue", label="two emitters found ± 1 std")
    axes[0, 0].plot([], [], "o", ms=4, c="tab:orange", label="another number found")
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take one frame of so many")
    parser.add_argument("--figure", type=Path, help="draw every frame's depth and place")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    locator = Locator(Imager.preset("acus"), (2, 128))
    sweeps = []
    for depth_um in DEPTHS_UM:
        sweep = np.load(chosen.folder / f"beads_z{depth_um:03d}.npz")
        blank = sweep["blank"].astype(float)
        frames = sweep["counts"][:: chosen.every].astype(float) - blank
        dark = blank - np.quantile(blank, 0.02)
        found = [locator.locate(frame[None], subtracted=dark[None]) for frame in frames]
        apart = np.abs(sweep["stage_um"] - sweep["stage_um"][0])[:: chosen.every]
        sweeps.append(Sweep(depth_um, apart, found))
        sweeps[-1].place()
    offset = print_table(sweeps)
    if chosen.figure is not None:
        draw(sweeps, offset, chosen.figure)


if __name__ == "__main__":
    main()
