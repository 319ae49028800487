"""The command line: one thin verb per job.

Heavy imports wait until a verb needs them, so that `--help` answers at once. Whatever a user can
mend ends in one plain line and a non-zero exit.
"""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from fociscope.errors import FociscopeError, FociscopeWarning

if TYPE_CHECKING:
    from fociscope.demo import DemoResult
    from fociscope.imager import Imager
    from fociscope.reconstruction import Reconstruction

__all__ = ["app", "main"]

app = typer.Typer(
    help="Layered 3D maps of tumour-cell foci from chip-scale lensless imagers.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
simulate_app = typer.Typer(help="Simulate data sets.", no_args_is_help=True)
app.add_typer(simulate_app, name="simulate")
INTERRUPTED = 130
out, err = Console(), Console(stderr=True)


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class OutputFormat(StrEnum):
    """What to write besides the summary and the figure."""

    ome_tiff = "ome-tiff"
    mat = "mat"


DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace files of the same names that are there.")
]
ImagerOption = Annotated[
    Path | None, typer.Option(help="TOML file of the imager; without it, the reference imager.")
]


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal; yield the function that moves it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), Remaining()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _imager(path: Path | None) -> Imager | None:
    from fociscope.imager import Imager

    return None if path is None else Imager.from_toml(path)


def _layer_table(title: str, columns: dict[str, list[str]]) -> None:
    """Print one row per layer."""
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name, justify="right")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    out.print(table)


def _found(result: Reconstruction) -> dict[str, list[str]]:
    """Return the columns that describe one capture's layers."""
    return {
        "layer": [str(n + 1) for n in range(len(result.depth_um))],
        "depth\n(µm)": [
            f"{z:.0f} ± {s:.0f}" for z, s in zip(result.depth_um, result.depth_std_um, strict=True)
        ],
        "cells\non (%)": [f"{100 * mask.mean():.1f}" for mask in result.mask],
    }


def _self_check(result: Reconstruction) -> str:
    return f"Self-check residual |reprojection - capture| / |capture|: {result.self_check}"


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")] = Path(
        "fociscope-demo"
    ),
    device: DeviceOption = Device.auto,
    overwrite: OverwriteOption = False,
) -> None:
    """Do the whole job on a shipped capture pair, offline: maps, pictures, scores."""
    from fociscope.demo import run_demo

    done = run_demo(output, device=device, overwrite=overwrite)
    _print_demo(done)
    out.print(f"\nWritten to [bold]{escape(str(output))}[/]:")
    for path in done.files:
        out.print(f"  {escape(path.name)}", highlight=False)
    again = " ".join(shlex.quote(str(output / name)) for name in ("sensor_a.tif", "sensor_b.tif"))
    out.print("\nNext:")
    for command in (
        f"fociscope reconstruct {again} -o map",
        "fociscope simulate images-depth -o data --files 1 --samples 200",
        "fociscope --help",
    ):
        out.print(f"  {escape(command)}", highlight=False, soft_wrap=True)


def _print_demo(done: DemoResult) -> None:
    scores, truth = done.scores, done.truth

    def percent(values: Any) -> list[str]:
        return [f"{100 * v:.1f}" for v in values]

    _layer_table(
        "A shipped capture pair, reconstructed and held against the truth",
        {
            **_found(done.result),
            "true\n(µm)": [f"{z:.0f}" for z in truth.depth_um],
            "error\n(µm)": [f"{e:.0f}" for e in done.depth_error_um],
            "pixels\nright (%)": percent(scores.accuracy),
            "constant\nguess (%)": percent(scores.constant_accuracy),
            "Dice": [f"{d:.3f}" for d in scores.dice],
        },
    )
    out.print(
        f"Mean: {100 * scores.accuracy.mean():.1f} % of pixels right "
        f"(constant guess {100 * scores.constant_accuracy.mean():.1f} %), "
        f"depth error {done.depth_error_um.mean():.0f} µm. {_self_check(done.result)}",
        highlight=False,
    )


@app.command()
def reconstruct(
    captures: Annotated[
        list[Path],
        typer.Argument(
            metavar="A [B]",
            help="Sensor A's image and sensor B's: TIFF, PNG or NPY files, stacks, or folders of "
            "them; or one .mat file of the published layout.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    model: Annotated[
        str, typer.Option(help="A shipped model, or a .safetensors file of your own.")
    ] = "layers-ab",
    imager: ImagerOption = None,
    formats: Annotated[
        list[OutputFormat] | None,
        typer.Option("--format", help="What to write; may be given twice. [default: ome-tiff]"),
    ] = None,
    device: DeviceOption = Device.auto,
    overwrite: OverwriteOption = False,
) -> None:
    """Turn captures into layered maps: probability, intensity, depth, summary and figure."""
    from fociscope.files import atomic_folder, read_captures
    from fociscope.reconstruction import load_model
    from fociscope.reconstruction.provenance import provenance
    from fociscope.show.figures import draw_reconstruction

    with atomic_folder(output, overwrite=overwrite) as part:
        arrays = read_captures(captures)
        trained = load_model(model, imager=_imager(imager), device=device)
        with _progress("Reconstructing") as progress:
            result = trained.reconstruct(arrays, progress=progress)
        first = result.frame(0)
        series = f" (1 of {len(arrays)})" if arrays.ndim > 3 else ""
        title = " + ".join(path.name for path in captures) + series
        written = result.write_into(
            part,
            [str(f) for f in formats or [OutputFormat.ome_tiff]],
            **provenance(captures, model),
        )
        figure = part / "figure.png"
        draw_reconstruction(first, title).savefig(figure)
        names = [path.name for path in (*written, figure)]
    _layer_table(title, _found(first))
    out.print(_self_check(first), highlight=False)
    out.print(f"Written to [bold]{escape(str(output))}[/]: {', '.join(names)}", highlight=False)


@simulate_app.command("images-depth")
def images_depth(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    files: Annotated[int, typer.Option(min=1, help="Number of .mat files.")] = 6,
    samples: Annotated[int, typer.Option(min=1, help="Scenes per file.")] = 2000,
    layers: Annotated[int, typer.Option(min=1, max=6, help="Layers per scene.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 0,
    peak_snr_db: Annotated[
        float | None,
        typer.Option(help="Noise of the captures; none without it, as in the published set."),
    ] = None,
    min_separation_um: Annotated[
        float, typer.Option(min=0, help="Least distance between neighbouring layers.")
    ] = 250.0,
    imager: ImagerOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; without it, one per core.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write the published images_depth layout: 1.mat, 2.mat ... with depths in mm."""
    from fociscope.simulation.dataset import write_images_depth_set

    with _progress("Simulating scenes") as progress:
        paths = write_images_depth_set(
            output,
            files=files,
            samples=samples,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
            seed=seed,
            layers=layers,
            imager=_imager(imager),
            peak_snr_db=peak_snr_db,
            min_separation_um=min_separation_um,
        )
    noise = "without noise" if peak_snr_db is None else f"at {peak_snr_db:g} dB peak SNR"
    out.print(
        f"{files} file(s) of {samples} scenes with {layers} layers, {noise}, seed {seed}: "
        f"{', '.join(path.name for path in paths)} in [bold]{escape(str(output))}[/]",
        highlight=False,
    )


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe, or a TOML file of your own.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")
    ] = False,
    device: DeviceOption = Device.auto,
) -> None:
    """Train a model on live simulation, calibrate it, and score it on unseen scenes."""
    from fociscope.evaluation.card import write_card
    from fociscope.reconstruction.engine import pick_device
    from fociscope.training.finish import finish
    from fociscope.training.recipe import Recipe
    from fociscope.training.run import train as run

    plan = Recipe.load(recipe)
    best = run(
        plan,
        output,
        resume=resume,
        accelerator=pick_device(device).type,
        show_progress=err.is_terminal,
    )
    model = finish(plan, best, output / "model.safetensors")
    card = write_card(model, plan, output / "card.md")
    for line in (
        card,
        f"Written: {model}, {output / 'card.md'}",
        f"Use it: fociscope reconstruct A B -o map --model {shlex.quote(str(model))}",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _version(wanted: bool) -> None:
    if wanted:
        from fociscope import __version__

        out.print(f"fociscope {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _plain_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    err.print(f"[yellow]warning:[/] {escape(str(message))}", highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; a `FociscopeError` becomes one line and exit code 1.

    Ctrl-C ends in exit code 130, as shells expect; in `train`, which says how to go on, in 1.
    """
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", FociscopeWarning)
    warnings.showwarning = _plain_warning
    try:
        app()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            err.print("stopped; no half-written file is left")
        raise
    except FociscopeError as error:
        err.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
