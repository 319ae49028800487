"""All kinds of specimens under one name, and how to ask for one: by its kind or by a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from fociscope.configuration import Configuration, parse_toml, plain_errors
from fociscope.errors import SceneError
from fociscope.files.safe.limits import read_description
from fociscope.simulation._kinds import SPECIMEN_KINDS, AnySpecimen
from fociscope.simulation._user_layers import UserLayers
from fociscope.simulation.base import Specimen
from fociscope.simulation.clouds import Clouds
from fociscope.simulation.mixtures import AnyTissue, Mixture, Varied
from fociscope.simulation.patterns import CellularFoci, DeadLeaves, Sheets, SpectralFoci
from fociscope.simulation.structures import Glands, Networks, Nuclei, Strands
from fociscope.simulation.targets import Lines, ResolutionTarget, Rings
from fociscope.simulation.tissue import MicroFoci, PerlinFoci, SingleCells

__all__ = ["SPECIMEN_KINDS", "AnySpecimen", "load_specimen"]

for _kind in (
    PerlinFoci,
    SpectralFoci,
    CellularFoci,
    DeadLeaves,
    Sheets,
    MicroFoci,
    SingleCells,
    Nuclei,
    Strands,
    Networks,
    Glands,
    Clouds,
    Rings,
    Lines,
    ResolutionTarget,
    UserLayers,
    Varied,
    Mixture,
    AnyTissue,
):
    SPECIMEN_KINDS.register(_kind.model_fields["kind"].default, _kind)


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
        raise SPECIMEN_KINDS.unknown(name, other="give a .toml file")
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
