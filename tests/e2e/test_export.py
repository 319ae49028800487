"""`fociscope export` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fociscope.cli import app


def test_it_writes_a_graph_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    path = tmp_path / "model.onnx"
    words = ["export", "single-a", "--layers", "1", "-o", str(path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert path.stat().st_size > 100_000
    assert "batch and frame are free" in done.output
    assert "out-of-distribution check" in done.output
