"""The space of designs: what varies between which bounds, and how it is searched."""

from __future__ import annotations

import itertools
import math
import textwrap
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import tomli_w
from pydantic import Field, model_validator
from scipy.stats import qmc

from fociscope.configuration import Configuration, Range, field_comments, parse_toml
from fociscope.design.chip import PARAMETERS, ImagerDesign, square_pixels
from fociscope.errors import FociscopeError
from fociscope.files.safe.atomic import atomic_path
from fociscope.files.safe.limits import read_description
from fociscope.imager import Imager
from fociscope.typing import Float64Array

__all__ = ["DesignSpace", "write_commented_space"]

#: Exposures differ by factors, not by differences.
LOGARITHMIC = ("exposure_s",)
#: The most designs of one study.
MOST_DESIGNS = 10_000


Side = Annotated[int, Field(ge=32, le=1024)]


class DesignSpace(Configuration):
    """What a design study varies, what it holds, and how it searches.

    Numbers that are left out are the base imager's. A range with two equal ends is a fixed number
    of all designs, the base included.

    Examples:
        >>> from fociscope.design import DesignSpace
        >>> space = DesignSpace(pixel_pitch_um=(40, 70), sensors=(1, 2), designs=4)
        >>> len(space.points())
        4
    """

    error: ClassVar[type[FociscopeError]] = FociscopeError

    base: str = "reference"
    """The imager that has all that does not vary: the name of a preset, or the path of a TOML file.
    Where its pixels are oblong, the study begins with square ones of the same area."""
    hold: Literal["pixels", "field"] = "pixels"
    """What designs of another pitch share with the base: its number of pixels (`pixels`), or its
    field of view (`field`)."""
    frame_px: tuple[Side, Side] | None = None
    """(y, x) pixels of a sensor, in place of the base's."""
    pixel_pitch_um: Range | None = None
    """Side of a square pixel."""
    fill_factor: Range | None = None
    """Share of a pixel's area that is sensitive."""
    half_angle_deg: Range | None = None
    """Angle at which the grating passes half of the light."""
    base_blur_um: Range | None = None
    """Standard deviation of the blur that is there at any distance."""
    gap_um: Range | None = None
    """From sensor A to sensor B, all of it tissue; with one sensor, the greatest depth. Layers of a
    smaller gap lie closer together, so compare depth errors of one gap."""
    exposure_s: Range | None = None
    """Exposure; steps are factors."""
    sensors: tuple[Literal[1, 2], ...] = ()
    """Numbers of sensors that are tried, [1, 2] for both. Two sensors have twice the pixels and
    twice the wires."""
    search: Literal["sobol", "grid", "optimise"] = "sobol"
    """`sobol` covers the space evenly (Sobol sequence), `grid` takes every combination of evenly
    spaced values, `optimise` looks for the least of the objective (differential evolution)."""
    designs: Annotated[int, Field(ge=1, le=MOST_DESIGNS)] = 64
    """How many designs are scored, beside the base; of a grid, at most."""
    grid: Annotated[int, Field(ge=2, le=100)] = 3
    """Values of each range in a grid."""
    objective: Literal[
        "depth_error_um", "dice", "cell_sensitivity", "depth_bound_um", "information_bits"
    ] = "depth_error_um"
    """What `optimise` improves; the last two need no network."""
    network: bool = True
    """Whether designs are scored by the shipped network too; without, by bounds alone."""
    scenes: Annotated[int, Field(ge=8, le=10_000)] = 64
    """Simulated scenes behind each score of the network; its error falls with their root."""
    layers: Annotated[int, Field(ge=1, le=6)] = 4
    """Layers of a scene."""
    min_separation_um: Annotated[float, Field(ge=0, le=20_000)] = 250.0
    """Least distance of neighbouring layers; less where they would fill the gap."""
    cell_photons_per_s: Annotated[float, Field(gt=0, le=1e15)] = 1.5e6
    """Photons that a mean cell emits per second in all directions; the default gives the reference
    imager about 40 dB of peak SNR."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the designs, and of the scenes, which all designs share."""

    @model_validator(mode="after")
    def _varies_something(self) -> Self:
        if not self.varying() and len(set(self.sensors)) < 2:
            raise ValueError(
                "nothing varies; give a range such as pixel_pitch_um = [40, 70], or sensors = "
                "[1, 2]"
            )
        for name in LOGARITHMIC:
            bounds = getattr(self, name)
            if bounds is not None and bounds[0] <= 0:
                raise ValueError(f"{name} must lie above 0; got {bounds[0]:g}")
        return self

    def varying(self) -> dict[str, tuple[float, float]]:
        """Return the bounds of the numbers that vary continuously, by name."""
        ranges = {name: getattr(self, name) for name in PARAMETERS if name != "sensors"}
        return {
            name: (float(r[0]), float(r[1]))
            for name, r in ranges.items()
            if r is not None and r[0] < r[1]
        }

    def base_imager(self) -> Imager:
        """Return the base with square pixels and the study's frame.

        Raises:
            FociscopeError: If there is no such imager, or a study of it is not possible.
        """
        base = square_pixels(Imager.load(self.base))
        if self.frame_px is not None:
            base = base.with_(frame_px=self.frame_px)
        ImagerDesign.of(base)
        return base

    def base_design(self, base: Imager) -> ImagerDesign:
        """Return the design that a study begins with: the base's numbers, but for fixed ones.

        Args:
            base: Imager of `base_imager`.
        """
        numbers = ImagerDesign.of(base).numbers()
        for name in PARAMETERS:
            bounds = getattr(self, name)
            if name != "sensors" and bounds is not None and bounds[0] == bounds[1]:
                numbers[name] = float(bounds[0])
        sensors = int(numbers.pop("sensors"))
        return ImagerDesign(**numbers, sensors=sensors)

    def fixed(self, base: Imager) -> dict[str, float]:
        """Return what all designs share of the numbers of a design."""
        numbers = ImagerDesign.of(base).numbers()
        for name in PARAMETERS:
            bounds = getattr(self, name)
            if name != "sensors" and bounds is not None:
                numbers[name] = float(bounds[0])
        if self.sensors:
            numbers["sensors"] = self.sensors[0]
        return numbers

    def at(self, shares: Float64Array, base: Imager) -> ImagerDesign:
        """Return the design at a place of the unit cube.

        Args:
            shares: (number + 1,) places in 0 to 1 along each varying number, and along the numbers
                of sensors.
            base: Imager of `base_imager`.
        """
        numbers = self.fixed(base)
        for (name, (low, high)), share in zip(self.varying().items(), shares, strict=False):
            if name in LOGARITHMIC:
                numbers[name] = float(low * (high / low) ** share)
            else:
                numbers[name] = float(low + (high - low) * share)
        if self.sensors:
            choices = tuple(dict.fromkeys(self.sensors))
            place = min(int(shares[-1] * len(choices)), len(choices) - 1)
            numbers["sensors"] = choices[place]
        sensors = int(numbers.pop("sensors"))
        return ImagerDesign(**numbers, sensors=sensors)

    def points(self) -> list[ImagerDesign]:
        """Return the designs of a sweep; of `optimise`, those that it starts from.

        Raises:
            FociscopeError: If there is no such base, or a grid has more than `designs` points.
        """
        base, count = self.base_imager(), len(self.varying())
        if self.search == "grid":
            return self._grid(base, count)
        # Shifted at random and wrapped (Cranley and Patterson, 1976), which the seed alone sets.
        sobol = qmc.Sobol(count + 1, scramble=False).random_base2(
            math.ceil(math.log2(max(self.designs, 2)))
        )
        shift = np.random.default_rng(self.seed).random(count + 1)
        return [self.at(row, base) for row in (sobol[: self.designs] + shift) % 1.0]

    def _grid(self, base: Imager, count: int) -> list[ImagerDesign]:
        choices = max(1, len(set(self.sensors)))
        size = self.grid**count * choices
        if size > self.designs:
            raise FociscopeError(
                f"a grid of {self.grid} values of {count} ranges and {choices} number(s) of "
                f"sensors has {size} designs, and designs = {self.designs}; raise designs, or "
                "lower grid",
                fields=("designs",),
                value=size,
                most=self.designs,
            )
        steps = [np.linspace(0, 1, self.grid)] * count
        steps.append((np.arange(choices) + 0.5) / choices)
        return [self.at(np.array(row), base) for row in itertools.product(*steps)]

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a space from a TOML file; the path of a base is taken from the file's folder.

        Args:
            path: Path of the file.

        Returns:
            The space.

        Raises:
            FileFormatError: If there is no such file.
            FociscopeError: If it is no TOML, or describes no possible space.

        Examples:
            >>> from pathlib import Path
            >>> from fociscope.design import DesignSpace
            >>> _ = Path("space.toml").write_text("half_angle_deg = [12, 28]")
            >>> DesignSpace.load("space.toml").varying()
            {'half_angle_deg': (12.0, 28.0)}
        """
        path = Path(path)
        space = parse_toml(cls, read_description(path), source=path, error=FociscopeError)
        beside = path.parent / space.base
        if space.base not in Imager.presets() and beside.is_file():
            space = space.model_copy(update={"base": str(beside)})
        return space


_HEAD = """\
# A design study of Fociscope: fociscope design THIS.toml -o FOLDER
# A number that is left out, or behind a #, is the base imager's. docs/design.md explains all.
"""
_RANGES: dict[str, Any] = {
    "pixel_pitch_um": "[42.0, 80.0]",
    "fill_factor": "[0.5, 1.0]",
    "half_angle_deg": "[12.0, 28.0]",
    "base_blur_um": "[0.0, 25.0]",
    "gap_um": "[700.0, 1000.0]",
    "exposure_s": "[0.01, 0.1]",
    "sensors": "[1, 2]",
}
_ACTIVE = ("pixel_pitch_um", "half_angle_deg", "exposure_s", "sensors")


def write_commented_space(path: Path | str, *, overwrite: bool = False) -> None:
    """Write a design space to begin with: every field with its value and a comment.

    Args:
        path: Path of the TOML file.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: If the file exists and `overwrite` is not set.

    Examples:
        >>> from fociscope.design import DesignSpace, write_commented_space
        >>> write_commented_space("chip-space.toml")
        >>> sorted(DesignSpace.load("chip-space.toml").varying())
        ['exposure_s', 'half_angle_deg', 'pixel_pitch_um']
    """
    comments = field_comments(DesignSpace)
    lines = [_HEAD]
    for name, field in DesignSpace.model_fields.items():
        lines += [f"# {line}" for line in textwrap.wrap(comments[name], 96)]
        if name in _RANGES:
            lines.append(f"{'' if name in _ACTIVE else '# '}{name} = {_RANGES[name]}")
        elif field.default is None:
            lines.append(f"# {name} = [51, 51]")
        else:
            lines += tomli_w.dumps({name: field.default}).splitlines()
        lines.append("")
    with atomic_path(Path(path), overwrite=overwrite) as part:
        part.write_text("\n".join(lines), encoding="utf-8")
