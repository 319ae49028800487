"""Simulate and score: a network and a classical solver on captures whose truth is known.

    python examples/simulate_and_score.py [FOLDER]

Takes 5 s on one core.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import fociscope
from fociscope.evaluation import mask_scores
from fociscope.figures import Truth, draw_comparison
from fociscope.imager import Imager
from fociscope.solvers import read_layers, solve_on_grid

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))
folder.mkdir(parents=True, exist_ok=True)

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

truth = Truth(scenes.mask[0], scenes.depth_um[0])
draw_comparison(result.frame(0), truth, "the first scene").savefig(folder / "scene.png")
