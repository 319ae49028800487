"""The server: one port on 127.0.0.1, and a guard in front of it."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fociscope.app.home import Ending, home_of_visitors
from fociscope.errors import FociscopeError

if TYPE_CHECKING:
    from fociscope.workflows import ReconstructionOptions

__all__ = ["require_extra", "serve"]

ADDRESS = "127.0.0.1"
#: How long a page may be silent before its visit ends. A browser that draws on a busy machine
#: without a graphics card is silent for seconds; if its visit had ended, the page would start anew.
RECONNECT_S = 15.0
#: How long an open page may hold up the end.
GRACE_S = 1


def require_extra() -> None:
    """Say plainly what to install where it is missing.

    Raises:
        FociscopeError: NiceGUI is not installed.
    """
    if find_spec("nicegui") is None:
        raise FociscopeError(
            "the app needs NiceGUI, which is not installed; run in a clone of Fociscope: "
            "pip install '.[app]'"
        )


def serve(
    port: int,
    *,
    options: ReconstructionOptions | None = None,
    watch: Path | None = None,
    open_browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the app until Ctrl-C, or until it is asked to end or its terminal is closed.

    Args:
        port: on 127.0.0.1; 0 takes a free one.
        options: model, imager and device with which each visit begins.
        watch: folder of images, or stack that grows, that every page follows; None for none.
        open_browser: show the page when it is ready.
        say: is called with the address, once it answers.

    Raises:
        FociscopeError: the port is taken, an extra is missing, or there is nothing to follow.
    """
    require_extra()
    from fociscope.app.following import watcher_of
    from fociscope.app.methods import described
    from fociscope.workflows import ReconstructionOptions

    options = options or ReconstructionOptions()
    if options.model is not None:
        described(options.model)  # refuses at once what is no model
    if watch is not None:
        watcher_of(watch, options)  # refuses at once what no page could follow
    with (
        _listening(port) as listening,
        suppress(KeyboardInterrupt),
        Ending() as ending,
        home_of_visitors() as home,
    ):
        _run(listening, home, options, watch, ending, open_browser=open_browser, say=say)


def preload(device: str) -> None:
    """Reconstruct the shipped example once, and sensor A of it alone."""
    from fociscope.app.capture_input import shipped_example
    from fociscope.app.session import reconstructed
    from fociscope.networks.store import usual_model
    from fociscope.results.foci import find_foci
    from fociscope.workflows import ReconstructionOptions

    example = shipped_example()
    for sensors in (1, 2):
        seen = replace(example, frames=example.frames[:, :sensors])
        options = ReconstructionOptions(model=usual_model(sensors), device=device)
        result = reconstructed(seen, 0, options)
    find_foci(result)


def _run(
    listening: socket.socket,
    home: Path,
    options: ReconstructionOptions,
    watch: Path | None,
    ending: Ending,
    *,
    open_browser: bool,
    say: Callable[[str], None],
) -> None:
    import uvicorn
    from fastapi import FastAPI
    from nicegui import app as pages
    from nicegui import ui

    from fociscope.app.capture_input import UPLOAD_BYTES
    from fociscope.app.guard import Guard
    from fociscope.app.page import add_page

    preload(options.device)
    port = listening.getsockname()[1]
    address = f"http://{ADDRESS}:{port}"
    around = FastAPI(openapi_url=None)
    add_page(home, options, watch=watch)
    ui.run_with(
        around,
        title="Fociscope",
        dark=None,
        language="en-US",
        reconnect_timeout=RECONNECT_S,
        show_welcome_message=False,
    )

    def ready() -> None:
        say(address)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    pages.on_startup(ready)
    server = uvicorn.Server(
        uvicorn.Config(
            Guard(around, port=port, most_bytes=UPLOAD_BYTES),
            log_level="warning",
            access_log=False,
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )

    def stop() -> None:
        server.should_exit = True

    ending.stop = stop
    server.run(sockets=[listening])


def _listening(port: int) -> socket.socket:
    """Return a socket that listens on this machine alone."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((ADDRESS, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise FociscopeError(
            f"port {port} of {ADDRESS} cannot be used ({_reason(error)}); choose another, "
            "or port 0 for any that is free",
            fields=("port",),
            value=port,
        ) from None
    listening.listen(128)
    return listening


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
