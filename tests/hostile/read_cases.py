"""The child process of `test_generated_files.py`: reads cases under limits of time and memory.

    python read_cases.py FOLDER NAME...

Prints one line of JSON for each case: what was raised, the seconds it took, and by how much memory
grew. Its limit of processor time, an alarm or the limit of memory ends the process, so that the
case without a line is to blame.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broken_files import CASES as FILES
from broken_stores import CASES as STORES

SECONDS = 5
MEMORY_BYTES = 2**30

CASES = {**FILES, **STORES}


def read_captures_in_parts(path: Path | str) -> None:
    """Read all captures, and fail on what has not been refused."""
    from fociscope.files import open_captures

    with open_captures([path]) as series:
        for start in range(0, min(len(series), 100), 10):
            series.read(start, start + 10)


def reader_of(name: str) -> Callable[[Any], object]:
    """Return what a user's file of this kind is read by."""
    kind = name.partition("_")[0]
    if kind == "model":
        from fociscope.networks.store import read_model

        return read_model
    if kind == "imager":
        from fociscope.imager import Imager

        return Imager.from_toml
    if kind == "recipe":
        from fociscope.training.recipe import Recipe

        return Recipe.load
    return read_captures_in_parts


def memory_bytes(field: str) -> int:
    """Return a figure of this process, such as VmHWM (the peak that was resident) or VmData."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def attempt(name: str, path: Path | str) -> dict[str, Any]:
    """Read one case; NumPy and HDF5 get no more memory than the limit."""
    read = reader_of(name)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, data = memory_bytes("VmRSS"), memory_bytes("VmData")
    resource.setrlimit(resource.RLIMIT_DATA, (data + MEMORY_BYTES, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(6 * SECONDS)  # for what waits, and takes no time of the processor
    start = time.process_time()
    raised, message = "nothing", ""
    try:
        read(path)
    except Exception as error:
        raised, message = type(error).__name__, str(error)
    seconds = time.process_time() - start
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    grown = memory_bytes("VmHWM") - before
    return {"name": name, "raised": raised, "message": message, "seconds": seconds, "grown": grown}


def main(folder: Path, names: list[str]) -> None:
    """Read cases that have been built."""
    import numpy
    import zarr  # noqa: F401 (what is imported takes neither a case's time nor its memory)

    from fociscope.networks import store  # noqa: F401
    from fociscope.training import recipe  # noqa: F401

    numpy.zeros(1)
    for name in names:
        path = json.loads((folder / name / "path.json").read_text())
        print(json.dumps(attempt(name, path)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
