"""`fociscope demo`: the whole job on a shipped example."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from fociscope.cli.common import (
    Device,
    DeviceOption,
    OverwriteOption,
    found_columns,
    out,
    print_table,
    self_check,
)
from fociscope.cli.entry import app

if TYPE_CHECKING:
    from fociscope.workflows.demo import DemoResult


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")] = Path(
        "fociscope-demo"
    ),
    device: DeviceOption = Device.auto,
    overwrite: OverwriteOption = False,
) -> None:
    """Do the whole job on a shipped capture pair, offline: maps, pictures, scores."""
    from fociscope.workflows.demo import run_demo

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

    print_table(
        "A shipped capture pair, reconstructed and held against the truth",
        {
            **found_columns(done.result),
            "true\n(µm)": [f"{z:.0f}" for z in truth.depth_um],
            "error\n(µm)": [f"{e:.0f}" for e in done.depth_error_um],
            "pixels\nright\n(%)": percent(scores.accuracy),
            "constant\nbaseline\n(%)": percent(scores.constant_accuracy),
            "Dice": [f"{d:.3f}" for d in scores.dice],
        },
    )
    out.print(
        f"Mean: {100 * scores.accuracy.mean():.1f} % of pixels right "
        f"(constant baseline {100 * scores.constant_accuracy.mean():.1f} %), "
        f"depth error {done.depth_error_um.mean():.0f} µm. {self_check(done.result)}",
        highlight=False,
    )
