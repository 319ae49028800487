"""The registry of kinds of specimens, and the type of fields that hold one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fociscope.configuration import any_kind, kind_problem
from fociscope.errors import SceneError
from fociscope.registry import Registry
from fociscope.simulation.base import Specimen

__all__ = ["SPECIMEN_KINDS", "AnySpecimen"]

SPECIMEN_KINDS: Registry[type[Specimen]] = Registry(
    "kind of specimen",
    group="fociscope.specimens",
    error=SceneError,
    problem=kind_problem(Specimen),
)
"""Kinds of specimens by name, each a subclass of `Specimen`."""

if TYPE_CHECKING:
    AnySpecimen: TypeAlias = Specimen
else:
    AnySpecimen = any_kind(SPECIMEN_KINDS, Specimen, default="perlin-foci")
"""Field of a configuration that holds a specimen of any registered kind; a table in a file names
its `kind`, and is of the kind `perlin-foci` without one."""
