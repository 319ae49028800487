"""`fociscope app`: the same jobs in the browser, on this machine alone."""

from __future__ import annotations

from typing import Annotated

import typer

from fociscope.cli.common import Device, DeviceOption, out
from fociscope.cli.entry import app as verbs

PORT = 8470


@verbs.command()
def app(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")
    ] = PORT,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    device: DeviceOption = Device.auto,
) -> None:
    """Look at maps in the browser: drop captures in, or simulate; nothing leaves this machine."""
    from fociscope.app.server import require_extra, serve

    require_extra()
    out.print("Loading the models ...", highlight=False)

    def say(address: str) -> None:
        out.print(f"Fociscope is at [bold]{address}[/]; Ctrl-C ends it.", highlight=False)

    serve(port, open_browser=browser, device=device, say=say)
    out.print("Ended; nothing that visitors sent is kept.", highlight=False)
