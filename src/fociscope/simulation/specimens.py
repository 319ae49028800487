"""All kinds of specimens under one name, and how to ask for one: by its kind or by a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Tag, model_validator

from fociscope.configuration import Configuration, parse_toml
from fociscope.errors import SceneError
from fociscope.files.safe.limits import read_description
from fociscope.simulation.targets import Lines, ResolutionTarget, Rings
from fociscope.simulation.tissue import MicroFoci, PerlinFoci, SingleCells
from fociscope.simulation.user_layers import UserLayers

__all__ = ["SPECIMEN_KINDS", "Specimen", "load_specimen"]


def _kind(values: Any) -> Any:
    """Return the kind of a specimen; the first kind there was goes without saying."""
    if isinstance(values, dict):
        return values.get("kind", "perlin-foci")
    return getattr(values, "kind", None)


Specimen: TypeAlias = Annotated[
    Annotated[PerlinFoci, Tag("perlin-foci")]
    | Annotated[MicroFoci, Tag("micro-foci")]
    | Annotated[SingleCells, Tag("single-cells")]
    | Annotated[Rings, Tag("rings")]
    | Annotated[Lines, Tag("lines")]
    | Annotated[ResolutionTarget, Tag("resolution-target")]
    | Annotated[UserLayers, Tag("user-layers")],
    Discriminator(
        _kind,
        custom_error_type="specimen_kind",
        custom_error_message="no such kind of specimen; expected perlin-foci, micro-foci, "
        "single-cells, rings, lines, resolution-target or user-layers",
    ),
]
"""What the layers look like; its field `kind` tells which, and is `perlin-foci` where absent."""

#: Each kind that needs no more than its name, with its defaults.
SPECIMEN_KINDS: dict[str, Specimen] = {
    specimen.kind: specimen
    for specimen in (
        PerlinFoci(),
        MicroFoci(),
        SingleCells(),
        Rings(),
        Lines(),
        ResolutionTarget(),
    )
}


class _SpecimenFile(Configuration):
    """A file that holds the fields of one specimen."""

    specimen: Specimen

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, values: Any) -> Any:
        return {"specimen": values}


def load_specimen(name_or_path: str | Path) -> Specimen:
    """Return a specimen: a kind with its defaults by its name, or one from a TOML file.

    Args:
        name_or_path: a name of `SPECIMEN_KINDS`, or a `.toml` file that holds `kind` and whatever
            fields of it differ from the defaults.

    Raises:
        SceneError: it is neither, or it describes no possible specimen.
        FileFormatError: there is no such file.
    """
    if str(name_or_path) in SPECIMEN_KINDS:
        return SPECIMEN_KINDS[str(name_or_path)]
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise SceneError(
            f"{name_or_path}: neither a .toml file nor a kind of specimen "
            f"({', '.join(SPECIMEN_KINDS)})"
        )
    content = read_description(path)
    return parse_toml(_SpecimenFile, content, source=path, error=SceneError).specimen
