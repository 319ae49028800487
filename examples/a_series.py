"""Many captures: reconstructed part by part in bounded memory, and continued if interrupted."""

import csv
from pathlib import Path

import numpy as np

import fociscope

scenes = fociscope.simulate(12, seed=3)
np.save("captures.npy", scenes.captures)  # (frame, sensor, y, x), as an instrument might write

options = fociscope.ReconstructionOptions(formats=("ome-zarr", "csv"), by_parts=True, resume=True)
if not Path("series").exists():  # nothing to continue yet
    options = fociscope.ReconstructionOptions(formats=("ome-zarr", "csv"), by_parts=True)
outcome = fociscope.reconstruct("captures.npy", "series", options)

print(f"{outcome.frames} captures, {outcome.made} of them now")
with Path("series/layers.csv").open(newline="") as file:
    rows = list(csv.DictReader(file))
print(f"{len(rows)} layers in layers.csv, with the columns {', '.join(rows[0])}")
