"""What a room lists in `__all__` is there, lazy names included, and is never a module."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import pytest

import fociscope

#: Rooms that users import from; `app` and `napari_plugin` need extras and list no names.
ROOMS = sorted(
    found.name
    for found in iter_modules(fociscope.__path__)
    if found.ispkg and found.name not in ("app", "napari_plugin")
)


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_of_a_room_are_there(room: str) -> None:
    package = import_module(f"fociscope.{room}")
    names = getattr(package, "__all__", [])

    assert [name for name in names if isinstance(getattr(package, name), ModuleType)] == []
