"""A real chip: 2 x 128 single-photon diodes, two beads, and where they are in every frame.

    python examples/real_chip.py [FOLDER] [CAPTURES.npz]

Takes 8 s on one core. The counts are simulated with the preset `acus`, which describes a chip of
the repository `klshepard/acus`. CAPTURES.npz, with the arrays `counts` (frame, 2, 128) and `blank`
(2, 128) of such a chip, is read in their place.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import fociscope
from fociscope.calibration import simulated_sweep
from fociscope.imager import Imager
from fociscope.workflows import LocateOptions

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))
folder.mkdir(parents=True, exist_ok=True)
chip = Imager.preset("acus")


def simulated_counts(path: Path) -> None:
    """Write what the chip counts of two beads 100 um deep, of which a stage moves one."""
    beads = [(2100.0, 30.0, 100.0, 1.0e8), (1900.0, 40.0, 100.0, 1.2e8)]  # x, y, depth, photons
    stage_um = np.arange(0.0, -401.0, -40.0)
    sweep = simulated_sweep(chip, beads, 100.0, x_um=stage_um, motions=("fixed", "moving"), seed=3)
    blank = np.random.default_rng(3).poisson(65.0, (2, 128))
    light = np.random.default_rng(4).poisson(65.0, sweep.counts[:, 0].shape)  # stray light
    np.savez(path, counts=(sweep.counts[:, 0] + light).astype(np.uint16), blank=blank)


captures = Path(sys.argv[2]) if len(sys.argv) > 2 else folder / "captures.npz"
if len(sys.argv) < 3:
    simulated_counts(captures)

options = LocateOptions(imager=chip, dark=f"{captures}:/blank", overwrite=True)
outcome = fociscope.locate(f"{captures}:/counts", folder / "beads", options)

emitters = outcome.emitters
for frame, count in enumerate(emitters.counts):
    seen = emitters.of_frame(frame)
    places = [f"x {x:.0f}, {z:.0f} um deep" for x, z in zip(seen.x_um, seen.depth_um, strict=True)]
    print(f"frame {frame + 1}: {count} emitters; {'; '.join(sorted(places))}")

figure = Figure(figsize=(7, 4.5), layout="constrained")
above, below = figure.subplots(2, 1, sharex=True)
for axes, value, std, label in (
    (above, emitters.x_um, emitters.x_std_um, "x (µm)"),
    (below, emitters.depth_um, emitters.depth_std_um, "depth (µm)"),
):
    axes.errorbar(emitters.frame + 1, value, std, fmt="o", markersize=3, linewidth=0.8)
    axes.set_ylabel(label)
below.set(xlabel="frame", ylim=(0, None))
figure.savefig(folder / "beads.png", dpi=110)
