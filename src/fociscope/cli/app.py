"""`fociscope app`: the same jobs in the browser, on this machine alone."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from fociscope.cli.common import Device, DeviceOption, ImagerOption, out
from fociscope.cli.entry import app as verbs
from fociscope.cli.reconstruct_options import ModelOption

PORT = 8470


@verbs.command()
def app(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")
    ] = PORT,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    watch: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Follow a folder of images, or a growing stack: maps and traces as captures come.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = None,
    imager: ImagerOption = None,
    device: DeviceOption = Device.auto,
) -> None:
    """Look at maps in the browser: drop captures in, or simulate; nothing leaves this machine."""
    from fociscope.app.jobs import running
    from fociscope.app.server import require_extra, serve

    require_extra()
    out.print("Loading the models ...", highlight=False)
    from fociscope.imager import Imager
    from fociscope.workflows import ReconstructionOptions

    options = ReconstructionOptions(
        model=Path(model) if model is not None and model.endswith(".safetensors") else model,
        imager=None if imager is None else Imager.load(imager),
        device=device.value,
    )

    def say(address: str) -> None:
        out.print(f"Fociscope is at [bold]{address}[/]; Ctrl-C ends it.", highlight=False)

    serve(port, options=options, watch=watch, open_browser=browser, say=say)
    with suppress(OSError):  # the terminal may be gone
        out.print("Ended; nothing that visitors sent is kept.", highlight=False)
        sys.stdout.flush()
    if running():  # work of visitors, for which nobody waits
        os._exit(0)
