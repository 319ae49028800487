"""The imager: pixels, sensors, the gap between them, and the file that describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import tomli_w
from pydantic import BeforeValidator, Field, ValidationInfo

from fociscope.configuration import Configuration, changed, parse_toml, warn_of_former_name
from fociscope.errors import FociscopeError, ImagerError
from fociscope.files.safe.atomic import atomic_path
from fociscope.files.safe.limits import read_description
from fociscope.imager._camera import Camera
from fociscope.imager.psf import AngleSelectivePsf, AnyPsf
from fociscope.imager.registration import Registration

__all__ = ["Boundary", "Imager"]

#: Former values of `boundary`, read for one version.
_FORMER_BOUNDARIES = {"surround": "reflect"}


def _present_boundary(value: object, info: ValidationInfo) -> object:
    """Read a former value of `boundary`."""
    if not isinstance(value, str) or value not in _FORMER_BOUNDARIES:
        return value
    new = _FORMER_BOUNDARIES[value]
    warn_of_former_name(info, f'boundary = "{value}"', f'boundary = "{new}"')
    return new


Boundary = Annotated[Literal["zero", "reflect"], BeforeValidator(_present_boundary)]
Side = Annotated[int, Field(ge=1, le=4096)]
Gain = Annotated[float, Field(gt=0, le=1e6)]


class Imager(Configuration):
    """A chip-scale lensless imager: sensor A on top of the tissue and, if there are two, B below.

    Depth is the distance from sensor A; sensor B sees a layer from `gap_um` minus its depth.

    Examples:
        >>> from fociscope.imager import GaussianPsf, Imager
        >>> imager = Imager(name="chip", pixel_pitch_um=50.0, psf=GaussianPsf(spread=0.25))
        >>> imager.with_(gap_um=800.0).gap_um
        800.0
        >>> Imager.reference().frame_px
        (51, 51)
    """

    error: ClassVar[type[FociscopeError]] = ImagerError

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
    """What lies outside the frame. `zero`: nothing. `reflect`: tissue goes on; the projector, which
    knows the frame alone, mirrors it at the edges, and the simulator draws tissue there."""
    psf: AnyPsf = AngleSelectivePsf()
    registration: Registration = Registration()
    """Where sensor B lies with respect to sensor A."""
    sensor_gains: tuple[Gain, Gain] = (1.0, 1.0)
    """Response of sensors A and B to the same light, relative to one another."""
    camera: Camera = Camera()

    @classmethod
    def reference(cls) -> Self:
        """Return the imager of the reference conditions: 55 um, a gap of 1000 um, 18 degrees."""
        return cls()

    def with_(self, **changes: object) -> Self:
        """Return a copy with some fields changed and all of them checked again.

        Args:
            changes: New values by field.

        Raises:
            ImagerError: If a field is unknown or out of its range.
        """
        return changed(self, changes, what="imager", error=ImagerError)

    def cropped(self, y: int, x: int, height: int, width: int, *, of: tuple[int, int]) -> Self:
        """Return the imager of captures that are cut out of this one's, from both sensors alike.

        A registration turns and scales sensor B about the middle of the frame, and a crop has
        another centre. If sensor B is neither turned nor scaled, or there is none, the centre is
        irrelevant, and the imager is returned unchanged.

        Args:
            y: First row of the crop, in pixels of captures that are flipped already.
            x: First column of the crop.
            height: Rows of the crop.
            width: Columns of the crop.
            of: (y, x) size of the captures before the crop.

        Raises:
            ImagerError: If the crop goes beyond the captures, has more pixels than an imager may,
                or shows tissue that lies far apart on the sensors.
        """
        if not (0 <= y < y + height <= of[0] and 0 <= x < x + width <= of[1]):
            raise ImagerError(
                f"a crop of y = {y} to {y + height}, x = {x} to {x + width} does not lie within "
                f"captures of {of[0]} x {of[1]} pixels"
            )
        if self.sensors < 2 or not self.registration.is_rotated_or_scaled:
            return self
        middle_um = (
            (first + (part - whole) / 2) * self.pixel_pitch_um
            for first, part, whole in zip((y, x), (height, width), of, strict=True)
        )
        return self.with_(
            frame_px=(height, width), registration=self.registration.about(*middle_um)
        )

    @classmethod
    def from_toml(cls, path: Path | str) -> Self:
        """Read an imager from a TOML file; fields that the file does not name keep their defaults.

        A measured PSF's `file` lies beside it.

        Args:
            path: Path of the file.

        Raises:
            FileFormatError: If there is no such file.
            ImagerError: If it is not TOML, or describes no possible imager.
        """
        path = Path(path)
        return parse_toml(
            cls,
            read_description(path),
            source=path,
            error=ImagerError,
            context={"folder": path.parent},
        )

    def to_toml(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write the imager to a TOML file that `from_toml` reads back to an equal imager.

        A measured PSF goes into an OME-TIFF beside it, in `float32`: `imager.toml` and
        `imager.psf.ome.tif`.

        Args:
            path: Path of the file.
            overwrite: Whether files may be replaced.

        Raises:
            OutputExistsError: If one of the files exists and `overwrite` is not set.
        """
        path = Path(path)
        with atomic_path(path, overwrite=overwrite) as part:
            content = self.model_dump(mode="json", exclude_none=True)
            content["psf"] = self.psf.file_fields(path)
            part.write_text(tomli_w.dumps(content), encoding="utf-8")
            self.psf.write_files(path, overwrite=overwrite)  # last, so that none stays alone
