"""The drawn frame: the imager's, and the tissue around it that lights it from outside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import EllipsisType

import torch

from fociscope.imager.geometry import Imager
from fociscope.imager.projector import LayerProjector
from fociscope.typing import Float32Array

__all__ = ["DrawnFrame", "chunk_scenes", "project", "surround_margin_px"]

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
        return cls((height + 2 * margin, width + 2 * margin), imager.square_pitch_um, margin)

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
    margin = min(round(reach_um / imager.square_pitch_um), max(imager.frame_px))
    if imager.sensors == 1:
        return margin
    shift_px = math.hypot(*imager.registration.shift_um) / imager.square_pitch_um
    return margin + math.ceil(shift_px) + imager.registration.margin_px(imager.frame_px)


def project(
    imager: Imager,
    light: Float32Array,
    depth_um: Float32Array,
    *,
    drawn: DrawnFrame,
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
        parameter_range: as for `LayerProjector`.
        device: where to project.
        psf_parameters: as for `LayerProjector.A`.

    Returns:
        (scene, sensor, y, x).
    """
    wide = LayerProjector(imager.with_(boundary="zero"), parameter_range=parameter_range)
    light_there, depth_there = (torch.from_numpy(a).to(device) for a in (light, depth_um))
    seen = wide.A(light_there, depth_there, **psf_parameters)
    assert isinstance(seen, torch.Tensor)
    return seen[drawn.inside].clamp_(min=0)


def chunk_scenes(imager: Imager) -> int:
    """Return how many scenes of an imager's frame are simulated together, to bound memory."""
    pixels = imager.frame_px[0] * imager.frame_px[1]
    return min(CHUNK_SCENES, max(1, CHUNK_PIXELS // pixels))
