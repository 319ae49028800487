"""Few cells in tissue that glows unevenly: `locate` beside even and beside smooth light.

    python benchmarks/uneven_light.py [CAPTURES]    # 12 of each family

Families of the second simulator (`fociscope evaluate --suite generalisation`); the form of the
background was settled on a few of these captures, its factor not. Single cells and clusters beside
autofluorescence with structure, and clouds without any cell. A cell is found within 82 um laterally
and 75 um in depth.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from scipy.ndimage import center_of_mass, label
from scipy.optimize import linear_sum_assignment

from fociscope.evaluation.generalisation import held_out_families
from fociscope.imager import Imager
from fociscope.localization import Emitters, Locator
from fociscope.localization.locator import Background

FAMILIES = (
    "single-layer-single-cells",
    "single-cells",
    "single-layer-clouds",
    "clouds",
    "clusters",
)
LATERAL_UM, AXIAL_UM = 82.0, 75.0
PITCH_UM = 55.0
MOST = 30


def cells_of(mask: np.ndarray, depth_um: np.ndarray) -> np.ndarray:
    """Return (cell, 3) x, y, depth of the spots of each layer's mask."""
    places = []
    for layer, depth in zip(mask, depth_um, strict=True):
        spots, number = label(layer, np.ones((3, 3)))
        for y, x in center_of_mass(layer, spots, range(1, number + 1)):
            places.append((x * PITCH_UM, y * PITCH_UM, float(depth)))
    return np.array(places).reshape(-1, 3)


def matched(cells: np.ndarray, found: Emitters) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of cells and of emitters that are the same."""
    if not len(cells) or not len(found):
        return np.zeros(0, int), np.zeros(0, int)
    across = np.hypot(cells[:, :1] - found.x_um, cells[:, 1:2] - found.y_um)
    near = (across < LATERAL_UM) & (np.abs(cells[:, 2:] - found.depth_um) < AXIAL_UM)
    cell, emitter = linear_sum_assignment(np.where(near, across, 1e6))
    kept = near[cell, emitter]
    return cell[kept], emitter[kept]


def row(name: str, captures: int, background: Background) -> str:
    """Return a row of the table: one family, one background."""
    locator = Locator(Imager.reference(), (51, 51), most=MOST, background=background)
    family = next(one for one in held_out_families() if one.name == name)
    number = there = found = right = explained = 0
    errors, stated, seconds = [], [], []
    for batch in family.batches():
        scenes = zip(*map(np.asarray, (batch.captures, batch.mask, batch.depth_um)), strict=True)
        for capture, mask, depth in scenes:
            if number == captures:
                break
            began = time.perf_counter()
            emitters = locator.locate(capture)
            seconds.append(time.perf_counter() - began)
            cells = cells_of(mask, depth)
            cell, emitter = matched(cells, emitters)
            errors.extend(emitters.depth_um[emitter] - cells[cell, 2])
            stated.extend(emitters.depth_std_um[emitter])
            number, there, found = number + 1, there + len(cells), found + len(emitters)
            right, explained = right + len(cell), explained + int(emitters.is_explained[0])
    off = np.array(errors)
    depth_error = f"{np.sqrt((off**2).mean()):.1f}" if len(off) else "-"
    within = f"{100 * (np.abs(off) < stated).mean():.0f}" if len(off) else "-"
    return (
        f"| {name} | {background} | {there} | {100 * right / max(there, 1):.0f} | {found} "
        f"| {100 * right / max(found, 1):.0f} | {depth_error} | {within} "
        f"| {100 * explained / number:.0f} | {np.median(seconds):.1f} |"
    )


def main(captures: int) -> None:
    """Print a row for each family and background."""
    torch.set_num_threads(1)
    print(
        "| family | background | cells | found (%) | emitters | of these cells (%) "
        "| depth rms (um) | within one std (%) | captures explained (%) | s a capture |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for name in FAMILIES:
        for background in ("even", "smooth"):
            print(row(name, captures, background), flush=True)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
