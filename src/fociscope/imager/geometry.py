"""The imager: pixels, sensors, the gap between them, and the file that describes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, TypeAlias

import numpy as np
import tomli_w
import torch
from pydantic import BeforeValidator, Field, ValidationInfo, model_validator
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor, like
from fociscope.configuration import (
    Configuration,
    changed,
    number_or_pair,
    parse_toml,
    warn_of_former_name,
)
from fociscope.errors import FociscopeError, ImagerError
from fociscope.files.safe.limits import read_description
from fociscope.imager._camera import Camera
from fociscope.imager._description import described
from fociscope.imager._layout import Layout, layout_order
from fociscope.imager._pixel_response import (
    pixel_centres_um,
    pixel_response,
    sensitive_size_um,
)
from fociscope.imager._presets import PRESETS
from fociscope.imager.fixed_pattern import FixedPattern
from fociscope.imager.psf import AngleSelectivePsf, AnyPsf
from fociscope.imager.registration import Registration
from fociscope.registry import unknown_name
from fociscope.typing import Float64Array, IndexArray

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
Length = Annotated[float, Field(gt=0, le=1000)]
Shift = Annotated[float, Field(ge=-1000, le=1000)]
Pixel = tuple[Literal[0, 1], Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
Side = Annotated[int, Field(ge=1, le=4096)]
Gain = Annotated[float, Field(gt=0, le=1e6)]
if TYPE_CHECKING:
    PixelPitch: TypeAlias = float | tuple[float, float]
else:
    PixelPitch = number_or_pair(Length)


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
    pixel_pitch_um: PixelPitch = 55.0
    """Side of a square pixel, or (y, x) from row to row and from column to column. 55 um is an
    assumption; the sibling chip has at most 60 to 64 um."""
    frame_px: tuple[Side, Side] = (51, 51)
    """(y, x) pixels."""
    sensitive_um: tuple[Length, Length] | None = None
    """(y, x) sides of a pixel's sensitive rectangle; None: the pixel, or its PSF's fill factor."""
    sensitive_offset_um: tuple[Shift, Shift] = (0.0, 0.0)
    """(y, x) of the rectangle's middle from the pixel's."""
    row_shift_um: tuple[Shift, ...] = ()
    """Shift of each row along +x, where rows are staggered; a shorter list repeats."""
    dead_pixels: tuple[Pixel, ...] = ()
    """(sensor, y, x) of pixels that do not respond, from 0 on; sensor 0 is A, and 1 is B, if there
    is one."""
    layout: Layout | None = None
    """Which count of a frame is which pixel, where captures hold raw counts in the order of the
    readout: `row-major`, `column-major`, `serpentine` (odd rows backwards), or a CSV file with the
    number of each pixel's count, from 0 on. Left out: captures are images."""
    sensors: Literal[1, 2] = 2
    """1: sensor A alone; 2: A on top and B underneath."""
    gap_um: Annotated[float, Field(gt=0, le=20_000)] = 1000.0
    """From sensor A to sensor B; with A alone, the greatest depth that is considered."""
    boundary: Boundary = "zero"
    """What lies outside the frame. `zero`: nothing. `reflect`: tissue goes on; the projector, which
    knows the frame alone, mirrors it at the edges, and the simulator draws tissue there."""
    psf: AnyPsf = AngleSelectivePsf()
    further_psfs: tuple[AnyPsf, ...] = ()
    """Of pixels behind other gratings, where a chip has several."""
    psf_pattern: tuple[tuple[Annotated[int, Field(ge=0)], ...], ...] = ()
    """Rows of numbers, repeated over the frame: 0 for pixels of `psf`, n for those of the n-th of
    `further_psfs`. [[0], [1]] for rows that alternate."""
    registration: Registration = Registration()
    """Where sensor B lies with respect to sensor A."""
    sensor_gains: tuple[Gain, Gain] = (1.0, 1.0)
    """Response of sensors A and B to the same light, relative to one another."""
    camera: Camera = Camera()

    @model_validator(mode="after")
    def _pixels_are_possible(self) -> Self:
        if self.sensitive_um is not None:
            for side, shift, pitch in zip(
                self.sensitive_um, self.sensitive_offset_um, self.pitch_um, strict=True
            ):
                if side / 2 + abs(shift) > pitch / 2 * (1 + 1e-9):
                    raise ValueError(
                        f"the sensitive rectangle of {side:g} µm, {shift:g} µm off the middle, "
                        f"does not lie within a pixel of {pitch:g} µm"
                    )
            if getattr(self.psf, "fill_factor", 1.0) != 1:
                raise ValueError(
                    "sensitive_um and a PSF's fill_factor describe the same; leave one out"
                )
        elif self.sensitive_offset_um != (0, 0):
            raise ValueError("sensitive_offset_um needs the rectangle's sides, sensitive_um")
        if len(self.row_shift_um) > self.frame_px[0]:
            raise ValueError(
                f"row_shift_um has {len(self.row_shift_um)} rows, the frame {self.frame_px[0]}"
            )
        self._check_psf_pattern()
        if self.layout is not None:
            layout_order(self.layout, self.frame_px)
        for sensor, *place in self.dead_pixels:
            if any(n >= side for n, side in zip(place, self.frame_px, strict=True)):
                raise ValueError(f"there is no pixel {(sensor, *place)} (sensor, y, x)")
        return self

    def _check_psf_pattern(self) -> None:
        """Refuse numbers of no PSF, and PSFs that have no number.

        Raises:
            ValueError: If the pattern is no rectangle of numbers, or does not fit the PSFs.
        """
        numbers = {n for row in self.psf_pattern for n in row}
        if bool(self.psf_pattern) != bool(self.further_psfs) or (
            numbers and max(numbers) > len(self.further_psfs)
        ):
            raise ValueError(
                f"psf_pattern has the numbers {sorted(numbers)}, expected 0 for psf and 1 to "
                f"{len(self.further_psfs)} for further_psfs"
            )
        if len({len(row) for row in self.psf_pattern}) > 1 or () in self.psf_pattern:
            raise ValueError("the rows of psf_pattern must be equally long")
        for one in (self.psf, *self.further_psfs) if self.further_psfs else ():
            if not one.knows_areas:
                raise ValueError(
                    f"a PSF of kind {one.kind!r} is known on plain square pixels only, not on "
                    "those of one of several gratings"
                )

    @property
    def pitch_um(self) -> tuple[float, float]:
        """(y, x) distances from row to row and from column to column, in um."""
        pitch = self.pixel_pitch_um
        return pitch if isinstance(pitch, tuple) else (pitch, pitch)

    @property
    def has_plain_pixels(self) -> bool:
        """Whether pixels are square, unstaggered, of one PSF, and sensitive as it says."""
        return (
            not self.further_psfs
            and not isinstance(self.pixel_pitch_um, tuple)
            and self.sensitive_um is None
            and not any(self.row_shift_um)
        )

    @property
    def square_pitch_um(self) -> float:
        """Pitch in um, for what is written for plain pixels alone.

        Raises:
            ImagerError: If the pixels are not square, their rows are staggered, or a sensitive
                rectangle is stated.
        """
        if isinstance(self.pixel_pitch_um, tuple) or not self.has_plain_pixels:
            y, x = self.pitch_um
            other = "several PSFs" if self.further_psfs else "a sensitive rectangle"
            other = "staggered rows" if any(self.row_shift_um) else other
            found = f"pixels of {y:g} x {x:g} µm (y, x)" if y != x else other
            raise ImagerError(
                f"imager {self.name!r} has {found}, and this step takes square pixels without "
                "stagger or sensitive rectangle only; see the imager's page for what takes others"
            )
        return self.pixel_pitch_um

    def pixel_order(self) -> IndexArray | None:
        """Return which of a frame's raw counts is that of each pixel, as `layout` says.

        Returns:
            (y, x) numbers from 0 on, for `open_captures`; None if captures are images.

        Examples:
            >>> from fociscope.imager import Imager
            >>> Imager(frame_px=(2, 3), layout="serpentine").pixel_order().tolist()
            [[0, 1, 2], [5, 4, 3]]
        """
        return None if self.layout is None else layout_order(self.layout, self.frame_px)

    def sensitive_size_um(self) -> tuple[float, float]:
        """Return the (y, x) sides of the sensitive rectangle of a pixel, in um.

        Examples:
            >>> from fociscope.imager import Imager
            >>> Imager.preset("acus").sensitive_size_um()
            (13.0, 13.0)
        """
        return sensitive_size_um(self, self.psf)

    def pixel_centres_um(self) -> Float64Array:
        """Return where the pixels' sensitive areas lie.

        Returns:
            (y, x, 2) middles (y, x) in um from the middle of pixel (0, 0); a sensitive rectangle
            off its pixel's middle and the shift of a row are in here.

        Examples:
            >>> from fociscope.imager import Imager
            >>> chip = Imager(pixel_pitch_um=(70.0, 25.0), frame_px=(2, 4), row_shift_um=(0, 12.5))
            >>> chip.pixel_centres_um()[1, 3].tolist()
            [70.0, 87.5]
        """
        return pixel_centres_um(self)

    def pixel_response(
        self, emitters_um: ArrayLike, **psf_parameters: Tensor
    ) -> Tensor | np.ndarray:
        r"""Return the share of a point emitter's light that each pixel of each sensor collects.

        Emitters lie anywhere, on the pixel grid or off it. A noise-free capture of emitters that
        send out $n_i$ photons is the sum of $n_i$ times their responses.

        Args:
            emitters_um: (emitter, 3) positions (x, y, depth) in um, as in `emitters.csv`: x and y
                from the middle of pixel (0, 0) of sensor A, depth from sensor A.
            psf_parameters: (emitter,) values in place of fields that the PSF lists as
                `batched_parameters`.

        Returns:
            (emitter, sensor, y, x) shares of the emitted light, times the sensors' gains. Dead
            pixels collect nothing. Tensors are differentiated in positions and parameters.

        Raises:
            ImagerError: If the shape does not fit, a depth is outside the imager, or the PSF's kind
                does not know this imager's pixels.

        Examples:
            >>> import numpy as np
            >>> from fociscope.imager import Imager
            >>> seen = Imager.reference().pixel_response(np.array([[1390.0, 1375.0, 200.0]]))
            >>> seen.shape
            (1, 2, 51, 51)
            >>> bool(seen[0, 0, 25, 26] > seen[0, 0, 25, 24])  # 15 um to the right of the middle
            True
        """
        return like(pixel_response(self, as_tensor(emitters_um), psf_parameters), emitters_um)

    def fixed_pattern(self) -> FixedPattern | None:
        """Return how the chip's pixels differ: the camera's pattern, and no gain in dead pixels.

        Returns:
            Fields of (sensor, y, x); None if all pixels are alike.

        Examples:
            >>> from fociscope.imager import Imager
            >>> pattern = Imager(dead_pixels=[(0, 3, 4)]).fixed_pattern()
            >>> pattern.dead.nonzero().tolist()
            [[0, 3, 4]]
        """
        pattern = self.camera.fixed_pattern(self.sensors, self.frame_px)
        if not self.dead_pixels:
            return pattern
        if pattern is None:
            shape = self.sensors, *self.frame_px
            pattern = FixedPattern(torch.ones(shape), torch.zeros(shape), torch.zeros(shape))
        gain, hot_e_per_s = pattern.gain.clone(), pattern.hot_e_per_s.clone()
        for place in self.dead_pixels:
            if place[0] < self.sensors:
                gain[place] = 0
                hot_e_per_s[place] = 0
        return FixedPattern(gain, pattern.offset_e, hot_e_per_s)

    @classmethod
    def reference(cls) -> Self:
        """Return the imager of the reference conditions: 55 um, a gap of 1000 um, 18 degrees."""
        return cls()

    @classmethod
    def preset(cls, name: str) -> Self:
        """Return an imager by its name.

        Args:
            name: `reference`, `published` (a half angle of 12 degrees, as the published sample
                figure has it), `sibling-36x80` or `acus` (2 rows of 128 single-photon diodes).

        Raises:
            ImagerError: If there is no preset of that name.

        Examples:
            >>> from fociscope.imager import Imager
            >>> Imager.preset("acus").pixel_pitch_um
            (73.22, 25.67)
        """
        if name not in PRESETS:
            raise unknown_name("preset of an imager", name, PRESETS, error=ImagerError)
        return cls(**PRESETS[name])

    @classmethod
    def presets(cls) -> tuple[str, ...]:
        """Return the names of the presets.

        Examples:
            >>> from fociscope.imager import Imager
            >>> Imager.presets()
            ('reference', 'published', 'sibling-36x80', 'acus')
        """
        return tuple(PRESETS)

    @classmethod
    def load(cls, source: Path | str) -> Self:
        """Return the imager of a TOML file, or a preset by its name.

        Args:
            source: Path of a file, or name of a preset as for `preset`.

        Raises:
            FileFormatError: If there is no such file.
            ImagerError: If it is neither TOML nor a preset, or describes no possible imager.

        Examples:
            >>> from fociscope.imager import Imager
            >>> Imager.load("published").psf.half_angle_deg
            12.0
        """
        name = str(source)
        if name in PRESETS:
            return cls.preset(name)
        if Path(source).suffix.lower() != ".toml" and not Path(source).exists():
            raise unknown_name(
                "imager", name, PRESETS, error=ImagerError, other="give a .toml file"
            )
        return cls.from_toml(source)

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
        changes: dict[str, object] = {}
        if self.layout is not None:  # it is of whole frames, and has been followed
            changes["layout"] = None
        if self.dead_pixels and of == self.frame_px:
            changes["dead_pixels"] = tuple(
                (sensor, row - y, column - x)
                for sensor, row, column in self.dead_pixels
                if 0 <= row - y < height and 0 <= column - x < width
            )
        if any(self.row_shift_um):
            shifts = self.row_shift_um * (of[0] // len(self.row_shift_um) + 1)
            changes["row_shift_um"] = shifts[y : y + height]
        if self.psf_pattern:
            rows, columns = len(self.psf_pattern), len(self.psf_pattern[0])
            changes["psf_pattern"] = tuple(
                tuple(self.psf_pattern[(y + r) % rows][(x + c) % columns] for c in range(columns))
                for r in range(rows)
            )
        if self.sensors == 2 and self.registration.is_rotated_or_scaled:
            middle_um = (
                (first + (part - whole) / 2) * pitch
                for first, part, whole, pitch in zip(
                    (y, x), (height, width), of, self.pitch_um, strict=True
                )
            )
            changes["registration"] = self.registration.about(*middle_um)
        return self.with_(frame_px=(height, width), **changes) if changes else self

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
        `imager.psf.ome.tif`, whose checksum the TOML file holds. Both appear together.

        Args:
            path: Path of the file.
            overwrite: Whether files may be replaced.

        Raises:
            OutputExistsError: If one of the files exists and `overwrite` is not set.
        """
        path = Path(path)
        with described(self.psf, path, overwrite=overwrite) as (part, psf):
            content = self.model_dump(mode="json", exclude_none=True)
            content["psf"] = psf
            content["further_psfs"] = [one.file_fields(part) for one in self.further_psfs]
            part.write_text(tomli_w.dumps(content), encoding="utf-8")
