"""Long series and a live one: time and peak memory against the number of frames.

python benchmarks/series.py [FRAMES ...] > benchmarks/series.md

Each row is a process of its own: `layers-ab` over a .npy file of captures (frame, 2, 51, 51), 256
simulated ones again and again, written as OME-Zarr and CSV. Then an instrument writes pairs of
36 x 80 pixels into a folder, 30 pairs a second for 20 s, and `--watch` follows.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import tifffile

from fociscope import simulate
from fociscope.imager import Imager

DIFFERENT = 256
RATE_PER_S, LIVE_S = 30, 20

CHILD = """
import json, sys, time
from pathlib import Path
import torch
torch.set_num_threads(int(sys.argv[3]))
from fociscope.files import open_captures
from fociscope.files.safe.checksum import total_bytes
from fociscope.reconstruction import load_model
from fociscope.series import reconstruct_series
model = load_model("layers-ab", device="cpu")
start = time.perf_counter()
with open_captures([Path(sys.argv[1])]) as series:
    reconstruct_series(model, series, Path(sys.argv[2]))
print(json.dumps({
    "s": time.perf_counter() - start,
    # Not getrusage's: that goes on from what the parent held.
    "mib": int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024,
    "written": total_bytes(Path(sys.argv[2])),
}))
"""


def write_captures(path: Path, frames: int) -> None:
    captures = np.asarray(simulate(DIFFERENT, seed=5).captures, dtype=np.float32)
    stack = np.lib.format.open_memmap(
        path, "w+", dtype=np.float32, shape=(frames, *captures.shape[1:])
    )
    for start in range(0, frames, DIFFERENT):
        stack[start : start + DIFFERENT] = captures[: frames - start]
    stack.flush()


def long_series(counts: list[int], threads: int) -> None:
    print(f"{threads} thread(s), load {os.getloadavg()[0]:.1f} before.\n")
    print("| frames | time (s) | frames/s | peak memory (MiB) | written (GB) |")
    print("|---|---|---|---|---|")
    for frames in counts:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "captures.npy"
            write_captures(path, frames)
            arguments = [str(path), str(Path(folder) / "out"), str(threads)]
            ran = subprocess.run(
                [sys.executable, "-c", CHILD, *arguments], capture_output=True, check=True
            )
            found = json.loads(ran.stdout)
        print(
            f"| {frames} | {found['s']:.0f} | {frames / found['s']:.0f} | {found['mib']:.0f} "
            f"| {found['written'] / 1e9:.2f} |",
            flush=True,
        )


def instrument(folder: Path, captures: np.ndarray) -> None:
    start = time.perf_counter()
    for n in range(RATE_PER_S * LIVE_S):
        time.sleep(max(0.0, start + n / RATE_PER_S - time.perf_counter()))
        for side, image in zip("AB", captures[n % len(captures)], strict=True):
            tifffile.imwrite(folder / f"{n:06}_{side}.tif", image)


def live(threads: int) -> None:
    imager = Imager.reference().with_(frame_px=(36, 80))
    captures = np.asarray(simulate(64, seed=6, imager=imager).captures, dtype=np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder, output = Path(name) / "in", Path(name) / "out"
        folder.mkdir()
        for side, image in zip("AB", captures[0], strict=True):
            tifffile.imwrite(folder / f"000000_{side}.tif", image)
        command = ["reconstruct", "--watch", str(folder), "-o", str(output), "--idle", "5"]
        watch = subprocess.Popen(
            [sys.executable, "-c", "from fociscope.cli import main; main()", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )

        def done() -> int:
            journal = output / "journal.json"
            return json.loads(journal.read_text())["totals"]["frames"] if journal.exists() else 0

        while done() < 1:
            time.sleep(0.05)
        writer = threading.Thread(target=instrument, args=(folder, captures))
        writer.start()
        behind = []
        while writer.is_alive():
            time.sleep(0.25)
            written = len(list(folder.glob("*_B.tif")))
            behind.append(written - done())
        ended = time.perf_counter()
        total = RATE_PER_S * LIVE_S
        while done() < total and time.perf_counter() < ended + 60:
            time.sleep(0.01)
        late_s = time.perf_counter() - ended
        watch.wait(60)
        shutil.rmtree(output)
    print(
        f"\n36 x 80 pixels, {total} pairs at {RATE_PER_S} a second, {threads} thread(s): behind by "
        f"{np.median(behind):.0f} frames in the median and {max(behind)} at most; the last frame "
        f"was on the disk {1000 * late_s:.0f} ms after a look that found the instrument done (one "
        "every 250 ms)."
    )


if __name__ == "__main__":
    number = int(os.environ.get("OMP_NUM_THREADS", "2"))
    long_series([int(n) for n in sys.argv[1:]] or [1000, 10_000, 100_000], number)
    live(number)
