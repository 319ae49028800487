"""All kinds of specimens under one name, and how to ask for one: by its kind or by a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError, model_validator

from fociscope.configuration import Configuration, any_kind, kind_problem, parse_toml, plain_errors
from fociscope.errors import SceneError
from fociscope.files.safe.limits import read_description
from fociscope.registry import Registry
from fociscope.simulation._user_layers import UserLayers
from fociscope.simulation.base import Specimen
from fociscope.simulation.targets import Lines, ResolutionTarget, Rings
from fociscope.simulation.tissue import MicroFoci, PerlinFoci, SingleCells

__all__ = ["SPECIMEN_KINDS", "AnySpecimen", "load_specimen"]

SPECIMEN_KINDS: Registry[type[Specimen]] = Registry(
    "kind of specimen",
    group="fociscope.specimens",
    error=SceneError,
    problem=kind_problem(Specimen),
)
"""Kinds of specimens by name, each a subclass of `Specimen`."""
SPECIMEN_KINDS.register("perlin-foci", PerlinFoci)
SPECIMEN_KINDS.register("micro-foci", MicroFoci)
SPECIMEN_KINDS.register("single-cells", SingleCells)
SPECIMEN_KINDS.register("rings", Rings)
SPECIMEN_KINDS.register("lines", Lines)
SPECIMEN_KINDS.register("resolution-target", ResolutionTarget)
SPECIMEN_KINDS.register("user-layers", UserLayers)

if TYPE_CHECKING:
    AnySpecimen: TypeAlias = Specimen
else:
    AnySpecimen = any_kind(SPECIMEN_KINDS, Specimen, default="perlin-foci")
"""Field of a configuration that holds a specimen of any registered kind; a table in a file names
its `kind`, and is of the kind `perlin-foci` without one."""


def load_specimen(name_or_path: str | Path) -> Specimen:
    """Return a specimen: a kind with its defaults by its name, or one from a TOML file.

    Args:
        name_or_path: Name in `SPECIMEN_KINDS`, or path of a `.toml` file that holds `kind` and the
            fields that differ from the defaults of that kind.

    Returns:
        The specimen.

    Raises:
        SceneError: If it is neither, or if the fields describe no possible specimen.
        FileFormatError: If the file cannot be read.

    Examples:
        >>> from fociscope.simulation import load_specimen
        >>> load_specimen("micro-foci").cells_per_focus
        (2, 8)
    """
    name = str(name_or_path)
    if name in SPECIMEN_KINDS:
        return _with_defaults(name)
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise SceneError(
            f"{name_or_path}: neither a .toml file nor a kind of specimen "
            f"({', '.join(SPECIMEN_KINDS)})",
            value=name,
            choices=tuple(SPECIMEN_KINDS),
        )
    content = read_description(path)
    return parse_toml(_SpecimenFile, content, source=path, error=SceneError).specimen


class _SpecimenFile(Configuration):
    """A file that holds the fields of one specimen."""

    specimen: AnySpecimen

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, values: Any) -> Any:
        return {"specimen": values}


def _with_defaults(name: str) -> Specimen:
    """Return the specimen of a kind; some kinds need more than their name."""
    try:
        return SPECIMEN_KINDS[name].model_validate({})
    except ValidationError as error:
        raise SceneError(
            f"{name}: this kind of specimen needs more than its name ({plain_errors(error)}); "
            f'write these fields and kind = "{name}" into a .toml file'
        ) from None
