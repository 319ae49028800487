"""Memory and time of the projector on large frames, beside SciPy's convolutions.

python benchmarks/projector_memory.py >> benchmarks/projector.md

One scene of 4 layers and 2 sensors, float32. Each case has a process of its own, which projects a
small frame first, so that what is computed once (the bank of kernels) is not counted, and then says
by how much its peak of resident memory rose above what it held with the images in hand (Linux).
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.fft
import torch
from scipy import signal
from timing import median_seconds

from fociscope.imager import Imager, LayerProjector

LAYERS, SENSORS, THREADS, REPEATS = 4, 2, 2, 3
MIB = 2**20
DEPTH_UM = np.array([100, 350, 600, 900], dtype=np.float32)
BUDGETS = {"128 MiB": 128 * MIB, "512 MiB": 512 * MIB, "unbounded": 2**60}


class Case(NamedTuple):
    """A frame, an operator, a budget where it takes one, the boundary and the way."""

    side: int
    operator: str
    budget: str = ""
    boundary: str = "zero"
    adjoint: bool = False


CASES = (
    *(Case(1024, "LayerProjector", budget) for budget in BUDGETS),
    *(Case(1024, scipys) for scipys in ("fftconvolve", "oaconvolve")),
    *(Case(4096, "LayerProjector", budget) for budget in BUDGETS),
    *(Case(4096, scipys) for scipys in ("fftconvolve", "oaconvolve")),
    *(Case(4096, "LayerProjector", budget, adjoint=True) for budget in BUDGETS),
    *(Case(4096, "LayerProjector", budget, "reflect") for budget in ("128 MiB", "512 MiB")),
    *(
        Case(4096, "LayerProjector", budget, "reflect", adjoint=True)
        for budget in ("128 MiB", "512 MiB")
    ),
)


def operator(case: Case) -> Callable[[np.ndarray], object]:
    """Return what takes images (1, n, y, x) and projects them."""
    imager = Imager.reference().with_(boundary=case.boundary)
    if case.operator == "LayerProjector":
        projector = LayerProjector(imager, memory_bytes=BUDGETS[case.budget])
        project = projector.A_adjoint if case.adjoint else projector.A
        return lambda images: project(images, DEPTH_UM[None])
    distance_um = np.stack([DEPTH_UM, imager.gap_um - DEPTH_UM], axis=-1).astype(np.float32)
    kernels = imager.psf.kernel(distance_um, imager.pixel_pitch_um)
    convolve = getattr(signal, case.operator)

    def by_scipy(images: np.ndarray) -> np.ndarray:
        out = np.zeros((1, SENSORS, *images.shape[-2:]), np.float32)
        for sensor in range(SENSORS):
            for layer in range(LAYERS):
                out[0, sensor] += convolve(images[0, layer], kernels[layer, sensor], mode="same")
        return out

    return by_scipy


def measure(case: Case) -> tuple[float, float]:
    """Return by how many MiB the peak rose over the images given, and the median seconds."""
    torch.set_num_threads(THREADS)
    work = operator(case)
    rng = np.random.default_rng(1)
    inputs = SENSORS if case.adjoint else LAYERS
    work(rng.random((1, inputs, 128, 128), dtype=np.float32))
    images = rng.random((1, inputs, case.side, case.side), dtype=np.float32)
    rose: list[int] = []

    def work_on_images() -> None:
        work(images)
        if not rose:
            rose.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of importing
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with scipy.fft.set_workers(THREADS):
        seconds = median_seconds(work_on_images, REPEATS, warm_ups=0)
    return rose[0] * 1024 / MIB, seconds


def in_a_process(case: Case) -> tuple[float, float]:
    """Return what `measure` does, from a fresh process."""
    command = [sys.executable, __file__, json.dumps(case)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    rose, seconds = json.loads(result.stdout)
    return rose, seconds


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(Case(*json.loads(sys.argv[1])))))
        return
    print(
        "\n| frame | one scene | `memory_bytes` | peak, MiB | output, MiB | less output, MiB | s |"
    )
    print("|---|---|---|---|---|---|---|")
    for case in CASES:
        if case.operator == "LayerProjector":
            name = f"`LayerProjector.{'A_adjoint' if case.adjoint else 'A'}`"
        else:
            name = f"`scipy.signal.{case.operator}` per layer"
        rose, seconds = in_a_process(case)
        output = (LAYERS if case.adjoint else SENSORS) * case.side**2 * 4 / MIB
        print(
            f"| {case.side} x {case.side} | {name}, {case.boundary} | {case.budget} | {rose:.0f} | "
            f"{output:.0f} | {rose - output:.0f} | {seconds:.2f} |",
            flush=True,
        )
    print(
        f"\nOne scene of {LAYERS} layers and {SENSORS} sensors, {THREADS} threads; peak of "
        f"resident memory above the images given, in a process of its own; medians of {REPEATS}."
    )


if __name__ == "__main__":
    main()
