"""Classical solvers: captures -> layers, at known depths or on a grid of them.

solution = tikhonov(captures, depth_um, imager)            # closed form, weight by itself
solution = richardson_lucy(captures, depth_um, imager)     # photons
solution = proximal_gradient(captures, depth_um, imager)   # not negative, sparse, total variation
solution = admm(captures, depth_um, imager)                # the same minimum
grid = solve_on_grid(captures, imager)                     # depths unknown
read = read_layers(grid.volume, grid.plane_um, layers=4)
depth = single_layer_depth(captures, imager)               # of one layer
"""

from fociscope.errors import SolverError
from fociscope.solvers.admm import admm
from fociscope.solvers.depth_grid import (
    GridSolution,
    LayersRead,
    plane_depths_um,
    read_layers,
    solve_on_grid,
)
from fociscope.solvers.problem import Progress, Solution
from fociscope.solvers.proximal_gradient import proximal_gradient
from fociscope.solvers.richardson_lucy import richardson_lucy
from fociscope.solvers.single_depth import SingleLayerDepth, single_layer_depth
from fociscope.solvers.spectra import LayerSpectrum
from fociscope.solvers.tikhonov import tikhonov

__all__ = [
    "GridSolution",
    "LayerSpectrum",
    "LayersRead",
    "Progress",
    "SingleLayerDepth",
    "Solution",
    "SolverError",
    "admm",
    "plane_depths_um",
    "proximal_gradient",
    "read_layers",
    "richardson_lucy",
    "single_layer_depth",
    "solve_on_grid",
    "tikhonov",
]
