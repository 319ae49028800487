"""Fields that an error names -> options of the verb that runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer

__all__ = ["options_for", "running_verb"]

#: Name of an argument in Python -> name of the verb's parameter, where they differ.
PARAMETERS = {
    "cell_diameter_um": "cell_diameter",
    "depth_um": "depths",
    "idle_s": "idle",
    "most_speed_um": "most_speed",
    "scenes": "samples",
    "tile_px": "tile",
}


def running_verb(app: typer.Typer, words: Sequence[str]) -> Any:
    """Return the verb that a command line runs, or the group where its words end.

    Args:
        app: The application.
        words: The command line after the name of the program.
    """
    command: Any = typer.main.get_command(app)  # of the click that typer brings
    for word in words:
        if not hasattr(command, "commands"):
            break
        command = command.commands.get(word, command)
    return command


def options_for(
    app: typer.Typer, fields: Sequence[str], words: Sequence[str] | None = None
) -> list[str]:
    """Return the options of the running verb that set some fields, such as `--resume`.

    Args:
        app: The application.
        fields: Names of arguments in Python; of `optimisation.steps`, the last part counts.
        words: The command line; without it, that of this process.
    """
    if not fields:
        return []
    verb = running_verb(app, sys.argv[1:] if words is None else words)
    options = {
        parameter.name: max(parameter.opts, key=len)
        for parameter in verb.params
        if parameter.param_type_name == "option"
    }
    names = [field.rsplit(".", 1)[-1] for field in fields]
    found = (options.get(name) or options.get(PARAMETERS.get(name, "")) for name in names)
    return [option for option in dict.fromkeys(found) if option is not None]
