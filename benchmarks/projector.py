"""The projector's speed beside SciPy, torch and other packages, and what each of its choices buys.

python benchmarks/projector.py > benchmarks/projector.md
python benchmarks/projector_memory.py >> benchmarks/projector.md

51x51 pixels, 4 layers, 2 sensors; every scene has its own depths. Run it in the peers' environment
(`peers/README.md`) to have their rows; without them it says that they are absent.
"""

import argparse
import contextlib
import platform
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import scipy.fft
import torch
from peers.convolutions import installed_peers, scipy_at_once, scipy_per_layer, torch_direct
from projector_choices import (
    Factors,
    Shape,
    dense_matrix,
    fft_per_pair,
    fft_shared,
    linear_table,
    separable,
    transfer_series,
)
from projector_tasks import (
    TASKS,
    Scenes,
    Task,
    Work,
    convolved,
    differentiated,
    distances_um,
    projected,
    projected_exactly,
    with_depths,
    with_kernels,
)
from torch import Tensor

from fociscope import simulate
from fociscope.imager import Imager
from fociscope.imager.psf import _angle_selective as angle_selective
from fociscope.imager.psf import _transmission as transmission

SCENES = 64
#: Scenes that every row's result is compared with the reference on.
CHECKED = 4
#: The reference tabulates light by angle so many times as finely as the package does.
FINER = 16
#: L1 error that low-rank kernels may have, relative to their light.
LOW_RANK = 1e-3
#: The row that the others are compared with in speed.
SCIPY = "`scipy.signal.fftconvolve` per layer"


class Row(NamedTuple):
    """One operator, how many scenes it takes at a time, and what it differentiates by."""

    name: str
    work: Work
    scenes: int = SCENES
    gradients: str = "layers, depths"


@contextlib.contextmanager
def finer_angles() -> Iterator[None]:
    """Tabulate light by angle more finely: gradients by depths show the table's steps."""
    fine = transmission.TABLE_INTERVALS * FINER
    angle_selective._table.cache_clear()
    with (
        patch.object(transmission, "TABLE_INTERVALS", fine),
        patch.object(angle_selective, "TABLE_INTERVALS", fine),
    ):
        yield
    angle_selective._table.cache_clear()


@finer_angles()
def reference(scenes: Scenes, boundary: str) -> dict[Task, tuple[Tensor, ...]]:
    """Sum in the pixel domain, in double precision, with kernels integrated there and then."""
    imager = Imager.reference()
    layers, depth_um = (x.double().requires_grad_() for x in (scenes.layers, scenes.depth_um))
    distance_um = distances_um(depth_um)
    radius_px = scenes.kernels.shape[-1] // 2
    kernels = imager.psf.kernel(distance_um, imager.pixel_pitch_um, radius_px=radius_px)
    forward = Task("", boundary)
    out = convolved(torch_direct, kernels, radius_px, forward, layers)
    by_layers, by_depths = torch.autograd.grad(
        (out * scenes.captures.double()).sum(), [layers, depth_um]
    )
    out = out.detach()
    return {
        task: (out, by_layers, by_depths)
        if task.gradients
        else (by_layers if task.adjoint else out,)
        for task in TASKS
        if task.boundary == boundary
    }


def error(found: Tensor, expected: Tensor) -> float:
    """Return the largest relative L1 error of one image, or of all gradients by depths."""
    axes = (-2, -1) if expected.ndim > 2 else (0, 1)
    return float(((found - expected).abs().sum(axes) / expected.abs().sum(axes)).max())


def rows(scenes: Scenes) -> tuple[list[Row], list[str]]:
    """Return what is measured, and notes on it."""
    imager = Imager.reference()
    shape = Shape(imager.pixel_pitch_um, scenes.kernels.shape[-1], imager.gap_um)
    factors = Factors.of(scenes.kernels, LOW_RANK)
    by_layers = "layers"
    peers, absent = installed_peers()
    table = [
        Row("`LayerProjector`", differentiated(projected, depths=True)),
        Row(
            "`LayerProjector`, kernels integrated anew",
            differentiated(projected_exactly, depths=True),
        ),
        Row(SCIPY, with_kernels(scipy_per_layer), gradients=""),
        Row("the same, whole batch in one call", with_kernels(scipy_at_once), gradients=""),
        Row("`torch.nn.functional.conv2d`", with_kernels(torch_direct), 4, by_layers),
        *(Row(name, with_kernels(peer), SCENES, by_layers) for name, peer in peers.items()),
        Row("FFT per layer and sensor", with_kernels(fft_per_pair), SCENES, by_layers),
        Row("FFT, transforms shared", with_kernels(fft_shared), SCENES, by_layers),
        Row(
            "transfer functions in a Chebyshev series",
            with_depths(partial(transfer_series, psf=imager.psf, shape=shape)),
        ),
        Row(
            f"transfer functions linear between {shape.table_depths} depths",
            with_depths(partial(linear_table, psf=imager.psf, shape=shape)),
        ),
        Row(
            f"separable, rank {factors.rows.shape[-2]}, factors given",
            with_kernels(separable, factors),
            SCENES,
            by_layers,
        ),
        Row("dense matrix per layer", with_kernels(dense_matrix), 1, by_layers),
    ]
    return table, [f"{name}: absent ({why})." for name, why in absent.items()]


def measured(
    table: list[Row], scenes: Scenes, repeats: int
) -> tuple[dict[tuple[str, Task], float], dict[tuple[str, str], float]]:
    """Return scenes per second of each row and task, and each row's largest error."""
    few = scenes.first(CHECKED)
    expected = {**reference(few, "zero"), **reference(few, "reflect")}
    errors: dict[tuple[str, str], float] = {}
    jobs: dict[tuple[str, Task], Callable[[], object]] = {}
    for row in table:
        for task in TASKS:
            if task.gradients and not row.gradients:
                continue
            some = scenes.first(row.scenes)
            jobs[row.name, task] = partial(row.work, task, some)
            found = row.work(task, some)  # the warm-up too
            count = min(CHECKED, row.scenes)
            for n, (a, b) in enumerate(zip(found, expected[task], strict=False)):
                kind = row.name, "depths" if n == 2 else "images"
                errors[kind] = max(errors.get(kind, 0.0), error(a[:count], b[:count]))
    times: dict[tuple[str, Task], list[float]] = {job: [] for job in jobs}
    for _ in range(repeats):
        order = list(jobs)
        random.shuffle(order)
        for job in order:
            start = time.perf_counter()
            jobs[job]()
            times[job].append(time.perf_counter() - start)
    counts = {row.name: row.scenes for row in table}
    return {job: counts[job[0]] / statistics.median(t) for job, t in times.items()}, errors


def report(
    table: list[Row], rates: dict[tuple[str, Task], float], errors: dict[tuple[str, str], float]
) -> str:
    """Return the table, each rate beside its ratio to SciPy's."""
    lines = [
        "| scenes/s (times SciPy's) | batch | "
        + " | ".join(task.title for task in TASKS)
        + " | gradients by | error of images | error of gradients by depths |",
        "|---" * (len(TASKS) + 5) + "|",
    ]
    for row in table:
        cells = []
        for task in TASKS:
            rate = rates.get((row.name, task))
            base = rates[SCIPY, TASKS[0] if task.gradients else task]
            cells.append("" if rate is None else f"{rate:.0f} ({rate / base:.2f})")
        by_depths = f"{errors[row.name, 'depths']:.1e}" if "depths" in row.gradients else ""
        lines.append(
            f"| {row.name} | {row.scenes} | {' | '.join(cells)} | {row.gradients} | "
            f"{errors[row.name, 'images']:.1e} | {by_depths} |"
        )
    return "\n".join(lines)


def processor() -> str:
    """Return the processor's name, as Linux tells it."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return found[1] if found else platform.machine()


def versions() -> str:
    """Return Python's version and those of what is measured."""
    named = [f"Python {platform.python_version()}"]
    for package in ("torch", "numpy", "scipy", "deepinv", "lensless"):
        with contextlib.suppress(PackageNotFoundError):
            named.append(f"{package} {version(package)}")
    return ", ".join(named)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    random.seed(1)

    drawn = simulate(SCENES, seed=1)
    layers, depth_um, captures = (
        torch.from_numpy(x) for x in (drawn.layers, drawn.depth_um, drawn.captures)
    )
    imager = Imager.reference()
    side = imager.psf.kernel(imager.gap_um, imager.pixel_pitch_um).shape[-1]
    kernels = imager.psf.kernel(distances_um(depth_um), imager.pixel_pitch_um, radius_px=side // 2)
    scenes = Scenes(layers, depth_um, captures, kernels)
    table, notes = rows(scenes)
    with scipy.fft.set_workers(arguments.threads):
        rates, errors = measured(table, scenes, arguments.repeats)
    print(report(table, rates, errors))
    print()
    print(
        f"{arguments.threads} threads, frame {layers.shape[-2]} x {layers.shape[-1]}, kernels "
        f"{side} x {side}, float32, medians over {arguments.repeats} rounds of all rows in random "
        f"order. {processor()}; {versions()}."
    )
    for note in notes:
        print(note)


if __name__ == "__main__":
    main()
