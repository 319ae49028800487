"""Own header checks beside a memory-capped worker process around the plain decoders.

    python benchmarks/decoder_process.py > benchmarks/decoder_process.md

Cost: one small file of each format, read by Fociscope in this process, by the plain decoder in this
process, by the plain decoder in a worker that stays, and in a worker forked for the file. Attacks:
the hostile files of `tests/hostile`, each read by Fociscope and by the plain decoder in a worker
with at most 1 GiB more memory and 5 s of the processor.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import tifffile
import zarr
from PIL import Image

import fociscope.files as files
from fociscope.errors import FociscopeError

SECONDS, MEMORY_BYTES, REPEATS = 5, 2**30, 30
ROOT = Path(__file__).resolve().parent.parent
PARSERS = {
    "TIFF": ("images/tiff.py", "images/tiff_lzw.py"),
    "PNG": ("images/png.py",),
    "MAT v5": ("arrays/mat5.py",),
    "HDF5": ("arrays/hdf5.py", "arrays/hdf5_heap.py"),
    "NPZ": ("arrays/npz.py",),
    "Zarr": ("arrays/zarr_array.py",),
}
FORK = multiprocessing.get_context("fork")


def read_plain(path: str) -> list[Any]:
    """Decode all arrays of a file as its library does when nobody checks it."""
    file, _, inner = path.partition(":/")
    suffix = Path(file).suffix.lower()
    if suffix in (".tif", ".tiff"):
        return [tifffile.imread(file)]
    if suffix == ".png":
        with Image.open(file) as image:
            return [np.asarray(image)]
    if suffix in (".npy", ".npz"):
        loaded = np.load(file)
        return [loaded] if suffix == ".npy" else [loaded[name] for name in loaded.files]
    if Path(file).is_dir():
        store = zarr.open(file, mode="r", path=inner or None)
        if isinstance(store, zarr.Array):
            return [store[...]]
        return [member[...] for _, member in store.members(None) if isinstance(member, zarr.Array)]
    if suffix == ".mat" and not h5py.is_hdf5(file):
        return [v for v in scipy.io.loadmat(file).values() if isinstance(v, np.ndarray)]
    found: list[Any] = []
    with h5py.File(file, "r") as opened:
        if inner:
            return [opened[inner][...]]
        opened.visititems(
            lambda _, item: found.append(item[...]) if isinstance(item, h5py.Dataset) else None
        )
    return found


def read_checked(path: str) -> Any:
    """Read a file as `fociscope reconstruct` does."""
    with files.open_captures([path], allow_non_finite=True) as series:
        return series.read(0, 10)


def serve(connection: Any) -> None:
    """Decode paths until an empty one comes."""
    while path := connection.recv():
        connection.send(read_plain(path))


def in_fork(path: str) -> Any:
    """Decode one file in a process of its own."""
    here, there = FORK.Pipe()
    worker = FORK.Process(target=lambda: there.send(read_plain(path)))
    worker.start()
    values = here.recv()
    worker.join()
    return values


def milliseconds(read: Callable[[str], Any], path: Path) -> float:
    """Return the median time of a read."""
    read(str(path))
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        read(str(path))
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds)


def make_files(folder: Path) -> dict[str, Path]:
    """Write one sound file of each format: two frames of 512 x 512, compressed."""
    frames = np.random.default_rng(0).integers(0, 4000, (2, 512, 512), dtype=np.uint16)
    ends = {"TIFF": "tif", "PNG": "png", "MAT v5": "mat", "HDF5": "h5", "NPZ": "npz"}
    paths = {name: folder / f"a.{end}" for name, end in {**ends, "Zarr": "zarr"}.items()}
    tifffile.imwrite(paths["TIFF"], frames, compression="zlib", photometric="minisblack")
    Image.fromarray(frames[0]).save(paths["PNG"])
    scipy.io.savemat(paths["MAT v5"], {"x": frames.transpose(1, 2, 0)}, do_compression=True)
    with h5py.File(paths["HDF5"], "w") as file:
        file.create_dataset("x", data=frames, chunks=(1, 512, 512), compression="gzip")
    np.savez_compressed(paths["NPZ"], x=frames)
    zarr.create_array(paths["Zarr"], data=frames, chunks=(1, 512, 512))
    return paths


def outcome(read: Callable[[str], Any], path: str) -> str:
    """Read a hostile file in a capped process; return how that ended."""
    here, there = FORK.Pipe(duplex=False)

    def attempt() -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        status = Path("/proc/self/status").read_text().splitlines()
        held = 1024 * int(next(line for line in status if line.startswith("VmData")).split()[1])
        resource.setrlimit(resource.RLIMIT_DATA, (held + MEMORY_BYTES, resource.RLIM_INFINITY))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(4 * SECONDS)  # a pipe that nobody writes takes no time of the processor
        try:
            read(path)
        except MemoryError:
            there.send("out of memory")
        except FociscopeError:
            there.send("one plain line")
        except BaseException:  # what a decoder raises is what is counted here
            there.send("another error")
        else:
            there.send("values")

    worker = FORK.Process(target=attempt)
    worker.start()
    there.close()
    try:
        return str(here.recv())
    except EOFError:
        worker.join()
        timers = (-signal.SIGALRM, -signal.SIGPROF)
        return "out of time" if worker.exitcode in timers else "crashed"
    finally:
        worker.join()


def print_costs(folder: Path) -> None:
    """Print what a file costs in each way, and the lines of the checks."""
    here, there = FORK.Pipe()
    worker = FORK.Process(target=serve, args=(there,), daemon=True)
    worker.start()

    def in_worker(path: str) -> Any:
        here.send(path)
        return here.recv()

    print("| format | Fociscope, ms | plain decoder, ms | in a worker that stays, ms | "
          "in a forked worker, ms | lines of the reader |\n|---|---|---|---|---|---|")  # fmt: skip
    for name, path in make_files(folder).items():
        ways = (read_checked, read_plain, in_worker, in_fork)
        times = " | ".join(f"{milliseconds(read, path):.1f}" for read in ways)
        sources = [ROOT / "src/fociscope/files" / source for source in PARSERS[name]]
        lines = sum(len(source.read_text().splitlines()) for source in sources)
        print(f"| {name} | {times} | {lines} |", flush=True)
    here.send("")
    worker.join()


def print_attacks(folder: Path) -> None:
    """Print how the hostile files end."""
    sys.path.insert(0, str(ROOT / "tests/hostile"))
    cases = {**import_module("broken_files").CASES, **import_module("broken_stores").CASES}
    kinds = ("tiff", "ome", "png", "npy", "npz", "mat", "hdf5", "zarr")
    names = [name for name in cases if name.split("_")[0] in kinds]
    tallies: dict[str, Counter[str]] = {"Fociscope": Counter(), "plain": Counter()}
    silent = []
    for name in names:
        place = folder / name
        place.mkdir()
        path = str(cases[name](place))
        tallies["Fociscope"][outcome(read_checked, path)] += 1
        ended = outcome(read_plain, path)
        tallies["plain"][ended] += 1
        if ended == "values":
            silent.append(name)
    ends = ("one plain line", "another error", "out of memory", "out of time", "crashed", "values")
    print(f"\n{len(names)} hostile files, each in a process with 1 GiB and 5 s of the processor:\n")
    print(f"| reader | {' | '.join(ends)} |\n|---|{'---|' * len(ends)}")
    for reader, tally in tallies.items():
        print(f"| {reader} | {' | '.join(str(tally[end]) for end in ends)} |")
    print(f"\nThe plain decoders returned values for: {', '.join(sorted(silent))}.")


def main() -> None:
    """Measure, and print the page."""
    doc = (__doc__ or "").splitlines()
    print(f"# {doc[0].rstrip('.')}\n")
    print("```sh\npython benchmarks/decoder_process.py > benchmarks/decoder_process.md\n```\n")
    with tempfile.TemporaryDirectory() as folder:
        print_costs(Path(folder))
        print_attacks(Path(folder))


if __name__ == "__main__":
    main()
