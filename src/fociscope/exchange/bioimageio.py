"""A package of the BioImage Model Zoo: the ONNX graph, its description, test tensors, a cover.

The description is that of version 0.5 of the Zoo's format, written as JSON, which is YAML too, so
that no library of the Zoo is needed here; `docs/export.md` says how to run the Zoo's own test.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from fociscope.exchange._cover import cover_png
from fociscope.exchange.facts import CAPTURES, NOT_INCLUDED, OUTPUTS, GraphFacts
from fociscope.exchange.torch_program import CaptureProgram
from fociscope.networks.calibration import OutputCalibration
from fociscope.networks.inference import InferenceNet
from fociscope.networks.layer_net import SMALLEST_FRAME_PX
from fociscope.networks.onnx_graph import OPSET
from fociscope.simulation import simulate
from fociscope.typing import Float32Array

__all__ = ["FORMAT_VERSION", "package_bytes"]

#: Version of the description's format: read by bioimageio.spec from 0.5.4 on.
FORMAT_VERSION = "0.5.4"
#: Captures of the test tensors, and their seed.
TEST_CAPTURES, TEST_SEED = 2, 0
#: Of all files, so that the same model gives the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_WEIGHTS, _DESCRIPTION, _TEXT, _COVER = "model.onnx", "rdf.yaml", "README.md", "cover.png"
_PAPER = (
    "Najafiaghdam et al., 3D reconstruction of cellular images from microfabricated imagers using "
    "fully-adaptive deep neural networks, Scientific Reports 12:7229 (2022)"
)
_PAPER_DOI = "10.1038/s41598-022-10886-6"


def package_bytes(
    weights: bytes, net: InferenceNet, calibration: OutputCalibration, facts: GraphFacts
) -> bytes:
    """Return the package as a zip archive; the same model gives the same bytes.

    Args:
        weights: ONNX file.
        net: Folded network of the graph, which computes the test tensors in torch.
        calibration: Calibration of the graph.
        facts: What the graph is.

    Returns:
        Content of the file.
    """
    captures = _test_captures(facts)
    with torch.inference_mode():
        program = CaptureProgram(net, calibration, facts).cpu().eval()
        answer = {k: v.numpy() for k, v in program(torch.from_numpy(captures)).items()}
    files = {_WEIGHTS: weights, f"{CAPTURES}.npy": _npy(captures)}
    files |= {f"{name}.npy": _npy(answer[name]) for name in OUTPUTS}
    files[_COVER] = cover_png(captures[0], {k: v[0] for k, v in answer.items()}, facts)
    files[_TEXT] = _readme(facts).encode()
    files[_DESCRIPTION] = (
        json.dumps(_description(facts, files), indent=1, ensure_ascii=False) + "\n"
    ).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _test_captures(facts: GraphFacts) -> Float32Array:
    """Return simulated captures of the imager."""
    layers = min(facts.layers, 4)
    apart_um = min(250.0, facts.imager.gap_um / (2 * layers))
    scenes = simulate(
        TEST_CAPTURES,
        seed=TEST_SEED,
        layers=layers,
        imager=facts.imager,
        min_separation_um=apart_um,
    )
    return np.ascontiguousarray(scenes.captures, np.float32)


def _npy(array: Float32Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _description(facts: GraphFacts, files: dict[str, bytes]) -> dict[str, Any]:
    """Return the fields of the description."""
    return {
        "format_version": FORMAT_VERSION,
        "type": "model",
        "name": f"Fociscope {facts.model}"[:64],
        "description": (
            f"Captures of a lensless imager ({facts.imager.name}) to a layered 3D map of cells, "
            "with calibrated probabilities and depths."
        ),
        "authors": [{"name": "The Fociscope authors"}],
        "cite": [{"text": _PAPER, "doi": _PAPER_DOI}],
        "license": "Apache-2.0",
        "tags": ["lensless-imaging", "fluorescence", "3d", "depth", "deconvolution", "onnx"],
        "version": version("fociscope"),
        "documentation": _file(_TEXT, files),
        "covers": [_COVER],
        "inputs": [_input(facts, files)],
        "outputs": [_output(name, facts, files) for name in OUTPUTS],
        "weights": {"onnx": {**_file(_WEIGHTS, files), "opset_version": OPSET}},
        "config": {"fociscope": facts.metadata},
    }


def _file(name: str, files: dict[str, bytes]) -> dict[str, str]:
    return {"source": name, "sha256": hashlib.sha256(files[name]).hexdigest()}


def _input(facts: GraphFacts, files: dict[str, bytes]) -> dict[str, Any]:
    size = {"min": SMALLEST_FRAME_PX, "step": 1}
    return {
        "id": CAPTURES,
        "description": facts.captures,
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": ["sensor_a", "sensor_b"][: facts.sensors]},
            *(_space(axis, size, facts) for axis in ("y", "x")),
        ],
        "data": {"type": "float32", "unit": "arbitrary unit"},
        "test_tensor": _file(f"{CAPTURES}.npy", files),
    }


def _output(name: str, facts: GraphFacts, files: dict[str, bytes]) -> dict[str, Any]:
    axes, unit, meaning = OUTPUTS[name]
    layers = [f"layer_{n + 1}" for n in range(facts.layers)]
    described: list[dict[str, Any]] = [
        {"type": "batch"},
        {"type": "channel", "channel_names": layers},
    ]
    if "y, x" in axes:
        described += [
            _space(axis, {"tensor_id": CAPTURES, "axis_id": axis}, facts) for axis in ("y", "x")
        ]
    data: dict[str, Any] = {"type": "float32"}
    data["unit"] = "µm" if unit == "um" else "arbitrary unit"
    if unit == "1":
        data["range"] = [0.0, 1.0]
    return {
        "id": name,
        "description": meaning,
        "axes": described,
        "data": data,
        "test_tensor": _file(f"{name}.npy", files),
    }


def _space(axis: str, size: dict[str, Any], facts: GraphFacts) -> dict[str, Any]:
    return {
        "type": "space",
        "id": axis,
        "size": size,
        "unit": "micrometer",
        "scale": facts.imager.square_pitch_um,
    }


def _readme(facts: GraphFacts) -> str:
    """Return the documentation of the package."""
    imager = facts.imager
    rows = [
        f"| `{name}` | {axes} | {unit} | {meaning} |"
        for name, (axes, unit, meaning) in OUTPUTS.items()
    ]
    return "\n".join(
        [
            f"# Fociscope {facts.model}",
            "",
            "Lensless imagers lie directly on tissue, so a cell's light spreads with its distance "
            "from the sensor. This model turns one capture into a layered 3D map of cells: where "
            "they are, how bright, how deep, and how sure.",
            "",
            f"It holds for one imager, {imager.name}: {imager.sensors} sensor(s), pixels of "
            f"{imager.square_pitch_um:g} um, a gap of {imager.gap_um:g} um. For another imager, "
            "export the model again.",
            "",
            f"Input: `{facts.captures}`, float32, in any unit of light, at least "
            f"{SMALLEST_FRAME_PX} x {SMALLEST_FRAME_PX} pixels.",
            "",
            "| output | axes | unit | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Not included",
            "",
            "These are part of Fociscope and not of the graph:",
            "",
            *(f"- {one};" for one in NOT_INCLUDED),
            "",
            "## Validation",
            "",
            "Depths and probabilities are calibrated on simulated scenes that training has not "
            "seen. Do not rely on maps of captures unlike those: Fociscope's out-of-distribution "
            "check, which is not included here, finds most of them. Hold the model against "
            "captures of beads at known depths, taken with your own chip.",
            "",
        ]
    )
