"""Bringing sensor B's image onto sensor A's pixels, where the imager says that B lies elsewhere."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fociscope.imager.registration import Registration

__all__ = ["aligned", "share_seen_by_both"]


def _places(
    registration: Registration, frame_px: tuple[int, int], pixel_pitch_um: float
) -> tuple[Tensor, Tensor]:
    """Return (y, x) twice: where A's pixels appear on sensor B, -1 ... 1 over its frame."""
    y_um, x_um = (
        (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * pixel_pitch_um for n in frame_px
    )
    grid = torch.stack(torch.meshgrid(y_um, x_um, indexing="ij"), dim=-1)
    places = torch.from_numpy(registration.similarity.apply(grid.numpy()))
    half_um = [n * pixel_pitch_um / 2 for n in frame_px]
    return places[..., 0] / half_um[0], places[..., 1] / half_um[1]


def aligned(captures: Tensor, registration: Registration, *, pixel_pitch_um: float) -> Tensor:
    """Return captures whose sensor B shows on each pixel what sensor A shows there.

    Args:
        captures: (batch, sensor, y, x) as the sensors took them.
        registration: where sensor B lies.
        pixel_pitch_um: of both sensors.

    Returns:
        (batch, sensor, y, x); B is sampled bicubically, and beyond its edge the edge goes on. The
        same tensor where there is nothing to do.
    """
    if captures.shape[1] < 2 or registration == Registration():
        return captures
    frame_px = captures.shape[-2], captures.shape[-1]
    y, x = _places(registration, frame_px, pixel_pitch_um)
    grid = torch.stack([x, y], dim=-1).to(captures).expand(len(captures), -1, -1, -1)
    moved = F.grid_sample(
        captures[:, 1:2], grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    # A pixel of A holds what falls on scale^2 pixels of B.
    return torch.cat([captures[:, :1], moved.clamp(min=0) * registration.scale**2], dim=1)


def share_seen_by_both(
    registration: Registration, frame_px: tuple[int, int], *, pixel_pitch_um: float
) -> float:
    """Return the share of sensor A's pixels that lie on sensor B too."""
    y, x = _places(registration, frame_px, pixel_pitch_um)
    return float(((y.abs() <= 1) & (x.abs() <= 1)).double().mean())
