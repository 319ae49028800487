"""The imager: pixels, sensors, the gap between them, and the file that describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import tomli_w
from pydantic import Field, ValidationError

from fociscope.configuration import Configuration, parse_toml, plain_errors
from fociscope.errors import ImagerError
from fociscope.files.atomic import atomic_path
from fociscope.files.limits import require_file
from fociscope.imager.camera import Camera
from fociscope.imager.psf import AngleSelectivePsf

__all__ = ["Boundary", "Imager"]

Boundary = Literal["zero", "surround"]
Side = Annotated[int, Field(ge=1, le=4096)]


class Imager(Configuration):
    """A chip-scale lensless imager: sensor A on top of the tissue and, where there is one, B below.

    Depth is the distance from sensor A; sensor B sees a layer from `gap_um` minus its depth.
    """

    name: str = "reference"
    pixel_pitch_um: Annotated[float, Field(gt=0, le=1000)] = 55.0
    """Side of a square pixel. 55 um is an assumption; the sibling chip has at most 60 to 64 um."""
    frame_px: tuple[Side, Side] = (51, 51)
    """(y, x) pixels."""
    sensors: Literal[1, 2] = 2
    """1: sensor A alone; 2: A on top and B underneath."""
    gap_um: Annotated[float, Field(gt=0, le=20_000)] = 1000.0
    """From sensor A to sensor B; with A alone, the greatest depth that is considered."""
    boundary: Boundary = "zero"
    """`zero`: nothing outside the frame; `surround`: tissue goes on outside it."""
    psf: AngleSelectivePsf = AngleSelectivePsf()
    camera: Camera = Camera()

    @classmethod
    def reference(cls) -> Self:
        """Return the imager of the reference conditions: 55 um, a gap of 1000 um, 18 degrees."""
        return cls()

    def with_(self, **changes: object) -> Self:
        """Return a copy with some fields changed and all of them checked again.

        Raises:
            ImagerError: a field is unknown or out of its range.
        """
        try:
            return type(self).model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise ImagerError(f"not a possible imager: {plain_errors(error)}") from None

    @classmethod
    def from_toml(cls, path: Path | str) -> Self:
        """Read an imager from a TOML file; what the file does not name keeps its default.

        Raises:
            FileFormatError: there is no such file.
            ImagerError: it is not TOML, or it describes no possible imager.
        """
        path = require_file(Path(path))
        return parse_toml(cls, path.read_bytes(), source=path, error=ImagerError)

    def to_toml(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write the imager to a TOML file that `from_toml` reads back to an equal imager."""
        with atomic_path(Path(path), overwrite=overwrite) as part:
            part.write_text(tomli_w.dumps(self.model_dump(mode="json")), encoding="utf-8")
