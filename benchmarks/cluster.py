"""Large frames on two dask workers beside one process: what a cluster is worth on this machine.

    python benchmarks/cluster.py [SIDE [FRAMES]]      # 4096 pixels and 4 frames without arguments

The same series three times: by one process with one thread, by one process with all threads of the
machine, and by two workers with one thread each, which get captures and model by wire. Results are
held against each other. What is written is `ome-zarr` and `csv`, by the calling process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch

import fociscope
from fociscope.series import ReconstructionOptions, reconstruct_series

TILE_PX = 512


class Frames:
    """A series of equal frames in memory."""

    def __init__(self, frame: np.ndarray, count: int) -> None:
        self.frame = frame
        self.shape = (count, *frame.shape)
        self.names: tuple[Path, ...] = ()

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return (frame, sensor, y, x)."""
        return np.repeat(self.frame[None], len(range(self.shape[0])[start:stop]), axis=0)


def large_frame(side: int) -> np.ndarray:
    """Return (sensor, y, x) of one simulated scene, repeated to the side."""
    scene = np.asarray(fociscope.simulate(1, seed=0).captures[0])
    times = -(-side // scene.shape[-1])
    return np.tile(scene, (1, times, times))[:, :side, :side]


@contextmanager
def two_workers(folder: Path) -> Iterator[str]:
    """Start a scheduler and two workers of one thread each on loopback; yield the address."""
    report = folder / "scheduler.json"
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    distributed = [sys.executable, "-m"]
    commands = [
        [*distributed, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
         "--no-dashboard", "--scheduler-file", str(report)],
        *[[*distributed, "distributed.cli.dask_worker", "--scheduler-file", str(report),
           "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0"]] * 2,
    ]  # fmt: skip
    with ExitStack() as running:
        for command in commands:
            process = subprocess.Popen(
                command, env=one_thread, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            running.callback(process.wait)
            running.callback(process.terminate)
            while not report.exists():
                time.sleep(0.1)
        yield str(json.loads(report.read_text())["address"])


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(side: int, count: int) -> None:
    """Print one row for each way."""
    series = Frames(large_frame(side), count)
    model = fociscope.load_model("layers-ab", device="cpu")
    every = os.cpu_count() or 1
    print(f"{count} frames of {side} x {side} pixels, two sensors, {every} cores\n")
    print("| way | s a frame | times one thread |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def run(way: str, scheduler: str = "threads") -> float:
            options = ReconstructionOptions(scheduler=scheduler, tile_px=TILE_PX)
            seconds = timed(lambda: reconstruct_series(model, series, folder / way, options))
            return seconds / count

        torch.set_num_threads(1)
        one = run("one")
        print(f"| one process, one thread | {one:.1f} | 1.00 |", flush=True)
        torch.set_num_threads(every)
        all_threads = run("threads")
        row = f"| one process, {every} threads | {all_threads:.1f} | {one / all_threads:.2f} |"
        print(row, flush=True)
        with two_workers(folder) as address:
            small = Frames(large_frame(64), 2)  # workers import and read the model, not counted
            warm = ReconstructionOptions(scheduler=address, tile_px=TILE_PX)
            reconstruct_series(model, small, folder / "warm", warm)
            both = run("cluster", address)
        print(f"| two workers, one thread each | {both:.1f} | {one / both:.2f} |")
        same = [(folder / way / "layers.csv").read_bytes() for way in ("one", "cluster")]
        print(f"\nSame layers.csv from one thread and from the workers: {same[0] == same[1]}.")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers + [4096, 4][len(numbers) :]))
