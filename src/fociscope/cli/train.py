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
    from fociscope.devices import pick_device
    from fociscope.evaluation.card import write_card
    from fociscope.training.export import export_model
    from fociscope.training.hardware import ComputeSettings
    from fociscope.training.recipe import Recipe
    from fociscope.training.run import RUN_ORIGIN
    from fociscope.training.run import train as run
    from fociscope.training.run_origin import RunOrigin

    plan = Recipe.load(recipe)
    trained = run(
        plan,
        output,
        resume=resume,
        data=data,
        start_from=start_from,
        compute=ComputeSettings(pick_device(device).type, devices, nodes),
        tensorboard=tensorboard,
        show_progress=err.is_terminal,
        report=lambda line: err.print(line, markup=False, highlight=False),
    )
    if not trained.is_first_process:
        return
    for stage in trained.stages:
        if stage.stopped_early:
            where = f"{stage.name}: " if stage.name else ""
            err.print(
                f"{where}stopped early at step {stage.steps} of {stage.recipe.optimisation.steps}: "
                f"{stage.recipe.validation.patience} validations without a better one",
                markup=False,
                highlight=False,
            )
    if plan.stages:
        err.print("export: calibration and limits", highlight=False)
    model = export_model(plan, trained.best, output / "model.safetensors")
    if plan.stages:
        err.print("export: scores of the card", highlight=False)
    card = write_card(
        model,
        plan,
        output / "card.md",
        origin=RunOrigin.read(output / RUN_ORIGIN),
        hours=[stage.hours for stage in trained.stages],
    )
    for line in (
        card,
        f"Written: {model}, {output / 'card.md'}",
        f"Use it: fociscope reconstruct A B -o map --model {shlex.quote(str(model))}",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
