"""A laboratory's nested folders: every pair below one folder, each with a map of its own.

    python examples/nested_folders.py [FOLDER]

Takes 6 s on one core. The folders are made up: two days, three mice, A and B named by two people.
"""

import csv
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile

import fociscope

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))
data = folder / "lab"

names = {
    "day 1/mouse 1": ("tumour_A.tif", "tumour_B.tif"),
    "day 1/mouse 2": ("tumour_A.tif", "tumour_B.tif"),
    "day 2/mouse 1": ("sensor-a 003.tif", "sensor-b 003.tif"),
    "day 2/mouse 3": ("sensor-a 001.tif", "sensor-b 001.tif"),
}
scenes = fociscope.simulate(len(names), seed=8)
for (place, pair), capture in zip(names.items(), scenes.captures, strict=True):
    (data / place).mkdir(parents=True, exist_ok=True)
    for name, image in zip(pair, capture, strict=True):
        counts = np.clip(1000 * image / scenes.captures.mean(), 0, 65_535).astype(np.uint16)
        tifffile.imwrite(data / place / name, counts)
(data / "day 1" / "notes.txt").write_text("mouse 2: dye given late\n")

options = fociscope.ReconstructionOptions(formats=("csv",), overwrite=True)
outcome = fociscope.reconstruct(
    f"{data}/**/*.tif",  # "**" stands for folders at any depth
    folder / "maps",
    options,
    on_plan=lambda plan: print(f"{plan.frames} captures of {plan.sensors} sensors"),
)

with (folder / "maps" / "layers.csv").open(newline="") as file:
    for row in csv.DictReader(file):
        if row["layer"] == "1":
            print(f"{row['name']}: first layer {float(row['depth_um']):.0f} um deep")
shutil.copy(folder / "maps" / "figure.png", folder / "maps.png")
