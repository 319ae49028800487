"""Classical solvers: captures -> layers, at known depths or on a grid of them.

    solution = tikhonov(captures, depth_um, imager)         # closed form, weight by itself
    solution = richardson_lucy(captures, depth_um, imager)  # photons
    solution = fista(captures, depth_um, imager)            # not negative, sparse, total variation
    solution = admm(captures, depth_um, imager)             # the same minimum
    grid = solve_on_grid(captures, imager)                  # depths unknown
    read = read_layers(grid.volume, grid.plane_um, layers=4)
    depth = single_layer_depth(captures, imager)            # of one layer

`SOLVERS` is the table of them by name; a solver of your own is added by
`SOLVERS.register("name", SolverSpec(function, label="Name"))`.
"""

import warnings
from typing import Any

from fociscope.errors import SolverError
from fociscope.solvers._admm import admm
from fociscope.solvers._call import solve
from fociscope.solvers._depth_grid import (
    GridSolution,
    LayersRead,
    plane_depths_um,
    read_layers,
    solve_on_grid,
)
from fociscope.solvers._fista import fista
from fociscope.solvers._iterations import Iteration, Measured, iterate
from fociscope.solvers._operators import Operator
from fociscope.solvers._problem import ChunkSolution, Problem, Progress, Solution
from fociscope.solvers._registry import SOLVERS, Solver, SolverSpec
from fociscope.solvers._richardson_lucy import richardson_lucy
from fociscope.solvers._single_depth import SingleLayerDepth, depth_around, single_layer_depth
from fociscope.solvers._spectra import LayerSpectrum
from fociscope.solvers._tikhonov import tikhonov

__all__ = [
    "SOLVERS",
    "ChunkSolution",
    "GridSolution",
    "Iteration",
    "LayerSpectrum",
    "LayersRead",
    "Measured",
    "Operator",
    "Problem",
    "Progress",
    "SingleLayerDepth",
    "Solution",
    "Solver",
    "SolverError",
    "SolverSpec",
    "admm",
    "depth_around",
    "fista",
    "iterate",
    "plane_depths_um",
    "read_layers",
    "richardson_lucy",
    "single_layer_depth",
    "solve",
    "solve_on_grid",
    "tikhonov",
]


def __getattr__(name: str) -> Any:
    """Return a solver under its former name, for one version."""
    if name == "proximal_gradient":
        message = "fociscope.solvers.proximal_gradient is now called fista"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return fista
    raise AttributeError(f"module 'fociscope.solvers' has no attribute {name!r}")
