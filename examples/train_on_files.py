"""A model trained on files of the published layout: tiny here, to show each step.

    python examples/train_on_files.py [FOLDER] [DATA]

Takes 50 s on one core, most of it for the model's card; a real recipe takes hours. The files are
simulated; DATA is the folder of a laboratory's own, which are read in their place.
"""

import csv
import sys
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

import fociscope
from fociscope.imager import Imager
from fociscope.simulation import DatasetPlan, write_dataset

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))
folder.mkdir(parents=True, exist_ok=True)

data = Path(sys.argv[2]) if len(sys.argv) > 2 else folder / "data"
if len(sys.argv) < 3:
    chip = Imager(frame_px=(32, 32), pixel_pitch_um=110)
    write_dataset(data, DatasetPlan(files=1, samples=64, seed=5, imager=chip), workers=1)

(folder / "recipe.toml").write_text(
    """
name = "tiny"

[imager]
frame_px = [32, 32]
pixel_pitch_um = 110

[network]
widths = [8, 16]
blocks = [1, 1]
context = 16

[optimisation]
steps = 100
batch_scenes = 8
learning_rate = 5e-3
warmup_steps = 10
threads = 1

[validation]
scenes = 8
every_steps = 10

[calibration]
scenes = 20
family_scenes = 64
psf_width_scenes = 64
"""
)
done = fociscope.train(folder / "recipe.toml", folder / "run", data=data, device="cpu")

with (folder / "run" / "curves" / "metrics.csv").open(newline="") as file:
    rows = [row for row in csv.DictReader(file) if row["val/loss"]]
steps = [int(row["step"]) + 1 for row in rows]
loss = [float(row["val/loss"]) for row in rows]
print(f"loss of validation: {loss[0]:.3f} after {steps[0]} steps, {loss[-1]:.3f} after {steps[-1]}")
own = ("| pixel accuracy", "| constant baseline's accuracy")  # the columns: layers 1 to 4, and mean
print("\n".join(line for line in done.card_text.splitlines() if line.startswith(own)))
print("to use it: fociscope.load_model(...)", fociscope.load_model(done.model).info.name)

figure = Figure(figsize=(5, 3), layout="constrained")
axes = figure.subplots()
axes.plot(steps, loss, "o-", markersize=3)
axes.set(xlabel="step", ylabel="loss of validation")
figure.savefig(folder / "curve.png", dpi=110)
