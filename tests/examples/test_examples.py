"""The scripts in examples/ run, and their pages show what they print and draw."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

from fociscope.files.formats._table import FORMATS
from fociscope.imager import PSF_KINDS
from fociscope.results.writers import WRITERS
from fociscope.simulation import SPECIMEN_KINDS
from fociscope.solvers import SOLVERS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
#: Of an adaptation, which draws thousands otherwise.
FEW_SCENES = {
    "adaptation.tissue.SCENES": 4,
    "adaptation.recipe.POOL_CHUNKS": 1,
    "adaptation.recipe.VALIDATION_SCENES": 4,
    "adaptation.recipe.CALIBRATION": {
        "scenes": 20,
        "family_scenes": 64,
        "psf_width_scenes": 64,
    },
    "workflows._adapt.JUDGED_SCENES": 8,
    "workflows._adapt.JUDGED_CAPTURES": 4,
}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def page_of(script: Path) -> Path:
    return DOCS / "examples" / f"{script.stem.replace('_', '-')}.md"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Export and score a model in seconds; what a script registers ends with the test."""
    monkeypatch.setattr("fociscope.training.export.NORMALISATION_BATCHES", 2)
    monkeypatch.setattr("fociscope.evaluation.card.TEST_SCENES", 10)
    for name, value in FEW_SCENES.items():
        monkeypatch.setattr(f"fociscope.{name}", value)
    for registry in (FORMATS, PSF_KINDS, SOLVERS, SPECIMEN_KINDS, WRITERS):
        monkeypatch.setattr(registry, "_members", dict(registry))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_example_prints_and_draws_what_its_page_shows(
    script: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script), "out"])

    runpy.run_path(str(script), run_name="__main__")

    # Digits differ between processors; words, lines and names of files do not.
    kept = page_of(script).with_suffix(".txt").read_text(encoding="utf-8")
    assert NUMBER.sub("#", capsys.readouterr().out) == NUMBER.sub("#", kept)
    name = page_of(script).stem
    drawn = {f"{name}-{path.name}": path for path in (tmp_path / "out").glob("*.png")}
    shown = {path.name for path in (DOCS / "images" / "examples").glob(f"{name}-*.png")}
    assert set(drawn) == shown
    for path in drawn.values():
        with Image.open(path) as picture:
            assert len(picture.convert("L").getcolors(256) or ()) > 2, "an empty picture"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_example_has_a_page_with_its_code_and_all_its_pictures(script: Path) -> None:
    text = page_of(script).read_text(encoding="utf-8")

    assert f"--8<--\nexamples/{script.name}\n--8<--" in text
    assert f"--8<--\ndocs/examples/{page_of(script).stem}.txt\n--8<--" in text
    shown = re.findall(r"\(\.\./images/examples/([^)]+)\)", text)
    kept = (DOCS / "images" / "examples").glob(f"{page_of(script).stem}-*.png")
    assert sorted(shown) == sorted(path.name for path in kept)
    index = (DOCS / "examples" / "index.md").read_text(encoding="utf-8")
    assert f"({page_of(script).name})" in index
    assert f"examples/{page_of(script).name}" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_example_says_how_to_run_it_and_how_long_it_takes(script: Path) -> None:
    head = script.read_text(encoding="utf-8").split('"""')[1]

    assert f"python examples/{script.name} [FOLDER]" in head
    assert re.search(r"^Takes \d+ s on one core", head, re.MULTILINE)
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 110
