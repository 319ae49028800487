"""The formats of the package: what each writes of a map into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fociscope.files import ImagesDepth, write_images_depth
from fociscope.files.ome.tiff import write_ome_tiff
from fociscope.files.ome.zarr import Channel, write_ome_zarr
from fociscope.files.safe.atomic import atomic_path
from fociscope.results._layered_map import LayeredMap
from fociscope.results.foci import label_foci
from fociscope.results.tables import Tables, write_tables
from fociscope.typing import Float32Array

__all__ = [
    "MAT",
    "NPZ",
    "OME_TIFFS",
    "OME_ZARR",
    "MapContent",
    "layer_figures",
    "layer_spacing_um",
    "write_csv",
    "write_mat",
    "write_npz",
    "write_ome_tiffs",
    "write_zarr",
    "zarr_channels",
    "zarr_image",
]

OME_TIFFS = ("probability.ome.tif", "intensity.ome.tif", "depth_map.ome.tif")
OME_ZARR = "reconstruction.ome.zarr"
MAT = "reconstruction.mat"
NPZ = "reconstruction.npz"


@dataclass(frozen=True)
class MapContent:
    """What a writer writes: the map of one capture, or of a series with one axis of frames.

    Attributes:
        result: Layered map; its arrays have a leading axis of frames if it is a series.
        tables: Foci, and coverage and foci of each layer, of this map.
        names: Names of the frames' files, or empty.

    Examples:
        >>> import numpy as np
        >>> from fociscope.results import MapContent
        >>> def write_presence(content: MapContent, folder):
        ...     np.save(folder / "presence.npy", content.result.presence)
    """

    result: LayeredMap
    tables: Tables
    names: Sequence[str] = ()


def write_ome_tiffs(content: MapContent, folder: Path) -> None:
    """Write probability, intensity and depth map, each plane with its depth."""
    result = content.result
    arrays = (result.probability, result.intensity, result.depth_map_um)
    for name, array in zip(OME_TIFFS, arrays, strict=True):
        write_ome_tiff(
            folder / name,
            array,
            pixel_pitch_um=result.imager.square_pitch_um,
            depth_um=result.depth_um,
            channel_name=name.removesuffix(".ome.tif"),
            time_s=result.time_s,
        )


def write_zarr(content: MapContent, folder: Path) -> None:
    """Write one OME-Zarr store with three channels, and the figures of each layer beside them."""
    result = content.result
    write_ome_zarr(
        folder / OME_ZARR,
        zarr_image(result),
        layer_figures(result),
        channels=zarr_channels(result),
        pixel_pitch_um=result.imager.square_pitch_um,
        layer_um=layer_spacing_um(result),
        time_s=result.time_s,
        about={"model": result.model, "imager": result.imager.name},
    )


def write_mat(content: MapContent, folder: Path) -> None:
    """Write the published layout: restored layers, captures, depth maps and depths in mm."""
    write_images_depth(folder / MAT, _images_depth(content.result))


def write_npz(content: MapContent, folder: Path) -> None:
    """Write all arrays under the names that `Reconstruction` gives them, and the labelled foci."""
    result = content.result
    arrays: dict[str, NDArray[Any]] = {
        "probability": result.probability,
        "presence": result.presence,
        "intensity": result.intensity,
        "mask": result.mask,
        "foci": label_foci(result),
        "depth_um": result.depth_um,
        "depth_std_um": result.depth_std_um,
        "depth_map_um": result.depth_map_um,
        "captures": result.captures,
        "reprojection": result.reprojection,
        "residual": result.residual,
        "plausible": result.plausible,
        "pixel_pitch_um": np.asarray(result.imager.square_pitch_um),
    }
    if result.time_s is not None:
        arrays["time_s"] = result.time_s
    with atomic_path(folder / NPZ) as part, part.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def write_csv(content: MapContent, folder: Path) -> None:
    """Write the tables of frames, layers and foci."""
    write_tables(folder, content.tables, names=content.names)


def zarr_image(result: LayeredMap) -> Float32Array:
    """Return (..., channel, layer, y, x): probability, intensity, depth map in um."""
    return np.stack([result.probability, result.intensity, result.depth_map_um], axis=-4)


def zarr_channels(result: LayeredMap) -> list[Channel]:
    """Return the channels of `zarr_image`, with a brightness that suits these frames."""
    return [
        Channel("probability", 1.0, "FFFFFF"),
        Channel("intensity", float(f"{result.intensity.max():.7g}"), "00FF00"),
        Channel("depth_map_um", result.imager.gap_um, "00FFFF"),
    ]


def layer_figures(result: LayeredMap) -> dict[str, Float32Array]:
    """Return name -> (..., layer), what lies beside the image in OME-Zarr."""
    return {
        "depth_um": result.depth_um,
        "depth_std_um": result.depth_std_um,
        "presence": result.presence,
    }


def layer_spacing_um(result: LayeredMap) -> float:
    """Return the nominal distance of layers: the gap in equal parts."""
    return result.imager.gap_um / int(result.probability.shape[-3])


def _images_depth(result: LayeredMap) -> ImagesDepth:
    def stacked(array: Float32Array, axes: int) -> Float32Array:
        return array.reshape(-1, *array.shape[array.ndim - axes :])

    return ImagesDepth(
        raw=stacked(result.intensity, 3),
        captures=stacked(result.captures, 3),
        depth_map_um=stacked(result.depth_map_um, 3),
        depth_um=stacked(result.depth_um, 1),
    )
