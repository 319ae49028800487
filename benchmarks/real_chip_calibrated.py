"""Depths over a real chip, with zero and scale of angles calibrated on the other sweeps.

    python benchmarks/real_chip_calibrated.py ../shared/real-chip [--every 4] > table.md

The captures are those of `real_chip.py`. `calibrate_sweeps` fits the zero of the depths, the scale
of the angles, rows and gains to two of the three sweeps, joint over their frames. Each single frame
of the third is then fitted with that imager, given that there are two beads and nothing of where
they are; its depths are held against the stage's by the calibrated zero.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fociscope.calibration import StageSweep, SweepCalibration, calibrate_sweeps
from fociscope.calibration._sweep_fit import fit_sweeps
from fociscope.calibration._sweep_model import SweepModel
from fociscope.errors import FociscopeError, FociscopeWarning
from fociscope.imager import Imager

DEPTHS_UM = (50, 100, 200)


def read(folder: Path, depth_um: int, every: int) -> StageSweep:
    """Return one sweep, every so many of its frames."""
    file = np.load(folder / f"beads_z{depth_um:03d}.npz")
    frames = file["counts"][::every, None].astype(float)
    x_um, dark = file["stage_um"][::every], file["blank"][None].astype(float)
    name = f"{depth_um} µm"
    return StageSweep(frames, x_um, 0 * x_um, float(depth_um), ("fixed", "moving"), dark, name)


def depths_of_frames(sweep: StageSweep, tuned: SweepCalibration) -> tuple[np.ndarray, np.ndarray]:
    """Return (frame, 2) depths of the nearer and farther bead along x, and their deviations."""
    offset_um = tuned.estimates["depth_offset_um"].value
    found, std = [], []
    for n in range(len(sweep.counts)):
        one = replace(
            sweep,
            counts=sweep.counts[n : n + 1],
            x_um=sweep.x_um[n : n + 1],
            y_um=sweep.y_um[n : n + 1],
            depth_um=sweep.depth_um + offset_um,
            beads=("fixed", "fixed"),
        )
        model = SweepModel(tuned.imager, (one,), fit_depth_offset=True)
        names = [parameter.name for parameter in model.parameters]
        free = np.array([name in ("depth_offset_um", "height_bead_2_um") for name in names])
        try:
            fit = fit_sweeps(model, free=free, model_error=tuned.model_error)
        except FociscopeError:
            found.append([np.nan, np.nan])
            std.append([np.nan, np.nan])
            continue
        zero, height = names.index("depth_offset_um"), names.index("height_bead_2_um")
        depth = [model.depth_um(one, fit.state.shared, bead) for bead in (0, 1)]
        both = fit.covariance[np.ix_([zero, height], [zero, height])]
        spread = [float(both[0, 0]) ** 0.5, float(both.sum()) ** 0.5]
        order = np.argsort(fit.state.own[0][[0, 3]])
        found.append([depth[k] for k in order])
        std.append([spread[k] for k in order])
    return np.array(found), np.array(std)


def at_once(sweep: StageSweep, imager: Imager, model_error: float) -> float:
    """Return the depth of the fixed bead over the stage's, fitted to all frames of a sweep."""
    model = SweepModel(imager, (sweep,), fit_depth_offset=True)
    names = [one.name for one in model.parameters]
    free = np.array([name in ("depth_offset_um", "height_bead_2_um") for name in names])
    fit = fit_sweeps(model, free=free, model_error=model_error)
    return float(fit.state.shared[names.index("depth_offset_um")])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=4, help="take one frame of so many")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FociscopeWarning)
    sweeps = {z: read(chosen.folder, z, chosen.every) for z in DEPTHS_UM}
    print(
        "| sweep (µm) | frames | depth zero (µm) | scale of angles | single frames: error, median "
        "(µm) | absolute error, median (µm) | within 10 µm (%) | within one stated deviation (%) "
        "| the whole sweep at once: error (µm) | the same, scale left at 1 (µm) |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    start = Imager.preset("acus")
    plain = {z: at_once(one, start, 0.2) for z, one in sweeps.items()}
    for depth_um, sweep in sweeps.items():
        others = [one for z, one in sweeps.items() if z != depth_um]
        tuned = calibrate_sweeps(others, imager=start, fit_depth_offset=True)
        zero, scale = (tuned.estimates[name] for name in ("depth_offset_um", "angle_scale"))
        height = tuned.estimates["height_bead_2_um"].value
        found, std = depths_of_frames(sweep, tuned)
        # The moving bead lies left of the fixed one throughout.
        expected = depth_um + zero.value + np.array([height, 0.0])
        off = (found - expected).ravel()
        good = np.isfinite(off)
        within = np.abs(off[good]) < std.ravel()[good]
        whole = at_once(sweep, tuned.imager, tuned.model_error) - zero.value
        left = plain[depth_um] - np.mean([plain[z] for z in plain if z != depth_um])
        print(
            f"| {depth_um} | {len(sweep.counts)} | {zero.value:.1f} ± {zero.std:.1f} | "
            f"{scale.value:.3f} ± {scale.std:.3f} | {np.median(off[good]):+.1f} | "
            f"{np.median(np.abs(off[good])):.1f} | {100 * (np.abs(off[good]) < 10).mean():.0f} | "
            f"{100 * within.mean():.0f} | {whole:+.1f} | {left:+.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
