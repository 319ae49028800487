"""A measured point spread function: kernels at known depths, and in between by interpolation.

Each measured kernel is split into the Gaussian nearest to it, integrated over pixels, and what is
left. Between two depths the Gaussian's width is interpolated, and what is left is stretched to that
width and mixed. Light behind a grating only grows with depth, so this comes near to it even where
kernels are narrower than a pixel, where stretching them as they are would say nothing. Stretching
works on light summed up to each pixel's border, joined by a cubic spline, so that none is lost.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from scipy.special import ndtr
from torch import Tensor

from fociscope.configuration import file_beside, plain_errors
from fociscope.errors import FociscopeError, ImagerError, printable
from fociscope.files.images.reader import read_image
from fociscope.files.ome.tiff import write_ome_tiff
from fociscope.files.safe.checksum import sha256
from fociscope.imager.psf._base import Psf
from fociscope.typing import Float64Array

__all__ = ["MeasuredPsf"]

#: What an imager's file calls the checksum of the kernels' file; older ones do without.
CHECKSUM = "file_sha256"
#: Standard deviation in pixels below which a kernel does not show its width.
RESOLVED_PX = 0.35
#: Standard deviations of the nearest Gaussian within which a kernel's own width is taken.
CUT_WIDTHS = 4.0


def _stack(value: Any) -> Float64Array:
    stack = np.array(value, dtype=np.float64)
    if stack.ndim != 3 or stack.shape[1] != stack.shape[2] or stack.shape[1] % 2 == 0:
        raise ValueError(f"expected (depth, k, k) with k odd, got the shape {stack.shape}")
    if not np.isfinite(stack).all():
        raise ValueError("every share of light must be a finite number")
    sums = stack.sum(axis=(1, 2))
    if (sums <= 0).any() or (sums > 1 + 1e-6).any():
        raise ValueError(
            "each kernel must sum to the share of emitted light that lands, above 0 and at most 1; "
            f"got {sums.min():g} to {sums.max():g}"
        )
    stack.flags.writeable = False
    return stack


Stack = Annotated[
    Any,
    BeforeValidator(_stack),
    PlainSerializer(lambda stack: stack.tolist(), when_used="json"),
    WithJsonSchema({"type": "array"}),
]
"""(depth, k, k) float64, read-only."""


class MeasuredPsf(Psf):
    """Kernels measured at known depths, on the pixels that measured them.

    Between two depths, the Gaussian nearest to each kernel is interpolated in width, and what is
    left is stretched to that width and mixed. Depths outside the stack are refused.

    Examples:
        >>> import numpy as np
        >>> from fociscope.imager import AngleSelectivePsf, MeasuredPsf
        >>> depth_um = np.array([50.0, 100.0, 150.0])
        >>> kernels = AngleSelectivePsf().kernel(depth_um, 55.0, radius_px=8)
        >>> psf = MeasuredPsf.from_stack(kernels, depth_um, pixel_pitch_um=55.0)
        >>> psf.depth_range_um
        (50.0, 150.0)
    """

    kind: Literal["measured"] = "measured"
    depth_um: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=2)]
    """Of the kernels, increasing."""
    pixel_pitch_um: Annotated[float, Field(gt=0, le=1000)]
    """Of the kernels' pixels."""
    stack: Stack
    """(depth, k, k): for each pixel the share of the emitted light that it collects, with the
    emitter above the middle one."""
    file: str | None = None
    """Where the stack was read from: a `.tif` or `.npy` beside the imager's own file."""

    label: ClassVar[str] = "measured"
    symmetric: ClassVar[bool] = False
    radial: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _read_the_file(cls, values: Any, info: ValidationInfo) -> Any:
        if not isinstance(values, dict) or "stack" in values or "file" not in values:
            return values
        path = file_beside(info, str(values["file"]))
        try:
            stack = read_image(path)
        except FociscopeError as error:
            raise ValueError(str(error)) from None
        if values.get(CHECKSUM, sha256(path)) != sha256(path):
            raise ValueError(
                f"{printable(path)} holds other kernels than this file was written with "
                f"({CHECKSUM} differs); calibrate again, or remove {CHECKSUM} to take them"
            )
        return {**{name: values[name] for name in values if name != CHECKSUM}, "stack": stack}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.stack) != len(self.depth_um):
            raise ValueError(
                f"{len(self.stack)} kernels do not go with {len(self.depth_um)} depths"
            )
        if any(b <= a for a, b in pairwise(self.depth_um)):
            raise ValueError("depth_um must increase")
        return self

    @classmethod
    def from_stack(
        cls, stack: Any, depth_um: Any, pixel_pitch_um: float, **fields: Any
    ) -> MeasuredPsf:
        """Return the PSF of measured kernels.

        Args:
            stack: (depth, k, k) shares of the emitted light, k odd.
            depth_um: (depth,) distances of the emitter, increasing.
            pixel_pitch_um: Side of the kernels' pixels.
            fields: Other fields of the PSF.

        Raises:
            ImagerError: If shapes do not fit, depths do not increase, or a kernel holds no light or
                more than was emitted.
        """
        values = {
            "stack": stack,
            "depth_um": [float(z) for z in np.asarray(depth_um).reshape(-1)],
            "pixel_pitch_um": pixel_pitch_um,
            **fields,
        }
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ImagerError(f"not a possible PSF: {plain_errors(error)}") from None

    def __hash__(self) -> int:
        """Hash by content, as a frozen configuration is."""
        return hash(self._content())

    def __eq__(self, other: object) -> bool:
        """Compare by content; where a stack was read from plays no part."""
        return isinstance(other, MeasuredPsf) and self._content() == other._content()

    def _content(self) -> tuple[object, ...]:
        digest = hashlib.sha256(np.ascontiguousarray(self.stack, np.float32).tobytes()).hexdigest()
        return digest, self.depth_um, self.pixel_pitch_um, self.base_blur_um, self.tissue

    @property
    def depth_range_um(self) -> tuple[float, float]:
        """The first and the last measured depth."""
        return self.depth_um[0], self.depth_um[-1]

    def file_fields(self, imager_file: Path) -> dict[str, Any]:
        """Return the fields with name and SHA-256 of the kernels' file in place of the kernels."""
        fields = super().file_fields(imager_file)
        del fields["stack"]
        kernels = _kernels_file(imager_file)
        return {**fields, "file": kernels.name, CHECKSUM: sha256(kernels)}

    def write_files(self, imager_file: Path, *, overwrite: bool = False) -> None:
        """Write the kernels into an OME-TIFF beside the imager's file, in float32."""
        write_ome_tiff(
            _kernels_file(imager_file),
            self.stack,
            pixel_pitch_um=self.pixel_pitch_um,
            depth_um=self.depth_um,
            channel_name="point spread function",
            overwrite=overwrite,
        )

    def _neighbours(self, distance_um: float) -> tuple[int, float]:
        """Return the measured depth before, and how far on to the next it is, 0 ... 1."""
        before = min(max(bisect_right(self.depth_um, distance_um) - 1, 0), len(self.depth_um) - 2)
        start, end = self.depth_um[before], self.depth_um[before + 1]
        return before, min(max((distance_um - start) / (end - start), 0.0), 1.0)

    def _between(self, values: Float64Array, distance_um: float) -> float:
        before, share = self._neighbours(distance_um)
        return float((1 - share) * values[before] + share * values[before + 1])

    def bare_collection_efficiency(self, distance_um: Tensor) -> Tensor:
        """Return the share of light that lands; see `Psf.bare_collection_efficiency`."""
        sums = self.stack.sum(axis=(1, 2))
        fractions = [self._between(sums, float(z)) for z in distance_um.reshape(-1)]
        return torch.tensor(fractions, dtype=distance_um.dtype).reshape(distance_um.shape)

    def bare_encircled_radius_um(self, distance_um: float, energy: float) -> float:
        """Return the farthest pixel border that the measurement covers: it knows no more."""
        return float(self.stack.shape[-1] / 2) * self.pixel_pitch_um

    def bare_variance_um2(self, distance_um: float, energy: float) -> float:
        """Return the variance within `CUT_WIDTHS` standard deviations; beyond is mostly noise."""
        middle, pitch_um = self.stack.shape[-1] // 2, self.pixel_pitch_um
        position_um = np.arange(-middle, middle + 1) * pitch_um
        r2 = position_um[:, None] ** 2 + position_um[None, :] ** 2
        near = r2 <= (CUT_WIDTHS * _split(self)[0] + pitch_um)[:, None, None] ** 2
        variances = (self.stack * r2 * near).sum((1, 2)) / (self.stack * near).sum((1, 2)) / 2
        return max(self._between(variances, distance_um) - pitch_um**2 / 12, 0.0)

    def pixel_response(
        self,
        distance_um: Tensor,
        *,
        pixel_pitch_um: float,
        radius_px: int,
        offset_um: tuple[float, float] | None = None,
        **parameters_of_scenes: Tensor,
    ) -> Tensor:
        """Return what each pixel collects (`Psf.pixel_response`); no derivative in distance."""
        offset_um = offset_um or (0.0, 0.0)
        sigma_um, light, rest = _split(self)
        borders_um = np.linspace(-radius_px - 0.5, radius_px + 0.5, 2 * radius_px + 2)
        borders_um *= pixel_pitch_um
        borders_y, borders_x = borders_um - offset_um[0], borders_um - offset_um[1]
        windows = []
        for z in distance_um.detach().reshape(-1).tolist():
            before, share = self._neighbours(z)
            width_um = self._between(sigma_um, z)
            window = self._between(light, z) * np.outer(
                _gaussian_pixel_response(borders_y, width_um),
                _gaussian_pixel_response(borders_x, width_um),
            )
            for plane, weight in ((before, 1 - share), (before + 1, share)):
                if weight:
                    stretch = self._blurred_um(width_um) / self._blurred_um(sigma_um[plane])
                    to_y = self._rebinning(borders_y / stretch)
                    to_x = self._rebinning(borders_x / stretch)
                    window += weight * (to_y @ rest[plane] @ to_x.T)
            windows.append(window)
        stacked = torch.from_numpy(np.stack(windows)).to(distance_um)
        return stacked.reshape(*distance_um.shape, *stacked.shape[-2:])

    def _blurred_um(self, sigma_um: float) -> float:
        """Return the width of a Gaussian that a pixel has integrated."""
        return math.hypot(sigma_um, self.pixel_pitch_um / math.sqrt(12))

    def _rebinning(self, borders_um: Float64Array) -> Float64Array:
        """Return (new pixel, measured pixel): light between new borders, by a spline of its sum."""
        from scipy.interpolate import CubicSpline  # a quarter of a second, for few

        k = self.stack.shape[-1]
        measured_um = (np.arange(k + 1) - k / 2) * self.pixel_pitch_um
        summed = np.concatenate([np.zeros((1, k)), np.tri(k)])
        spline = CubicSpline(measured_um, summed, bc_type="clamped")
        inside = np.clip(borders_um, measured_um[0], measured_um[-1])
        return np.asarray(np.diff(spline(inside), axis=0))


def _kernels_file(imager_file: Path) -> Path:
    return imager_file.with_name(f"{imager_file.stem}.psf.ome.tif")


def _gaussian_pixel_response(borders_um: Float64Array, sigma_um: float) -> Float64Array:
    """Return the share of a Gaussian's light between one border and the next."""
    return np.asarray(np.diff(ndtr(borders_um / sigma_um)))


@lru_cache(maxsize=8)
def _split(
    psf: MeasuredPsf,
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return each kernel's nearest Gaussian, its width in um and its light, and what is left."""
    from scipy.optimize import minimize_scalar  # a quarter of a second, for few

    k, pitch_um = psf.stack.shape[-1], psf.pixel_pitch_um
    borders_um = (np.arange(k + 1) - k / 2) * pitch_um

    def fitted(kernel: Float64Array, sigma: float) -> tuple[float, Float64Array]:
        line = _gaussian_pixel_response(borders_um, sigma)
        gaussian = np.outer(line, line)
        share = max(float((kernel * gaussian).sum() / (gaussian**2).sum()), 0.0)
        return share, kernel - share * gaussian

    sigma_um = np.empty(len(psf.stack))
    for plane, kernel in enumerate(psf.stack):
        nearest = minimize_scalar(
            lambda log_sigma, kernel=kernel: (fitted(kernel, math.exp(log_sigma))[1] ** 2).sum(),
            bounds=(math.log(0.05 * pitch_um), math.log(k * pitch_um)),
            method="bounded",
            options={"xatol": 1e-4},
        )
        sigma_um[plane] = math.exp(nearest.x)
    # Within one pixel no width shows: there it follows sigma^2 = s0^2 + (a z)^2 of the others.
    shows = sigma_um > RESOLVED_PX * pitch_um
    if shows.sum() >= 2 and not shows.all():
        z2 = np.square(psf.depth_um)
        slope, start = np.polyfit(z2[shows], sigma_um[shows] ** 2, 1, w=1 / sigma_um[shows] ** 2)
        followed = np.sqrt(np.maximum(start, 0) + max(slope, 0) * z2[~shows])
        sigma_um[~shows] = np.clip(followed, 0.05 * pitch_um, RESOLVED_PX * pitch_um)
    parts = [fitted(kernel, sigma) for kernel, sigma in zip(psf.stack, sigma_um, strict=True)]
    light, rest = (np.array(part) for part in zip(*parts, strict=True))
    return sigma_um, light, rest
