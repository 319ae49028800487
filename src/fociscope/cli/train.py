"""`fociscope train`: a recipe in, a model and its card out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fociscope.cli.common import Device, DeviceOption, err, out
from fociscope.cli.entry import app


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe, or a TOML file of your own.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of files of the published layout to train on, best without noise; without "
            "it, scenes are simulated live."
        ),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="A shipped model, or a .safetensors file, whose weights to start from.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the curves for TensorBoard, too.")
    ] = False,
    device: DeviceOption = Device.auto,
    devices: Annotated[
        int, typer.Option(min=1, help="Devices of each node, one process on each.")
    ] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines that train together.")] = 1,
) -> None:
    """Train a model on live simulation or on files, calibrate it, and score it on unseen scenes."""
    from fociscope.workflows import train as run

    done = run(
        recipe,
        output,
        data=data,
        start_from=start_from,
        resume=resume,
        device=device.value,
        devices=devices,
        nodes=nodes,
        tensorboard=tensorboard,
        show_progress=err.is_terminal,
        report=lambda line: err.print(line, markup=False, highlight=False, soft_wrap=True),
    )
    if done is None:  # not the first process of several
        return
    for line in (
        done.card_text,
        f"Written: {done.model}, {done.card}",
        f"Use it: fociscope reconstruct A B -o map --model {shlex.quote(str(done.model))}",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
