"""The drawn frame: the imager's, and the tissue around it that lights it from outside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import EllipsisType

import numpy as np
import torch

from fociscope.imager.geometry import Imager
from fociscope.imager.projector import LayerProjector
from fociscope.typing import Float32Array, Float64Array

__all__ = [
    "DrawnFrame",
    "chunk_scenes",
    "project",
    "rebinned",
    "square_frame",
    "surround_margin_px",
]

#: Pixels of one layer that are projected together, and scenes at the most.
CHUNK_PIXELS, CHUNK_SCENES = 2**20, 50
#: Share of the light from the farthest layer that a `reflect` scene's margin must hold.
SURROUND_ENERGY = 0.99


@dataclass(frozen=True)
class DrawnFrame:
    """The frame in which a scene is drawn: the imager's, and a margin that is cut off in the end.

    Attributes:
        size_px: Pixels (y, x) to draw, the margin at both edges included.
        pixel_pitch_um: Side of a pixel, in um.
        margin_px: Pixels at each edge that lie outside the imager's frame.

    Examples:
        >>> import numpy as np
        >>> from fociscope.simulation import DrawnFrame
        >>> frame = DrawnFrame((61, 71), pixel_pitch_um=55.0, margin_px=5)
        >>> frame.imager_px
        (51, 61)
        >>> np.zeros((4, 61, 71))[frame.inside].shape
        (4, 51, 61)
    """

    size_px: tuple[int, int]
    pixel_pitch_um: float
    margin_px: int = 0

    @classmethod
    def around(cls, imager: Imager) -> DrawnFrame:
        """Return the frame to draw for an imager.

        Args:
            imager: Instrument; with the boundary `reflect`, tissue beyond its frame lights it.

        Returns:
            The imager's frame with the margin that its boundary needs.
        """
        margin = surround_margin_px(imager)
        height, width = imager.frame_px
        return cls((height + 2 * margin, width + 2 * margin), _equal_pitch_um(imager), margin)

    @property
    def imager_px(self) -> tuple[int, int]:
        """Pixels (y, x) of the imager's frame."""
        return self.size_px[0] - 2 * self.margin_px, self.size_px[1] - 2 * self.margin_px

    @property
    def inside(self) -> tuple[EllipsisType, slice, slice]:
        """Index that cuts (..., y, x) down to the imager's frame."""
        inner = slice(self.margin_px, -self.margin_px or None)
        return ..., inner, inner


def surround_margin_px(imager: Imager) -> int:
    """Return how much tissue around the frame a scene needs: none where `boundary` is `zero`."""
    if imager.boundary == "zero":
        return 0
    farthest_um = min(imager.gap_um, imager.psf.depth_range_um[1])
    reach_um = imager.psf.encircled_radius_um(farthest_um, SURROUND_ENERGY)
    margin = min(round(reach_um / _equal_pitch_um(imager)), max(imager.frame_px))
    if imager.sensors == 1:
        return margin
    shift_px = math.hypot(*imager.registration.shift_um) / _equal_pitch_um(imager)
    return margin + math.ceil(shift_px) + imager.registration.margin_px(imager.frame_px)


def project(
    imager: Imager,
    light: Float32Array,
    depth_um: Float32Array,
    *,
    drawn: DrawnFrame,
    displacement_px: tuple[int, int] = (0, 0),
    parameter_range: tuple[str, tuple[float, float]] | None = None,
    device: torch.device | str = "cpu",
    **psf_parameters: torch.Tensor,
) -> torch.Tensor:
    """Return the noise-free captures of layers that were drawn with a margin around the frame.

    Args:
        imager: the instrument; what lies beyond the margin is dark.
        light: (scene, layer, y, x) of the drawn frame.
        depth_um: (scene, layer).
        drawn: frame, which the captures are cut down from.
        displacement_px: by which the captures lie beside the layers, (y, x); (-1, -1) is one up
            and one left. What comes into the frame is what the sensor would see there.
        parameter_range: as for `LayerProjector`.
        device: where to project.
        psf_parameters: as for `LayerProjector.A`.

    Returns:
        (scene, sensor, y, x).
    """
    wide = LayerProjector(imager.with_(boundary="zero"), parameter_range=parameter_range)
    light_there, depth_there = (torch.from_numpy(a).to(device) for a in (light, depth_um))
    beyond = max(map(abs, displacement_px))
    light_there = torch.nn.functional.pad(light_there, (beyond,) * 4)
    seen = wide.A(light_there, depth_there, **psf_parameters)
    assert isinstance(seen, torch.Tensor)
    y, x = (
        slice(first, first + length)
        for first, length in zip(
            (beyond + drawn.margin_px - by for by in displacement_px), drawn.imager_px, strict=True
        )
    )
    return seen[..., y, x].clamp_(min=0)


def chunk_scenes(imager: Imager) -> int:
    """Return how many scenes of an imager's frame are simulated together, to bound memory."""
    pixels = imager.frame_px[0] * imager.frame_px[1]
    return min(CHUNK_SCENES, max(1, CHUNK_PIXELS // pixels))


def square_frame(imager: Imager) -> DrawnFrame:
    """Return the frame of square pixels, as small as the shorter pitch, that covers oblong ones."""
    side_um = min(imager.pitch_um)
    height, width = (
        math.ceil(n * pitch / side_um - 1e-9)
        for n, pitch in zip(imager.frame_px, imager.pitch_um, strict=True)
    )
    return DrawnFrame((height, width), side_um)


def rebinned(images: Float32Array, drawn: DrawnFrame, imager: Imager) -> Float32Array:
    """Return the means of images over an imager's pixels.

    Args:
        images: (..., y, x) on the square pixels of `drawn`.
        drawn: Frame that `square_frame` returned for the imager.
        imager: Imager of oblong pixels.

    Returns:
        (..., y, x) on the imager's pixels.
    """
    to_y, to_x = (
        _shares(n, pitch, fine, drawn.pixel_pitch_um)
        for n, pitch, fine in zip(imager.frame_px, imager.pitch_um, drawn.size_px, strict=True)
    )
    return np.asarray(to_y @ images @ to_x.T, dtype=np.float32)


def _shares(pixels: int, pitch_um: float, fine: int, fine_um: float) -> Float64Array:
    """Return (pixel, fine pixel): which share of a pixel each fine one covers."""
    start, fine_start = np.arange(pixels)[:, None] * pitch_um, np.arange(fine) * fine_um
    end = np.minimum(start + pitch_um, fine_start + fine_um)
    return np.asarray(np.clip(end - np.maximum(start, fine_start), 0, None) / pitch_um)


def _equal_pitch_um(imager: Imager) -> float:
    """Return the pitch along both axes; refuse oblong pixels in the words of the imager."""
    y_um, x_um = imager.pitch_um
    return x_um if y_um == x_um else imager.square_pitch_um
