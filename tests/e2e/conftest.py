"""Run the command line in this process, as a shell would."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from fociscope.cli import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def fociscope(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["fociscope", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "100")
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture(autouse=True)
def _few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Export a model in a second: the statistics of its normalisation are medians over fewer."""
    monkeypatch.setattr("fociscope.training.export.NORMALISATION_BATCHES", 2)
