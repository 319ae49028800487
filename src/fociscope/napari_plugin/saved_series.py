"""A series that `fociscope reconstruct` saved as OME-Zarr opened again, read frame by frame.

The store holds the planes and, beside them, where each layer of each frame lies; `summary.json` has
the imager. Foci come from `foci.csv` where there is one.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from fociscope.errors import FileFormatError, FociscopeError, FociscopeWarning, printable
from fociscope.files.arrays.zarr_array import KIND, ZarrArray, refuse_links
from fociscope.files.safe.limits import DEFAULT_LIMITS, decoding, unbounded
from fociscope.imager.geometry import Imager
from fociscope.napari_plugin.result_layers import foci_points, map_layers
from fociscope.napari_plugin.saved_map import read_summary
from fociscope.napari_plugin.transforms import Depths, LayerData
from fociscope.results.foci import FociTable
from fociscope.results.parts import JOURNAL, SavedFiles, check_parts
from fociscope.results.tables import TABLES
from fociscope.results.writers import OME_ZARR
from fociscope.typing import Float32Array

__all__ = ["is_saved_series", "read_saved_series"]

FIGURES = ("depth_um", "depth_std_um", "presence")
PROBABILITY, INTENSITY = 0, 1  # channels of the store
FOCI = "foci.csv"
#: Column that tables which an earlier version has written may lack.
ADDED = "probability"
#: More points than napari turns smoothly are left to the table.
MOST_FOCI_BYTES = 32 * 2**20


class SeriesSummary(BaseModel):
    """What `summary.json` says of a series, as far as it is needed here."""

    model: Annotated[str, Field(max_length=1000)]
    imager: Imager
    files: SavedFiles | None = None


def is_saved_series(folder: Path) -> bool:
    """Return whether this folder holds a series that can be opened."""
    try:
        read_summary(folder, SeriesSummary)
        _open(folder)
    except FociscopeError:
        return False
    return True


def read_saved_series(folder: Path) -> list[LayerData]:
    """Return intensities, probabilities and foci at their depths; planes are read when shown.

    Raises:
        FileFormatError: a file is missing or damaged, or the store's arrays do not fit each other.
    """
    summary = read_summary(folder, SeriesSummary)
    image, (depth_um, depth_std_um, presence) = _open(folder)
    imager = summary.imager
    present = presence >= 0.5  # as `Reconstruction.present` has it
    known = {"files": [str(folder)], "model": summary.model}
    first = _planes(image, INTENSITY, slice(0, image.chunk[0]))
    layers = map_layers(
        _lazy(image, PROBABILITY),
        _lazy(image, INTENSITY),
        Depths(depth_um, depth_std_um, present),
        pixel_pitch_um=imager.square_pitch_um,
        gap_um=imager.gap_um,
        brightest=float(first.max()),
        metadata=known,
    )
    if not (folder / JOURNAL).exists():  # or they may have grown since
        check_parts(folder, summary.files, (FOCI,))
    foci = _foci(folder)
    if foci is None:
        return layers
    return [*layers, *foci_points(foci, series=True, gap_um=imager.gap_um, metadata=known)]


def _open(folder: Path) -> tuple[ZarrArray, list[Float32Array]]:
    """Return the image (frame, channel, layer, y, x) and the FIGURES (frame, layer)."""
    store = folder / OME_ZARR
    if not store.is_dir():
        raise FileFormatError(f"{printable(folder)}: no {OME_ZARR} in it")
    with decoding(store, KIND):
        refuse_links(store)
    image = ZarrArray.open(store, "0", is_complete=True)
    if len(image.shape) != 5 or 0 in image.shape or image.shape[1] <= INTENSITY:
        raise FileFormatError(
            f"{printable(store)}: an image of shape {image.shape}, expected (frame, channel, "
            "layer, y, x)"
        )
    frames, _, layers = image.shape[:3]
    figures = []
    for name in FIGURES:
        array = ZarrArray.open(store, name, is_complete=True)
        if array.shape != (frames, layers):
            raise FileFormatError(
                f"{printable(store)}: {name} of shape {array.shape}, expected {(frames, layers)} "
                "as its image has frames and layers; reconstruct again"
            )
        figure = array.read((slice(0, frames), slice(0, layers)), DEFAULT_LIMITS)
        if not np.isfinite(figure).all():
            raise FileFormatError(f"{printable(store)}: {name} is not finite; reconstruct again")
        figures.append(figure.astype(np.float32))
    return image, figures


def _planes(image: ZarrArray, channel: int, frames: slice) -> Float32Array:
    """Read (frame, layer, y, x) of one channel."""
    stop = min(frames.stop, image.shape[0])
    index = (slice(frames.start, stop), slice(channel, channel + 1))
    whole = tuple(slice(0, side) for side in image.shape[2:])
    return image.read((*index, *whole), unbounded(DEFAULT_LIMITS))[:, 0].astype(np.float32)


def _lazy(image: ZarrArray, channel: int) -> Any:
    """Return one channel (frame, layer, y, x), of which a chunk is read when it is looked at."""
    from dask.array import map_blocks  # napari brings it

    def block(block_info: Any = None) -> Float32Array:
        start, stop = block_info[None]["array-location"][0]
        return _planes(image, channel, slice(start, stop))

    frames, step = image.shape[0], image.chunk[0]
    lengths = tuple(min(step, frames - start) for start in range(0, frames, step))
    chunks = (lengths, *((side,) for side in image.shape[2:]))
    empty = np.empty((0,) * 4, np.float32)
    return map_blocks(block, chunks=chunks, dtype=np.float32, meta=empty)


def _foci(folder: Path) -> FociTable | None:
    """Read the foci of all frames; None where there is no table, or too long a one."""
    path = folder / FOCI
    if not path.is_file():
        return None
    if path.stat().st_size > MOST_FOCI_BYTES:
        warnings.warn(
            f"{path.name}: more foci than can be shown as points; they are in the table",
            FociscopeWarning,
            stacklevel=2,
        )
        return None
    whole, real = TABLES[FOCI][:3], TABLES[FOCI][3:]  # frame, layer, focus; then measures
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        frame, layer, label = (np.array([int(row[name]) for row in rows]) for name in whole)
        values = {
            name: np.array([float(row.get(name, "nan" if name == ADDED else "")) for row in rows])
            for name in real
        }
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise FileFormatError(
            f"{printable(path)}: no table of foci of `fociscope reconstruct` ({error}); "
            "reconstruct again"
        ) from None
    return FociTable(frame=frame - 1, layer=layer - 1, label=label, **values)
