"""A solver of your own: Landweber iteration, projected onto layers that are not negative.

    python examples/own_solver.py [FOLDER]

Takes 4 s on one core. Once registered, `fociscope evaluate landweber`, reports and the app know it.
docs/extending-solver.md explains the parts.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

import fociscope
from fociscope.figures import STYLE, draw_image
from fociscope.imager import Imager
from fociscope.solvers import SOLVERS, ChunkSolution, Problem, SolverSpec, solve

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))
folder.mkdir(parents=True, exist_ok=True)


def landweber(captures, depth_um, imager, *, iterations=100):
    """Descend the gradient of |A x - y|^2, and clip what is negative, so many times."""
    problem = Problem(captures, depth_um, imager)

    def solve_chunk(operator, scenes):
        measured = problem.captures[scenes]  # (scene, sensor, y, x)
        step = 1 / operator.norm2(torch.ones_like(measured[..., :1, :1]))  # (scene,)
        layers = torch.zeros_like(operator.A_adjoint(measured))  # (scene, layer, y, x)
        for _ in range(iterations):
            slope = operator.A_adjoint(operator.A(layers) - measured)
            layers = (layers - step[:, None, None, None] * slope).clamp(min=0)
        misfit = (operator.A(layers) - measured).square().sum((1, 2, 3)) / 2
        return ChunkSolution.uniform(layers, misfit, iterations=iterations, converged=False)

    return problem.map_chunks(solve_chunk)


SOLVERS.register("landweber", SolverSpec(landweber, label="Landweber", colour="#882255"))

scenes = fociscope.simulate(1, seed=0)
pictures = {"truth": scenes.layers[0]}
for name in ("landweber", "tikhonov"):
    solution = solve(name, scenes.captures, scenes.depth_um, Imager.reference())
    pictures[name] = solution.layers[0]
    error = ((solution.layers - scenes.layers) ** 2).mean() ** 0.5
    print(f"{name}: residual {solution.residual.mean():.3f}, error of the light {error:.2f}")

with mpl.rc_context(STYLE):
    figure = Figure(figsize=(7, 5.4), dpi=110, layout="constrained")
    for row, (name, layers) in zip(figure.subplots(3, 4), pictures.items(), strict=True):
        for axes, layer, depth_um in zip(row, layers, scenes.depth_um[0], strict=True):
            draw_image(axes, layer, "magma", vmin=0, vmax=np.quantile(layer, 0.99))
            axes.set_title(f"{name}, {depth_um:.0f} µm", fontsize=8)
    figure.savefig(folder / "layers.png")
