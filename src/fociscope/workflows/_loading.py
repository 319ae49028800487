"""What the options of a reconstruction name, loaded: the model, its imager, the chip's frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.arrays import is_path
from fociscope.errors import FociscopeError
from fociscope.files import CaptureSeries, is_store, open_captures
from fociscope.imager.geometry import Imager
from fociscope.networks.store import find_model, read_model, usual_model
from fociscope.reconstruction import ChipCorrection, Model, load_model
from fociscope.reconstruction.preparation import Preparation, prepared
from fociscope.results.provenance import provenance
from fociscope.series.options import ReconstructionOptions
from fociscope.simulation.dataset_record import has_record, read_record
from fociscope.typing import Float32Array, IndexArray

__all__ = [
    "as_paths",
    "data_set_imager",
    "layers_of",
    "loaded_correction",
    "loaded_model",
    "named_imager",
    "named_order",
    "sources",
    "title_of",
    "with_model",
]


def as_paths(paths: Sequence[Path | str] | Path | str) -> list[Path]:
    """Return one path or many as a list.

    Raises:
        FociscopeError: They are no paths, such as an array.
    """
    if not is_path(paths) and not (isinstance(paths, list | tuple) and not paths):
        raise FociscopeError(
            f"expected paths of captures, got {type(paths).__name__}; for captures in memory, use "
            "fociscope.workflows.reconstruct_captures, or the method reconstruct of a model"
        )
    return [Path(path) for path in ([paths] if isinstance(paths, str | PathLike) else paths)]


def with_model(options: ReconstructionOptions, sensors: int) -> ReconstructionOptions:
    """Return options that name a model: the shipped one for so many sensors, if they name none.

    An imager of two sensors is then taken for captures of sensor A alone, too.

    Args:
        options: Options of the run.
        sensors: Number of sensors of the captures.
    """
    if options.model is not None:
        return options
    imager = named_imager(options)
    if imager is not None and imager.sensors > sensors == 1:
        imager = imager.with_(sensors=1)
    return replace(options, model=usual_model(sensors), imager=imager)


def refuse_volume_options(options: ReconstructionOptions) -> None:
    """Refuse options that only a volume knows."""
    for name, what in (("samples", "samples"), ("grid", "grid of depths")):
        if getattr(options, name) is not None:
            raise FociscopeError(
                f"a layered map has no {what}; leave {name} out, or reconstruct a volume",
                fields=(name,),
            )


def layers_of(options: ReconstructionOptions) -> int:
    """Return the number of layers that will be looked for."""
    return options.layers or read_model(find_model(_model_of(options)))[1].layers


def _model_of(options: ReconstructionOptions) -> str | Path:
    """Return the model of options that `with_model` returned."""
    assert options.model is not None
    return options.model


def loaded_model(options: ReconstructionOptions, frame_px: Callable[[], tuple[int, int]]) -> Model:
    """Load the model, for the imager of what the crop leaves.

    Args:
        options: Model, imager, crop, device, refinement, precision and runtime.
        frame_px: Function that returns the (y, x) size of captures before the crop, pixels; it is
            called where the imager of the crop depends on it.
    """
    imager = named_imager(options)
    crop = options.preparation.crop
    if crop is not None:
        imager = imager or read_model(find_model(_model_of(options)))[1].imager
        turned = imager.sensors == 2 and imager.registration.is_rotated_or_scaled
        if turned or imager.dead_pixels:
            imager = imager.cropped(*crop, of=frame_px())
    return load_model(
        _model_of(options),
        imager=imager,
        device=options.device,
        refine=options.refine,
        refine_depth=options.refine_depth,
        precision=options.precision,
        runtime=options.runtime,
    )


def named_imager(options: ReconstructionOptions) -> Imager | None:
    """Return the imager that options name, read from its file if need be; None for the model's."""
    imager = options.imager
    return imager if imager is None or isinstance(imager, Imager) else Imager.load(imager)


def named_order(options: ReconstructionOptions) -> IndexArray | None:
    """Return the order of raw counts that the imager of options states; None for images."""
    imager = named_imager(options)
    return None if imager is None else imager.pixel_order()


def data_set_imager(paths: Sequence[Path]) -> Imager | None:
    """Return the imager of the data set that files belong to, by the record beside them.

    Args:
        paths: Files as they were named, or the folder of the set.

    Returns:
        None if the files are of no set, or of two with other imagers.
    """
    found: list[Imager] = []
    for path in paths:
        folder = path if path.is_dir() and not is_store(path) else path.parent
        if not has_record(folder):
            return None
        record = read_record(folder)
        if folder != path and path.name not in {file.name for file in record.files}:
            return None
        found.append(record.plan.imager)
    return found[0] if found and all(one == found[0] for one in found) else None


def loaded_correction(options: ReconstructionOptions, sensors: int) -> ChipCorrection | None:
    """Read the chip's dark, flat and bad-pixel frames, flipped and cropped as the captures are.

    A dark or flat frame of one image is of both sensors; so is a file that is given twice.

    Args:
        options: Options of the run.
        sensors: Number of sensors of the captures.
    """
    if not any(options.chip_files) and not options.dark_counts:
        return None
    dark, flat, bad_pixels = (
        _chip_frames(paths, options, sensors, is_shared) if paths else None
        for paths, is_shared in zip(options.chip_files, (True, True, False), strict=True)
    )
    if options.dark_counts:
        dark = np.array(options.dark_counts, np.float32).reshape(-1, 1, 1)
    return ChipCorrection(dark, flat, bad_pixels)


def _chip_frames(
    paths: tuple[Path, ...], options: ReconstructionOptions, sensors: int, is_shared: bool
) -> Float32Array:
    """Return the frames of some files; those of one sensor may be shared by all."""
    if len(paths) == 2 and _is_same(*paths):
        paths, is_shared = paths[:1], True
    each = options.preparation.model_copy(update={"average": 1})
    order = named_order(options)
    with open_captures(
        paths, pages=options.pages, allow_non_finite=True, pixel_order=order
    ) as series:
        frames, own, *frame_px = series.shape
        if is_shared and own < sensors:
            one = series
            series = replace(
                one,
                shape=(frames, sensors, frame_px[0], frame_px[1]),
                read_frames=lambda start, stop: np.repeat(one.read(start, stop), sensors, axis=1),
            )
        return prepared(series, each).read()


def _is_same(a: Path, b: Path) -> bool:
    return a == b or (a.exists() and b.exists() and a.samefile(b))


def sources(
    options: ReconstructionOptions,
    series: CaptureSeries | None,
    model: Model,
    black_level_counts: float = 0.0,
) -> dict[str, Any]:
    """Return the entries of a summary that name versions, model, imager and inputs."""
    names = () if series is None else series.names
    files = [*names, *(path for paths in options.chip_files for path in paths)]
    made_from = provenance(files, str(options.model), imager=model.imager)
    if options.dark_counts:
        made_from["dark_counts"] = list(options.dark_counts)
    if series is not None and series.arrays:
        made_from["arrays"] = list(series.arrays)
    if black_level_counts:
        made_from["black_level_counts"] = black_level_counts
    if options.preparation != Preparation():
        made_from["preparation"] = options.preparation.model_dump(mode="json")
    return made_from


def title_of(paths: Sequence[Path], frames: int) -> str:
    """Return the title of a figure: the names of the captures, and of how many it shows one."""
    files = [path.name for path in paths]
    few = files if len(files) <= 2 else [f"{files[0]} … {files[-1]}"]
    return " + ".join(few) + (f" (1 of {frames})" if frames > 1 else "")
