"""The scripts in examples/ run, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SLOW = {"train_on_files.py", "own_chip_from_beads.py"}


def _scripts() -> list[object]:
    return [
        pytest.param(path, id=path.name, marks=[pytest.mark.slow] * (path.name in SLOW))
        for path in sorted(EXAMPLES.glob("*.py"))
    ]


@pytest.mark.parametrize("script", _scripts())
def test_example_runs(
    script: Path, run_script: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    run_script(script)

    assert capsys.readouterr().out
