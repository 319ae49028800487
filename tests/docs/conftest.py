"""Run the programs of documents."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from fociscope.files.formats._table import FORMATS
from fociscope.imager import PSF_KINDS
from fociscope.results.writers import WRITERS
from fociscope.simulation import SPECIMEN_KINDS
from fociscope.solvers import SOLVERS


@pytest.fixture
def run_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Run a script in an empty folder, in this process; what it registers ends with the test."""
    monkeypatch.chdir(tmp_path)
    for registry in (FORMATS, PSF_KINDS, SOLVERS, SPECIMEN_KINDS, WRITERS):
        monkeypatch.setattr(registry, "_members", dict(registry))

    def run(script: Path) -> None:
        runpy.run_path(str(script), run_name="__main__")

    return run


@pytest.fixture(autouse=True)
def _few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Export a model in a second: the statistics of its normalisation are medians over fewer."""
    monkeypatch.setattr("fociscope.training.export.NORMALISATION_BATCHES", 2)
