"""Scenes per second of each step, and the projector beside SciPy's, in one run.

python benchmarks/throughput.py > benchmarks/throughput.md

51x51 pixels, 4 layers, 2 sensors, float32; every scene has its own depths. Medians over repeats.
"""

import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.signal import fftconvolve

from fociscope import load_model, simulate
from fociscope.imager import Imager, LayerProjector
from fociscope.networks import LayerNet
from fociscope.training._module import TrainingModule
from fociscope.training.live_scenes import LiveScenes
from fociscope.training.recipe import Recipe

SCENES = 64


def rate(work: Callable[[], object], scenes: int, repeats: int = 5) -> float:
    """Return scenes per second, the median over repeats after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return scenes / statistics.median(times)


def main() -> None:
    threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
    torch.set_num_threads(threads)
    imager = Imager.reference()
    projector = LayerProjector(imager)
    scenes = simulate(SCENES, seed=1)
    layers, depth_um = torch.from_numpy(scenes.layers), torch.from_numpy(scenes.depth_um)
    captures = torch.from_numpy(scenes.captures)

    distances = np.stack([scenes.depth_um, imager.gap_um - scenes.depth_um], axis=-1)
    kernels = imager.psf.kernel(distances[:8].astype(np.float32), imager.pixel_pitch_um)

    def scipy_a() -> None:
        for scene in range(8):
            for sensor in range(2):
                sum(
                    fftconvolve(scenes.layers[scene, n], kernels[scene, n, sensor], mode="same")
                    for n in range(4)
                )

    model = load_model("layers-ab", device="cpu")
    recipe = Recipe.load("layers-ab").stage_recipes()[-1]
    stream, module = LiveScenes(recipe), TrainingModule(recipe)
    pool = [stream.chunk(n) for n in range(2)]
    optimizer = torch.optim.AdamW(module.parameters())
    batch = recipe.optimisation.batch_scenes

    drawn = stream.batch(pool, 0)

    def training_step() -> None:
        loss = module.losses(drawn)[0]["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    chunk = recipe.stream.chunk_scenes
    uses = recipe.stream.steps_per_chunk * batch / chunk
    pooled = LiveScenes(recipe)
    batches = iter(pooled)
    next(batches)  # fills the pool
    per_renewal = recipe.stream.steps_per_chunk * len(recipe.family.boundaries)

    def stream_batches() -> None:
        for _ in range(per_renewal):
            next(batches)

    rows = {
        "`simulate` (specimens, captures, noise), one process": rate(
            lambda: simulate(SCENES, seed=1), SCENES
        ),
        "`LayerProjector.A`, kernels included": rate(lambda: projector.A(layers, depth_um), SCENES),
        "`LayerProjector.A_adjoint`, kernels included": rate(
            lambda: projector.A_adjoint(captures, depth_um), SCENES
        ),
        "`scipy.signal.fftconvolve` per layer, kernels given": rate(scipy_a, 8),
        "`reconstruct`, batch of 64": rate(lambda: model.reconstruct(captures), SCENES),
        "`reconstruct`, one capture": rate(lambda: model.reconstruct(captures[0]), 1, 30),
        "live chunk for training: fresh scenes, both boundaries": rate(
            lambda: [stream.chunk(n) for n in range(2)], 2 * chunk, 3
        ),
        f"live stream: batches for training, each scene used {uses:g} times": rate(
            stream_batches, per_renewal * batch, 3
        ),
        "training step: forward, backward, update": rate(training_step, batch, 9),
    }
    reference = rows["`scipy.signal.fftconvolve` per layer, kernels given"]
    network = rows["training step: forward, backward, update"]
    parameters = sum(p.numel() for p in LayerNet(recipe.network).parameters())
    print(f"{threads} threads, {parameters:,} parameters.\n")
    print("| step | scenes/s | times SciPy's convolution | times the training step |")
    print("|---|---|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value:.0f} | {value / reference:.2f} | {value / network:.2f} |")


if __name__ == "__main__":
    main()
