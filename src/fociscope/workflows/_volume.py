"""A capture in files in, its volume and the files of it out."""

from __future__ import annotations

from collections.abc import Sequence
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
from fociscope.reconstruction.volume import USUAL_VOLUME_MODEL, VolumeModel, load_volume_model
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

__all__ = ["VolumeOutcome", "reconstruct_volume"]


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
    _refuse_unknown(options)
    formats = options.chosen_formats or DEFAULT_VOLUME_FORMATS
    check_volume_formats(formats)
    named = as_paths(paths)
    model_name = options.model or USUAL_VOLUME_MODEL
    find_volume_model(model_name)  # before anything is read
    # The run needs a model of layers by name only; the volume's own is loaded here.
    with open_captures(
        named,
        pages=options.pages,
        allow_non_finite=bool(options.chip_files[2]),
        pixel_order=named_order(options),
    ) as files:
        run = run_on(files, named, options, None, output=Path(output), title=title)
        if len(run.series) > 1:
            raise CaptureError(
                f"a volume is reconstructed of one capture at a time; got {len(run.series)}; give "
                "one pair of files, or average them",
                fields=("average",),
                value=len(run.series),
            )
        model = load_volume_model(
            model_name,
            imager=named_imager(run.options),
            device=options.device,
            refine=options.refine,
        )
        check_pixel_size(run.series.pixel_size_um, model.imager)
        return _written(run, model, model_name, formats)


def _written(
    run: Run, model: VolumeModel, model_name: Path | str, formats: Sequence[str]
) -> VolumeOutcome:
    """Reconstruct, and write all files or none."""
    options, series, output = run.options, run.series, run.output
    with result_folder(output, options.overwrite) as part:
        correction = with_black_level(loaded_correction(options, series.shape[1]), run.black)
        volume = model.reconstruct(series.read()[0], correction=correction)
        warnings = (*volume.warnings, *run.black.warnings)
        volume = replace(volume, warnings=tuple(dict.fromkeys(warnings)))
        chip = [path for paths in options.chip_files for path in paths]
        about: dict[str, Any] = {
            **versions(),
            "model_sha256": sha256(find_volume_model(model_name)),
            "inputs": inputs([*series.names, *chip]),
        }
        if run.black.counts:
            about["black_level_counts"] = run.black.counts
        written = write_volume(
            volume, part, formats, cell_diameter_um=options.cell_diameter_um, **about
        )
        draw_volume(volume, run.title).savefig(part / FIGURE)
        names = [*(path.name for path in written), FIGURE]
        summary = read_record(part / SUMMARY, "the summary just written")
    files = tuple(output / name for name in names)
    return VolumeOutcome(volume, summary, files, notes=series.notes)


def _refuse_unknown(options: ReconstructionOptions) -> None:
    """Refuse options that a volume does not know."""
    refused = (
        ("layers", options.layers is not None, "number of layers"),
        ("tile_px", options.tile_px is not None, "tiles"),
        ("refine_depth", options.refine_depth, "fit of a single depth"),
        ("resume", options.resume, "series to resume"),
        ("batch", options.batch is True, "batch"),
        ("scheduler", options.scheduler != THREADS, "scheduler"),
        ("runtime", options.runtime == "openvino", "other runtime than torch"),
        ("precision", options.precision == "bfloat16", "numbers in bfloat16"),
    )
    for name, is_given, what in refused:
        if is_given:
            raise FociscopeError(f"a volume has no {what}; leave {name} out", fields=(name,))
