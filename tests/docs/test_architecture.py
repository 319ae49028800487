"""The picture of the rooms shows the imports as they stand."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SCRIPT = DOCS / "make_architecture_picture.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location(SCRIPT.stem, SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_picture_shows_the_imports(script: ModuleType) -> None:
    assert script.drawn() == script.rooms(), f"draw it again: python docs/{SCRIPT.name}"


def test_no_room_imports_one_above_it(script: ModuleType) -> None:
    house = script.rooms()
    floor = {room["name"]: room["floor"] for room in house}

    upward = [
        (room["name"], other)
        for room in house
        for other in room["imports"]
        if floor[other] > room["floor"]
    ]

    assert upward == []


def test_functions_of_the_four_ways_are_there() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    ways = text[text.index("## Five ways") : text.index("## What differs")]
    named = re.findall(r"`([a-z_]+(?:\.\w+)+)`", ways)

    missing = [name for name in named if not _is_there(f"fociscope.{name}")]

    assert len(named) > 20
    assert missing == []


def _is_there(path: str) -> bool:
    """Whether a dotted path leads to a module or to an attribute of one."""
    parts = path.split(".")
    for depth in range(len(parts), 0, -1):
        try:
            value = import_module(".".join(parts[:depth]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[depth:]:
            if not hasattr(value, attribute):
                return False
            value = getattr(value, attribute)
        return True
    return False
