"""Large frames on two dask workers beside one process: what a cluster is worth on this machine.

    python benchmarks/cluster.py [SIDE [FRAMES [REPEATS]]]    # 4096 pixels, 4 frames, 3 repeats

The same series in three ways: by one process with one thread, by one process with all threads of
the machine, and by two workers with one thread each, which get captures and model by wire. The ways
take turns, so that other work on the machine meets them alike. Results are held against each other.
What is written is `ome-zarr` and `csv`, by the calling process.
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


def main(side: int, count: int, repeats: int) -> None:
    """Print a row for each way: medians over repeats, which the ways take in turns."""
    series = Frames(large_frame(side), count)
    model = fociscope.load_model("layers-ab", device="cpu")
    every = os.cpu_count() or 1
    ways = {
        "one process, one thread": 1,
        f"one process, {every} threads": every,
        "two workers, one thread each": 1,
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    print(f"{count} frames of {side} x {side} pixels, two sensors, {every} cores\n", flush=True)
    with tempfile.TemporaryDirectory() as name, two_workers(Path(name)) as address:
        folder = Path(name)

        def run(way: str, frames: Frames) -> float:
            scheduler = address if way.startswith("two workers") else "threads"
            torch.set_num_threads(ways[way])
            options = ReconstructionOptions(scheduler=scheduler, tile_px=TILE_PX, overwrite=True)
            place = folder / way.replace(" ", "-")
            return timed(lambda: reconstruct_series(model, frames, place, options)) / count

        for way in ways:  # workers import and read the model, not counted
            run(way, Frames(large_frame(64), 2))
        for number in range(repeats):
            for way in ways:
                seconds[way].append(run(way, series))
                print(f"{number + 1}: {way}: {seconds[way][-1]:.1f} s", flush=True)
        tables = [
            (folder / way.replace(" ", "-") / "layers.csv").read_bytes()
            for way in ways
            if ways[way] == 1
        ]
    print("\n| way | s a frame, median (least to most) | times one thread, of the same turn |")
    print("|---|---|---|")
    for way, spent in seconds.items():
        ratios = [one / its for one, its in zip(next(iter(seconds.values())), spent, strict=True)]
        print(
            f"| {way} | {np.median(spent):.1f} ({min(spent):.1f} to {max(spent):.1f}) "
            f"| {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )
    print(f"\nSame layers.csv from one thread and from the workers: {tables[0] == tables[1]}.")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers + [4096, 4, 3][len(numbers) :]))
