"""Captures in, layered maps out: at once, or part by part where a series is long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from fociscope.arrays import as_tensor, is_path
from fociscope.errors import CaptureError
from fociscope.files import CaptureSeries, open_captures
from fociscope.reconstruction.black_level import (
    find_black_level,
    stated_black_level,
    with_black_level,
)
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.engine import Model
from fociscope.reconstruction.preparation import Preparation, prepared
from fociscope.results.result import Reconstruction
from fociscope.series.options import ReconstructionOptions
from fociscope.typing import ArrayLike, CapturesLike, Float32Array, Progress
from fociscope.workflows._batch import captures_apart, reconstruct_batch
from fociscope.workflows._loading import (
    as_paths,
    loaded_correction,
    loaded_model,
    named_imager,
    named_order,
    refuse_volume_options,
    with_model,
)
from fociscope.workflows._outcome import ReconstructionOutcome, ReconstructionPlan
from fociscope.workflows._run import run_on

__all__ = ["load_correction_for", "load_model_for", "reconstruct", "reconstruct_captures"]


def reconstruct(
    paths: Sequence[Path | str] | Path | str,
    output: Path | str,
    options: ReconstructionOptions | None = None,
    *,
    title: str | None = None,
    progress: Progress | None = None,
    on_plan: Callable[[ReconstructionPlan], None] | None = None,
) -> ReconstructionOutcome:
    """Reconstruct the captures in files, and write maps, tables, summary and figure.

    Captures that are named one by one are a batch: each gets a folder of its own in the output, as
    if it were reconstructed alone, beside tables, summary and figure of all of them.

    Sensor A's and sensor B's files are paired; flipped, cropped and averaged; corrected by the
    chip's frames; and held against the imager's pixel pitch. A long series is read and written part
    by part, in bounded memory, on this machine or on a cluster; it may be interrupted, and
    continued with `options.resume`. A short one is written whole or not at all.

    Args:
        paths: Sensor A's image and sensor B's: files, stacks, folders, or patterns such as
            `run/*.tif`; or one file that holds both; or more than two of these, a batch.
        output: Folder of the results, made if it does not exist.
        options: Model, imager, preparation, correction, formats and the like.
        title: Title of the figure; without it, the names of the captures.
        progress: Function called with the number of captures done and their total.
        on_plan: Function called with the plan, once the files are paired, before the work.

    Returns:
        Summary, files, the first frame's map, and reasons not to trust the results.

    Raises:
        FileFormatError: if a file is missing, broken or unsafe.
        CaptureError: if a capture cannot be reconstructed.
        OutputExistsError: if the folder is not empty, and neither `overwrite` nor `resume` is set.
        FociscopeError: if options contradict each other or the captures, the model or the device
            does not exist, or the disk refuses.

    Examples:
        >>> import tempfile
        >>> from importlib import resources
        >>> import fociscope
        >>> demo = resources.files("fociscope.demo")
        >>> options = fociscope.ReconstructionOptions(formats=("csv",), device="cpu")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     outcome = fociscope.reconstruct(
        ...         [demo / "sensor_a.tif", demo / "sensor_b.tif"], folder, options
        ...     )
        >>> outcome.frames, len(outcome.first.depth_um)
        (1, 4)
        >>> [path.name for path in outcome.files]
        ['frames.csv', 'layers.csv', 'foci.csv', 'summary.json', 'figure.png']
    """
    options = options or ReconstructionOptions()
    refuse_volume_options(options)
    named = as_paths(paths)
    batch = captures_apart(named, options)
    if batch:
        return reconstruct_batch(
            batch, Path(output), options, title=title, progress=progress, on_plan=on_plan
        )
    with open_captures(
        named,
        pages=options.pages,
        allow_non_finite=bool(options.chip_files[2]),
        pixel_order=named_order(options),
    ) as files:
        run = run_on(files, named, options, progress, output=Path(output), title=title)
        by_parts = run.is_by_parts()
        formats = run.formats(by_parts)
        if on_plan is not None:
            on_plan(run.plan(files, formats, by_parts))
        return run.by_parts(formats) if by_parts else run.at_once(formats)


def reconstruct_captures(
    captures: CapturesLike,
    options: ReconstructionOptions | None = None,
    *,
    frame: int | Sequence[int] | None = None,
    model: Model | None = None,
    correction: ChipCorrection | None = None,
    progress: Progress | None = None,
) -> Reconstruction:
    """Reconstruct captures that are in memory, with the options of `reconstruct`; write nothing.

    Args:
        captures: Captures (..., sensor, y, x) in any unit of light; to be averaged, they need one
            axis of frames: (frame, sensor, y, x). Or paths of files.
        options: Model, imager, preparation, correction and the like; those that concern files are
            not read.
        frame: Number of the only capture of a series (frame, sensor, y, x) to reconstruct, from 0,
            or several numbers; None for all. The black level is that of the series.
        model: Model that `load_model_for` has loaded for these options; None to load it.
        correction: Correction that `load_correction_for` has loaded for these options; None to load
            it.
        progress: Function called with the number of captures done and their total.

    Returns:
        Map of each capture, with arrays (..., layer, y, x).

    Raises:
        CaptureError: if a capture cannot be reconstructed or prepared.
        FociscopeError: if the model, the imager or the device does not exist.

    Examples:
        >>> from importlib import resources
        >>> from fociscope.files import read_captures
        >>> from fociscope.workflows import reconstruct_captures
        >>> demo = resources.files("fociscope.demo")
        >>> captures = read_captures([demo / "sensor_a.tif", demo / "sensor_b.tif"])
        >>> reconstruct_captures(captures).probability.shape
        (4, 51, 51)
    """
    options = options or ReconstructionOptions()
    if is_path(captures):
        return _of_files(as_paths(captures), options, progress)
    raw = np.asarray(as_tensor(cast(ArrayLike, captures)).detach().cpu())
    if raw.ndim < 3:
        raise CaptureError(f"captures need the axes (..., sensor, y, x); got the shape {raw.shape}")
    *lead, height, width = raw.shape
    sensors = lead[-1]
    options = with_model(options, sensors)
    if options.preparation != Preparation():
        raw = _prepared_array(raw.astype(np.float32, copy=False), options.preparation)
    model = model or load_model_for(options, (height, width))
    black = find_black_level(
        raw[:1] if raw.ndim > 3 else raw,
        stated_black_level(named_imager(options)),
        has_dark=options.has_dark,
    )
    result = model.reconstruct(
        raw if frame is None else raw[frame if isinstance(frame, int) else list(frame)],
        layers=options.layers,
        correction=with_black_level(correction or loaded_correction(options, sensors), black),
        tile_px=options.tile_px,
        progress=progress,
    )
    return replace(result, warnings=(*result.warnings, *black.notes, *black.warnings))


def load_model_for(
    options: ReconstructionOptions, frame_px: tuple[int, int], *, sensors: int = 2
) -> Model:
    """Load the model that options name, for their imager, crop, device and precision.

    Args:
        options: Model, imager, preparation, device, refinement and precision.
        frame_px: Height and width of the captures before the crop, pixels.
        sensors: Number of sensors of the captures, for options that name no model.

    Returns:
        The model, for `reconstruct_captures` with the same options.

    Raises:
        FociscopeError: if the model, the imager or the device does not exist, or does not fit.

    Examples:
        >>> from fociscope.workflows import ReconstructionOptions, load_model_for
        >>> load_model_for(ReconstructionOptions(model="layers-a"), (51, 51)).info.name
        'layers-a'
    """
    return loaded_model(with_model(options, sensors), lambda: frame_px)


def load_correction_for(options: ReconstructionOptions, *, sensors: int) -> ChipCorrection | None:
    """Read the chip's dark, flat and bad-pixel frames that options name, prepared as captures are.

    Args:
        options: Files of the frames, dark counts and preparation.
        sensors: Number of sensors of the captures.

    Returns:
        The correction, for `reconstruct_captures` with the same options; None without frames.

    Raises:
        FileFormatError: if a file is missing or damaged.
        CaptureError: if a frame cannot be prepared.

    Examples:
        >>> from fociscope.workflows import ReconstructionOptions, load_correction_for
        >>> load_correction_for(ReconstructionOptions(dark=100.0), sensors=2).dark.shape
        (1, 1, 1)
    """
    return loaded_correction(options, sensors)


def _of_files(
    paths: Sequence[Path], options: ReconstructionOptions, progress: Progress | None
) -> Reconstruction:
    """Reconstruct all captures of files in memory."""
    has_bad_pixels = bool(options.chip_files[2])
    with open_captures(
        paths,
        pages=options.pages,
        allow_non_finite=has_bad_pixels,
        pixel_order=named_order(options),
    ) as files:
        run = run_on(files, paths, options, progress)
        return run.in_memory(run.loaded_model())


def _prepared_array(captures: Float32Array, preparation: Preparation) -> Float32Array:
    """Return captures (sensor, y, x) or (frame, sensor, y, x) flipped, cropped and averaged."""
    if captures.ndim not in (3, 4):
        raise CaptureError(
            f"captures of the shape {captures.shape} cannot be prepared; expected "
            "(sensor, y, x) or (frame, sensor, y, x)"
        )
    frames = captures if captures.ndim == 4 else captures[None]
    count, sensors, height, width = frames.shape
    series = CaptureSeries(
        shape=(count, sensors, height, width),
        read_frames=lambda start, stop: frames[start:stop],
        is_single=captures.ndim == 3,
    )
    ready = prepared(series, preparation).read()
    return ready if captures.ndim == 4 else ready[0]
