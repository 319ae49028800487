"""Data sets: seconds and memory to simulate one, the four formats, and how fast they are read.

python benchmarks/dataset.py > benchmarks/dataset.md

`--files` and `--samples` make the set smaller. MiB is the peak of the memory of the process and its
workers, by proportional set size (a page that is shared counts once), sampled ten times a second.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from torch.utils.data import DataLoader

from fociscope.files import LayoutFormat, read_images_depth, write_images_depth
from fociscope.files.safe.checksum import total_bytes
from fociscope.simulation.dataset import available_cores
from fociscope.training._file_scenes import FileScenes

VERB = "from fociscope.cli import main; main()"
STREAM = "import sys; sys.path.insert(0, {folder!r}); import dataset; dataset.stream({argument!r})"
MIB = 2**20


def tree_bytes(root: int) -> int:
    """Return the proportional set size of a process and all below it (Linux)."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        waiting.extend(parents.get(process, []))
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def watched(code: str, *arguments: str) -> tuple[float, float, str]:
    """Run Python code; return its seconds, the peak MiB of it and its workers, and its output."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_bytes(process.pid))
        time.sleep(0.1)
    seconds = time.perf_counter() - start
    output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"failed with exit code {process.returncode}")
    return seconds, peak / MIB, output


def stream(argument: str) -> None:
    """Print the samples per second of one epoch (in a process of its own)."""
    folder, _, workers = argument.rpartition(":")
    scenes = FileScenes(folder, seed=1)
    start = time.perf_counter()
    count = sum(
        len(batch.captures) for batch in DataLoader(scenes, batch_size=32, num_workers=int(workers))
    )
    assert count == scenes.samples
    print(f"{count / (time.perf_counter() - start):.0f}")


def simulated(folder: Path, files: int, samples: int, *options: str) -> tuple[float, float]:
    arguments = ["simulate", "images-depth", "-o", str(folder), "--files", str(files)]
    seconds, peak, _ = watched(VERB, *arguments, "--samples", str(samples), *options)
    return seconds, peak


def streamed(folder: Path, workers: int) -> tuple[str, str]:
    """Return samples per second, and the peak MiB."""
    code = STREAM.format(folder=str(Path(__file__).parent), argument=f"{folder}:{workers}")
    _, peak, rate = watched(code)
    return rate.strip(), f"{peak:.0f}"


def row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |")


def header(*cells: str) -> None:
    row(*cells)
    print("|---" * len(cells) + "|")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=6)
    parser.add_argument("--samples", type=int, default=2000)
    sizes = parser.parse_args()
    cores = available_cores()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "set")
        seconds, peak = simulated(folder, sizes.files, sizes.samples)
        load = os.getloadavg()[1]
        print(f"{cores} cores; load average of the machine over 5 minutes: {load:.1f}.\n")
        header("`fociscope simulate images-depth`", "seconds", "scenes/s", "MiB", "target")
        scenes = sizes.files * sizes.samples
        row(f"{sizes.files} x {sizes.samples}, MAT v5", f"{seconds:.1f}", f"{scenes / seconds:.0f}",
            f"{peak:.0f}", "90 s, 2048 MiB")  # fmt: skip
        print()
        header(f"`FileScenes` over {sizes.files} x {sizes.samples}, MAT v5", "samples/s", "MiB")
        for workers in (0, cores):
            row(f"{workers} workers", *streamed(folder, workers))
        print()
        data = read_images_depth(folder / "1.mat")
        header(f"one file of {sizes.samples}", "write (s)", "read (s)", "size (MB)",
               "`FileScenes` samples/s", "MiB")  # fmt: skip
        for format in LayoutFormat:
            path = Path(temporary, format, f"1{format.suffix}")
            start = time.perf_counter()
            write_images_depth(path, data, format=format)
            written = time.perf_counter()
            read_images_depth(path)
            read = time.perf_counter()
            row(f"`{format}`", f"{written - start:.2f}", f"{read - written:.2f}",
                f"{total_bytes(path) / 1e6:.0f}", *streamed(path.parent, 0))  # fmt: skip


if __name__ == "__main__":
    main()
