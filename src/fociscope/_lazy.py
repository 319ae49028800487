"""Faces of rooms whose names are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(
    package: str, home: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package that imports its names when they are used.

    Args:
        package: Name of the package, `__name__` in its `__init__`.
        home: Public name -> full name of the module that defines it.

    Returns:
        The two functions, to be assigned to `__getattr__` and `__dir__` of the package.

    Examples:
        >>> from fociscope._lazy import lazy_names
        >>> get, names = lazy_names("fociscope.typing", {"sqrt": "math"})
        >>> get("sqrt")(16.0), names()
        (4.0, ['sqrt'])
    """

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home[name]), name)
        setattr(sys.modules[package], name, value)  # found without this function next time
        return value

    def names() -> list[str]:
        return sorted(home)

    return get, names
