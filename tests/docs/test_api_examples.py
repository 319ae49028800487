"""Each public name has a docstring that stands alone, with an example that runs."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
import textwrap
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

API_PAGE = Path(__file__).parents[2] / "docs" / "api.md"

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _listed_names() -> list[str]:
    """Return the names that mkdocstrings documents, in the order of the page."""
    return re.findall(r"^::: (\S+)$", API_PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def _find_object(name: str) -> Any:
    """Return what a dotted name stands for, `fociscope.imager.Imager.preset` included."""
    module, *attributes = name.split(".")
    value: Any = import_module(module)
    for attribute in attributes:
        value = getattr(value, attribute)
    return value


def _documented(name: str) -> Any:
    """Return the object of a name, or skip: data are documented by their type."""
    value = _find_object(name)
    if not (inspect.isroutine(value) or inspect.isclass(value)):
        pytest.skip("is data, documented by its type")
    return value


@pytest.mark.parametrize("name", _listed_names())
def test_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = _documented(name)
    tests = doctest.DocTestFinder(recurse=False).find(value, name, globs={"__name__": "__main__"})
    examples = [test for test in tests if test.examples]
    assert examples, f"{name} has no `Examples:` with >>> in its docstring"
    assert "Examples:" in (inspect.getdoc(value) or ""), "the heading of examples is `Examples:`"

    monkeypatch.chdir(tmp_path)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in examples:
        runner.run(test, out=report.append)

    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("name", _listed_names())
def test_sections_are_complete(name: str) -> None:
    value = _documented(name)
    text = inspect.getdoc(value) or ""
    assert text, f"{name} has no docstring"
    if inspect.isclass(value):
        return
    missing = [p for p in _parameters(value) if not re.search(rf"^ +\*{{0,2}}{p}\b.*:", text, re.M)]
    assert not missing, f"no line under `Args:` for {', '.join(missing)}"
    assert "Args:" in text or not _parameters(value)
    assert "Returns:" in text or "Yields:" in text or _returns_nothing(value)
    assert "Raises:" in text or not _raises(value)


def test_names_are_short_paths() -> None:
    """A user imports from a room, never from a file within it."""
    rooms = [name.rpartition(".")[0] for name in _listed_names()]

    assert [room for room in rooms if room.count(".") > 1] == []


def _parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def _returns_nothing(function: Any) -> bool:
    return inspect.signature(function).return_annotation in (None, "None")


def _raises(function: Any) -> bool:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))
