"""A series of any length in bounded memory: read in parts, written in parts, gone on with later."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.files.captures.series import CaptureSeries
from fociscope.files.ome.times import even_interval_s
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.engine import Model
from fociscope.results.provenance import imager_sha256, inputs, versions, weights_sha256
from fociscope.results.result import Reconstruction
from fociscope.results.writers import check_formats
from fociscope.series.cluster import computed_on_cluster, reconstruction_work
from fociscope.series.folder import SERIES_FORMATS, open_series_folder
from fociscope.series.frames import Captures, FrameOptions, Progress, reconstruct_frames
from fociscope.series.options import THREADS, ReconstructionOptions

__all__ = [
    "LONG_FRAMES",
    "SeriesOutcome",
    "captures_identity",
    "correction_digest",
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
class SeriesOutcome:
    """Number of frames, summary and files of a series that was written part by part.

    Examples:
        >>> from fociscope.series import SeriesOutcome
        >>> outcome = SeriesOutcome(frames=600, made=88, summary={}, files=[])
        >>> outcome.frames - outcome.made  # of an earlier run
        512
    """

    frames: int
    """Number of frames in the folder."""
    made: int
    """Number of frames that this call has made."""
    summary: dict[str, Any]
    """Content of `summary.json`."""
    files: list[Path]
    first: Reconstruction | None = None
    """Map of the first frame; None if an earlier run has made it."""


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
    options: ReconstructionOptions | None = None,
    *,
    correction: ChipCorrection | None = None,
    names: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> SeriesOutcome:
    """Reconstruct a series into a folder, in memory that does not grow with its length.

    However it ends, the folder holds whole frames; with `options.resume` it continues, and the
    files are then, byte for byte, those of a run that nothing stopped.

    Args:
        model: Model from `load_model`. It carries what `options` say of model, imager, device,
            precision and refinement, so those fields are not read here.
        series: Series from `fociscope.files.open_captures`, prepared as `options.preparation` says.
        folder: Folder of the results, made if it does not exist.
        options: Layers, tiles, formats (`ome-zarr`, `csv` or both), cell diameter, scheduler,
            resume and overwrite; a run continues only where they are the same as before.
        correction: Dark frames, flat frames and bad pixels of the chip.
        names: Names of the frames, for `frames.csv`.
        about: Further entries of `summary.json`; without them, versions and input checksums.
        progress: Function called with the number of frames done and their total.

    Returns:
        Number of frames, summary, files, and the first frame's map if this call has made it.

    Raises:
        CaptureError: if a frame cannot be reconstructed; those before it are in the folder.
        OutputExistsError: if the folder is not empty, and neither `resume` nor `overwrite` is set.
        FociscopeError: if a format is unknown, the disk refuses, another run writes into the
            folder, or its content was made from something else.

    Examples:
        >>> import tempfile
        >>> from importlib import resources
        >>> import fociscope
        >>> from fociscope.files import open_captures
        >>> from fociscope.series import ReconstructionOptions, reconstruct_series
        >>> demo = resources.files("fociscope.demo")
        >>> model = fociscope.load_model("layers-ab", device="cpu")
        >>> options = ReconstructionOptions(formats=("csv",))
        >>> pair = [demo / "sensor_a.tif", demo / "sensor_b.tif"]
        >>> with tempfile.TemporaryDirectory() as folder, open_captures(pair) as series:
        ...     outcome = reconstruct_series(model, series, folder, options)
        >>> outcome.frames, [path.name for path in outcome.files]
        (1, ['frames.csv', 'layers.csv', 'foci.csv', 'summary.json'])
    """
    options = options or ReconstructionOptions()
    formats = options.chosen_formats or SERIES_FORMATS
    check_formats(formats, SERIES_FORMATS)
    each = FrameOptions(options.layers, correction, options.tile_px)
    frames, _, height, width = series.shape
    step = part_frames(options.layers or model.info.layers, height, width)
    sources = inputs(series.names)
    arrays = series.arrays if isinstance(series, CaptureSeries) else ()
    times = _times(series)
    identity = {
        **work_identity(model, each, formats, options.cell_diameter_um),
        "precision": model.precision_for(height, width, options.tile_px),
        **captures_identity(series, sources),
        "preparation": options.preparation.model_dump_json(),
    }
    first: Reconstruction | None = None
    with open_series_folder(
        Path(folder),
        formats=formats,
        identity=identity,
        frames_per_chunk=min(step, CHUNK_FRAMES),
        cell_diameter_um=options.cell_diameter_um,
        interval_s=even_interval_s(times),
        resume=options.resume,
        overwrite=options.overwrite,
    ) as output:
        if output.is_complete:
            return SeriesOutcome(frames, 0, output.read_summary(), output.files)
        start = output.frames
        parts = [range(n, min(n + step, frames)) for n in range(start, frames, step)]
        for part, result in _computed(model, series, parts, each, names, options.scheduler):
            if times is not None:
                its = np.array(times[part.start : part.stop], np.float64)
                result = replace(result, time_s=its)
            output.append(result, names[part.start : part.stop])
            if part.start == 0:
                first = _alone(result.frame(0))
            if progress is not None:
                progress(output.frames, frames)
        if about is None:
            about = {**versions(), "inputs": sources, **({"arrays": arrays} if arrays else {})}
        summary = output.finish({**about, **series_about(model, height, width, each)})
        return SeriesOutcome(frames, frames - start, summary, output.files, first)


def _alone(frame: Reconstruction) -> Reconstruction:
    """Return one frame of a part without the memory of the part."""
    arrays = {
        each.name: getattr(frame, each.name).copy()
        for each in fields(frame)
        if isinstance(getattr(frame, each.name), np.ndarray)
    }
    return replace(frame, **arrays)


def _computed(
    model: Model,
    series: Captures,
    parts: Iterable[range],
    options: FrameOptions,
    names: Sequence[str],
    scheduler: str,
) -> Iterator[tuple[range, Reconstruction]]:
    """Yield each part and its reconstruction, in order."""
    if scheduler != THREADS:
        yield from computed_on_cluster(
            reconstruction_work(model, options), series, parts, scheduler, names
        )
        return
    for part in parts:
        captures = series.read(part.start, part.stop)
        named = names[part.start : part.stop]
        yield part, reconstruct_frames(model, captures, options, part.start, names=named)


def work_identity(
    model: Model, options: FrameOptions, formats: Sequence[str], cell_diameter_um: float
) -> dict[str, str]:
    """Return what results depend on, the captures apart."""
    made = versions()
    return {
        "model": weights_sha256(model.network),
        "imager": imager_sha256(model.imager),
        "number of layers": str(options.layers or model.info.layers),
        "chip correction": correction_digest(options.correction),
        "tile size": str(options.tile_px),
        "refining of the light": str(model.refine),
        "refining of the depth": str(model.refine_depth),
        "cell diameter": f"{cell_diameter_um:g}",
        "set of formats": " ".join(sorted(formats)),
        "device": model.device.type,
        "version": f"fociscope {made['fociscope']}, torch {made['torch']}",
    }


def captures_identity(series: Captures, sources: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what results depend on of the captures.

    Args:
        series: the captures.
        sources: name and checksum of each file, from `provenance.inputs`.
    """
    arrays = series.arrays if isinstance(series, CaptureSeries) else ()
    times = _times(series)
    return {
        "captures": _digest(repr((series.shape, sources, arrays))),
        **({} if times is None else {"set of times": _digest(repr(times))}),
    }


def correction_digest(correction: ChipCorrection | None) -> str:
    """Return the checksum of the chip's frames and black level."""
    chip = correction or ChipCorrection()
    of_chip = (chip.dark, chip.flat, chip.bad_pixels)
    frames = [None if f is None else np.asarray(f) for f in of_chip]
    return _digest(
        *(b"" if f is None else repr(f.shape).encode() + f.tobytes() for f in frames),
        *([f"{chip.black_level_counts:g}".encode()] if chip.black_level_counts else []),
    )


def _times(series: Captures) -> tuple[float, ...] | None:
    return series.time_s if isinstance(series, CaptureSeries) else None


def series_about(model: Model, height: int, width: int, options: FrameOptions) -> dict[str, Any]:
    """Return what a summary says of the model, its imager and the frames."""
    foci = model.info.focus_probability
    guarantees = model.guarantees(options.layers or model.info.layers)
    return {
        "model": model.info.name,
        "precision": model.precision_for(height, width, options.tile_px),
        "imager": model.imager.model_dump(mode="json"),
        "frame_px": [height, width],
        "pixel_pitch_um": model.imager.square_pitch_um,
        "warnings": list(model.warnings),
        **({} if foci is None else {"focus_probability": foci.model_dump(mode="json")}),
        **({} if guarantees is None else {"guarantees": guarantees.model_dump(mode="json")}),
    }


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode(errors="backslashreplace") if isinstance(part, str) else part)
    return digest.hexdigest()
