"""What a `Reconstruction` becomes on the disk: images, arrays and tables of one capture or several.

Series that do not fit into memory are written by `fociscope.series.series`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fociscope.errors import FociscopeError
from fociscope.files import ImagesDepth, write_images_depth
from fociscope.files.ome.tiff import write_ome_tiff
from fociscope.files.ome.zarr import Channel, write_ome_zarr
from fociscope.files.safe.atomic import atomic_path
from fociscope.files.safe.backup import BACKUP
from fociscope.results.foci import CELL_DIAMETER_UM, label_foci
from fociscope.results.layered_map import LayeredMap
from fociscope.results.summary import summarise
from fociscope.results.tables import Tables, write_tables
from fociscope.typing import Float32Array

__all__ = [
    "DEFAULT_FORMATS",
    "FIGURE",
    "FORMATS",
    "JOURNAL",
    "OF_SERIES",
    "OME_ZARR",
    "check_formats",
    "layer_figures",
    "layer_spacing_um",
    "write_result",
    "zarr_channels",
    "zarr_image",
]

Format = Literal["ome-tiff", "ome-zarr", "mat", "npz", "csv"]
FORMATS: tuple[Format, ...] = ("ome-tiff", "ome-zarr", "mat", "npz", "csv")
DEFAULT_FORMATS: tuple[Format, ...] = ("ome-tiff", "csv")
OME_ZARR = "reconstruction.ome.zarr"
#: Says how far a long series has come; beside the files of one that goes on.
JOURNAL = "journal.json"
FIGURE = "figure.png"
#: What a long series leaves, and what means nothing once other results are in its folder.
OF_SERIES = (JOURNAL, BACKUP)


def check_formats(formats: Sequence[str], possible: Sequence[str] = FORMATS) -> None:
    """Refuse formats that there are none of.

    Raises:
        FociscopeError: so it is.
    """
    unknown = sorted(set(formats) - set(possible))
    if unknown:
        raise FociscopeError(
            f"unknown format {', '.join(unknown)}; choose among {', '.join(possible)}"
        )


def write_result(
    result: LayeredMap,
    folder: Path,
    formats: Sequence[str],
    *,
    cell_diameter_um: float = CELL_DIAMETER_UM,
    names: Sequence[str] = (),
    **more: Any,
) -> list[Path]:
    """Write the files of `formats` and `summary.json` into a folder that is there.

    Args:
        result: of one capture, or of a series with one axis of frames.
        folder: where to.
        formats: some of `FORMATS`.
        cell_diameter_um: of a typical cell, for the number of cells.
        names: of the frames' files, for `frames.csv`.
        more: further entries of the summary, such as the inputs.

    Raises:
        FociscopeError: an unknown format, more than one leading axis, or the disk refuses.
    """
    check_formats(formats)
    if result.probability.ndim > 4:
        raise FociscopeError("files hold one capture or one series; save each series by itself")
    tables = Tables.from_reconstruction(result, cell_diameter_um=cell_diameter_um)
    written = []
    if "ome-tiff" in formats:
        written += _write_ome_tiffs(result, folder)
    if "ome-zarr" in formats:
        write_ome_zarr(
            folder / OME_ZARR,
            zarr_image(result),
            layer_figures(result),
            channels=zarr_channels(result),
            pixel_pitch_um=result.imager.pixel_pitch_um,
            layer_um=layer_spacing_um(result),
            about={"model": result.model, "imager": result.imager.name},
        )
        written.append(folder / OME_ZARR)
    if "mat" in formats:
        write_images_depth(folder / "reconstruction.mat", _images_depth(result))
        written.append(folder / "reconstruction.mat")
    if "npz" in formats:
        written.append(_write_npz(result, folder / "reconstruction.npz"))
    if "csv" in formats:
        written += write_tables(folder, tables, names=names)
    path = folder / "summary.json"
    summary = {**more, "cell_diameter_um": cell_diameter_um, **summarise(result, tables)}
    with atomic_path(path) as part:
        text = json.dumps(summary, indent=2, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")
    return [*written, path]


def _write_ome_tiffs(result: LayeredMap, folder: Path) -> list[Path]:
    written = []
    for name, array in (
        ("probability", result.probability),
        ("intensity", result.intensity),
        ("depth_map", result.depth_map_um),
    ):
        path = folder / f"{name}.ome.tif"
        write_ome_tiff(
            path,
            array,
            pixel_pitch_um=result.imager.pixel_pitch_um,
            depth_um=result.depth_um,
            channel_name=name,
        )
        written.append(path)
    return written


def _write_npz(result: LayeredMap, path: Path) -> Path:
    """Write all arrays under the names that `Reconstruction` gives them, and the labelled foci."""
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
        "pixel_pitch_um": np.asarray(result.imager.pixel_pitch_um),
    }
    with atomic_path(path) as part, part.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    return path


def _images_depth(result: LayeredMap) -> ImagesDepth:
    def stacked(array: Float32Array, axes: int) -> Float32Array:
        return array.reshape(-1, *array.shape[array.ndim - axes :])

    return ImagesDepth(
        raw=stacked(result.intensity, 3),
        captures=stacked(result.captures, 3),
        depth_map_um=stacked(result.depth_map_um, 3),
        depth_um=stacked(result.depth_um, 1),
    )


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
