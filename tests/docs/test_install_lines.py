"""What the documents say about installing holds in a fresh clone."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import fociscope

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def install_lines() -> list[tuple[str, str]]:
    return [
        (page.name, line.strip())
        for page in PAGES
        for line in re.findall(r"pip install ([^`\n&#]*)", page.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("page", "line"), install_lines())
def test_install_lines_name_what_a_clone_has(page: str, line: str) -> None:
    words = [word.strip("'\".,;)") for word in re.split(r"\s+", line) if word]
    if "-c" in words:
        assert (ROOT / words[words.index("-c") + 1]).is_file()
    for extras in re.findall(r"\.\[([a-z,]+)\]", line):
        assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    assert not {word for word in words if word.startswith("fociscope")}, "it is on no index"


def test_the_project_is_described_without_an_address_that_nobody_knows() -> None:
    assert "Framework :: napari" in PROJECT["classifiers"]
    assert (ROOT / "SECURITY.md").is_file()
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {fociscope.__version__}" in citation
    assert "urls" not in PROJECT


def test_the_lowest_releases_are_those_that_are_tried() -> None:
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    tried = {line for line in lines if not line.startswith("#")}
    assert tried == {one.split(",")[0].replace(">=", "==") for one in PROJECT["dependencies"]}
