"""A `Reconstruction` as napari layers: captures, tissue at its depths, foci as points."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from fociscope.napari_plugin.transforms import (
    KEY,
    Depths,
    LayerData,
    capture_image_planes,
    depth_colour,
    image_planes,
)
from fociscope.results.foci import FociTable, tabulate_foci
from fociscope.results.result import Reconstruction
from fociscope.typing import Float32Array

__all__ = ["foci_points", "map_layers", "result_layers"]


#: Diameter of a focus's mark. The same for all: a large focus's area would hide what lies beneath.
POINT_UM = 80.0


def result_layers(result: Reconstruction, *, with_captures: bool = True) -> list[LayerData]:
    """Return all that is shown of one capture, or of a series.

    Every layer's metadata hold the result itself, so that the writer can save it.

    Args:
        result: with no leading axis, or one.
        with_captures: with the captures it was made of; without, if napari shows them already.

    Raises:
        ValueError: more than one leading axis.
    """
    if result.captures.ndim > 4:
        raise ValueError(f"a series has one leading axis; got {result.captures.shape[:-3]}")
    imager = result.imager
    pitch_um, gap_um = imager.square_pitch_um, imager.gap_um
    known = {
        "result": result,
        "model": result.model,
        "self_check_residual": result.residual.tolist(),
        "quality_flags": "" if result.quality_flags is None else result.quality_flags.tolist(),
        "warnings": list(result.warnings),
    }
    place: dict[str, Any] = {"gap_um": gap_um, "pixel_pitch_um": pitch_um, "metadata": known}
    captures = capture_image_planes(result.captures, **place) if with_captures else []
    seen = capture_image_planes(result.reprojection, name="re-projection", visible=False, **place)
    layers = map_layers(
        result.probability,
        result.intensity,
        Depths(result.depth_um, result.depth_std_um, result.present),
        pixel_pitch_um=pitch_um,
        gap_um=gap_um,
        metadata=known,
    )
    series = result.captures.ndim == 4
    foci = foci_points(tabulate_foci(result), series=series, gap_um=gap_um, metadata=known)
    return [*captures, *seen, *layers, *foci]


def map_layers(
    probability: Float32Array,
    intensity: Float32Array | None,
    where: Depths,
    *,
    pixel_pitch_um: float,
    gap_um: float,
    brightest: float | None = None,
    metadata: dict[str, Any] | None = None,
) -> list[LayerData]:
    """Return the layers of tissue: their intensities, hidden at first, and their probabilities.

    Args:
        probability: (..., layer, y, x), of one capture or of a series.
        intensity: the same; None where it is not known.
        where: the depths.
        pixel_pitch_um: side of a pixel.
        gap_um: the last colour's depth.
        brightest: intensity that has the full colour; None for the greatest of all.
        metadata: more of what is known.
    """
    place: dict[str, Any] = {
        "pixel_pitch_um": pixel_pitch_um,
        "deepest_um": gap_um,
        "metadata": metadata,
    }
    made = image_planes(probability, where, name="P(cells)", limits=(0.0, 1.0), **place)
    if intensity is not None:
        brightest = float(intensity.max()) if brightest is None else brightest
        limits = (0.0, brightest if brightest > 0 else 1.0)
        made = [
            *image_planes(
                intensity, where, name="intensity", limits=limits, visible=False, **place
            ),
            *made,
        ]
    return made


def foci_points(
    foci: FociTable,
    *,
    series: bool,
    gap_um: float,
    metadata: dict[str, Any] | None = None,
) -> list[LayerData]:
    """Return the foci as one layer of points in space; what is known of each is in its features.

    Args:
        foci: of one capture, or of all frames.
        series: they have a place among the frames, too.
        gap_um: the last colour's depth.
        metadata: more of what is known.

    Returns:
        One layer, or none where there are no foci.
    """
    if not len(foci):
        return []
    places = np.stack([foci.frame, foci.depth_um, foci.y_um, foci.x_um], axis=1)
    features = {field.name: getattr(foci, field.name) for field in fields(foci)}
    features |= {"layer": foci.layer + 1, "focus": features.pop("label")}  # counted as in foci.csv
    looks = {
        "name": "foci",
        "size": POINT_UM,
        "symbol": "disc",
        "face_color": [depth_colour(depth_um, gap_um) for depth_um in foci.depth_um],
        "border_color": "white",
        "features": features,
        "units": ("pixel",) * series + ("um", "um", "um"),
        "axis_labels": ("frame",) * series + ("depth", "y", "x"),
        "metadata": {KEY: {**(metadata or {}), "kind": "foci"}},
    }
    return [(places if series else places[:, 1:], looks, "points")]
