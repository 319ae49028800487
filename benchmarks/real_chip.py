"""Beads over a real chip at known depths, located frame by frame: a row per sweep.

    python benchmarks/real_chip.py ../shared/real-chip [--every 1] > table.md

The chip (repository `klshepard/acus`, CC0 1.0) has 2 x 128 pixels of 73 x 26 um and a measured
angular response. Two beads of 10 um: one stays, the other is moved along the rows by 10 um a step.
Nothing is calibrated but that response, in air; the number of beads is not given. The folder is not
part of the repository; without it there is nothing to do. The zero of depth is unknown, so one
offset for all sweeps is taken out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from fociscope.imager import Imager
from fociscope.localization import Emitters, Locator, NoiseModel

DEPTHS_UM = (50, 100, 200)
#: The share of the light by which the response misfits, by its own residuals.
MODEL_ERROR = 0.08
#: Counts of a blank frame, whose noise stays when it is subtracted.
FLOOR = 80.0
#: A pixel of a blank frame this many times above the median along its row is hot.
HOT = 3.0
NEAR_UM = 10.0


def hot_pixels(blank: np.ndarray) -> np.ndarray:
    """Return where a blank frame exceeds the median of five pixels along the row."""
    around = np.median([np.roll(blank, shift, axis=1) for shift in (-2, -1, 0, 1, 2)], axis=0)
    return blank > HOT * np.maximum(around, 20)


def pair_of(found: Emitters, fixed_um: float, moving_um: float) -> tuple[float, float] | None:
    """Return the depths of the beads where the stage says they are, within 10 um along the row."""
    depths = []
    for x_um in (fixed_um, moving_um):
        off = np.abs(found.x_um - x_um)
        if not len(off) or off.min() > NEAR_UM:
            return None
        depths.append(float(found.depth_um[off.argmin()]))
    return depths[0], depths[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take one frame of so many")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    noise = NoiseModel(np.array([FLOOR]), np.array([1.0]), MODEL_ERROR)
    locator = Locator(Imager.preset("acus"), (2, 128), noise=noise, most=6)
    rows = []
    for depth_um in DEPTHS_UM:
        sweep = np.load(chosen.folder / f"beads_z{depth_um:03d}.npz")
        blank = sweep["blank"].astype(float)
        frames = sweep["counts"][:: chosen.every].astype(float) - blank
        apart = np.abs(sweep["stage_um"] - sweep["stage_um"][0])[:: chosen.every]
        each = [locator.locate(f[None], bad_pixels=hot_pixels(blank)[None]) for f in frames]
        # The fixed bead: the place that is found most often; the other one starts some way off it.
        places = np.concatenate([one.x_um for one in each])
        best = max(places, key=lambda x: int((np.abs(places - x) < 5).sum()))
        fixed = float(np.median(places[np.abs(places - best) < 5]))
        starts = np.concatenate([e.x_um + a for e, a in zip(each, apart, strict=True)])
        starts = starts[np.abs(starts - fixed) > 1e-6]
        best = max(starts, key=lambda x: int((np.abs(starts - x) < 5).sum()))
        start = float(np.median(starts[np.abs(starts - best) < 5]))
        pairs = [pair_of(e, fixed, start - a) for e, a in zip(each, apart, strict=True)]
        deep = [d for pair in pairs if pair for d in pair]
        scatter = [
            e.x_um[np.abs(e.x_um - fixed).argmin()] - fixed
            for e, pair in zip(each, pairs, strict=True)
            if pair
        ]
        far = apart > depth_um + abs(fixed - start)
        right = np.array([len(e) == 2 for e in each])
        rows.append((depth_um, len(frames), deep, pairs, right, far, scatter))
    offset = float(np.median([np.median(deep) - d for d, _, deep, *_ in rows if deep]))
    print(f"One offset of {offset:.1f} µm for all sweeps is taken out.\n")
    print(
        "| sweep (µm) | frames | depth, median (µm) | off by, median (µm) | beads within 10 µm of "
        "the nominal depth (%) | both beads where the stage says (%) | number right, of all, of "
        "those one depth apart (%) | scatter of the fixed bead along the row (µm) |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for depth_um, count, deep, pairs, right, far, scatter in rows:
        off = np.array(deep) - offset - depth_um
        within = 100 * float((np.abs(off) < 10).mean()) if deep else float("nan")
        both = 100 * sum(pair is not None for pair in pairs) / count
        apart_right = 100 * float(right[far].mean()) if far.any() else float("nan")
        print(
            f"| {depth_um} | {count} | {np.median(deep):.1f} | {np.median(off):+.1f} | "
            f"{within:.0f} | {both:.0f} | {100 * right.mean():.0f}, {apart_right:.0f} | "
            f"{np.std(scatter):.1f} |"
        )


if __name__ == "__main__":
    main()
