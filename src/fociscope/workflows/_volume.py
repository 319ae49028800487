"""A capture in files in, its volume and the files of it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fociscope.errors import CaptureError, FociscopeError
from fociscope.figures.volume import draw_volume
from fociscope.files import open_captures
from fociscope.files.safe.checksum import sha256
from fociscope.files.safe.records import read_record
from fociscope.networks.volume_store import find_volume_model
from fociscope.reconstruction.black_level import with_black_level
from fociscope.reconstruction.checks import check_pixel_size
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.volume import VolumeModel, load_volume_model, usual_volume_model
from fociscope.results.parts import SUMMARY
from fociscope.results.provenance import inputs, versions
from fociscope.results.volume_map import (
    DEFAULT_VOLUME_FORMATS,
    VolumeMap,
    check_volume_formats,
    write_volume,
)
from fociscope.results.writers import FIGURE, result_folder
from fociscope.series.options import THREADS, ReconstructionOptions
from fociscope.workflows._loading import as_paths, loaded_correction, named_imager, named_order
from fociscope.workflows._run import Run, run_on

__all__ = [
    "VolumeOutcome",
    "loaded_volume_model",
    "opened_run",
    "reconstruct_volume",
    "refuse_unknown",
    "volume_formats",
    "written_volume",
]


@dataclass(frozen=True)
class VolumeOutcome:
    """What a reconstruction of a volume has made.

    Examples:
        >>> import dataclasses
        >>> from fociscope.workflows import VolumeOutcome
        >>> [each.name for each in dataclasses.fields(VolumeOutcome)]
        ['volume', 'summary', 'files', 'notes']
    """

    volume: VolumeMap
    summary: dict[str, Any]
    """Content of `summary.json`."""
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    """How the files were understood."""


def reconstruct_volume(
    paths: Sequence[Path | str] | Path | str,
    output: Path | str,
    options: ReconstructionOptions | None = None,
    *,
    title: str | None = None,
) -> VolumeOutcome:
    """Reconstruct the volume of one capture in files, and write images, foci, summary and figure.

    Args:
        paths: Sensor A's image and sensor B's, as for `reconstruct`; one capture.
        output: Folder of the results, made if it does not exist.
        options: Model, imager, preparation, correction, formats and the like, as for
            `reconstruct`. Those that a volume does not know are refused.
        title: Title of the figure; without it, the names of the captures.

    Returns:
        The volume, its summary and the files.

    Raises:
        FileFormatError: If a file is missing, broken or unsafe.
        CaptureError: If the capture cannot be reconstructed, or the files hold several.
        OutputExistsError: If the folder is not empty, and `overwrite` is not set.
        ModelError: If there is no such model of volumes.
        FociscopeError: If an option is one that a volume does not know, or the disk refuses.

    Examples:
        >>> from fociscope.workflows import ReconstructionOptions, reconstruct_volume
        >>> reconstruct_volume([], "out", ReconstructionOptions(layers=3))
        Traceback (most recent call last):
        fociscope.errors.FociscopeError: a volume has no number of layers; leave layers out
    """
    options = options or ReconstructionOptions()
    refuse_unknown(options)
    formats = volume_formats(options)
    with opened_run(as_paths(paths), Path(output), options, title=title) as run:
        if len(run.series) > 1:
            raise CaptureError(
                f"a volume is reconstructed of one capture at a time; got {len(run.series)}; give "
                "one pair of files, average them, or ask for a batch",
                fields=("average", "batch"),
                value=len(run.series),
            )
        model = loaded_volume_model(run, options)
        with result_folder(run.output, run.options.overwrite) as part:
            volume, names, summary = written_volume(run, model, 0, part, formats)
    files = tuple(run.output / name for name in names)
    return VolumeOutcome(volume, summary, files, notes=run.series.notes)


def volume_formats(options: ReconstructionOptions) -> tuple[str, ...]:
    """Return the formats to write; refuse those that volumes have none of."""
    formats = options.chosen_formats or DEFAULT_VOLUME_FORMATS
    check_volume_formats(formats)
    return tuple(formats)


@contextmanager
def opened_run(
    paths: Sequence[Path],
    output: Path,
    options: ReconstructionOptions,
    *,
    title: str | None = None,
    load_correction: Callable[
        [ReconstructionOptions, int], ChipCorrection | None
    ] = loaded_correction,
) -> Iterator[Run]:
    """Open captures and prepare them for a volume; a model is only named here."""
    if options.model is not None:
        find_volume_model(options.model)  # before anything is read
    with open_captures(
        paths,
        pages=options.pages,
        allow_non_finite=bool(options.chip_files[2]),
        pixel_order=named_order(options),
    ) as files:
        yield run_on(
            files,
            paths,
            options,
            None,
            output=output,
            title=title,
            load_correction=load_correction,
        )


def loaded_volume_model(run: Run, options: ReconstructionOptions) -> VolumeModel:
    """Load the model of volumes that is asked for, or the shipped one for so many sensors."""
    model = load_volume_model(
        options.model or usual_volume_model(run.series.shape[1]),
        imager=named_imager(run.options),
        device=options.device,
        refine=options.refine,
    )
    check_pixel_size(run.series.pixel_size_um, model.imager)
    return model


def written_volume(
    run: Run,
    model: VolumeModel,
    number: int,
    folder: Path,
    formats: tuple[str, ...],
    *,
    title: str | None = None,
) -> tuple[VolumeMap, list[str], dict[str, Any]]:
    """Reconstruct a capture of a run, and write its files into a folder that is there.

    Returns:
        The volume, the names of the files, and the content of `summary.json`.
    """
    options, series = run.options, run.series
    correction = with_black_level(run.load_correction(options, series.shape[1]), run.black)
    volume = model.reconstruct(series.read(number, number + 1)[0], correction=correction)
    warnings = (*volume.warnings, *run.black.warnings)
    volume = replace(volume, warnings=tuple(dict.fromkeys(warnings)))
    if options.grid is not None:
        volume = volume.on_grid(options.grid)
    samples = None if options.samples is None else volume.samples(options.samples)
    chip = [path for paths in options.chip_files for path in paths]
    about: dict[str, Any] = {
        **versions(),
        "model_sha256": sha256(find_volume_model(model.path)),
        "inputs": inputs([*series.names, *chip]),
    }
    if run.black.counts:
        about["black_level_counts"] = run.black.counts
    written = write_volume(
        volume,
        folder,
        formats,
        cell_diameter_um=options.cell_diameter_um,
        samples=samples,
        **about,
    )
    draw_volume(volume, title or run.title).savefig(folder / FIGURE)
    names = [*(path.name for path in written), FIGURE]
    return volume, names, read_record(folder / SUMMARY, "the summary just written")


def refuse_unknown(options: ReconstructionOptions) -> None:
    """Refuse options that a volume does not know."""
    refused = (
        ("layers", options.layers is not None, "number of layers"),
        ("tile_px", options.tile_px is not None, "tiles"),
        ("refine_depth", options.refine_depth, "fit of a single depth"),
        ("resume", options.resume, "series to resume"),
        ("scheduler", options.scheduler != THREADS, "scheduler"),
        ("runtime", options.runtime == "openvino", "other runtime than torch"),
        ("precision", options.precision == "bfloat16", "numbers in bfloat16"),
    )
    for name, is_given, what in refused:
        if is_given:
            raise FociscopeError(f"a volume has no {what}; leave {name} out", fields=(name,))
