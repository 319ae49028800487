"""`fociscope reconstruct --runtime`: torch and OpenVINO write the same map."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fociscope.cli import app
from fociscope.demo import CAPTURES
from fociscope.results import load_result


def test_reconstruct_takes_the_runtime_that_is_named(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    captures = [str(files("fociscope.demo") / name) for name in CAPTURES]
    for runtime in ("torch", "openvino"):
        words = ["reconstruct", *captures, "-o", str(tmp_path / runtime), "--runtime", runtime]
        done = CliRunner().invoke(app, [*words, "--precision", "float32"])
        assert done.exit_code == 0, done.output
    one, other = (load_result(tmp_path / runtime) for runtime in ("torch", "openvino"))
    np.testing.assert_allclose(one.probability, other.probability, atol=1e-4)
    np.testing.assert_allclose(one.depth_um, other.depth_um, atol=1e-2)
