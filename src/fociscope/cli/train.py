"""`fociscope train`: a recipe in, a model and its card out; and a recipe to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fociscope.cli.common import (
    Device,
    DeviceOption,
    err,
    imager_file,
    out,
    refuse_missing,
    refuse_missing_model,
)
from fociscope.cli.entry import app
from fociscope.cli.names import MODELS, RECIPES, completed, listed

RecipeArgument = Annotated[
    str | None,
    typer.Argument(
        help=f"A shipped recipe ({listed(RECIPES)}), or a TOML file of your own.",
        metavar="RECIPE",
        autocompletion=completed(RECIPES),
        show_default=False,
    ),
]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="Folder of the run.", show_default=False)
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of files of the published layout to train on, best without noise; without "
        "it, scenes are simulated live."
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="MODEL",
        help=f"A shipped model ({listed(MODELS)}), or a .safetensors file, whose weights to "
        "start from.",
        autocompletion=completed(MODELS),
    ),
]
NewOption = Annotated[
    Path | None,
    typer.Option(
        "--new",
        metavar="FILE",
        help="Train nothing: write a short, commented recipe to begin with.",
    ),
]
NewImagerOption = Annotated[
    Path | None, typer.Option(help="With --new: TOML file of the imager of that recipe.")
]


@app.command()
def train(
    recipe: RecipeArgument = None,
    output: OutputOption = None,
    data: DataOption = None,
    start_from: FromOption = None,
    new: NewOption = None,
    imager: NewImagerOption = None,
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
    _check(recipe, output, new=new, imager=imager, start_from=start_from, data=data)
    if new is not None:
        _write_new(new, imager, start_from)
        return
    from fociscope.workflows import train as run

    assert recipe is not None and output is not None  # as `_check` has made sure
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


def _check(
    recipe: str | None,
    output: Path | None,
    *,
    new: Path | None,
    imager: Path | None,
    start_from: str | None,
    data: Path | None,
) -> None:
    """Refuse arguments that do not go together, and files that do not exist."""
    from fociscope.errors import FociscopeError

    if new is not None and (recipe is not None or output is not None or data is not None):
        raise FociscopeError(
            "--new writes a recipe and trains nothing; beside it, give --imager or --from alone"
        )
    if new is None:
        if imager is not None:
            raise FociscopeError(
                '--imager goes with --new; in a recipe, imager = "imager.toml" names the file'
            )
        if recipe is None:
            raise typer.BadParameter(
                f"name a recipe ({listed(RECIPES)}, or a TOML file), or write one with --new",
                param_hint="RECIPE",
            )
        if output is None:
            raise typer.BadParameter("name the folder of the run", param_hint="-o")
        if recipe not in RECIPES and recipe.endswith(".toml"):
            refuse_missing(recipe)
    if start_from is not None:
        refuse_missing_model(start_from)
    refuse_missing(imager_file(imager), data)


def _write_new(path: Path, imager: Path | None, start_from: str | None) -> None:
    """Write a recipe to begin with, and print the command that trains it."""
    from fociscope.training import new_recipe

    recipe = new_recipe(path, imager=imager, start_from=start_from)
    origin = "" if start_from is None else f" --from {shlex.quote(start_from)}"
    command = f"fociscope train {shlex.quote(str(path))}{origin} -o runs/{recipe.name}"
    for line in (f"Written: {path}", f"Train it: {command}"):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
