"""The server: one port on 127.0.0.1, a guard in front of it, and a folder that goes with it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from fociscope.errors import FociscopeError

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
    open_browser: bool = True,
    device: str = "auto",
    say: Callable[[str], None] = print,
) -> None:
    """Serve the app until Ctrl-C.

    Args:
        port: on 127.0.0.1; 0 takes a free one.
        open_browser: show the page when it is ready.
        device: where to compute.
        say: is told the address, once it answers.

    Raises:
        FociscopeError: the port is taken, or an extra is missing.
    """
    require_extra()
    with _listening(port) as listening:
        home = Path(tempfile.mkdtemp(prefix="fociscope-app-"))
        try:
            _run(listening, home, open_browser=open_browser, device=device, say=say)
        finally:
            shutil.rmtree(home, ignore_errors=True)


def preload(device: str) -> None:
    """Reconstruct the shipped example once, and sensor A of it alone."""
    from fociscope.app.capture_input import shipped_example
    from fociscope.app.methods import default_model, model_for
    from fociscope.networks.store import find_model, read_model
    from fociscope.results.foci import find_foci

    example = shipped_example().frames[0]
    for sensors in (1, 2):
        name = default_model(sensors)
        read_model(find_model(name))
        result = model_for(name, None, device).reconstruct(example[:sensors])
    find_foci(result)


def _run(
    listening: socket.socket,
    home: Path,
    *,
    open_browser: bool,
    device: str,
    say: Callable[[str], None],
) -> None:
    import uvicorn
    from fastapi import FastAPI
    from nicegui import app as pages
    from nicegui import ui

    from fociscope.app.capture_input import UPLOAD_BYTES
    from fociscope.app.guard import Guard
    from fociscope.app.page import add_page

    preload(device)
    port = listening.getsockname()[1]
    address = f"http://{ADDRESS}:{port}"
    around = FastAPI(openapi_url=None)
    add_page(home, device=device)
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
    with contextlib.suppress(KeyboardInterrupt):
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
