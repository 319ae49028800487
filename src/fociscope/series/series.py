"""A series of any length in bounded memory: read in parts, written in parts, gone on with later."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.files.captures.series import CaptureSeries
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.engine import Model
from fociscope.results.foci import CELL_DIAMETER_UM
from fociscope.results.provenance import imager_sha256, inputs, versions, weights_sha256
from fociscope.results.result import Reconstruction
from fociscope.results.writers import check_formats
from fociscope.series.cluster import computed_on_cluster
from fociscope.series.folder import SERIES_FORMATS, open_series_folder
from fociscope.series.frames import Captures, Options, Progress, reconstruct_frames

__all__ = [
    "LONG_FRAMES",
    "SeriesDone",
    "is_long",
    "reconstruct_series",
    "series_about",
    "work_identity",
]

#: A longer series is written part by part.
LONG_FRAMES = 512
#: So is one whose results take more.
LONG_BYTES = 2**30
#: Values (frame, layer, y, x) of a part: 16 MiB in each of its arrays.
PART_VALUES = 2**22
#: Frames of a part, at most, and of one chunk of a store.
PART_FRAMES, CHUNK_FRAMES = 256, 64
#: Arrays of (layer, y, x) in memory and on the disk.
_ARRAYS = 3


@dataclass(frozen=True)
class SeriesDone:
    """What became of a series."""

    frames: int
    """In the folder."""
    made: int
    """Of them by this call."""
    summary: dict[str, Any]
    """As in `summary.json`."""
    files: list[Path]


def is_long(shape: Sequence[int], layers: int) -> bool:
    """Return whether captures (frames, sensors, y, x) are to be written part by part."""
    frames, _, height, width = shape
    return frames > 1 and (
        frames > LONG_FRAMES or 4 * _ARRAYS * frames * layers * height * width > LONG_BYTES
    )


def part_frames(layers: int, height: int, width: int) -> int:
    """Return how many frames are reconstructed at a time: a whole number of chunks."""
    frames = max(1, min(PART_FRAMES, PART_VALUES // (layers * height * width)))
    return frames if frames < CHUNK_FRAMES else frames // CHUNK_FRAMES * CHUNK_FRAMES


def reconstruct_series(
    model: Model,
    series: Captures,
    folder: Path | str,
    *,
    formats: Sequence[str] = SERIES_FORMATS,
    layers: int | None = None,
    correction: ChipCorrection | None = None,
    tile_px: int | None = None,
    cell_diameter_um: float = CELL_DIAMETER_UM,
    names: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
    made_from: Mapping[str, str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    scheduler: str = "threads",
    progress: Progress | None = None,
) -> SeriesDone:
    """Reconstruct a series into a folder, in memory that does not grow with its length.

    However it ends, the folder holds whole frames; `resume` goes on, and the files are then, byte
    for byte, those of a run that nothing stopped.

    Args:
        model: from `load_model`.
        series: from `fociscope.files.open_captures`.
        folder: made if it is not there.
        formats: `ome-zarr`, `csv` or both.
        layers: how many to look for at most; without it, the model's own number.
        correction: what is known of the chip.
        tile_px: side of the tiles of large frames, if the engine shall not choose.
        cell_diameter_um: of a typical cell, for the number of cells.
        names: of the frames, for `frames.csv`.
        about: more for `summary.json`; without it, versions and the inputs' checksums.
        made_from: what else the results depend on, such as how captures were prepared: a run is
            only gone on with where all of it is the same.
        resume: go on with what an earlier run has left.
        overwrite: remove what an earlier run has written here, first.
        scheduler: `threads` computes in this process; an address such as `tcp://10.0.0.5:8786`
            on the workers of that dask scheduler.
        progress: called with the frames done and their total.

    Raises:
        CaptureError: a frame cannot be reconstructed; those before it are in the folder.
        OutputExistsError: the folder holds something, and neither `resume` nor `overwrite` is set.
        FociscopeError: an unknown format, the disk refuses, another run writes into the folder, or
            what it holds was made from something else.
    """
    check_formats(formats, SERIES_FORMATS)
    options = Options(layers=layers, correction=correction, tile_px=tile_px)
    frames, _, height, width = series.shape
    count = layers or model.info.layers
    step = part_frames(count, height, width)
    given = inputs(series.names)
    arrays = series.arrays if isinstance(series, CaptureSeries) else ()
    identity = {
        **work_identity(model, options, formats, cell_diameter_um),
        "precision": model.precision_for(height, width, tile_px),
        "captures": _digest(repr((series.shape, given, arrays))),
        **(made_from or {}),
    }
    with open_series_folder(
        Path(folder),
        formats=formats,
        identity=identity,
        frames_per_chunk=min(step, CHUNK_FRAMES),
        cell_diameter_um=cell_diameter_um,
        resume=resume,
        overwrite=overwrite,
    ) as output:
        if output.is_complete:
            return SeriesDone(frames, 0, output.read_summary(), output.files)
        start = output.frames
        parts = [range(n, min(n + step, frames)) for n in range(start, frames, step)]
        for part, result in _computed(model, series, parts, options, names, scheduler):
            output.append(result, names[part.start : part.stop])
            if progress is not None:
                progress(output.frames, frames)
        said = about or {**versions(), "inputs": given, **({"arrays": arrays} if arrays else {})}
        summary = output.finish({**said, **series_about(model, height, width, tile_px)})
        return SeriesDone(frames, frames - start, summary, output.files)


def _computed(
    model: Model,
    series: Captures,
    parts: Iterable[range],
    options: Options,
    names: Sequence[str],
    scheduler: str,
) -> Iterator[tuple[range, Reconstruction]]:
    """Yield each part and its reconstruction, in order."""
    if scheduler != "threads":
        yield from computed_on_cluster(model, series, parts, options, scheduler, names)
        return
    for part in parts:
        captures = series.read(part.start, part.stop)
        named = names[part.start : part.stop]
        yield part, reconstruct_frames(model, captures, options, part.start, names=named)


def work_identity(
    model: Model, options: Options, formats: Sequence[str], cell_diameter_um: float
) -> dict[str, str]:
    """Return what results depend on, the captures apart."""
    chip = options.correction or ChipCorrection()
    of_chip = (chip.dark, chip.flat, chip.bad_pixels)
    frames = [None if f is None else np.asarray(f) for f in of_chip]
    made = versions()
    return {
        "model": weights_sha256(model.network),
        "imager": imager_sha256(model.imager),
        "number of layers": str(options.layers or model.info.layers),
        "chip correction": _digest(
            *(b"" if f is None else repr(f.shape).encode() + f.tobytes() for f in frames)
        ),
        "tile size": str(options.tile_px),
        "refining of the light": str(model.refine),
        "cell diameter": f"{cell_diameter_um:g}",
        "set of formats": " ".join(sorted(formats)),
        "device": model.device.type,
        "version": f"fociscope {made['fociscope']}, torch {made['torch']}",
    }


def series_about(
    model: Model, height: int, width: int, tile_px: int | None = None
) -> dict[str, Any]:
    """Return what a summary says of the model, its imager and the frames."""
    return {
        "model": model.info.name,
        "precision": model.precision_for(height, width, tile_px),
        "imager": model.imager.model_dump(mode="json"),
        "frame_px": [height, width],
        "pixel_pitch_um": model.imager.pixel_pitch_um,
        "warnings": list(model.warnings),
    }


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode(errors="backslashreplace") if isinstance(part, str) else part)
    return digest.hexdigest()
