"""The classical solvers: seconds, errors on reference scenes, and FISTA beside other packages'.

python benchmarks/solvers.py > benchmarks/solvers.md

Reference conditions; seeds from 9000 on. Run it in the peers' environment (`peers/README.md`) to
have their rows; without them it says that they are absent.
"""

import argparse
import math
import platform
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from peers.convolutions import Convolution, installed_peers, scipy_at_once
from timing import median_seconds
from torch import Tensor

from fociscope import simulate
from fociscope.imager import Imager, LayerProjector
from fociscope.solvers import (
    SOLVERS,
    Solver,
    fista,
    read_layers,
    richardson_lucy,
    single_layer_depth,
    solve_on_grid,
    tikhonov,
)

TIKHONOV_SCENES = 500
BATCH, ITERATIONS, SPARSITY = 32, 100, 1e-4
MIN_SEPARATION_UM = 250.0


def error(found: Any, true: Any) -> float:
    """Return the mean over scenes of |found - true|^2 / |true|^2."""
    return float((((found - true) ** 2).sum((1, 2, 3)) / (true**2).sum((1, 2, 3))).mean())


def noise_std(imager: Imager, **settings: Any) -> np.ndarray:
    """Return (scene, sensor): the spread of the noise in simulated captures."""
    noisy = simulate(imager=imager, **settings).captures
    clean = simulate(imager=imager, peak_snr_db=None, **settings).captures
    return (noisy - clean).std(axis=(-2, -1))


def closed_form(imager: Imager, repeats: int) -> None:
    settings = {"count": TIKHONOV_SCENES, "seed": 9500}
    scenes, noise = simulate(imager=imager, **settings), noise_std(imager, **settings)
    print(f"## Tikhonov, {TIKHONOV_SCENES} scenes\n")
    print("| lambda | seconds |\n|---|---|")
    for name, options in (
        ("1e-5", {"regularisation": 1e-5}),
        ("GCV", {"regularisation": "gcv"}),
        ("discrepancy principle", {"regularisation": "discrepancy", "noise_std": noise}),
    ):
        work = partial(tikhonov, scenes.captures, scenes.depth_um, imager, **options)
        print(f"| {name} | {median_seconds(work, repeats):.2f} |", flush=True)


def all_solvers(imager: Imager, count: int) -> None:
    settings = {"count": count, "seed": 9600}
    scenes, noise = simulate(imager=imager, **settings), noise_std(imager, **settings)
    options_of = {
        "tikhonov": {
            "lambda 1e-5": {"regularisation": 1e-5},
            "discrepancy principle": {"regularisation": "discrepancy", "noise_std": noise},
            "discrepancy principle, clipped at 0": {
                "regularisation": "discrepancy", "noise_std": noise, "non_negative": True,
            },
            "lambda 1e-5, exact, clipped": {
                "regularisation": 1e-5, "exact": True, "non_negative": True,
            },
        },
        "richardson-lucy": {
            "30 iterations": {"iterations": 30, "tolerance": 0},
            "100 iterations": {"iterations": 100, "tolerance": 0},
        },
        "fista": {
            "100 iterations": {"iterations": 100, "tolerance": 0},
            "tv 1e-4, 100 iterations": {"tv": 1e-4, "iterations": 100, "tolerance": 0},
        },
        "admm": {"30 iterations": {"iterations": 30, "tolerance": 0}},
    }  # fmt: skip
    rows: list[tuple[str, Solver, dict[str, Any]]] = [
        (f"{spec.label}, {label}", spec.solve, options)
        for name, spec in SOLVERS.items()
        for label, options in {**options_of.get(name, {}), "defaults": {}}.items()
    ]
    print(f"\n## Layers at true depths, {count} scenes\n")
    print("| solver | ms/scene | relative squared error | iterations | residual |")
    print("|---|---|---|---|---|")
    nothing, mean = error(0 * scenes.layers, scenes.layers), scenes.layers.mean((-2, -1))
    for name, solver, options in rows:
        start = time.perf_counter()
        found = solver(scenes.captures, scenes.depth_um, imager, **options)
        spent = (time.perf_counter() - start) / count * 1e3
        print(
            f"| {name} | {spent:.1f} | {error(found.layers, scenes.layers):.3f} | "
            f"{found.iterations.mean():.0f} | {found.residual.mean():.4f} |",
            flush=True,
        )
    uniform = np.broadcast_to(mean[..., None, None], scenes.layers.shape)
    print(f"| darkness | | {nothing:.3f} | | |")
    print(f"| each layer's true mean everywhere | | {error(uniform, scenes.layers):.3f} | | |")


# --- FISTA beside other packages -----------------------------------------------------------------


class Operators:
    """A and its adjoint by a package's convolution; the kernels are even."""

    def __init__(self, convolve: Convolution, kernels: Tensor) -> None:
        self.convolve, self.kernels = convolve, kernels
        self.swapped = kernels.transpose(1, 2).contiguous()

    def ahead(self, layers: Tensor) -> Tensor:
        return self.convolve(layers, self.kernels, "same").to(layers)

    def back(self, captures: Tensor) -> Tensor:
        return self.convolve(captures, self.swapped, "same").to(captures)


def plain_fista(operators: Operators, y: Tensor, step: Tensor, sparsity: Tensor) -> Tensor:
    """Return layers after `ITERATIONS`, as the papers have it."""
    now = ahead = torch.zeros_like(operators.back(y))
    t = 1.0
    for _ in range(ITERATIONS):
        slope = operators.back(operators.ahead(ahead) - y)
        further = (ahead - step * (slope + sparsity)).clamp_(min=0)
        t_next = (1 + math.sqrt(1 + 4 * t * t)) / 2
        ahead, now, t = further + (t - 1) / t_next * (further - now), further, t_next
    return now


def deepinv_fista(operators: Operators, y: Tensor, step: Tensor, sparsity: Tensor) -> Tensor:
    """Return layers after `ITERATIONS` of DeepInverse's own FISTA."""
    from deepinv.optim import FISTA, L2, Prior
    from deepinv.physics import LinearPhysics

    class NotNegative(Prior):
        def prox(self, x: Tensor, *_: Any, gamma: Any = 1.0, **__: Any) -> Tensor:
            return (x - step * sparsity).clamp(min=0)

    step = step.min()  # it takes one for the whole batch
    physics = LinearPhysics(A=operators.ahead, A_adjoint=operators.back)
    model = FISTA(
        data_fidelity=L2(), prior=NotNegative(), stepsize=float(step), lambda_reg=1.0,
        max_iter=ITERATIONS, early_stop=False,
    )  # fmt: skip
    with torch.no_grad():
        dark = torch.zeros_like(operators.back(y))
        return model(y, physics, init=(dark, dark))


def beside_peers(imager: Imager, repeats: int) -> None:
    scenes = simulate(BATCH, seed=9700)
    y, depth_um = torch.from_numpy(scenes.captures), torch.from_numpy(scenes.depth_um)
    projection = LayerProjector(imager).at(depth_um, imager.frame_px)
    kernels = imager.psf.kernel(
        LayerProjector(imager).distance_um(depth_um),
        imager.pixel_pitch_um,
        radius_px=projection.radius_px,
    )
    assert isinstance(kernels, Tensor)
    ours = partial(
        fista, y, depth_um, imager,
        sparsity=SPARSITY, iterations=ITERATIONS, tolerance=0,
    )  # fmt: skip
    first = ours()
    sparsity = first.regularisation["sparsity"][:, None, None, None]
    # The same bound of the largest eigenvalue for everyone: of an unbounded frame.
    grid = [n + projection.radius_px for n in imager.frame_px]
    transfer = projection.transfer((grid[0], grid[1]))
    gram = torch.einsum("sloyx,slpyx->syxop", transfer, transfer)
    step = 1 / torch.linalg.eigvalsh(gram).amax(dim=(1, 2, 3))[:, None, None, None]

    def objective(layers: Tensor) -> float:
        left = projection.A(layers) - y
        value = left.square().sum((1, 2, 3)) / 2 + (sparsity * layers.abs()).sum((1, 2, 3))
        return float(value.mean())

    peers, absent = installed_peers()
    named: dict[str, Callable[[], Tensor]] = {"`fista`": lambda: ours().layers}
    for name, convolve in {"`scipy.signal.fftconvolve`": scipy_at_once, **peers}.items():
        operators = Operators(convolve, kernels)
        named[f"plain FISTA on {name}"] = partial(plain_fista, operators, y, step, sparsity)
        if name.startswith("deepinv"):
            named["`deepinv.optim.FISTA` on its `Blur`"] = partial(
                deepinv_fista, operators, y, step, sparsity
            )
    print(f"\n## {ITERATIONS} iterations of FISTA, batch {BATCH}\n")
    print("| | ms/scene | times as long | mean objective |\n|---|---|---|---|")
    base = None
    for name, work in named.items():
        try:
            value = objective(work())
        except Exception as cause:  # what a peer raises is for its reader
            print(f"| {name} | failed: {type(cause).__name__}: {str(cause)[:80]} | | |", flush=True)
            continue
        spent = median_seconds(work, repeats) / BATCH * 1e3
        base = base or spent
        print(f"| {name} | {spent:.1f} | {spent / base:.2f} | {value:.6f} |", flush=True)
    for name, why in absent.items():
        print(f"\n{name}: absent ({why}).")


# --- unknown depths ------------------------------------------------------------------------------


def unknown_depths(imager: Imager, count: int) -> None:
    scenes = simulate(count, seed=9800)
    constant = simulate(500, seed=9801).depth_um.mean(axis=0)
    print(f"\n## Depths from a grid of 20 planes, four layers, {count} scenes\n")
    print("| solver | ms/scene | mean absolute error of each layer, um | of all | layers |")
    print("|---|---|---|---|---|")
    for name, solver, options in (
        ("Richardson-Lucy, 50 iterations", richardson_lucy, {"iterations": 50, "tolerance": 0}),
        ("Richardson-Lucy, 200 iterations", richardson_lucy, {"iterations": 200, "tolerance": 0}),
        ("FISTA, 100 iterations", fista,
         {"iterations": 100, "tolerance": 0}),
        ("Tikhonov, clipped", tikhonov, {"regularisation": 1e-5, "non_negative": True}),
    ):  # fmt: skip
        start = time.perf_counter()
        grid = solve_on_grid(scenes.captures, imager, solver=solver, **options)
        read = read_layers(grid.volume, grid.plane_um, 4, min_separation_um=MIN_SEPARATION_UM)
        spent = (time.perf_counter() - start) / count * 1e3
        off = np.abs(read.depth_um - scenes.depth_um)
        each = " ".join(f"{v:.0f}" for v in off.mean(0))
        wrong = error(read.layers, scenes.layers)
        print(f"| {name} | {spent:.0f} | {each} | {off.mean():.1f} | {wrong:.3f} |", flush=True)
    off = np.abs(constant - scenes.depth_um)
    each = " ".join(f"{v:.0f}" for v in off.mean(0))
    print(f"| always the mean depth | | {each} | {off.mean():.1f} | |")


def single_layers(count: int) -> None:
    print(f"\n## Depth of a single layer, {count} scenes each\n")
    print(
        "| sensors | boundary | ms/scene | mean error, um | mean absolute | within one std | "
        "within two | always 500 um |\n|---|---|---|---|---|---|---|---|"
    )
    for sensors in (1, 2):
        for boundary in ("zero", "reflect"):
            imager = Imager.reference().with_(sensors=sensors, boundary=boundary)
            scenes = simulate(count, seed=9900, layers=1, imager=imager)
            start = time.perf_counter()
            found = single_layer_depth(scenes.captures, imager)
            spent = (time.perf_counter() - start) / count * 1e3
            off = found.depth_um - scenes.depth_um[:, 0]
            z = np.abs(off) / found.depth_std_um
            constant = np.abs(scenes.depth_um - 500).mean()
            print(
                f"| {sensors} | {boundary} | {spent:.0f} | {off.mean():.1f} | "
                f"{np.abs(off).mean():.1f} | {(z <= 1).mean():.2f} | {(z <= 2).mean():.2f} | "
                f"{constant:.0f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument(
        "--few", type=int, default=24, help="scenes for depths from grids and one layer"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    imager = Imager.reference()
    print("# Classical solvers\n")
    print(
        "Made by `python benchmarks/solvers.py`; 51x51 pixels, two sensors, reference conditions.\n"
    )
    closed_form(imager, arguments.repeats)
    beside_peers(imager, arguments.repeats)
    all_solvers(imager, arguments.scenes)
    unknown_depths(imager, arguments.few)
    single_layers(arguments.few)
    print(
        f"\n{arguments.threads} threads, float32; {platform.machine()}, Python "
        f"{platform.python_version()}, torch {torch.__version__}."
    )


if __name__ == "__main__":
    main()
