"""Many captures in files in, a folder with the volume of each out, and a table of all."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fociscope.errors import CaptureError, FileFormatError, FociscopeError, one_line
from fociscope.files import atomic_path
from fociscope.files.captures.series import names_apart
from fociscope.files.safe.records import write_record
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.volume import VolumeModel
from fociscope.results.parts import FILES, SUMMARY, checksums
from fociscope.results.provenance import versions
from fociscope.results.tables import as_written
from fociscope.results.volume_map import VolumeMap
from fociscope.results.writers import result_folder
from fociscope.series.options import ReconstructionOptions
from fociscope.typing import Progress
from fociscope.workflows._batch import captures_apart, folder_names
from fociscope.workflows._loading import as_paths, loaded_correction
from fociscope.workflows._run import Run
from fociscope.workflows._volume import (
    loaded_volume_model,
    opened_run,
    refuse_unknown,
    volume_formats,
    written_volume,
)

__all__ = ["VOLUMES_TABLE", "VolumeBatchOutcome", "are_volumes_apart", "reconstruct_volumes"]

VOLUMES_TABLE = "captures.csv"
COLUMNS = ("name", "folder", "foci", "cells_um3", "mean_depth_um", "residual_a", "residual_b",
           "warnings")  # fmt: skip


@dataclass(frozen=True)
class VolumeBatchOutcome:
    """What a reconstruction of many volumes has made.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.workflows import VolumeBatchOutcome
        >>> outcome = VolumeBatchOutcome(Path("out"), ({"name": "a.tif", "foci": 3},), {})
        >>> len(outcome.rows), outcome.left_out
        (1, ())
    """

    output: Path
    rows: tuple[dict[str, Any], ...]
    """What `captures.csv` says of each capture."""
    summary: dict[str, Any]
    """Content of `summary.json` of the whole."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Names of captures that could not be reconstructed, and why."""
    notes: tuple[str, ...] = ()
    """How the files were understood."""


def are_volumes_apart(paths: Sequence[Path | str], options: ReconstructionOptions) -> bool:
    """Return whether paths and options ask for the volumes of many captures.

    Args:
        paths: Files, folders or patterns of captures, as for `reconstruct`.
        options: Options of the run.

    Returns:
        Whether `reconstruct_volumes` is what they ask for, and not `reconstruct_volume`.

    Examples:
        >>> from fociscope.workflows import ReconstructionOptions, are_volumes_apart
        >>> are_volumes_apart([], ReconstructionOptions(batch=True))
        True
    """
    return options.batch is True or bool(captures_apart(as_paths(paths), options))


def reconstruct_volumes(
    paths: Sequence[Path | str] | Path | str,
    output: Path | str,
    options: ReconstructionOptions | None = None,
    *,
    progress: Progress | None = None,
) -> VolumeBatchOutcome:
    """Reconstruct the volume of each of many captures into a folder of its name.

    The frames of a series get a folder each, too. A capture that cannot be read or reconstructed is
    left out; the others go on. `captures.csv` has a row for each.

    Args:
        paths: Files, folders or patterns of captures, as for `reconstruct`.
        output: Folder of the results, made if it does not exist; written whole or not at all.
        options: As for `reconstruct_volume`.
        progress: Function called with the number of captures done and their total.

    Returns:
        Rows, summary, and what was left out.

    Raises:
        FileFormatError: If no file can be read.
        CaptureError: If no capture can be reconstructed.
        OutputExistsError: If the folder is not empty, and `overwrite` is not set.
        FociscopeError: If an option is one that a volume does not know, or the disk refuses.

    Examples:
        >>> from fociscope.workflows import ReconstructionOptions, reconstruct_volumes
        >>> reconstruct_volumes([], "out", ReconstructionOptions(layers=3))
        Traceback (most recent call last):
        fociscope.errors.FociscopeError: a volume has no number of layers; leave layers out
    """
    options = options or ReconstructionOptions()
    refuse_unknown(options)
    formats = volume_formats(options)
    named = as_paths(paths)
    groups = captures_apart(named, options) or (tuple(named),)
    names = names_apart([group[0] for group in groups])
    folders = folder_names(names, [group[0] for group in groups])
    batch = _VolumeBatch(replace(options, batch=False), formats)
    with result_folder(Path(output), options.overwrite) as part:
        for number, (group, name, place) in enumerate(zip(groups, names, folders, strict=True), 1):
            batch.add(group, as_written(name), place, part)
            if progress is not None:
                progress(number, len(groups))
        if not batch.rows:
            raise batch.errors[0]
        summary = batch.finish(part)
    return VolumeBatchOutcome(
        Path(output),
        tuple(batch.rows),
        summary,
        tuple(batch.left_out),
        tuple(dict.fromkeys(batch.notes)),
    )


class _VolumeBatch:
    """What has become of the captures of a batch so far."""

    def __init__(self, options: ReconstructionOptions, formats: tuple[str, ...]) -> None:
        self.options, self.formats = options, formats
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.left_out: list[tuple[str, str]] = []
        self.errors: list[FociscopeError] = []
        self._models: list[tuple[tuple[Any, int], VolumeModel]] = []
        self._corrections: dict[int, ChipCorrection | None] = {}

    def add(self, group: Sequence[Path], name: str, place: str, folder: Path) -> None:
        """Reconstruct the frames of a capture, or note why it is left out."""
        try:
            with opened_run(
                list(group),
                folder / place,
                self.options,
                title=name,
                load_correction=self._correction,
            ) as run:
                model, frames = self._model(run), len(run.series)
                for frame in range(frames):
                    mark = f"#{frame + 1}" if frames > 1 else ""
                    into = f"{place}/{frame + 1:04d}" if frames > 1 else place
                    (folder / into).mkdir(parents=True, exist_ok=True)
                    volume, _, _ = written_volume(
                        run, model, frame, folder / into, self.formats, title=name + mark
                    )
                    self.rows.append(self._row(volume, name + mark, into))
                self.notes += run.series.notes
        except (CaptureError, FileFormatError) as error:
            self.errors.append(error)
            self.left_out.append((name, one_line(error)))

    def finish(self, folder: Path) -> dict[str, Any]:
        """Write the table and the summary of the whole; return the latter."""
        stream = io.StringIO(newline="")
        table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        with atomic_path(folder / VOLUMES_TABLE) as part:
            part.write_text(stream.getvalue(), encoding="utf-8")
        summary = {
            **versions(),
            "kind": "volume",
            "is_batch": True,
            "model": self._models[0][1].info.name,
            "imager": self._models[0][1].imager.model_dump(mode="json"),
            "captures": self.rows,
            "left_out": [{"name": name, "why": why} for name, why in self.left_out],
            FILES: checksums([folder / VOLUMES_TABLE]),
        }
        write_record(folder / SUMMARY, summary, indent=2)
        return summary

    def _row(self, volume: VolumeMap, name: str, place: str) -> dict[str, Any]:
        foci = volume.foci(cell_diameter_um=self.options.cell_diameter_um)
        weight = volume.probability.sum(axis=(-2, -1), dtype=float)
        spacing_um = float(volume.slice_um[1] - volume.slice_um[0])
        residual = [float(r) for r in volume.residual]
        return {
            "name": name,
            "folder": place,
            "foci": len(foci),
            "cells_um3": float(
                f"{weight.sum() * spacing_um * volume.imager.square_pitch_um**2:.6g}"
            ),
            "mean_depth_um": round(
                float(weight @ volume.slice_um / max(float(weight.sum()), 1e-12)), 1
            ),
            **{f"residual_{s}": round(r, 4) for s, r in zip("ab", residual, strict=False)},
            "warnings": "; ".join(volume.warnings),
        }

    def _model(self, run: Run) -> VolumeModel:
        """Load the model of a run, or take that of a run before, if it is the same."""
        key = (run.options.imager, run.series.shape[1])
        for its, model in self._models:
            if its == key:
                return model
        self._models.append((key, loaded_volume_model(run, self.options)))
        return self._models[-1][1]

    def _correction(self, options: ReconstructionOptions, sensors: int) -> ChipCorrection | None:
        """Read the chip's frames once."""
        if sensors not in self._corrections:
            self._corrections[sensors] = loaded_correction(options, sensors)
        return self._corrections[sensors]
