"""A series: reconstructed part by part in bounded memory, and continued if it was interrupted.

    python examples/a_series.py [FOLDER]

Takes 5 s on one core. Run it twice with the same FOLDER: the second time, nothing is left to do.
"""

import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

import fociscope
from fociscope.imager import Imager, LayerProjector

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))
folder.mkdir(parents=True, exist_ok=True)

tissue = fociscope.simulate(1, seed=3)
fading = tissue.layers * np.linspace(1, 0.3, 24)[:, None, None, None]  # a dye that bleaches
light = LayerProjector(Imager.reference()).A(
    torch.tensor(fading), torch.tensor(tissue.depth_um).expand(24, -1)
)
noise = np.random.default_rng(3).normal(0, 0.004 * float(light.max()), light.shape)
np.save(folder / "captures.npy", light.numpy() + noise)  # (frame, sensor, y, x)

begun = (folder / "map" / "summary.json").exists()
options = fociscope.ReconstructionOptions(formats=("ome-zarr", "csv"), by_parts=True, resume=begun)
outcome = fociscope.reconstruct(folder / "captures.npy", folder / "map", options)
print(f"{outcome.frames} captures, {outcome.made} of them now")

with (folder / "map" / "layers.csv").open(newline="") as file:
    rows = list(csv.DictReader(file))
figure = Figure(figsize=(7, 3.2), layout="constrained")
axes = figure.subplots()
for layer in range(1, 5):
    own = [row for row in rows if row["layer"] == str(layer)]
    frame, depth, std = (
        [float(row[name]) for row in own] for name in ("frame", "depth_um", "depth_std_um")
    )
    axes.errorbar(frame, depth, std, fmt="o-", markersize=3, linewidth=0.8, label=f"layer {layer}")
    print(f"layer {layer}: {np.mean(depth):.0f} um, from frame to frame ± {np.std(depth):.1f} um")
axes.set(xlabel="frame", ylabel="depth (µm)")
axes.invert_yaxis()
axes.legend(ncols=4, fontsize=8)
figure.savefig(folder / "depths.png", dpi=110)
