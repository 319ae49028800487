"""Names that the verbs take, for their help and for completion, without importing what they name.

Plug-ins are known by their entry points alone, which are looked up only to complete a word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from importlib.metadata import entry_points

__all__ = [
    "IMAGERS",
    "MODELS",
    "RECIPES",
    "SOLVERS",
    "SPECIMENS",
    "SUITES",
    "VOLUME_MODELS",
    "completed",
    "listed",
]


def _shipped(folder: str, suffix: str) -> tuple[str, ...]:
    """Return the names of files that the package brings."""
    files = resources.files("fociscope").joinpath(folder).iterdir()
    return tuple(sorted(f.name.removesuffix(suffix) for f in files if f.name.endswith(suffix)))


MODELS = _shipped("models", ".safetensors")
#: Models of volumes.
VOLUME_MODELS = _shipped("models/volumes", ".safetensors")
RECIPES = _shipped("training/recipes", ".toml")
#: A test holds these to the registries, whose members import torch.
IMAGERS = ("reference", "published", "sibling-36x80", "acus")
SOLVERS = ("tikhonov", "richardson-lucy", "fista", "admm")
SPECIMENS = (
    "perlin-foci",
    "spectral-foci",
    "cellular-foci",
    "dead-leaves",
    "sheets",
    "micro-foci",
    "single-cells",
    "nuclei",
    "strands",
    "networks",
    "glands",
    "clouds",
    "rings",
    "lines",
    "resolution-target",
    "user-layers",
    "varied",
    "mixture",
    "any-tissue",
)
SUITES = ("reference", "quick", "generalisation")


def listed(names: Sequence[str]) -> str:
    """Return names for a help text."""
    return ", ".join(names)


def completed(names: Sequence[str], group: str | None = None) -> Callable[[str], list[str]]:
    """Return the function by which typer completes a word.

    Where it returns nothing, the shell completes paths.

    Args:
        names: Names to choose among.
        group: Entry-point group of plug-ins that add names.
    """

    def complete(incomplete: str) -> list[str]:
        more = () if group is None else entry_points(group=group).names
        return [name for name in dict.fromkeys((*names, *more)) if name.startswith(incomplete)]

    return complete
