"""The page of specimens: its files are specimens, its tables name all kinds, its numbers hold."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from fociscope.evaluation.generalisation import HELD_OUT_KINDS
from fociscope.simulation import SPECIMEN_KINDS, load_specimen, simulate

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "specimens.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
ROWS = [re.split(r" *\| *", line.strip("| ")) for line in PAGE.splitlines() if line[:3] == "| `"]


@pytest.mark.parametrize("text", FILES, ids=lambda text: text.splitlines()[0])
def test_a_file_of_the_page_is_a_specimen(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    specimen = load_specimen(tmp_path / "mine.toml")
    assert simulate(1, seed=0, specimen=specimen).layers.shape == (1, 4, 51, 51)


def test_the_first_table_names_all_kinds_and_marks_those_for_tests_alone() -> None:
    table = [row for row in ROWS if len(row) == 3]
    named = {kind: row[2] for row in table for kind in re.findall(r"`([a-z-]+)`", row[0])}
    assert set(named) == set(SPECIMEN_KINDS)
    assert {kind for kind, use in named.items() if "tests alone" in use} == set(HELD_OUT_KINDS)


@pytest.mark.parametrize("kind", ["spectral-foci", "single-cells", "glands"])
def test_measured_statistics_are_those_of_the_page(kind: str) -> None:
    path = DOCS / "make_specimen_statistics.py"
    spec = importlib.util.spec_from_file_location("make_specimen_statistics", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (stated,) = [row for row in ROWS if len(row) == 8 and row[0] == f"`{kind}`"]
    assert module.row(kind, load_specimen(kind)) == stated
