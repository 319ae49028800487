"""The scripts in examples/ run, each in a process and a folder of its own."""

from __future__ import annotations

import subprocess
import sys
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
def test_example_runs(script: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout
