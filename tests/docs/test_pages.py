"""Pages tell the truth: their Python runs, and their links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("*/README.md")])

_PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _program(page: Path, folder: Path) -> Path:
    """Write all Python of a page into one script."""
    blocks = _PYTHON_BLOCK.findall(page.read_text(encoding="utf-8"))
    script = folder / "page.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    return script


def test_python_of_the_first_page_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, _program(ROOT / "README.md", tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", sorted(DOCS.glob("extending*.md")), ids=_name)
def test_python_of_the_page_runs(
    page: Path, tmp_path: Path, run_script: Callable[[Path], None]
) -> None:
    run_script(_program(page, tmp_path))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_within_the_project_resolve(page: Path) -> None:
    links = _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    inner = [link for link in links if not re.match(r"[a-z]+:", link)]

    assert [link for link in inner if not _leads_somewhere(page, link)] == []


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path) if path else page
    if not target.exists():
        return False
    return not anchor or anchor in _anchors(target)


def _anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    return {_slug(heading) for heading in _HEADING.findall(text)}


def _slug(heading: str) -> str:
    """Return a heading's anchor as Python-Markdown makes it."""
    text = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower())
