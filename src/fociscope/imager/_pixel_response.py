"""What each pixel of an imager collects of point emitters that lie anywhere."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from fociscope.errors import ImagerError
from fociscope.imager.psf import Psf
from fociscope.imager.registration import Registration
from fociscope.registry import unknown_name
from fociscope.typing import Float64Array

__all__ = ["pixel_centres_um", "pixel_response", "sensitive_size_um"]

#: Standard deviations of a blur on the pixel grid that are followed beyond the frame.
BLUR_WIDTHS = 6.0


class Pixels(Protocol):
    """The fields of an `Imager` that decide what its pixels collect."""

    @property
    def frame_px(self) -> tuple[int, int]: ...
    @property
    def sensors(self) -> int: ...
    @property
    def gap_um(self) -> float: ...
    @property
    def psf(self) -> Psf: ...
    @property
    def further_psfs(self) -> tuple[Psf, ...]: ...
    @property
    def psf_pattern(self) -> tuple[tuple[int, ...], ...]: ...
    @property
    def registration(self) -> Registration: ...
    @property
    def sensor_gains(self) -> tuple[float, float]: ...
    @property
    def pitch_um(self) -> tuple[float, float]: ...
    @property
    def sensitive_um(self) -> tuple[float, float] | None: ...
    @property
    def sensitive_offset_um(self) -> tuple[float, float]: ...
    @property
    def row_shift_um(self) -> tuple[float, ...]: ...
    @property
    def dead_pixels(self) -> tuple[tuple[int, int, int], ...]: ...
    @property
    def has_plain_pixels(self) -> bool: ...
    @property
    def square_pitch_um(self) -> float: ...


def sensitive_size_um(imager: Pixels, psf: Psf) -> tuple[float, float]:
    """Return the (y, x) sides of the sensitive rectangle of a pixel of a PSF."""
    if imager.sensitive_um is not None:
        return imager.sensitive_um
    aperture = math.sqrt(getattr(psf, "fill_factor", 1.0))
    return imager.pitch_um[0] * aperture, imager.pitch_um[1] * aperture


def pixel_centres_um(imager: Pixels, margin_px: tuple[int, int] = (0, 0)) -> Float64Array:
    """Return (y, x, 2) middles of the sensitive areas, with a margin of further pixels around."""
    rows, columns = (
        np.arange(-margin, side + margin)
        for side, margin in zip(imager.frame_px, margin_px, strict=True)
    )
    y_um, x_um = (
        n * pitch + offset
        for n, pitch, offset in zip(
            (rows, columns), imager.pitch_um, imager.sensitive_offset_um, strict=True
        )
    )
    shifts = np.array(imager.row_shift_um or (0.0,))[rows % max(1, len(imager.row_shift_um))]
    return np.stack(np.broadcast_arrays(y_um[:, None], x_um + shifts[:, None]), axis=-1)


def pixel_response(imager: Pixels, emitters_um: Tensor, parameters: dict[str, Tensor]) -> Tensor:
    """Return (emitter, sensor, y, x) shares of light; see `Imager.pixel_response`."""
    unknown = set(parameters) - set(imager.psf.batched_parameters)
    if unknown:
        raise unknown_name(
            "parameter that differs from emitter to emitter",
            min(unknown),
            imager.psf.batched_parameters,
            of=f"a PSF of kind {imager.psf.kind}",
            error=ImagerError,
        )
    if emitters_um.ndim != 2 or emitters_um.shape[1] != 3:
        raise ImagerError(
            "emitters need (emitter, 3) positions x, y and depth in µm; got the shape "
            f"{tuple(emitters_um.shape)}"
        )
    # Of light within a small rectangle, single precision leaves three digits.
    precision = emitters_um.dtype
    if emitters_um.device.type != "mps":
        emitters_um = emitters_um.double()
        parameters = {name: value.double() for name, value in parameters.items()}
    depth_um = emitters_um[:, 2]
    least, most = imager.psf.depth_range_um
    seen = []
    for sensor in range(imager.sensors):
        distance_um = depth_um if sensor == 0 else imager.gap_um - depth_um
        if not bool(((distance_um >= least) & (distance_um <= min(most, imager.gap_um))).all()):
            raise ImagerError(
                f"emitters lie {least:g} to {min(most, imager.gap_um):g} µm from a sensor; got "
                f"{float(distance_um.detach().min()):g} to {float(distance_um.detach().max()):g} µm"
            )
        place_um = emitters_um[:, :2].flip(1)  # (y, x), as everywhere else
        place_um = place_um if sensor == 0 else _on_sensor_b(imager, place_um)
        response = _of_all_psfs(imager, place_um, distance_um, parameters)
        seen.append(response * imager.sensor_gains[sensor])
    result = torch.stack(seen, dim=1)
    if imager.dead_pixels:
        alive = torch.ones(result.shape[1:], dtype=result.dtype, device=result.device)
        for pixel in imager.dead_pixels:
            if pixel[0] < imager.sensors:
                alive[pixel] = 0
        result = result * alive
    return result.to(precision)


def _on_sensor_b(imager: Pixels, place_um: Tensor) -> Tensor:
    """Return (emitter, 2) where emitters appear on sensor B, as its registration says."""
    registration = imager.registration
    middle_um = place_um.new_tensor(
        [(side - 1) / 2 * p for side, p in zip(imager.frame_px, imager.pitch_um, strict=True)]
    )
    moved = torch.stack(registration.similarity.rotated(*(place_um - middle_um).T), dim=-1)
    return moved + middle_um + place_um.new_tensor(registration.shift_um)


def _of_all_psfs(
    imager: Pixels, place_um: Tensor, distance_um: Tensor, parameters: dict[str, Tensor]
) -> Tensor:
    """Return (emitter, y, x) of emitters (emitter, 2) at distances (emitter,)."""
    parts = []
    for psf in (imager.psf, *imager.further_psfs):
        own = {n: value for n, value in parameters.items() if n in psf.batched_parameters}
        part = _of_one_psf(imager, psf, place_um, distance_um, own)
        parts.append(part * psf.tissue.transmitted(distance_um)[:, None, None])
    if not imager.further_psfs:
        return parts[0]
    number = torch.tensor(imager.psf_pattern, device=place_um.device)
    rows, columns = (
        torch.arange(side, device=place_um.device) % period
        for side, period in zip(imager.frame_px, number.shape, strict=True)
    )
    number = number[rows[:, None], columns]
    return sum((part * (number == n) for n, part in enumerate(parts)), torch.zeros_like(parts[0]))


def _of_one_psf(
    imager: Pixels, psf: Psf, place_um: Tensor, distance_um: Tensor, parameters: dict[str, Tensor]
) -> Tensor:
    """Return (emitter, y, x) as if all pixels were of one PSF, without attenuation."""
    if imager.has_plain_pixels and not psf.knows_areas:
        return _one_by_one(imager, place_um, distance_um, parameters)
    blur_um = parameters.get("base_blur_um", distance_um.new_tensor(psf.base_blur_um))
    blur_um2 = psf.grid_variance_um2(distance_um, blur_um).expand(distance_um.shape)
    widest_um = math.sqrt(float(blur_um2.detach().max())) if len(distance_um) else 0.0
    margin = tuple(math.ceil(BLUR_WIDTHS * widest_um / pitch) for pitch in imager.pitch_um)
    if widest_um and any(imager.row_shift_um):
        raise ImagerError(
            "a base blur is defined on pixels whose rows are not staggered; leave base_blur_um or "
            "row_shift_um out"
        )
    centres = torch.from_numpy(pixel_centres_um(imager, margin)).to(place_um)  # type: ignore[arg-type]
    apart = centres.flatten(0, 1) - place_um[:, None, :]
    response = psf.area_response(
        distance_um,
        y_um=apart[..., 0],
        x_um=apart[..., 1],
        size_um=sensitive_size_um(imager, psf),
        **parameters,
    ).reshape(len(place_um), *centres.shape[:2])
    if not widest_um:
        return response
    to_y, to_x = (
        _blurring(blur_um2 / pitch**2, side, m).to(response)
        for pitch, side, m in zip(imager.pitch_um, imager.frame_px, margin, strict=True)
    )
    return to_y @ response @ to_x.transpose(1, 2)


def _blurring(variance_px2: Tensor, side: int, margin: int) -> Tensor:
    """Return (emitter, side, side + 2 margin): a discrete Gaussian along an axis, as a matrix."""
    from scipy.special import ive  # a tenth of a second, for few

    apart = np.arange(side)[:, None] + margin - np.arange(side + 2 * margin)[None, :]
    variance = variance_px2.detach().double().cpu().numpy()[:, None, None]
    return torch.from_numpy(ive(np.abs(apart), variance))


def _one_by_one(
    imager: Pixels, place_um: Tensor, distance_um: Tensor, parameters: dict[str, Tensor]
) -> Tensor:
    """Return (emitter, y, x) by kernels around the pixel nearest to each emitter."""
    pitch_um, psf = imager.square_pitch_um, imager.psf
    windows = []
    for n, (y_um, x_um) in enumerate(place_um.detach().tolist()):
        own = psf.with_(**{name: float(value[n]) for name, value in parameters.items()})
        row, column = round(y_um / pitch_um), round(x_um / pitch_um)
        radius = max(
            abs(row), abs(column), imager.frame_px[0] - row, imager.frame_px[1] - column, 1
        )
        kernel = own.kernel(
            distance_um[n],
            pitch_um,
            radius_px=radius,
            offset_um=(y_um - row * pitch_um, x_um - column * pitch_um),
        )
        kernel = torch.as_tensor(kernel) / own.tissue.transmitted(distance_um[n])
        top, left = radius - row, radius - column
        windows.append(kernel[top : top + imager.frame_px[0], left : left + imager.frame_px[1]])
    return torch.stack(windows) if windows else place_um.new_zeros(0, *imager.frame_px)
