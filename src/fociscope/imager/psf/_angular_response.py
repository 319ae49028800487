"""The point spread function behind a chip whose angular response was measured.

The response T(theta_m) of a table was measured in a medium of index n_m; the light comes from
tissue of index n_t. Interfaces keep n sin(theta), so a ray that leaves the emitter at theta_t
counts as

    T(theta_m),    n_m sin(theta_m) = n_t sin(theta_t)    (Snell).

Beyond the critical angle, n_t sin(theta_t) > n_m, no angle in the medium of the table belongs to
the ray: the table says nothing of it, and it is taken to be dark.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from pydantic import Field, ValidationInfo, model_validator
from torch import Tensor

from fociscope.arrays import ArrayLike, as_tensor, like
from fociscope.configuration import file_beside
from fociscope.errors import FociscopeError
from fociscope.imager.psf._base import FitParameter
from fociscope.imager.psf._grating import GratingPsf
from fociscope.imager.psf._media import Index, Medium, NamedIndex, refractive_index
from fociscope.imager.psf._pixels import potential_area_response
from fociscope.imager.psf._response_table import even_and_odd, read_response_file, response_problem
from fociscope.imager.psf._transmission import TABLE_INTERVALS, outer_energy_table

__all__ = ["AngularResponsePsf"]

Row = tuple[Annotated[float, Field(ge=-90, le=90)], Annotated[float, Field(ge=0)]]

#: Angle beyond which a beam's projection onto the chip is too small to divide by.
GRAZING_DEG = 89.0
#: Above 1 by this much, a sine is beyond the critical angle and not rounded up.
ROUNDING = 1e-12
#: An emitter this near to the chip has no azimuthal difference that can be resolved.
NEAREST_UM = 1e-3


class AngularResponsePsf(GratingPsf):
    r"""The spread of a point's light behind a chip whose angular response was measured.

    A collimated beam that is tilted by $\theta_m$ in a medium of index $n_m$ gives the counts
    $C(\theta_m)$ of the table, of any shape. The chip's transmission is $T = C / \cos\theta_m$ if
    the counts contain the beam's projection, and $T = C$ if they were corrected for it. An
    isotropic emitter at a distance $z$ in tissue of index $n_t$ lights the plane with

    $$ E(r) = \frac{z}{4 \pi (z^2 + r^2)^{3/2}}\, T(\theta_m), \qquad
       n_m \sin\theta_m = n_t \sin\theta_t, \quad \theta_t = \arctan(r / z), $$

    so that in the table's own medium counts fall as $C(\theta) / r^2$ with the projection, $r$ here
    being the length of the path. Beyond the critical angle, $n_t \sin\theta_t > n_m$, it is dark.

    Examples:
        >>> import math
        >>> from fociscope.imager import AngularResponsePsf
        >>> psf = AngularResponsePsf(
        ...     table=[(0.0, 0.5), (35.0, 1.0), (90.0, 0.0)], includes_projection=False
        ... )
        >>> psf.transmission(math.asin(math.sin(math.radians(35.0)) / 1.37)).round(3).item()
        1.0
    """

    kind: Literal["angular-response"] = "angular-response"
    table: Annotated[tuple[Row, ...], Field(min_length=2)]
    """(angle of incidence in degrees, transmission in any unit), by increasing angle, joined by
    straight lines; dark beyond the last angle. From 0 degrees on for an even response."""
    table_medium: Medium = "air"
    """Medium in which the table's angles hold: a name or a refractive index."""
    tissue_index: NamedIndex = 1.37
    """Refractive index of the medium that the light comes from, or `air`, `water`, `tissue`."""
    includes_projection: bool = True
    """Whether the table's counts fall as the cosine of the angle for a chip that transmits the same
    at all angles, as those of a beam wider than the chip do."""
    even: bool = True
    """Whether the sides of 0 degrees are averaged. If not, the response at an azimuth phi from the
    axis is the even part plus cos(phi) times the odd part, which is the table on the axis."""
    table_axis_deg: Annotated[float, Field(ge=-360, le=360)] = 0.0
    """Azimuth, from +x towards +y, in which light of positive angles travels."""
    peak_transmission: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the light that passes at the angle at which most does."""
    angle_scale: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    """Factor on the table's angles, in its medium."""
    table_error: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Standard deviation of what the table is wrong by, as a share of the response: by it `locate`
    tells a misfit from an emitter."""
    table_error_deg: Annotated[float, Field(gt=1, le=90)] = 12.0
    """Angle within which the table is wrong alike."""
    cover_um: Annotated[float, Field(ge=0, le=5000)] = 0.0
    """Thickness of a cover or filter between tissue and chip."""
    cover_index: Index = 1.5
    """Refractive index of the cover."""
    fill_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of a pixel's area that is sensitive, a square in its middle."""
    file: str | None = None
    """CSV file beside the imager's that the table was read from."""
    file_column: str | None = None
    """Header of the file's column of transmissions; needed if there are several."""
    file_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """Checksum of that file; a file that has another is refused."""

    label: ClassVar[str] = "angular response"
    fit_parameters: ClassVar[tuple[FitParameter, ...]] = (
        FitParameter(
            "angle_scale", 0.25, 4.0, 0.001, "1", label="scale of the angles", largest_std=0.1
        ),
    )
    batched_parameters: ClassVar[tuple[str, ...]] = ("angle_scale", "base_blur_um")
    angular_parameter: ClassVar[str] = "angle_scale"
    edge_nodes: ClassVar[int] = 8  # a response may bend within the angle of a pixel

    @model_validator(mode="before")
    @classmethod
    def _read_the_file(cls, values: Any, info: ValidationInfo) -> Any:
        """Read the table from its file where the values hold none."""
        if not isinstance(values, dict) or "table" in values or "file" not in values:
            return values
        path = file_beside(info, str(values["file"]))
        column = values.get("file_column")
        try:
            rows, sha256 = read_response_file(path, None if column is None else str(column))
        except FociscopeError as error:
            raise ValueError(str(error)) from None
        if values.get("file_sha256", sha256) != sha256:
            raise ValueError(
                f"{path}: has the checksum {sha256}, expected {values['file_sha256']!r:.70}; take "
                "the file that was measured with this chip, or leave file_sha256 out"
            )
        return {**values, "table": rows, "file_sha256": sha256}

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        problem = response_problem(self.table)
        if problem is not None:
            raise ValueError(problem)
        if not self.symmetric and (self.cover_um or self.tissue.reduced_scattering_per_mm):
            raise ValueError(
                "an uneven response knows no cover and no scattering tissue; set even = true, or "
                "leave both out"
            )
        return self

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether kernels are even in x and in y: those of an even response."""
        return self.even or not bool(_response(self).odd.any())

    @property
    def radial(self) -> bool:  # type: ignore[override]
        """Whether light depends on the distance alone: that of an even response."""
        return self.symmetric

    @property
    def response_error(self) -> tuple[float, float]:
        """What the table is wrong by, as a share of the light, alike within some degrees."""
        return self.table_error, self.table_error_deg

    def transmission(self, theta_rad: ArrayLike) -> Tensor | np.ndarray:
        """Return the share of an emitter's light that passes the chip at an angle.

        Args:
            theta_rad: (...) angle of the ray from straight down, in the tissue.

        Returns:
            (...) the even part of the response, within 0 ... 1: `peak_transmission` at the angle at
            which most light passes.
        """
        sine = torch.sin(as_tensor(theta_rad).double())
        passing = self._passing(sine.abs(), self.angle_scale, _response(self).even)
        return like(passing.to(as_tensor(theta_rad).dtype), theta_rad)

    def outer_energy(self, angular: Tensor) -> Tensor:
        """Return the light outside each cone; see `GratingPsf.outer_energy`."""
        u = torch.linspace(0, 1, 2 * TABLE_INTERVALS + 1, dtype=torch.float64)
        sine = (u * torch.sqrt(2 - u**2)).to(angular.device)
        passing = self._passing(sine, angular[..., None].double(), _response(self).even)
        return outer_energy_table(passing).to(angular)

    def _passing(self, sine: Tensor, scale: Tensor | float, values: Tensor) -> Tensor:
        """Return the transmission (even or odd part) at sines of angles in the tissue."""
        response = _response(self)
        ratio = self.tissue_index / refractive_index(self.table_medium)
        table_sine = sine * ratio
        theta_deg = torch.rad2deg(torch.arcsin(table_sine.clamp(max=1))) / scale
        if self.includes_projection:
            steep_deg = theta_deg.clamp(max=GRAZING_DEG)
            passing = _joined(steep_deg, response.angle_deg, values)
            passing = passing / torch.cos(torch.deg2rad(steep_deg))
        else:
            passing = _joined(theta_deg, response.angle_deg, values)
        reflected = (table_sine > 1 + ROUNDING) | (theta_deg > float(response.angle_deg[-1]))
        if self.cover_um:
            reflected = reflected | (sine * (self.tissue_index / self.cover_index) > 1 + ROUNDING)
        passing = passing * (self.peak_transmission / response.largest)
        return torch.where(reflected, torch.zeros_like(passing), passing)

    def _potential(self, angular: Tensor) -> Tensor:
        """Return (..., TABLE_INTERVALS + 1): the odd part's potential times the distance, over u.

        Its gradient along the axis is the irradiance of the odd part; it is the integral of
        T_odd cos(theta) / (4 pi z) over the angles beyond theta.
        """
        u = torch.linspace(0, 1, 2 * TABLE_INTERVALS + 1, dtype=torch.float64).to(angular.device)
        sine = u * torch.sqrt(2 - u**2)
        odd = self._passing(sine, angular[..., None].double(), _response(self).odd)
        # d theta = 2 du / sqrt(2 - u^2), and `outer_energy_table` integrates u du.
        weight = (1 - u**2) * 2 / torch.sqrt(2 - u**2) / (4 * math.pi)
        per_u = torch.where(u > 0, odd * weight / u.clamp(min=1e-300), torch.zeros_like(odd))
        return outer_energy_table(per_u).to(angular)

    def pixel_response(
        self,
        distance_um: Tensor,
        *,
        pixel_pitch_um: float,
        radius_px: int,
        offset_um: tuple[float, float] | None = None,
        **parameters_of_scenes: Tensor,
    ) -> Tensor:
        """Return what each pixel collects; see `Psf.pixel_response`."""
        if not self.symmetric and offset_um is None:
            offset_um = (0.0, 0.0)
        response = super().pixel_response(
            distance_um,
            pixel_pitch_um=pixel_pitch_um,
            radius_px=radius_px,
            offset_um=offset_um,
            **parameters_of_scenes,
        )
        if self.symmetric or offset_um is None:
            return response
        side_px = torch.arange(
            -radius_px, radius_px + 1, dtype=torch.float64, device=response.device
        )
        y_um, x_um = (side_px * pixel_pitch_um - offset for offset in offset_um)
        odd = self._odd_response(
            distance_um,
            y_um=y_um.repeat_interleave(len(side_px)).to(response),
            x_um=x_um.repeat(len(side_px)).to(response),
            size_um=(math.sqrt(self.fill_factor) * pixel_pitch_um,) * 2,
            angular=parameters_of_scenes.get("angle_scale"),
        )
        return response + odd.reshape(response.shape)

    def area_response(
        self,
        distance_um: Tensor,
        *,
        y_um: Tensor,
        x_um: Tensor,
        size_um: tuple[float, float],
        **parameters_of_scenes: Tensor,
    ) -> Tensor:
        """Return what rectangles collect; see `Psf.area_response`."""
        even = super().area_response(
            distance_um, y_um=y_um, x_um=x_um, size_um=size_um, **parameters_of_scenes
        )
        if self.symmetric:
            return even
        angular = parameters_of_scenes.get("angle_scale")
        return even + self._odd_response(
            distance_um, y_um=y_um, x_um=x_um, size_um=size_um, angular=angular
        )

    def _odd_response(
        self,
        distance_um: Tensor,
        *,
        y_um: Tensor,
        x_um: Tensor,
        size_um: tuple[float, float],
        angular: Tensor | None,
    ) -> Tensor:
        """Return (..., rectangle): the part of an uneven response that goes as cos(azimuth)."""
        scale = distance_um.new_tensor(self.angle_scale) if angular is None else angular
        over_radius = self._over_radius(
            self._potential(scale.to(distance_um)), distance_um, angular
        )
        nearest_um = distance_um.clamp(min=NEAREST_UM)
        azimuth = math.radians(self.table_axis_deg)
        return potential_area_response(
            lambda r2_um2: over_radius(r2_um2) / nearest_um[..., None, None, None],
            nearest_um,
            direction=(math.sin(azimuth), math.cos(azimuth)),
            y_um=y_um,
            x_um=x_um,
            size_um=size_um,
        )


class _Response(NamedTuple):
    """A table split into its even and its odd part, at angles from 0 degrees on."""

    angle_deg: Tensor
    even: Tensor
    odd: Tensor
    largest: float
    """Greatest transmission of either side, in the table's unit."""


@lru_cache(maxsize=64)
def _response(psf: AngularResponsePsf) -> _Response:
    angle_deg, even, odd = even_and_odd(psf.table)
    if psf.even:
        odd = np.zeros_like(odd)
    largest = even + np.abs(odd)
    if psf.includes_projection:
        steep_deg = np.minimum(angle_deg, GRAZING_DEG)
        largest = np.interp(steep_deg, angle_deg, largest) / np.cos(np.radians(steep_deg))
    angle, even_part, odd_part = (torch.from_numpy(x) for x in (angle_deg, even, odd))
    return _Response(angle, even_part, odd_part, float(largest.max()))


def _joined(theta_deg: Tensor, angle_deg: Tensor, values: Tensor) -> Tensor:
    """Join values by straight lines, within the last angle."""
    angle, value = angle_deg.to(theta_deg), values.to(theta_deg)
    index = torch.searchsorted(angle, theta_deg.detach().contiguous(), right=True)
    index = index.clamp(1, len(angle) - 1)
    fraction = (theta_deg - angle[index - 1]) / (angle[index] - angle[index - 1])
    return value[index - 1] + fraction.clamp(max=1) * (value[index] - value[index - 1])
