"""The door: the application that the verbs register with, and how a run of it ends."""

from __future__ import annotations

import io
import sys
import warnings
from typing import Annotated, Any

import typer
from rich.markup import escape

from fociscope.cli.common import err, out
from fociscope.cli.hints import options_for
from fociscope.errors import FociscopeError, FociscopeWarning

__all__ = ["app", "hinted", "main", "print_warning"]

INTERRUPTED = 130

app = typer.Typer(
    help="Layered 3D maps of tumour-cell foci from chip-scale lensless imagers.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    print_warning(message)


def hinted(message: str, fields: tuple[str, ...]) -> str:
    """Return a message with the options of the running verb that mend it."""
    options = [option for option in options_for(app, fields) if option not in message]
    if not options:
        return message
    return f"{message.rstrip('.')}; on the command line: {', '.join(options)}"


def print_warning(warning: Warning | str, *, bold: bool = False) -> None:
    """Print a warning to stderr, with the options that mend it."""
    style = "bold yellow" if bold else "yellow"
    text = escape(hinted(str(warning), getattr(warning, "fields", ())))
    err.print(f"[{style}]warning:[/] {text}", highlight=False, soft_wrap=True)


def _print_any_name() -> None:
    """Have a file's name that is not UTF-8 written out, where the terminal would refuse it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


_STOPPED = "stopped; no half-written file is left"


def main() -> None:
    """Run the command line; a `FociscopeError` becomes one line and exit code 1.

    Ctrl-C ends in exit code 130, as shells expect; in `train`, which says how to go on, in 1.
    """
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", FociscopeWarning)
    warnings.showwarning = _plain_warning
    _print_any_name()
    try:
        app()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            err.print(_STOPPED)
        raise
    except KeyboardInterrupt:  # outside of what typer runs
        err.print(_STOPPED)
        sys.exit(INTERRUPTED)
    except FociscopeError as error:
        message = escape(hinted(str(error), error.fields))
        err.print(f"[red]error:[/] {message}", highlight=False, soft_wrap=True)
        sys.exit(1)
