"""A folder that `reconstruct_volume` wrote, opened as volumes in micrometres.

The OME-TIFFs hold probability, light and, where samples were drawn, its spread; foci are found
again in them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from fociscope.errors import FileFormatError, FociscopeError, printable
from fociscope.files import read_image, require_file
from fociscope.imager.geometry import Imager
from fociscope.napari_plugin.saved_map import INTENSITY, PROBABILITY, SUMMARY, read_summary
from fociscope.napari_plugin.transforms import KEY, LayerData, depth_colour
from fociscope.networks.volume_foci import VolumeFoci, find_volume_foci
from fociscope.results.parts import SavedFiles, check_parts
from fociscope.results.volume_samples import LIGHT_STD
from fociscope.typing import Float32Array

__all__ = ["is_saved_volume", "read_saved_volume"]

#: Diameter of a focus's mark in um.
POINT_UM = 80.0


class VolumeSummary(BaseModel):
    """What `summary.json` says of a volume, as far as it is needed here."""

    kind: Literal["volume"]
    model: Annotated[str, Field(max_length=1000)]
    imager: Imager
    slice_um: Annotated[
        list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=1000)
    ]
    focus_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    spread_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    files: SavedFiles | None = None


def is_saved_volume(folder: Path) -> bool:
    """Return whether this folder holds a volume that can be opened."""
    try:
        read_summary(folder, VolumeSummary)
        require_file(folder / PROBABILITY)
    except FociscopeError:
        return False
    return True


def read_saved_volume(folder: Path) -> list[LayerData]:
    """Return light, its spread, probability and foci, each in its place in space.

    Raises:
        FileFormatError: a file is missing, damaged, or of another volume than the others.
    """
    summary = read_summary(folder, VolumeSummary)
    check_parts(folder, summary.files, (PROBABILITY, INTENSITY))
    probability, intensity = (_volume(folder / n, summary) for n in (PROBABILITY, INTENSITY))
    known = {"files": [str(folder)], "model": summary.model}
    layers = [_image("light", intensity, summary, "gray", known)]
    if (folder / LIGHT_STD).exists():
        check_parts(folder, summary.files, (LIGHT_STD,))
        spread = _volume(folder / LIGHT_STD, summary)
        layers.append(_image("spread of light", spread, summary, "magma", known, visible=False))
    layers.append(_image("P(cells)", probability, summary, "viridis", known, most=1.0))
    foci = find_volume_foci(
        probability,
        intensity,
        summary.slice_um,
        pitch_um=summary.imager.square_pitch_um,
        threshold=summary.focus_threshold,
        spread_scale=summary.spread_scale,
    )
    return [*layers, *_points(foci, summary, known)]


def _volume(path: Path, summary: VolumeSummary) -> Float32Array:
    """Read (slice, y, x)."""
    planes = np.asarray(read_image(path), np.float32)
    if planes.ndim != 3 or len(planes) != len(summary.slice_um) or not np.isfinite(planes).all():
        raise FileFormatError(
            f"{printable(path)}: an image of the shape {planes.shape}, expected "
            f"{len(summary.slice_um)} slices of finite numbers as {SUMMARY} beside it says; "
            "reconstruct again"
        )
    return planes


def _image(
    name: str,
    values: Float32Array,
    summary: VolumeSummary,
    colormap: str,
    known: dict[str, Any],
    *,
    most: float | None = None,
    visible: bool = True,
) -> LayerData:
    pitch_um, z = summary.imager.square_pitch_um, summary.slice_um
    most = float(values.max()) if most is None else most
    looks = {
        "name": name,
        "colormap": colormap,
        "contrast_limits": (0.0, most if most > 0 else 1.0),
        "blending": "additive",
        "interpolation3d": "nearest",
        "rendering": "mip",
        "visible": visible,
        # The middle of the first voxel; the edge of the frame is at 0.
        "scale": (z[1] - z[0], pitch_um, pitch_um),
        "translate": (z[0], 0.5 * pitch_um, 0.5 * pitch_um),
        "units": ("um", "um", "um"),
        "axis_labels": ("depth", "y", "x"),
        "metadata": {KEY: {**known, "kind": name, "slice_um": list(z)}},
    }
    return values, looks, "image"


def _points(foci: VolumeFoci, summary: VolumeSummary, known: dict[str, Any]) -> list[LayerData]:
    if not len(foci):
        return []
    features = {
        name: getattr(foci, name)
        for name in ("depth_std_um", "volume_um3", "brightness", "cells", "probability")
    }
    gap_um = summary.imager.gap_um
    looks = {
        "name": "foci",
        "size": POINT_UM,
        "symbol": "disc",
        "face_color": [depth_colour(depth_um, gap_um) for depth_um in foci.depth_um],
        "border_color": "white",
        "features": features,
        "units": ("um", "um", "um"),
        "axis_labels": ("depth", "y", "x"),
        "metadata": {KEY: {**known, "kind": "foci"}},
    }
    return [(np.stack([foci.depth_um, foci.y_um, foci.x_um], axis=1), looks, "points")]
