"""Methods of an evaluation by name: models, solvers, the constant baseline, the oracle."""

from __future__ import annotations

from typing import Protocol

from fociscope.evaluation.batches import Batch, Prediction, ReconstructionTask
from fociscope.evaluation.methods._models import REFINED, REFINED_DEPTH, ModelMethod
from fociscope.evaluation.methods._oracle import MAP_ORACLE, MapLimitMethod
from fociscope.evaluation.methods.constant import CONSTANT, ConstantBaseline
from fociscope.evaluation.methods.solvers import SolverMethod, solver_names
from fociscope.networks.store import shipped_models
from fociscope.registry import unknown_name

__all__ = ["ReconstructionMethod", "baseline_names", "find_method", "find_methods"]


class ReconstructionMethod(Protocol):
    """Whoever answers: where are cells, how bright, how deep."""

    name: str
    kind: str
    """`model`, `constant`, `solver` or `limit`."""
    inputs: str
    """In words: what it uses, the captures included."""
    oracle: bool
    """Whether it is told the truth about the depths."""
    slow: bool
    """Whether it is scored on fewer scenes, for want of time."""

    def unsupported_reason(self, task: ReconstructionTask) -> str | None:
        """Return why it cannot answer such scenes; None if it can."""

    def prepare(self) -> None:
        """Do what is done once, such as choosing thresholds on validation scenes."""

    def estimate(self, batch: Batch, task: ReconstructionTask) -> Prediction:
        """Answer; of the batch's truth, only an oracle may read the depths."""


def baseline_names() -> list[str]:
    """List the names of all baselines: the constant one, the solvers, and the oracle of the map.

    Returns:
        The names, as `find_method` takes them.

    Examples:
        >>> from fociscope.evaluation import baseline_names
        >>> baseline_names()[:3]
        ['constant', 'tikhonov', 'tikhonov-oracle']
    """
    return [CONSTANT, *solver_names(), MAP_ORACLE]


def find_method(name: str, *, device: str = "auto") -> ReconstructionMethod:
    """Find a method by its name: a baseline, a shipped model, or a `.safetensors` file.

    Args:
        name: Name of a baseline (`baseline_names`) or a shipped model, or path of a model file. A
            model with `+refined` behind its name has its light fitted to the captures, with
            `+depth` the depth of a layer that is alone.
        device: Device of trained models: auto, cpu, cuda or mps.

    Returns:
        The method.

    Raises:
        FociscopeError: If there is no such method.

    Examples:
        >>> from fociscope.evaluation import find_method
        >>> find_method("fista-oracle").oracle
        True
    """
    if name == CONSTANT:
        return ConstantBaseline()
    if name in solver_names():
        return SolverMethod(name)
    if name == MAP_ORACLE:
        return MapLimitMethod()
    refine_depth = name.endswith(REFINED_DEPTH)
    name = name.removesuffix(REFINED_DEPTH)
    refine = name.endswith(REFINED)
    name = name.removesuffix(REFINED)
    if name not in shipped_models() and not name.endswith(".safetensors"):
        raise unknown_name(
            "model or solver",
            name,
            (*shipped_models(), *baseline_names()),
            other="give a .safetensors file",
        )
    return ModelMethod(name, device=device, refine=refine, refine_depth=refine_depth)


def find_methods(name: str, baselines: str, *, device: str = "auto") -> list[ReconstructionMethod]:
    """Find a method by its name, and the baselines beside it.

    Args:
        name: Name or path, as for `find_method`.
        baselines: `none`, `all`, or names with commas between them.
        device: Device of trained models: auto, cpu, cuda or mps.

    Returns:
        The method, then the baselines, each once.

    Raises:
        FociscopeError: If a name is unknown.

    Examples:
        >>> from fociscope.evaluation import find_methods
        >>> [method.name for method in find_methods("fista", "constant,fista")]
        ['fista', 'constant']
    """
    if baselines == "none":
        names = []
    elif baselines == "all":
        names = baseline_names()
    else:
        names = [part.strip() for part in baselines.split(",") if part.strip()]
    methods = [find_method(n, device=device) for n in [name, *names]]
    # A baseline that is evaluated itself needs no second row.
    return list({method.name: method for method in methods}.values())
