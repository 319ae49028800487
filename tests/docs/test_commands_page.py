"""docs/commands.md says what the command line says."""

from __future__ import annotations

import runpy
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_page_of_commands_is_that_of_the_code() -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    if f"typer=={version('typer')}\n" not in pinned:
        pytest.skip("the wording of lists is Typer's, of the release in constraints.txt")
    made = runpy.run_path(str(ROOT / "docs" / "make_commands.py"))["commands"]()

    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page == made, "run python docs/make_commands.py"
