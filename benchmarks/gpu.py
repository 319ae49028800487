"""Reconstruction and training on a GPU: digits against the CPU, speed, and share of the roofline.

    python benchmarks/gpu.py [--device cuda] > benchmarks/gpu.md

Under ten minutes. Without a GPU it says so and ends; `--device cpu` runs every row on the CPU, to
try the script. The roofline is measured, not looked up: the largest product of matrices that this
device reaches, and the fastest copy, in the precision of the row; a network is held to the lesser
of both for its arithmetic and the bytes of its features.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from fociscope import load_model, simulate
from fociscope.networks import LayerNet
from fociscope.training._batches import TrainingBatch
from fociscope.training._module import TrainingModule
from fociscope.training.live_scenes import LiveScenes
from fociscope.training.recipe import Recipe

MODEL, LAYERS = "layers-ab", 4
BATCHES = (1, 64, 1024, 8192)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def seconds(work: Callable[[], object], device: torch.device, repeats: int = 5) -> float:
    """Return the median time of a call, in s, after two that are not counted."""
    taken = []
    for _ in range(2 + repeats):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken[2:]))


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def roofline(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Return GFLOP/s of the largest product of matrices, and GB/s of a copy, read and written."""
    side = 8192 if device.type == "cuda" else 1024
    a = torch.randn(side, side, device=device).to(dtype)
    flops = 2 * side**3 / seconds(lambda: a @ a, device) / 1e9
    long = torch.zeros(2**28 if device.type == "cuda" else 2**25, device=device, dtype=dtype)
    there = torch.empty_like(long)
    moved = 2 * long.numel() * long.element_size()
    return flops, moved / seconds(lambda: there.copy_(long), device) / 1e9


def gflop(network: LayerNet, frame_px: tuple[int, int]) -> tuple[float, float]:
    """Return the arithmetic of a capture in GFLOP, and the numbers that its features take."""
    arithmetic, numbers = 0.0, 0.0

    def count(module: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal arithmetic, numbers
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            weights = module.weight.numel()
            pixels = out.shape[-2] * out.shape[-1]
            if isinstance(module, torch.nn.ConvTranspose2d):
                pixels //= module.stride[0] ** 2
            arithmetic += 2 * weights * pixels
        numbers += out.numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if not list(m.children())]
    captures = torch.rand(1, network.architecture.sensors, *frame_px)
    model = load_model(MODEL, device="cpu", precision="float32")
    with torch.no_grad():
        network(captures, model._optics[None].cpu(), torch.tensor([LAYERS]))
    for hook in hooks:
        hook.remove()
    return arithmetic / 1e9, numbers


def digits(device: torch.device, precision: str) -> str:
    """Return the largest differences of maps from the CPU's in float32."""
    captures = simulate(64, seed=17).captures
    exact = load_model(MODEL, device="cpu", precision="float32").reconstruct(captures)
    other = load_model(MODEL, device=str(device), precision=precision).reconstruct(captures)
    probability = np.abs(other.probability - exact.probability).max()
    depth_um = np.abs(other.depth_um - exact.depth_um).max()
    return f"{probability:.1e} | {depth_um:.1e}"


def training_scenes_per_s(device: torch.device, mixed: bool, scenes: int) -> float:
    """Return scenes/s of training steps with batches of so many scenes, simulation apart."""
    recipe = Recipe.load(MODEL).stage_recipes()[-1]
    kept = recipe.optimisation.model_copy(update={"compiled": False, "batch_scenes": scenes})
    recipe = recipe.model_copy(update={"optimisation": kept})
    stream = LiveScenes(recipe, device=device)
    batch = TrainingBatch(*(field.to(device) for field in stream.batch([stream.chunk(0)], 0)))
    module = TrainingModule(recipe).to(device)
    optimizer = torch.optim.AdamW(module.parameters())

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            loss = module.losses(batch)[0]["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return scenes / seconds(step, device)


def chunk_scenes_per_s(device: torch.device) -> float:
    """Return scenes/s of the live simulation, specimens drawn on the CPU."""
    stream = LiveScenes(Recipe.load(MODEL).stage_recipes()[-1], device=device)
    numbers = iter(range(100))
    return stream.recipe.stream.chunk_scenes / seconds(lambda: stream.chunk(next(numbers)), device)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    device = torch.device(parser.parse_args().device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("error: this machine has no GPU that torch can use")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"# On a GPU\n\nMade by `python benchmarks/gpu.py`, {name}, torch {torch.__version__}.\n")
    model = load_model(MODEL, device="cpu", precision="float32")
    arithmetic, numbers = gflop(model.network, (51, 51))
    print("| precision | captures at once | captures/s | share of the roofline (%) |")
    print("|---|---|---|---|")
    batches = BATCHES if device.type == "cuda" else BATCHES[:2]
    for precision, dtype in DTYPES.items():
        flops, bandwidth = roofline(device, dtype)
        moved = 2 * numbers * torch.empty(0, dtype=dtype).element_size() / 1e9
        limit = 1 / max(arithmetic / flops, moved / bandwidth)
        there = load_model(MODEL, device=str(device), precision=precision)
        for count in batches:
            captures = torch.from_numpy(simulate(min(count, 64), seed=3).captures)
            captures = captures.repeat(-(-count // 64), 1, 1, 1)[:count].to(device)
            rate = count / seconds(lambda: there.reconstruct(captures), device)  # noqa: B023
            print(f"| {precision} | {count} | {rate:.0f} | {100 * rate / limit:.2g} |", flush=True)
    print("\nDifferences from the CPU in float32, the largest in 64 captures:\n")
    print("| precision | probability | depth (µm) |\n|---|---|---|")
    for precision in DTYPES:
        print(f"| {precision} | {digits(device, precision)} |", flush=True)
    print("\nTraining of `layers-ab`, scenes/s:\n\n| batch | float32 | bf16-mixed |\n|---|---|---|")
    for scenes in (32, 256) if device.type == "cuda" else (32,):
        rates = [training_scenes_per_s(device, mixed, scenes) for mixed in (False, True)]
        print(f"| {scenes} | {rates[0]:.0f} | {rates[1]:.0f} |", flush=True)
    print(f"\nLive simulation: {chunk_scenes_per_s(device):.0f} scenes/s.")


if __name__ == "__main__":
    main()
