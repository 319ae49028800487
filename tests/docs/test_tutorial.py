"""The tutorial and its notebook are one, and its code runs."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

nbformat = pytest.importorskip("nbformat", reason="pip install '.[test]'")

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS))
    for name in ("make_tutorial", "make_examples"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return import_module("make_tutorial")


def test_the_notebook_is_that_of_the_page(script: ModuleType) -> None:
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    kept = (DOCS / "tutorial.ipynb").read_text(encoding="utf-8")

    made = script.notebook_of(page)
    assert _cells(kept) == _cells(made), "run python docs/make_tutorial.py --notebook"
    nbformat.validate(nbformat.reads(kept, as_version=4))


def _cells(notebook: str) -> list[tuple[str, str, list[str]]]:
    return [
        (cell.cell_type, cell.source, [output.text for output in cell.get("outputs", ())])
        for cell in nbformat.reads(notebook, as_version=4).cells
    ]


def test_the_code_prints_and_draws_what_the_page_shows(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "PICTURES", tmp_path)
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")

    made = script.renewed(page)

    assert _without_digits(made) == _without_digits(page)
    shown = set(re.findall(r"\(images/tutorial/([^)]+)\)", page))
    assert {path.name for path in tmp_path.glob("*.png")} == shown


def _without_digits(text: str) -> str:
    """Return a text in which digits, which differ between processors, are all alike."""
    return re.sub(r" +", " ", re.sub(r"-?\d+(?:\.\d*)?", "#", text))
