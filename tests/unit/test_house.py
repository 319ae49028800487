"""Rules of the house that hold for every module: sizes, docstrings, who may name what."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import fociscope

SOURCE = Path(fociscope.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
MOST_FUNCTION_LINES, MOST_FILE_LINES = 60, 700
#: A command-line option in a message, such as the one to resume; not a CSS variable or class.
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*(?![\w:-])")
#: They hold style sheets of web pages, in which `--name` is a variable.
STYLE_SHEETS = {"app/page.py", "report/page.py"}


def place(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each function's name and its lines, those of its docstring not counted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield node.name, lines


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_functions_are_short() -> None:
    long = {
        f"{place(path)}:{name}"
        for path in MODULES
        for name, lines in functions(parsed(path))
        if lines > MOST_FUNCTION_LINES
    }
    assert sorted(long) == []


def test_a_module_says_what_it_is() -> None:
    assert [place(path) for path in MODULES if not ast.get_docstring(parsed(path))] == []


def test_a_module_is_no_book() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert [place(path) for path, count in lines.items() if count >= MOST_FILE_LINES] == []


def test_only_files_reads_with_scipy() -> None:
    readers = {place(path) for path in MODULES if "scipy.io" in imported(parsed(path))}
    assert {name for name in readers if not name.startswith("files/")} == set()


def imported(tree: ast.Module) -> set[str]:
    """Return the modules that a module imports, and their members as if they were modules."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_only_the_command_line_names_its_options() -> None:
    named = {
        f"{place(path)}:{node.lineno}: {found.group()}"
        for path in MODULES
        if not place(path).startswith("cli/") and place(path) not in STYLE_SHEETS
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for found in FLAG.finditer(node.value)
    }
    assert sorted(named) == []


def test_private_modules_are_for_their_own_room() -> None:
    strangers = {
        f"{place(path)}: {name}"
        for path in MODULES
        for name in imported(parsed(path))
        if name.startswith("fociscope.")
        and name.split(".")[1] != path.relative_to(SOURCE).parts[0]
        and any(re.match(r"_[a-z]", part) for part in name.split(".")[2:-1])
    }
    assert sorted(strangers) == []


def test_a_public_class_has_a_name_of_its_own() -> None:
    homes: dict[str, list[str]] = {}
    for path in MODULES:
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(place(path))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
