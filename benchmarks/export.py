"""Exported graphs in other runtimes: how far from the package, and how fast beside it.

    python benchmarks/export.py

Needs onnx, onnxruntime and openvino; rows of those that are missing are left out. Every runtime
computes the same captures on one thread, in turns, from the captures to the calibrated map; the
package's part of that is its folded network and its calibration. Times are those of the processor,
which other programs delay less than the clock. Prints the table of export.md.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import fociscope
from fociscope.exchange import OUTPUTS, export_graph
from fociscope.networks.reprojection import light_and_depth

MODELS = ("layers-ab", "layers-a", "single-a")
BATCHES, REPEATS, COUNT = (1, 8), 30, 64
Runtime = Callable[[np.ndarray], dict[str, np.ndarray]]


def package(name: str) -> Runtime:
    """What `Model.reconstruct` computes of a map: network and calibration."""
    model = fociscope.load_model(name, device="cpu", precision="float32")
    net, calibration = model._folded_for(model.info.layers, "float32")
    gap_um = model.imager.gap_um

    @torch.inference_mode()
    def run(captures: np.ndarray) -> dict[str, np.ndarray]:
        x = torch.from_numpy(captures)
        output = net(x)
        presence = calibration.presence(output)
        light, depth_um = light_and_depth(output, presence >= 0.5, x, gap_um)
        std_um = calibration.depth_std(output) * gap_um
        found = calibration.probability(output), light, depth_um, std_um, presence
        return {k: v.numpy() for k, v in zip(OUTPUTS, found, strict=True)}

    return run


def with_onnx_runtime(path: Path) -> Runtime:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = list(OUTPUTS)
    return lambda x: dict(zip(names, session.run(names, {"captures": x}), strict=True))


def with_openvino(path: Path, precision: str | None) -> Runtime:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1}
    if precision is not None:
        settings["INFERENCE_PRECISION_HINT"] = precision
    compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    request = compiled.create_infer_request()

    def run(x: np.ndarray) -> dict[str, np.ndarray]:
        answer = request.infer(x)
        return {name: answer[name] for name in OUTPUTS}

    return run


def with_torch(path: Path) -> Runtime:
    program = torch.export.load(path).module()

    @torch.inference_mode()
    def run(x: np.ndarray) -> dict[str, np.ndarray]:
        return {k: v.numpy() for k, v in program(torch.from_numpy(x)).items()}

    return run


def runtimes(name: str, folder: Path) -> dict[str, Runtime]:
    """Export a model, and load it in each runtime that is installed."""
    found = {"the package, float32": package(name)}
    export_graph(name, folder / f"{name}.pt2", to="torch", overwrite=True)
    found["`torch.export.load`"] = with_torch(folder / f"{name}.pt2")
    if importlib.util.find_spec("onnx") is None:
        return found
    path = folder / f"{name}.onnx"
    export_graph(name, path, overwrite=True)
    if importlib.util.find_spec("onnxruntime") is not None:
        found["ONNX Runtime"] = with_onnx_runtime(path)
    if importlib.util.find_spec("openvino") is not None:
        found["OpenVINO, `f32`"] = with_openvino(path, "f32")
        found["OpenVINO, as it comes"] = with_openvino(path, None)
    return found


def seconds(runs: dict[str, Runtime], captures: np.ndarray, batch: int) -> dict[str, float]:
    """Return the median time of a capture, each runtime in its turn."""
    parts = [captures[n : n + batch] for n in range(0, 2 * max(BATCHES), batch)]
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(REPEATS + 2):
        for name, run in runs.items():
            start = time.process_time()
            for part in parts:
                run(part)
            if repeat > 1:
                times[name].append((time.process_time() - start) / (batch * len(parts)))
    return {name: float(np.median(t)) for name, t in times.items()}


def main() -> None:
    torch.set_num_threads(1)
    print(
        "| model | runtime | probability | intensity, share of the largest | depth (um) "
        "| its deviation (um) | presence | speed, one capture | in batches of 8 |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            runs = runtimes(name, Path(folder))
            model = fociscope.load_model(name)
            layers = min(4, model.info.layers)
            scenes = fociscope.simulate(COUNT, seed=7, layers=layers, imager=model.imager)
            captures = scenes.captures
            speeds = [seconds(runs, captures, batch) for batch in BATCHES]
            ours = package(name)(captures)
            for runtime, run in runs.items():
                answer = run(captures)
                apart = {k: float(np.abs(answer[k] - ours[k]).max()) for k in OUTPUTS}
                apart["intensity"] /= float(ours["intensity"].max())
                cells = [f"{apart[k]:.0e}" for k in OUTPUTS]
                ratios = [f"{s['the package, float32'] / s[runtime]:.2f}" for s in speeds]
                print("|", " | ".join([name, runtime, *cells, *ratios]), "|", flush=True)


if __name__ == "__main__":
    sys.exit(main())
