"""What is evaluated: trained models, solvers, the constant baseline and the oracle of the map."""

from fociscope.evaluation.methods._models import ModelMethod
from fociscope.evaluation.methods._oracle import MapLimitMethod
from fociscope.evaluation.methods._registry import (
    ReconstructionMethod,
    baseline_names,
    find_method,
    find_methods,
)
from fociscope.evaluation.methods.constant import CONSTANT, ConstantBaseline
from fociscope.evaluation.methods.solvers import MaskReadout, SolverMethod, solver_names

__all__ = [
    "CONSTANT",
    "ConstantBaseline",
    "MapLimitMethod",
    "MaskReadout",
    "ModelMethod",
    "ReconstructionMethod",
    "SolverMethod",
    "baseline_names",
    "find_method",
    "find_methods",
    "solver_names",
]
