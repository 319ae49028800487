"""A solver of your own: Landweber iteration, projected onto layers that are not negative.

Once registered, `fociscope evaluate landweber`, reports and the app know it.
docs/extending-solver.md explains the parts.
"""

import torch

import fociscope
from fociscope.imager import Imager
from fociscope.solvers import SOLVERS, ChunkSolution, Problem, SolverSpec, tikhonov


def landweber(captures, depth_um, imager, *, iterations=100):
    """Descend the gradient of |A x - y|^2, and clip what is negative, so many times."""
    problem = Problem(captures, depth_um, imager)

    def solve(operator, scenes):
        measured = problem.captures[scenes]
        layers = operator.A_adjoint(measured)
        bound = _largest_eigenvalue(operator, layers)
        layers = torch.zeros_like(layers)
        for _ in range(iterations):
            misfit = operator.A(layers) - measured
            layers = (layers - operator.A_adjoint(misfit) / bound).clamp(min=0)
        misfit = operator.A(layers) - measured
        objective = (misfit**2).sum((-3, -2, -1)) / 2
        return ChunkSolution.uniform(layers, objective=objective, iterations=iterations)

    return problem.map_chunks(solve)


def _largest_eigenvalue(operator, layers):
    """Estimate the largest eigenvalue of A^T A by ten power iterations."""
    for _ in range(10):
        layers = operator.A_adjoint(operator.A(layers / _norm(layers)))
    return 1.1 * _norm(layers)


def _norm(layers):
    return (layers**2).sum((-3, -2, -1), keepdim=True).sqrt()


SOLVERS.register("landweber", SolverSpec(landweber, label="Landweber", colour="#882255"))

scenes = fociscope.simulate(2, seed=0)
imager = Imager.reference()
for name, solve in (("landweber", landweber), ("tikhonov", tikhonov)):
    solution = solve(scenes.captures, scenes.depth_um, imager)
    print(f"{name}: residual {solution.residual.mean():.3f}")
print("solvers:", ", ".join(SOLVERS))
