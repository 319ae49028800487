"""Reconstruction: runtimes beside one another, speed, memory of large frames, classical solvers.

python benchmarks/reconstruct.py > benchmarks/reconstruct.md

Linux, two quiet cores. Each runtime and each frame size has a process of its own. ONNX Runtime is
measured where `onnx`, `onnxruntime` and `onnxscript` are installed, `torch.compile` where there is
a C++ compiler; what is absent says so in its row. Frames of 4096x4096 take some minutes: leave them
out with `--largest 2048`.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import median_seconds
from torch import Tensor, nn

from fociscope import load_model, simulate
from fociscope.devices import has_bfloat16_units
from fociscope.evaluation.batches import Batch
from fociscope.evaluation.methods import find_method
from fociscope.evaluation.suite import VALIDATION
from fociscope.imager import Imager
from fociscope.networks.inference import InferenceNet
from fociscope.networks.layer_net import LayerNetOutput
from fociscope.reconstruction._tiling import TILE_PX
from fociscope.solvers import fista

MODEL, LAYERS, SEED = "layers-ab", 4, 9000
SCENES, GROUP, SOLVED = 50, 8, 24
MIB = 2**20

Said = Callable[[Tensor], LayerNetOutput]


def median_ms(work: Callable[[], object], repeats: int) -> float:
    return 1e3 * median_seconds(work, repeats, warm_ups=3)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


# --- runtimes of the network ---------------------------------------------------------------------


class Exported(nn.Module):
    """The folded network as a module, whose tensors become constants."""

    def __init__(self, network: InferenceNet) -> None:
        super().__init__()
        self.output_of = network.output_of

    def forward(self, captures: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.output_of(captures))


def plain(last: bool = False, half: bool = False) -> Said:
    model = load_model(MODEL, device="cpu")
    layout = torch.channels_last if last else torch.contiguous_format
    dtype = torch.bfloat16 if half else torch.float32
    network = model.network.to(memory_format=layout, dtype=dtype)
    optics = model._optics.to(dtype)

    def said(captures: Tensor) -> LayerNetOutput:
        count = len(captures)
        x = captures.to(memory_format=layout, dtype=dtype)
        output = network(x, optics.expand(count, -1), torch.full((count,), LAYERS))
        return LayerNetOutput(*(field[:, :LAYERS].float() for field in output))

    return said


def folded(precision: str = "float32") -> InferenceNet:
    return load_model(MODEL, device="cpu")._folded_for(LAYERS, precision)[0]


def compiled(precision: str = "float32") -> Said:
    said = torch.compile(folded(precision).said, dynamic=False)

    def in_groups(captures: Tensor) -> LayerNetOutput:
        size = min(GROUP, len(captures))
        whole = -(-len(captures) // size) * size
        padded = torch.cat([captures, captures[: whole - len(captures)]])
        parts = [LayerNetOutput(*map(torch.clone, said(p))) for p in padded.split(size)]
        joined = (torch.cat(field) for field in zip(*parts, strict=True))
        return LayerNetOutput(*(field[: len(captures)] for field in joined))

    return in_groups


def onnx_runtime() -> Said:
    import onnxruntime

    model = load_model(MODEL, device="cpu")
    model.network.requires_grad_(False)
    module = Exported(model._folded_for(LAYERS, "float32")[0]).eval()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    sessions = {}
    for size in (1, GROUP):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            torch.onnx.export(module, (torch.rand(size, 2, 51, 51),), path, dynamo=True)
            sessions[size] = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
    name = sessions[1].get_inputs()[0].name

    def said(captures: Tensor) -> LayerNetOutput:
        size = 1 if len(captures) == 1 else GROUP
        whole = -(-len(captures) // size) * size
        padded = torch.cat([captures, captures[: whole - len(captures)]])
        parts = [sessions[size].run(None, {name: p.numpy()}) for p in padded.split(size)]
        joined = (np.concatenate(field) for field in zip(*parts, strict=True))
        return LayerNetOutput(*(torch.from_numpy(field[: len(captures)]) for field in joined))

    return said


RUNTIMES: dict[str, Callable[[], Said]] = {
    "plain module": plain,
    "plain module, channels last": lambda: plain(last=True),
    "plain module, channels last, bfloat16": lambda: plain(last=True, half=True),
    "`InferenceNet`": folded,
    "`torch.compile` of it": compiled,
    "ONNX Runtime of it": onnx_runtime,
    "`InferenceNet`, bfloat16": lambda: folded("bfloat16"),
    "`torch.compile` of it, bfloat16": lambda: compiled("bfloat16"),
}
#: What oneDNN is kept to, as if the processor had no more.
KEPT_TO = {
    "AMX": "DEFAULT",
    "AVX512 with bfloat16": "AVX512_CORE_BF16",
    "AVX512": "AVX512_CORE_VNNI",
    "AVX2": "AVX2",
}


def measured_runtime(name: str) -> dict[str, float]:
    """Return latency, throughput, memory and accuracy of the network in one runtime."""
    scenes = simulate(64, seed=SEED)
    captures = torch.from_numpy(scenes.captures)
    with torch.inference_mode():
        said = RUNTIMES[name]()
        said(captures[:1]), said(captures)
        forget_peak()
        one_ms = median_ms(lambda: said(captures[:1]), 60)
        batch_ms = median_ms(lambda: said(captures), 9)
        peak = peak_mib()
        output = said(captures[:SCENES])
        calibration = load_model(MODEL, device="cpu")._folded_for(LAYERS, "float32")[1]
        mask = calibration.probability(output) > 0.5
    right = mask.numpy() == scenes.mask[:SCENES]
    return {
        "one_ms": one_ms,
        "per_s": 64e3 / batch_ms,
        "peak_mib": peak,
        "accuracy": 100 * right.mean(),
    }


def runtimes() -> None:
    print(f"## The network alone, 51x51, accuracy on {SCENES} reference scenes\n")
    print("| runtime | one capture, ms | captures/s of 64 | peak, MiB | accuracy, % |")
    print("|---|---|---|---|---|")
    for name in RUNTIMES:
        found = in_a_process("runtime", name)
        if isinstance(found, str):
            print(f"| {name} | absent: {found} | | | |", flush=True)
            continue
        print(
            f"| {name} | {found['one_ms']:.2f} | {found['per_s']:.0f} | {found['peak_mib']:.0f} | "
            f"{found['accuracy']:.3f} |",
            flush=True,
        )


def by_processor() -> None:
    units = "has" if has_bfloat16_units() else "has no"
    print("\n## float32 and bfloat16, by what a processor has\n")
    print("oneDNN kept to fewer instructions than there are, by `ONEDNN_MAX_CPU_ISA`. ", end="")
    print(f"This processor {units} AMX.\n")
    print("| | one, float32, ms | one, bfloat16, ms | captures/s, float32 | bfloat16 |")
    print("|---|---|---|---|---|")
    for what, most in KEPT_TO.items():
        found = [
            in_a_process("runtime", name, ONEDNN_MAX_CPU_ISA=most)
            for name in ("`InferenceNet`", "`InferenceNet`, bfloat16")
        ]
        one = [f["one_ms"] for f in found if not isinstance(f, str)]
        per_s = [f["per_s"] for f in found if not isinstance(f, str)]
        cells = [*(f"{v:.2f}" for v in one), *(f"{v:.0f}" for v in per_s)]
        print(f"| {what} | {' | '.join(cells)} |", flush=True)


# --- the whole reconstruction --------------------------------------------------------------------


def whole() -> None:
    model = load_model(MODEL, device="cpu")
    captures = simulate(256, seed=SEED).captures
    chip = simulate(8, seed=SEED, imager=Imager.reference().with_(frame_px=(36, 80))).captures
    one_ms = median_ms(lambda: model.reconstruct(captures[0]), 200)
    print("\n## `Model.reconstruct`: self-check and plausibility included\n")
    print("| | |\n|---|---|")
    print(f"| one 51x51 capture, median | {one_ms:.2f} ms |", flush=True)
    for count in (8, 64, 256):
        per_s = count / median_ms(lambda n=count: model.reconstruct(captures[:n]), 7) * 1e3
        print(f"| {count} captures of 51x51 at once | {per_s:.0f} captures/s |", flush=True)
    frame_ms = median_ms(lambda: model.reconstruct(chip[0]), 100)
    print(f"| 36x80 frames, one after the other | {1e3 / frame_ms:.0f} frames/s |")
    few_ms = median_ms(lambda: model.reconstruct(chip), 30) / len(chip)
    print(f"| 36x80 frames, 8 at once | {1e3 / few_ms:.0f} frames/s |", flush=True)


def measured_frame(side: int, tile_px: int) -> dict[str, float]:
    """Return memory and time of one large frame."""
    model = load_model(MODEL, device="cpu")
    rng = np.random.default_rng(1)
    model.reconstruct(rng.random((2, 128, 128), dtype=np.float32))
    captures = rng.random((2, side, side), dtype=np.float32)
    forget_peak()
    before = peak_mib()
    start = time.perf_counter()
    result = model.reconstruct(captures, tile_px=tile_px)
    spent = time.perf_counter() - start
    arrays = (getattr(result, f) for f in ("probability", "intensity", "captures", "reprojection"))
    return {
        "peak_mib": peak_mib(),
        "rose_mib": peak_mib() - before,
        "result_mib": sum(a.nbytes for a in arrays) / MIB,
        "s": spent,
    }


def large(largest: int) -> None:
    print("\n## One large frame, two sensors, four layers\n")
    print("| frame | tiles, px | peak of the process, MiB | above before | the result's own | s |")
    print("|---|---|---|---|---|---|")
    cases = [(256, TILE_PX), (512, TILE_PX), (1024, TILE_PX), (1024, 1024), (1024, 128)]
    cases += [(2048, TILE_PX), (2048, 2048), (4096, TILE_PX)]
    for side, tile_px in cases:
        if side > largest:
            continue
        found = in_a_process("frame", str(side), str(tile_px))
        tiles = "whole" if tile_px >= side else str(tile_px)
        if isinstance(found, str):
            print(f"| {side}x{side} | {tiles} | failed: {found} | | | |", flush=True)
            continue
        print(
            f"| {side}x{side} | {tiles} | {found['peak_mib']:.0f} | {found['rose_mib']:.0f} | "
            f"{found['result_mib']:.0f} | {found['s']:.1f} |",
            flush=True,
        )


# --- classical solvers ---------------------------------------------------------------------------


def classical() -> None:
    scenes = simulate(SOLVED, seed=SEED + 1)
    batch, task = Batch.from_scenes(scenes, cells_per_pixel=1.0), VALIDATION.task
    assert batch.mask is not None
    rows = []
    for name, what in (
        (MODEL, "`layers-ab`"),
        ("fista-oracle", "proximal gradient, told the true depths"),
        ("fista", "proximal gradient on 20 planes, depths read off"),
    ):
        method = find_method(name, device="cpu")
        method.prepare()
        estimate = method.estimate(batch, task)
        spent_ms = median_ms(lambda by=method: by.estimate(batch, task), 15 if name == MODEL else 3)
        spent_ms /= SOLVED
        rows.append((what, spent_ms, 100 * float((estimate.mask == batch.mask).mean())))
    solver_ms = median_ms(
        lambda: fista(
            scenes.captures, scenes.depth_um, Imager.reference(), iterations=100, tolerance=0
        ),
        3,
    )
    rows.append(("its 100 iterations alone, true depths", solver_ms / SOLVED, float("nan")))
    print(f"\n## Beside accelerated proximal gradient, {SOLVED} reference scenes at once\n")
    print("| | ms per capture | times `layers-ab` | accuracy, % |\n|---|---|---|---|")
    for what, spent_ms, accuracy in rows:
        said = "" if np.isnan(accuracy) else f"{accuracy:.2f}"
        print(f"| {what} | {spent_ms:.2f} | {spent_ms / rows[0][1]:.1f} | {said} |", flush=True)


def in_a_process(*what: str, **environment: str) -> dict[str, float] | str:
    """Return what is measured by a fresh process, or why it was not."""
    threads = str(torch.get_num_threads())
    command = [sys.executable, __file__, "--threads", threads, "--measure", *what]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["killed"])[-1][:100]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--largest", type=int, default=4096, help="side of the largest frame")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.measure:
        kind, *what = arguments.measure
        measure = measured_runtime if kind == "runtime" else measured_frame
        print(json.dumps(measure(*what) if kind == "runtime" else measure(*map(int, what))))
        return
    print("# Reconstruction\n")
    print("Made by `python benchmarks/reconstruct.py`; reference conditions.\n")
    runtimes()
    by_processor()
    whole()
    large(arguments.largest)
    classical()
    print(
        f"\n{arguments.threads} threads; {platform.machine()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}."
    )


if __name__ == "__main__":
    main()
