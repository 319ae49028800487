"""Simulated captures with a known truth: a network and a classical solver beside the baseline."""

import numpy as np

import fociscope
from fociscope.evaluation import mask_scores
from fociscope.imager import Imager
from fociscope.solvers import read_layers, solve_on_grid

scenes = fociscope.simulate(16, seed=11, layers=4)
result = fociscope.load_model("layers-ab").reconstruct(scenes.captures)

scores = mask_scores(result.mask, scenes.mask)
for layer in range(4):
    print(
        f"layer {layer + 1}: {100 * scores.accuracy[layer]:.1f} % of pixels right, constant "
        f"baseline {100 * scores.constant_accuracy[layer]:.1f} %, Dice {scores.dice[layer]:.3f}"
    )
depth_error_um = np.abs(result.depth_um - scenes.depth_um).mean()
constant_error_um = np.abs(scenes.depth_um - scenes.depth_um.mean(axis=0)).mean()
print(f"depth error: network {depth_error_um:.0f} um, constant baseline {constant_error_um:.0f} um")

grid = solve_on_grid(scenes.captures[:2], Imager.reference())
read = read_layers(grid.volume, grid.plane_um, layers=4)
solver_error_um = np.abs(read.depth_um - scenes.depth_um[:2]).mean()
print(f"depth error: solver on a depth grid {solver_error_um:.0f} um (two scenes)")
