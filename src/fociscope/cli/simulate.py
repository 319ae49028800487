"""`fociscope simulate`: data sets."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from fociscope.cli.common import (
    ImagerOption,
    OverwriteOption,
    err,
    imager_file,
    out,
    progress_bar,
    read_imager,
    refuse_missing,
)
from fociscope.cli.entry import app
from fociscope.cli.names import SPECIMENS, completed, listed

if TYPE_CHECKING:
    from fociscope.simulation.dataset_record import DatasetPlan

simulate_app = typer.Typer(help="Simulate data sets.", no_args_is_help=True)
app.add_typer(simulate_app, name="simulate")


class FileFormat(StrEnum):
    """What the files are."""

    mat5 = "mat5"
    mat73 = "mat73"
    hdf5 = "hdf5"
    zarr = "zarr"


FolderOption = Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")]
FilesOption = Annotated[int, typer.Option(min=1, help="Number of files.")]
SamplesOption = Annotated[int, typer.Option(min=1, help="Scenes per file.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Of all that is random.")]
FormatOption = Annotated[FileFormat, typer.Option("--format", help="Of the files.")]
NoiseOption = Annotated[
    float | None,
    typer.Option(help="Noise of the captures; none without it, as in the published set."),
]
SpecimenOption = Annotated[
    str | None,
    typer.Option(
        help=f"A kind of specimen ({listed(SPECIMENS)}) or a TOML file; without it, Perlin foci.",
        autocompletion=completed(SPECIMENS, "fociscope.specimens"),
    ),
]
DisplacementOption = Annotated[
    tuple[int, int],
    typer.Option(
        metavar="Y X",
        help="Pixels by which sensor images lie beside the layers, down and right; -1 -1 as in the "
        "published set.",
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Processes; without it, one per core.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on where the same command was interrupted.")
]


@simulate_app.command("images-depth")
def images_depth(
    output: FolderOption,
    files: FilesOption = 6,
    samples: SamplesOption = 2000,
    layers: Annotated[int, typer.Option(min=1, max=6, help="Layers per scene.")] = 4,
    seed: SeedOption = 0,
    file_format: FormatOption = FileFormat.mat5,
    peak_snr_db: NoiseOption = None,
    min_separation_um: Annotated[
        float, typer.Option(min=0, help="Least distance between neighbouring layers.")
    ] = 250.0,
    displacement_px: DisplacementOption = (0, 0),
    imager: ImagerOption = None,
    specimen: SpecimenOption = None,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Write the published images_depth layout: 1.mat, 2.mat ... with depths in mm."""
    settings = _settings(files, samples, seed, file_format, peak_snr_db, imager, specimen)
    from fociscope.simulation.dataset_record import DatasetPlan

    plan = _plan(
        DatasetPlan.model_validate,
        {
            **settings,
            "layers": layers,
            "min_separation_um": min_separation_um,
            "displacement_px": displacement_px,
        },
    )
    _write(output, plan, workers=workers, resume=resume, overwrite=overwrite)


@simulate_app.command("single-layer")
def single_layer(
    output: FolderOption,
    files: FilesOption = 6,
    samples: SamplesOption = 2000,
    seed: SeedOption = 0,
    file_format: FormatOption = FileFormat.mat5,
    peak_snr_db: NoiseOption = None,
    imager: ImagerOption = None,
    specimen: SpecimenOption = None,
    workers: WorkersOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Write scenes of one layer at any depth, seen by sensor A alone: raw, blurred, depth."""
    settings = _settings(files, samples, seed, file_format, peak_snr_db, imager, specimen)
    from fociscope.simulation.dataset_record import DatasetPlan

    plan = _plan(lambda values: DatasetPlan.single_layer(**values), settings)
    _write(output, plan, workers=workers, resume=resume, overwrite=overwrite)


def _settings(
    files: int,
    samples: int,
    seed: int,
    file_format: FileFormat,
    peak_snr_db: float | None,
    imager: Path | None,
    specimen: str | None,
) -> dict[str, Any]:
    """Return the settings that both kinds of set share; what was not given is left out."""
    refuse_missing(imager_file(imager), specimen if str(specimen).endswith(".toml") else None)
    from fociscope.simulation import load_specimen

    given = {
        "imager": read_imager(imager),
        "specimen": None if specimen is None else load_specimen(specimen),
    }
    return {
        "files": files,
        "samples": samples,
        "seed": seed,
        "format": str(file_format),
        "peak_snr_db": peak_snr_db,
        **{name: value for name, value in given.items() if value is not None},
    }


def _plan(make: Any, settings: dict[str, Any]) -> DatasetPlan:
    """Return the plan of these settings; what is wrong with them is said in one line."""
    from pydantic import ValidationError

    from fociscope.configuration import plain_errors
    from fociscope.errors import SceneError

    try:
        plan: DatasetPlan = make(settings)
    except ValidationError as error:
        raise SceneError(plain_errors(error)) from None
    return plan


def _write(
    folder: Path, plan: DatasetPlan, *, workers: int | None, resume: bool, overwrite: bool
) -> None:
    """Simulate, and say what was done."""
    from fociscope.simulation.dataset import write_dataset

    try:
        with progress_bar("Simulating scenes") as progress:
            done = write_dataset(
                folder,
                plan,
                workers=workers,
                overwrite=overwrite,
                resume=resume,
                progress=progress,
            )
    except KeyboardInterrupt:
        err.print("interrupted: add --resume to the same command to go on", highlight=False)
        raise
    if done.discarded:
        out.print(f"Removed, half-written by a killed run: {escape(', '.join(done.discarded))}")
    if not done.made:
        out.print(
            f"Complete already: all {plan.files} file(s) in [bold]{escape(str(folder))}[/] have "
            "their recorded checksums.",
            highlight=False,
            soft_wrap=True,
        )
        return
    if done.kept:
        out.print(f"Kept, whole already: {escape(', '.join(done.kept))}", highlight=False)
    noise = "without noise" if plan.peak_snr_db is None else f"at {plan.peak_snr_db:g} dB peak SNR"
    layers = "1 layer" if plan.layers == 1 else f"{plan.layers} layers"
    out.print(
        f"{plan.files} file(s) of {plan.samples} scenes with {layers}, {noise}, seed {plan.seed}: "
        f"{', '.join(file.name for file in done.record.files)} and dataset.json in "
        f"[bold]{escape(str(folder))}[/]",
        highlight=False,
        soft_wrap=True,
    )
