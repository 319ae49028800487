"""A folder that `fociscope reconstruct` wrote, opened again: every layer where it was found.

The OME-TIFFs hold the planes and `summary.json` where they lie; foci are found again in them. Of
one capture only: `files` reads no OME-TIFF with frames and depths both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from pydantic import BaseModel, Field

from fociscope.errors import FileFormatError, FociscopeError
from fociscope.files import read_image, require_file
from fociscope.files.safe.records import read_typed_record
from fociscope.imager.geometry import Imager
from fociscope.napari_plugin.result_layers import foci_points, map_layers
from fociscope.napari_plugin.transforms import Depths, LayerData
from fociscope.networks.foci import FocusProbability
from fociscope.networks.guarantees import Guarantees
from fociscope.results.foci import tabulate_foci
from fociscope.results.load import SavedCapture
from fociscope.results.parts import SavedFiles, check_parts
from fociscope.results.result import Reconstruction
from fociscope.results.writers import SUMMARY
from fociscope.typing import Float32Array

__all__ = ["SUMMARY", "is_saved_map", "is_saved_plane", "read_saved_map", "read_summary"]

PROBABILITY, INTENSITY = "probability.ome.tif", "intensity.ome.tif"
DEPTH_MAP = "depth_map.ome.tif"

S = TypeVar("S", bound=BaseModel)


class Summary(BaseModel):
    """What `summary.json` says of a reconstruction."""

    model: str
    imager: Imager
    captures: Annotated[list[SavedCapture], Field(min_length=1, max_length=1)]
    focus_probability: FocusProbability | None = None
    guarantees: Guarantees | None = None
    files: SavedFiles | None = None


def is_saved_plane(path: Path) -> bool:
    """Return whether a file bears the name of one of a layered map's images."""
    return path.name in (PROBABILITY, INTENSITY, DEPTH_MAP)


def is_saved_map(folder: Path) -> bool:
    """Return whether this folder holds a layered map that can be opened."""
    try:
        read_summary(folder, Summary)
        require_file(folder / PROBABILITY)
    except FociscopeError:
        return False
    return True


def read_saved_map(folder: Path) -> list[LayerData]:
    """Return intensities, probabilities and foci at their depths.

    Raises:
        FileFormatError: a file is missing, damaged, or of another map than the others.
    """
    summary = read_summary(folder, Summary)
    imager, (capture,) = summary.imager, summary.captures
    check_parts(folder, summary.files, (PROBABILITY, INTENSITY))
    probability = _planes(folder / PROBABILITY, len(capture.layers))
    intensity = _planes(folder / INTENSITY, len(capture.layers))
    presence, depth_um, depth_std_um = np.transpose(
        [(layer.presence, layer.depth_um, layer.depth_std_um) for layer in capture.layers]
    ).astype(np.float32)
    unknown = np.full((imager.sensors, 1, 1), np.nan, np.float32)
    result = Reconstruction(
        probability=probability,
        presence=presence,
        intensity=intensity,
        depth_um=depth_um,
        depth_std_um=depth_std_um,
        captures=unknown,
        reprojection=unknown,
        imager=imager,
        model=summary.model,
        focus_probability=summary.focus_probability,
        guarantees=summary.guarantees,
    )
    known = {
        "files": [str(folder)],
        "model": summary.model,
        "quality_flags": capture.quality_flags,
    }
    layers = map_layers(
        probability,
        intensity,
        Depths(depth_um, depth_std_um, result.present),
        pixel_pitch_um=imager.square_pitch_um,
        gap_um=imager.gap_um,
        metadata=known,
    )
    foci = foci_points(tabulate_foci(result), series=False, gap_um=imager.gap_um, metadata=known)
    return [*layers, *foci]


def read_summary(folder: Path, kind: type[S]) -> S:
    """Read what a folder's `summary.json` says of a map or of a series.

    Raises:
        FileFormatError: it is missing, too large, or says something else.
    """
    what = "a summary of `fociscope reconstruct`"
    return read_typed_record(folder / SUMMARY, kind, what, advice="reconstruct the captures again")


def _planes(path: Path, layers: int) -> Float32Array:
    """Read (layer, y, x)."""
    pages = read_image(path)
    pages = pages[None] if pages.ndim == 2 else pages
    if len(pages) != layers or not np.isfinite(pages).all():
        raise FileFormatError(
            f"{path}: {len(pages)} planes, expected {layers} of finite numbers as {SUMMARY} beside "
            "it says; reconstruct again"
        )
    return pages
